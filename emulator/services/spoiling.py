"""Pictures that went wrong, for the generation faults that leave the wire alone: the bytes themselves are bad."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping

from PIL import Image

from emulator.painting import cut_out, encode_png, paint

Spoil = Callable[[bytes], bytes]


def untouched(content: bytes) -> bytes:
    """All is well."""
    return content


def spoil_of(kind: str | None) -> Spoil:
    """What this kind of fault does to the bytes of a finished PNG; nothing for kinds that show elsewhere."""
    return SPOILS.get(kind or "", untouched)


def _on_picture(change: Callable[[Image.Image], Image.Image]) -> Spoil:
    def spoil(content: bytes) -> bytes:
        return encode_png(change(Image.open(io.BytesIO(content))))

    return spoil


def _blank(image: Image.Image) -> Image.Image:
    return Image.new("RGB", image.size, (127, 127, 127))


def _noise(image: Image.Image) -> Image.Image:
    return Image.effect_noise(image.size, 90).convert("RGB")


def _half_size(image: Image.Image) -> Image.Image:
    return image.resize((max(1, image.width // 2), max(1, image.height // 2)))


def _another(image: Image.Image) -> Image.Image:
    painted = paint("something else entirely", 4711, *image.size)
    return cut_out(painted) if image.mode == "RGBA" else painted


def _opaque(image: Image.Image) -> Image.Image:
    solid = image.convert("RGB")
    solid.putalpha(255)
    return solid


def _cut_short(content: bytes) -> bytes:
    return content[: len(content) * 3 // 5]


def _as_jpeg(content: bytes) -> bytes:
    stream = io.BytesIO()
    Image.open(io.BytesIO(content)).convert("RGB").save(stream, "JPEG", quality=85)
    return stream.getvalue()


SPOILS: Mapping[str, Spoil] = {
    "blank": _on_picture(_blank),
    "noise": _on_picture(_noise),
    "wrong_size": _on_picture(_half_size),
    "wrong_picture": _on_picture(_another),
    "opaque": _on_picture(_opaque),
    "truncated_image": _cut_short,
    "wrong_format": _as_jpeg,
}
