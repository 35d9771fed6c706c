"""Built-in input pictures for img2img and background removal: flat drawings with one clear shape.

Drawn here and not generated, so that the result can be held against an input that no provider has touched.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from typing import Final

from PIL import Image, ImageDraw

Draw = ImageDraw.ImageDraw
BACKGROUND: Final = (236, 232, 222)


def draw_source(name: str, width: int, height: int) -> bytes:
    """The named drawing as PNG, filling about half of `width` x `height` pixels."""
    image = Image.new("RGB", (width, height), BACKGROUND)
    SOURCES[name](ImageDraw.Draw(image), width, height)
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def _shield(draw: Draw, width: int, height: int) -> None:
    outline = [(0.22, 0.18), (0.78, 0.18), (0.78, 0.52), (0.5, 0.86), (0.22, 0.52)]
    draw.polygon([(x * width, y * height) for x, y in outline], fill=(70, 84, 110))
    draw.polygon([((x * 0.8 + 0.1) * width, (y * 0.8 + 0.1) * height) for x, y in outline], fill=(150, 40, 44))
    draw.rectangle((0.47 * width, 0.24 * height, 0.53 * width, 0.72 * height), fill=(222, 184, 80))


def _sword(draw: Draw, width: int, height: int) -> None:
    draw.rectangle((0.45 * width, 0.08 * height, 0.55 * width, 0.64 * height), fill=(120, 140, 160))
    draw.rectangle((0.28 * width, 0.62 * height, 0.72 * width, 0.69 * height), fill=(176, 130, 50))
    draw.rectangle((0.46 * width, 0.69 * height, 0.54 * width, 0.9 * height), fill=(84, 52, 32))


def _coin(draw: Draw, width: int, height: int) -> None:
    draw.ellipse((0.2 * width, 0.2 * height, 0.8 * width, 0.8 * height), fill=(160, 110, 30))
    draw.ellipse((0.25 * width, 0.25 * height, 0.75 * width, 0.75 * height), fill=(232, 186, 66))
    draw.rectangle((0.46 * width, 0.34 * height, 0.54 * width, 0.66 * height), fill=(160, 110, 30))


def _gem(draw: Draw, width: int, height: int) -> None:
    draw.polygon(
        [(x * width, y * height) for x, y in [(0.3, 0.25), (0.7, 0.25), (0.85, 0.42), (0.15, 0.42)]],
        fill="#58c7c0",
    )
    draw.polygon([(x * width, y * height) for x, y in [(0.15, 0.42), (0.85, 0.42), (0.5, 0.85)]], fill="#1f8a8c")
    draw.polygon([(x * width, y * height) for x, y in [(0.38, 0.42), (0.62, 0.42), (0.5, 0.85)]], fill="#2fa9a8")


SOURCES: Final[Mapping[str, Callable[[Draw, int, int], None]]] = {
    "shield": _shield,
    "sword": _sword,
    "coin": _coin,
    "gem": _gem,
}
