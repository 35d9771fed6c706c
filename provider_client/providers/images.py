"""Pictures on their way in and out: decoded from a request, described, scaled."""

from __future__ import annotations

import base64
import binascii
import io
from dataclasses import dataclass

from PIL import Image, ImageOps, UnidentifiedImageError

CONTENT_TYPES = {"PNG": "image/png", "JPEG": "image/jpeg", "WEBP": "image/webp"}
EXTENSIONS = {"image/png": "png", "image/jpeg": "jpg", "image/webp": "webp"}


PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
PNG_TEXT_CHUNKS = (b"tEXt", b"zTXt", b"iTXt")


class NotAnImage(ValueError):
    """The bytes are no complete PNG, JPEG or WebP."""


@dataclass(frozen=True)
class Picture:
    """Encoded bytes of a complete picture, and what their header says."""

    content: bytes
    content_type: str
    width: int
    height: int

    @property
    def extension(self) -> str:
        return EXTENSIONS[self.content_type]

    @property
    def base64(self) -> str:
        return base64.b64encode(self.content).decode("ascii")


def read_picture(content: bytes) -> Picture:
    """Decodes all of it once; raises NotAnImage when it is cut off, or no picture that every provider takes."""
    try:
        with Image.open(io.BytesIO(content), formats=tuple(CONTENT_TYPES)) as image:
            width, height = image.size
            kind = str(image.format)
            image.load()
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise NotAnImage("the bytes are not a complete PNG, JPEG or WebP picture") from error
    return Picture(content, CONTENT_TYPES[kind], width, height)


def without_texts(content: bytes) -> bytes:
    """A PNG without its text chunks: ComfyUI writes the whole graph there, prompt included. Others stay as they are."""
    if not content.startswith(PNG_SIGNATURE):
        return content
    kept, at = [PNG_SIGNATURE], len(PNG_SIGNATURE)
    while at < len(content):
        end = at + 12 + int.from_bytes(content[at : at + 4])  # length, type, check sum
        if content[at + 4 : at + 8] not in PNG_TEXT_CHUNKS:
            kept.append(content[at:end])
        at = end
    return b"".join(kept)


def decode_picture(text: str) -> Picture:
    """The picture in base64, with or without a `data:` prefix; raises NotAnImage."""
    payload = text.partition(",")[2] if text.startswith("data:") else text
    try:
        return read_picture(base64.b64decode(payload, validate=True))
    except binascii.Error as error:
        raise NotAnImage("the input image is not valid base64") from error


def scale(picture: Picture, width: int, height: int) -> Picture:
    """The picture as PNG of exactly this size, cropped at the centre, alpha kept.

    Nearest neighbour, as in the pipeline's graph: game assets keep their hard edges.
    """
    with Image.open(io.BytesIO(picture.content)) as image:
        scaled = ImageOps.fit(image.convert("RGBA"), (width, height), method=Image.Resampling.NEAREST)
    encoded = io.BytesIO()
    scaled.save(encoded, format="PNG")
    return Picture(encoded.getvalue(), "image/png", width, height)
