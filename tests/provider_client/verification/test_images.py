"""What is seen in a picture, and how quickly."""

from __future__ import annotations

import io
import random
import statistics
import struct
import time
import zlib
from typing import Any

import pytest
from PIL import Image, ImageDraw

from provider_client.verification.images import (
    BrokenImage,
    hash_distance,
    inspect,
    outline_likeness,
    visible_difference,
)
from provider_client.verification.sources import SOURCES, draw_source


def encoded(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def scene(size: int = 512) -> Image.Image:
    image = Image.new("RGB", (size, size), "beige")
    draw = ImageDraw.Draw(image)
    draw.ellipse((size * 0.2, size * 0.1, size * 0.7, size * 0.6), fill="navy")
    draw.rectangle((size * 0.5, size * 0.5, size * 0.9, size * 0.9), fill="crimson")
    return image


def png_of(width: int, height: int, *, bits: int, rows: bytes, wrong_check_sum: bool = False) -> bytes:
    """A grey PNG written by hand, for what Pillow cannot write."""

    def chunk(name: bytes, content: bytes, wrong: int = 0) -> bytes:
        return (
            struct.pack(">I", len(content))
            + name
            + content
            + struct.pack(">I", zlib.crc32(name + content) ^ wrong)
        )

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, 0, 0, 0, 0))
    data = chunk(b"IDAT", zlib.compress(rows), wrong=int(wrong_check_sum))
    return b"\x89PNG\r\n\x1a\n" + header + data + chunk(b"IEND", b"")


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "JPEG"])
def test_format_size_and_shape_are_read_from_the_bytes(kind: str) -> None:
    picture = inspect(encoded(scene(), kind))
    assert (picture.format, picture.width, picture.height, picture.has_alpha) == (kind, 512, 512, False)
    assert picture.contrast > 20
    assert picture.shape > 7


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "JPEG"])
def test_half_a_file_is_broken(kind: str) -> None:
    content = encoded(scene(), kind)
    with pytest.raises(BrokenImage):
        inspect(content[: len(content) // 2])


@pytest.mark.parametrize("content", [b"", b"<html>", encoded(scene())[:-20], b"\x89PNG\r\n\x1a\n" + bytes(100)])
def test_what_is_no_whole_picture_is_broken(content: bytes) -> None:
    with pytest.raises(BrokenImage):
        inspect(content)


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "JPEG"])
def test_something_behind_the_picture_is_not_a_whole_picture(kind: str) -> None:
    with pytest.raises(BrokenImage, match="does not end where its picture ends"):
        inspect(encoded(scene(64), kind) + b"<html>Bad Gateway</html>")


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_an_animation_is_not_a_picture(kind: str) -> None:
    with pytest.raises(BrokenImage, match="an animation of 2"):
        inspect(encoded(scene(64), kind, save_all=True, append_images=[scene(64).rotate(90)]))


def test_a_wrong_check_sum_is_found_although_the_picture_decodes() -> None:
    rows = b"".join(bytes([0, *range(64)]) for _ in range(64))
    assert inspect(png_of(64, 64, bits=8, rows=rows)).width == 64
    with pytest.raises(BrokenImage, match="checksum"):
        inspect(png_of(64, 64, bits=8, rows=rows, wrong_check_sum=True))


@pytest.mark.parametrize("side", [9_000, 10_000, 14_000])
def test_a_decompression_bomb_is_broken_and_never_unpacked(side: int) -> None:
    with pytest.raises(BrokenImage, match="pixels"):
        inspect(png_of(side, side, bits=1, rows=b"unpacking this would be another error"))


@pytest.mark.parametrize("kind", ["GIF", "TIFF"])
def test_other_kinds_of_pictures_are_not_even_opened(kind: str) -> None:
    with pytest.raises(BrokenImage, match="not a PNG, JPEG or WebP"):
        inspect(encoded(scene(64), kind))


