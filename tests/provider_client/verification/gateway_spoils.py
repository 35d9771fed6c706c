"""Ways in which a job of the gateway double can go wrong; each changes what is served."""

from __future__ import annotations

import io
import random
from collections.abc import Callable
from typing import Any

from PIL import Image

Spoil = Callable[[Any], None]


def png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def error(kind: str, message: str = "the provider said so") -> Spoil:
    def spoil(served: Any) -> None:
        served.status = "failed"
        served.error = {"kind": kind, "message": message, "mitigation": f"mend {kind}"}

    return spoil


def change(**fields: Any) -> Spoil:
    def spoil(served: Any) -> None:
        for name, value in fields.items():
            setattr(served, name, value)

    return spoil


def picture(image: Image.Image) -> Spoil:
    return change(content=png(image))


def at(numbers: set[int], spoil: Spoil) -> Spoil:
    return lambda served: spoil(served) if served.number in numbers else None


def truncated(served: Any) -> None:
    served.content = served.content[: len(served.content) // 2]


def tail_lost(served: Any) -> None:
    served.content = served.content[:-20]


def stored_differs(served: Any) -> None:
    served.stored = png(Image.new("RGB", (64, 64), "red"))


def jpeg(served: Any) -> None:
    buffer = io.BytesIO()
    Image.open(io.BytesIO(served.content)).convert("RGB").save(buffer, "JPEG")
    served.content = buffer.getvalue()
    served.content_type = served.stored_content_type = "image/jpeg"


def opaque(served: Any) -> None:
    served.content = png(Image.open(io.BytesIO(served.content)).convert("RGB").convert("RGBA"))


def random_pixels(served: Any) -> None:
    served.content = png(Image.frombytes("RGB", (64, 64), random.Random(served.number).randbytes(3 * 64 * 64)))


def unrelated(served: Any) -> None:
    gradient = Image.linear_gradient("L").resize((64, 64)).convert("RGB")
    served.content = png(gradient.rotate(90 if served.number % 2 else 270))
