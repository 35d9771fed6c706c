"""The emulator's pictures: the same for the same words, different for others, and cheap."""

from __future__ import annotations

import time

import pytest
from PIL import Image, ImageChops, ImageStat

from emulator.motifs import MOTIFS
from emulator.painting import cut_out, encode_png, paint, paint_over

PROMPTS = ("A knight in silver armour", "A red potion", "Seamless grass tile", "a thing that nobody drew")


def contrast(image: Image.Image) -> float:
    return ImageStat.Stat(image.convert("L").resize((64, 64), Image.Resampling.BOX)).stddev[0]


def difference(one: Image.Image, other: Image.Image) -> float:
    return sum(ImageStat.Stat(ImageChops.difference(one.convert("RGB"), other.convert("RGB"))).mean)


@pytest.mark.parametrize("prompt", PROMPTS)
def test_the_same_prompt_and_seed_give_the_same_bytes(prompt: str) -> None:
    assert encode_png(paint(prompt, 7, 128, 96)) == encode_png(paint(prompt, 7, 128, 96))


def test_prompts_and_seeds_are_told_apart() -> None:
    pictures = [paint(prompt, seed, 128, 128) for prompt in PROMPTS for seed in range(4)]
    differences = [difference(a, b) for n, a in enumerate(pictures) for b in pictures[:n]]
    assert min(differences) > 5


@pytest.mark.parametrize("word", sorted(MOTIFS))
def test_every_motif_is_far_from_blank(word: str) -> None:
    assert min(contrast(paint(f"a {word}", seed, 256, 256)) for seed in range(3)) > 10


@pytest.mark.parametrize("size", [(1024, 1024), (1216, 832), (64, 512)])
def test_the_size_is_the_asked_one(size: tuple[int, int]) -> None:
    assert paint("a coin", 1, *size).size == size


def test_the_named_colour_is_used() -> None:
    red, _, blue = ImageStat.Stat(paint("a red gem", 1, 128, 128).crop((40, 60, 90, 100))).mean
    assert red > blue


def test_a_large_picture_is_cheap() -> None:
    """The bar is 40 ms of CPU; the test allows for a slow and busy machine."""

    def cost() -> float:
        start = time.process_time()
        encode_png(paint("A knight", 1, 1024, 1024))
        return time.process_time() - start

    assert min(cost() for _ in range(5)) < 0.08


@pytest.mark.parametrize("word", ["knight", "potion", "coin", "gem", "dragon", "mushroom"])
def test_a_cut_out_keeps_the_object_and_drops_the_ground(word: str) -> None:
    for seed in range(4):
        alpha = cut_out(paint(f"a {word}", seed, 512, 512)).getchannel("A")
        clear = sum(alpha.histogram()[:8]) / (512 * 512)
        assert 0.3 < clear < 0.95
        assert alpha.getpixel((3, 3)) == 0
        assert alpha.getpixel((256, 256)) == 255


def test_a_picture_without_plain_ground_is_cut_out_all_the_same() -> None:
    alpha = cut_out(paint("seamless grass tile", 1, 256, 256)).getchannel("A")
    assert alpha.getextrema() == (0, 255)


def test_a_weak_img2img_stays_nearer_to_its_input() -> None:
    source = paint("a shield", 1, 256, 256)
    weak, strong = (difference(source, paint_over(source, "a dragon", 2, share)) for share in (0.2, 0.9))
    assert 0 < weak < strong


def test_text_goes_into_the_file() -> None:
    assert b"tEXtprompt" in encode_png(Image.new("RGB", (4, 4)), {"prompt": "a knight"})