def test_sixteen_bits_a_pixel_are_seen_as_a_viewer_shows_them() -> None:
    rows = b"".join(bytes([0]) + b"".join(bytes([x, x]) for x in range(256)) for _ in range(64))
    assert inspect(png_of(256, 64, bits=16, rows=rows)).contrast == pytest.approx(73.9, abs=0.5)


def test_a_picture_with_a_turn_in_its_exif_is_seen_as_a_viewer_shows_it() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: turned by 90 degrees
    turned = inspect(encoded(scene().resize((320, 200)), "JPEG", exif=exif, quality=95))
    upright = inspect(encoded(scene().resize((320, 200)).rotate(-90, expand=True), "JPEG", quality=95))
    assert (turned.format, turned.width, turned.height) == ("JPEG", 200, 320)
    assert hash_distance(turned.fingerprint, upright.fingerprint) <= 2


@pytest.mark.parametrize("colour", ["white", "black", (127, 127, 127)])
def test_a_blank_picture_has_no_contrast(colour: str) -> None:
    assert inspect(encoded(Image.new("RGB", (256, 256), colour))).contrast < 2


@pytest.mark.parametrize("size", [64, 200, 512, 1024])
def test_white_noise_has_shape_one_whatever_the_size(size: int) -> None:
    colours = Image.frombytes("RGB", (size, size), random.Random(5).randbytes(3 * size * size))
    grey = Image.effect_noise((size, size), 40).convert("RGB")
    for image in (colours, grey):
        assert inspect(encoded(image)).shape < 1.4


def test_alpha_that_hides_nothing_is_not_transparency() -> None:
    image = scene().convert("RGBA")
    picture = inspect(encoded(image))
    assert (picture.has_alpha, picture.transparent_share) == (True, 0.0)


def test_what_lies_under_transparent_pixels_does_not_count() -> None:
    image = scene().convert("RGBA")
    image.putalpha(0)
    picture = inspect(encoded(image))
    assert picture.transparent_share == 1.0
    assert picture.contrast == 0


def test_a_picture_is_alike_to_itself_in_another_format_and_unlike_another() -> None:
    png, jpeg = inspect(encoded(scene())), inspect(encoded(scene(), "JPEG", quality=60))
    other = inspect(encoded(scene().transpose(Image.Transpose.ROTATE_90)))
    assert hash_distance(png.fingerprint, jpeg.fingerprint) <= 2
    assert outline_likeness(png, jpeg) > 0.9
    assert hash_distance(png.fingerprint, other.fingerprint) > 10
    assert outline_likeness(png, other) < 0.3


def test_a_cut_out_is_compared_where_it_is_opaque() -> None:
    image = scene()
    mask = Image.new("L", image.size)
    ImageDraw.Draw(mask).rectangle((100, 60, 480, 480), fill=255)
    cut = image.copy()
    cut.putalpha(mask)
    source = inspect(encoded(image))
    assert visible_difference(inspect(encoded(cut)), source) < 1
    other = Image.new("RGBA", image.size, (0, 120, 0, 255))
    assert visible_difference(inspect(encoded(other)), source) > 25
    gone = Image.new("RGBA", image.size, (0, 0, 0, 0))
    assert visible_difference(inspect(encoded(gone)), source) == 255


@pytest.mark.parametrize("name", SOURCES)
def test_built_in_sources_are_sound_pictures_and_always_the_same(name: str) -> None:
    assert draw_source(name, 128, 96) == draw_source(name, 128, 96)
    picture = inspect(draw_source(name, 1024, 1024))
    assert picture.contrast > 10
    assert picture.shape > 7


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_looking_at_a_picture_takes_at_most_40_ms_of_cpu(mode: str) -> None:
    grain = Image.effect_noise((1024, 1024), 12).convert("RGB")
    content = encoded(Image.blend(scene(1024), grain, 0.2).convert(mode), compress_level=1)

    def cpu() -> float:
        began = time.process_time()
        inspect(content)
        return time.process_time() - began

    assert statistics.median(cpu() for _ in range(5)) <= 0.06, "40 ms, and half as much for a busy machine"
