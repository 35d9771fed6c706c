"""Pictures on their way through: recognised by their bytes, rid of texts, scaled with their alpha."""

from __future__ import annotations

import io

import pytest
from PIL import Image, PngImagePlugin

from provider_client.providers.images import NotAnImage, read_picture, scale, without_texts
from tests.provider_client.providers.scripted_vendor import picture


def encoded(image: Image.Image, form: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, format=form, **options)  # type: ignore[arg-type]
    return stream.getvalue()


@pytest.mark.parametrize(
    ("form", "content_type"), [("PNG", "image/png"), ("JPEG", "image/jpeg"), ("WEBP", "image/webp")]
)
def test_a_picture_is_known_by_its_bytes(form: str, content_type: str) -> None:
    found = read_picture(encoded(Image.new("RGB", (7, 5)), form))
    assert (found.content_type, found.width, found.height) == (content_type, 7, 5)


@pytest.mark.parametrize(
    "content", [b"", b"hello", b"<html>", picture()[:20], picture()[:-30], b"GIF89a" + bytes(40)]
)
def test_anything_else_is_no_picture(content: bytes) -> None:
    with pytest.raises(NotAnImage):
        read_picture(content)


def test_the_graph_that_comfyui_writes_into_a_png_is_taken_out_and_the_pixels_stay() -> None:
    texts = PngImagePlugin.PngInfo()
    texts.add_text("prompt", '{"6": {"inputs": {"text": "a secret knight"}}}')
    texts.add_itxt("workflow", "a secret knight")
    image = Image.new("RGBA", (9, 9), (1, 2, 3, 4))
    content = encoded(image, "PNG", pnginfo=texts)
    assert b"secret" in content
    cleaned = without_texts(content)
    assert b"secret" not in cleaned
    with Image.open(io.BytesIO(cleaned)) as found:
        assert found.tobytes() == image.tobytes()


@pytest.mark.parametrize("content", [b"", b"hello", picture()[:30], encoded(Image.new("RGB", (9, 9)), "JPEG")])
def test_what_is_no_png_or_cut_off_is_left_alone(content: bytes) -> None:
    assert without_texts(content) == content


def test_scaling_keeps_the_middle_and_the_alpha() -> None:
    image = Image.new("RGBA", (100, 50), (0, 0, 0, 0))
    image.paste((255, 0, 0, 255), (40, 0, 60, 50))
    small = scale(read_picture(encoded(image, "PNG")), 10, 10)
    with Image.open(io.BytesIO(small.content)) as found:
        assert (found.mode, found.size) == ("RGBA", (10, 10))
        assert found.getpixel((5, 5)) == (255, 0, 0, 255)
        assert found.getpixel((0, 5)) == (0, 0, 0, 0)
