"""Pictures on their way in and out: decoded from a request, described, scaled."""

from __future__ import annotations

import base64
import binascii
import io
from dataclasses import dataclass

from PIL import Image, ImageOps, UnidentifiedImageError

CONTENT_TYPES = {"PNG": "image/png", "JPEG": "image/jpeg", "WEBP": "image/webp"}
EXTENSIONS = {"image/png": "png", "image/jpeg": "jpg", "image/webp": "webp"}


class NotAnImage(ValueError):
    """The bytes are no PNG, JPEG or WebP."""


@dataclass(frozen=True)
class Picture:
    """Encoded bytes and what their header says; the pixels are not decoded."""

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
    """Raises NotAnImage when the header is not one of a picture that every provider takes."""
    try:
        with Image.open(io.BytesIO(content), formats=tuple(CONTENT_TYPES)) as image:
            width, height = image.size
            kind = str(image.format)
    except (UnidentifiedImageError, OSError, ValueError, Image.DecompressionBombError) as error:
        raise NotAnImage("the bytes are not a PNG, JPEG or WebP picture") from error
    return Picture(content, CONTENT_TYPES[kind], width, height)


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
