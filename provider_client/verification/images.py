"""What can be seen in a picture with Pillow alone; about 30 ms for 1024 x 1024.

Looking proves that a picture is whole, of the right kind, and not empty or mere noise.
It cannot prove that the picture shows what the prompt asked for: that is left to the eyes on the contact sheet,
to img2img's relation to its input, and to parity with the live provider.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from PIL import Image, ImageOps, ImageStat, UnidentifiedImageError

MIME_OF_FORMAT: Final = {"PNG": "image/png", "JPEG": "image/jpeg", "WEBP": "image/webp"}
SMALL: Final = (64, 64)
BLOCK: Final = 8
OPAQUE: Final = 250
MAX_PIXELS: Final = 64_000_000


class BrokenImage(Exception):
    """The bytes are not a whole picture."""


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A decoded picture and what was measured on it.

    `spread` is the standard deviation of the grey picture, `contrast` that of its 64 x 64 miniature: below 2 is blank.
    `shape` is what averaging 8 x 8 pixels leaves of the spread, over what it would leave of pixels that know nothing
    of each other: 1 is white noise, 8 is all shapes.
    `transparent_share` is the share of pixels that are (nearly) fully transparent. `small` and `visible` are the
    grey values and the opacity of the miniature, row by row.
    """

    format: str
    content_type: str
    width: int
    height: int
    has_alpha: bool
    transparent_share: float
    spread: float
    contrast: float
    shape: float
    fingerprint: int
    small: tuple[int, ...]
    visible: tuple[int, ...]


def open_picture(content: bytes) -> Image.Image:
    """The picture as a viewer shows it: upright, eight bits a channel.

    Decodes completely, since the header alone says nothing about the rest of the file.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of a large or odd file; what matters is judged here
            image = Image.open(io.BytesIO(content), formats=tuple(MIME_OF_FORMAT))
            if image.width * image.height > MAX_PIXELS:
                raise BrokenImage(f"{image.width} x {image.height} pixels are more than any asset has")
            image.load()
            if image.format == "PNG":
                Image.open(io.BytesIO(content)).verify()  # the check sums, which decoding does not look at
            frames = getattr(image, "n_frames", 1)
            seen = ImageOps.exif_transpose(_eight_bits(image))
    except UnidentifiedImageError as error:
        raise BrokenImage("not a PNG, JPEG or WebP picture") from error
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise BrokenImage(str(error) or type(error).__name__) from error
    if frames > 1:
        raise BrokenImage(f"an animation of {frames} pictures")
    if not _ends_with_picture(image.format, content):
        raise BrokenImage("the file does not end where its picture ends")
    seen.format = image.format  # a changed copy forgets it
    return seen


def _eight_bits(image: Image.Image) -> Image.Image:
    """Pillow itself would cut 16 bits a pixel off at 255, which leaves nothing but white."""
    return (
        image.convert("I").point(lambda value: value / 256).convert("L") if image.mode.startswith("I") else image
    )


def _ends_with_picture(kind: str | None, content: bytes) -> bool:
    """Nothing is missing at the end (Pillow accepts a PNG without it), and nothing was added."""
    match kind:
        case "PNG":
            return content.endswith(b"IEND\xaeB`\x82")
        case "JPEG":
            return content.endswith(b"\xff\xd9")
        case "WEBP":
            return len(content) == 8 + int.from_bytes(content[4:8], "little")
    return True


def inspect(content: bytes) -> Picture:
    """Measures one picture; raises BrokenImage when there is no whole picture."""
    image = open_picture(content)
    alpha = image.convert("RGBA").getchannel("A") if image.has_transparency_data else None
    grey = _grey(image, alpha)
    small = grey.resize(SMALL, Image.Resampling.BOX)
    contrast = ImageStat.Stat(small).stddev[0]
    spread = ImageStat.Stat(grey).stddev[0]
    blocks = ImageStat.Stat(grey.reduce(BLOCK)).stddev[0]
    return Picture(
        format=image.format or "unknown",
        content_type=MIME_OF_FORMAT.get(image.format or "", "unknown"),
        width=image.width,
        height=image.height,
        has_alpha=alpha is not None,
        transparent_share=_transparent_share(alpha),
        spread=spread,
        contrast=contrast,
        shape=BLOCK * blocks / spread if spread else 0.0,
        fingerprint=difference_hash(grey),
        small=tuple(small.tobytes()),
        visible=_visible(alpha),
    )


def difference_hash(grey: Image.Image) -> int:
    """64 bits: is each of 8 x 8 cells brighter than its right neighbour? Alike pictures differ in few bits."""
    cells = grey.resize((9, 8), Image.Resampling.BOX).tobytes()
    bits = (cells[row * 9 + column] > cells[row * 9 + column + 1] for row in range(8) for column in range(8))
    return sum(1 << place for place, bit in enumerate(bits) if bit)


def hash_distance(one: int, other: int) -> int:
    """Differing bits, 0 (alike) to 64; two unrelated pictures differ in about 32."""
    return (one ^ other).bit_count()


def outline_likeness(one: Picture, other: Picture) -> float:
    """Correlation of the outlines of two pictures, -1 to 1, whatever their colours.

    Measured on the emulator's paintings: unrelated pictures stay below 0.25, img2img at strength 0.5 above 0.75.
    """
    return _correlation(_outline(one.small), _outline(other.small))


def visible_difference(cut_out: Picture, source: Picture) -> float:
    """Mean difference of grey values, 0 to 255, where the cut-out is opaque: 0 when only the background went."""
    pairs = zip(cut_out.small, source.small, cut_out.visible, strict=True)
    differences = [abs(one - other) for one, other, alpha in pairs if alpha > OPAQUE]
    return sum(differences) / len(differences) if differences else 255.0


def _outline(small: tuple[int, ...]) -> list[int]:
    """How much each cell differs from its right and lower neighbours."""
    side = SMALL[0]
    cells = (row * side + column for row in range(side - 1) for column in range(side - 1))
    return [abs(small[cell] - small[cell + 1]) + abs(small[cell] - small[cell + side]) for cell in cells]


def _correlation(a: Sequence[int], b: Sequence[int]) -> float:
    mean_a, mean_b = sum(a) / len(a), sum(b) / len(b)
    covariance = sum((x - mean_a) * (y - mean_b) for x, y in zip(a, b, strict=True))
    spread = (sum((x - mean_a) ** 2 for x in a) * sum((y - mean_b) ** 2 for y in b)) ** 0.5
    return covariance / spread if spread else 0.0


def _grey(image: Image.Image, alpha: Image.Image | None) -> Image.Image:
    if alpha is None:
        return image.convert("L")
    canvas = Image.new(
        "L", image.size, 128
    )  # what lies under transparent pixels is not seen, so it must not count
    canvas.paste(image.convert("RGB").convert("L"), mask=alpha)
    return canvas


def _visible(alpha: Image.Image | None) -> tuple[int, ...]:
    if alpha is None:
        return (255,) * (SMALL[0] * SMALL[1])
    return tuple(alpha.resize(SMALL, Image.Resampling.BOX).tobytes())


def _transparent_share(alpha: Image.Image | None) -> float:
    if alpha is None:
        return 0.0
    histogram = alpha.histogram()
    return sum(histogram[:8]) / sum(histogram)
