"""Paints the emulator's pictures: small stylised game assets, the same for the same prompt and seed.

Drawn small, then enlarged: a picture of 1024 x 1024 must cost at most 40 ms of CPU with its PNG.
"""

from __future__ import annotations

import colorsys
import hashlib
import io
import math
import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageOps
from PIL.PngImagePlugin import PngInfo

from emulator.motifs import MOTIFS, TILE, UNNAMED, Motif, Part, Role

Colour = tuple[int, int, int]

CANVAS = 384  # longest side that is really drawn
COLOUR_WORDS: Mapping[str, float] = {
    "red": 0.0, "ruby": 0.97, "orange": 0.07, "fire": 0.05, "lava": 0.03, "gold": 0.13, "golden": 0.13,
    "yellow": 0.15, "green": 0.34, "grass": 0.3, "emerald": 0.4, "forest": 0.33, "teal": 0.48, "cyan": 0.52,
    "ice": 0.54, "blue": 0.6, "water": 0.56, "sapphire": 0.62, "purple": 0.77, "violet": 0.75, "magic": 0.76,
    "pink": 0.9, "crimson": 0.98,
}  # fmt: skip
INK: Colour = (34, 27, 46)
FIXED: Mapping[Role, Colour] = {
    "metal": (168, 178, 192),
    "skin": (236, 190, 152),
    "wood": (134, 86, 52),
    "gold": (238, 184, 62),
    "pale": (226, 232, 236),
    "dark": (44, 36, 56),
    "glow": (255, 246, 200),
}


@dataclass(frozen=True)
class Palette:
    """The colours of one picture."""

    roles: Mapping[Role, Colour]
    sky: Colour
    ground: Colour


def paint(prompt: str, seed: int, width: int, height: int) -> Image.Image:
    """An RGB picture of what the prompt names; other seeds give other colours and poses."""
    chance = random.Random(_digest(prompt, seed))
    motif = choose_motif(prompt, chance)
    palette = _palette(prompt, chance)
    scale = CANVAS / max(width, height)
    small = (max(8, round(width * scale)), max(8, round(height * scale)))
    image = _tile(small, palette, chance) if motif is TILE else _scene(small, motif, palette, chance)
    return image.resize((width, height), Image.Resampling.BICUBIC)


def paint_over(source: Image.Image, prompt: str, seed: int, strength: float) -> Image.Image:
    """img2img: the source shows through, the more the lower the strength (ComfyUI's denoise, 0 to 1)."""
    base = source.convert("RGB")
    painted = paint(prompt, seed, *base.size)
    return Image.blend(base, painted, min(0.9, 0.55 * max(0.0, strength)))


def foreground(image: Image.Image) -> Image.Image:
    """A mask ("L", white = object) of what differs from the picture's rim."""
    size = (256, max(8, round(256 * image.height / image.width)))
    small = image.convert("RGB").resize(size, Image.Resampling.BILINEAR)
    width, height = size
    rim = Image.new("RGB", (2, height))
    rim.paste(small.resize((1, height), box=(0, 0, 6, height)), (0, 0))
    rim.paste(small.resize((1, height), box=(width - 6, 0, width, height)), (1, 0))
    behind = rim.filter(ImageFilter.BoxBlur(3)).resize(size, Image.Resampling.BILINEAR)
    red, green, blue = ImageChops.difference(small, behind).split()
    distance = ImageChops.lighter(ImageChops.lighter(red, green), blue)
    mask = distance.point([0] * 26 + [255] * 230).filter(ImageFilter.MedianFilter(5))
    if not 0.02 < sum(mask.histogram()[128:]) / (width * height) < 0.97:
        mask = _oval(size)  # no plain background to tell the object from
    mask = ImageChops.lighter(mask, _holes(mask))
    return mask.filter(ImageFilter.GaussianBlur(0.8)).resize(image.size, Image.Resampling.BICUBIC)


def cut_out(image: Image.Image) -> Image.Image:
    """The picture without its background: RGBA, transparent where nothing stands."""
    cut = image.convert("RGB")
    cut.putalpha(foreground(image))
    return cut


def encode_png(image: Image.Image, text: Mapping[str, str] | None = None) -> bytes:
    """PNG bytes, quickly rather than small; `text` becomes text chunks, as ComfyUI writes its graph."""
    info = PngInfo()
    for key, value in (text or {}).items():
        info.add_text(key, value)
    stream = io.BytesIO()
    image.save(stream, "PNG", compress_level=1, pnginfo=info)
    return stream.getvalue()


def choose_motif(prompt: str, chance: random.Random) -> Motif:
    """The motif of the earliest word that names one."""
    for word in re.findall(r"[a-z]+", prompt.lower()):
        if word in MOTIFS:
            return MOTIFS[word]
    return chance.choice(UNNAMED)


def _digest(prompt: str, seed: int) -> int:
    return int.from_bytes(hashlib.sha256(f"{seed}\n{prompt}".encode()).digest()[:8], "big")


def _rgb(hue: float, saturation: float, value: float) -> Colour:
    red, green, blue = colorsys.hsv_to_rgb(hue % 1.0, saturation, value)
    return round(red * 255), round(green * 255), round(blue * 255)


def _palette(prompt: str, chance: random.Random) -> Palette:
    named = [COLOUR_WORDS[word] for word in re.findall(r"[a-z]+", prompt.lower()) if word in COLOUR_WORDS]
    hue = named[0] + chance.uniform(-0.025, 0.025) if named else chance.random()
    second = named[1] if len(named) > 1 else hue + chance.choice((0.12, 0.42, 0.5, 0.58, -0.14))
    behind = hue + chance.choice((0.35, 0.45, 0.5, 0.55, 0.65))
    light = chance.random() < 0.6
    roles: dict[Role, Colour] = {
        **FIXED,
        "main": _rgb(hue, chance.uniform(0.62, 0.82), chance.uniform(0.72, 0.9)),
        "accent": _rgb(second, chance.uniform(0.5, 0.75), chance.uniform(0.75, 0.95)),
    }
    sky = _rgb(behind, 0.14 if light else 0.38, 0.95 if light else 0.36)
    ground = _rgb(behind + 0.05, 0.24 if light else 0.5, 0.84 if light else 0.24)
    return Palette(roles, sky, ground)


def _oval(size: tuple[int, int]) -> Image.Image:
    mask = Image.new("L", size, 0)
    ImageDraw.Draw(mask).ellipse((size[0] * 0.08, size[1] * 0.08, size[0] * 0.92, size[1] * 0.92), fill=255)
    return mask


def _holes(mask: Image.Image) -> Image.Image:
    """What the object encloses; found on a thumbnail, since Pillow floods in Python."""
    outside = ImageOps.expand(mask.resize((48, 48), Image.Resampling.BOX).point([0] * 128 + [255] * 128), 1, 0)
    ImageDraw.floodfill(outside, (0, 0), 128)
    enclosed = outside.point([255] + [0] * 255).crop((1, 1, 49, 49))
    return enclosed.filter(ImageFilter.MaxFilter(3)).resize(mask.size, Image.Resampling.BILINEAR)


def _gradient(top: Colour, bottom: Colour, size: tuple[int, int]) -> Image.Image:
    strip = Image.new("RGB", (1, 2))
    strip.putdata([top, bottom])
    return strip.resize(size, Image.Resampling.BILINEAR)


def _scene(size: tuple[int, int], motif: Motif, palette: Palette, chance: random.Random) -> Image.Image:
    image = _gradient(palette.sky, palette.ground, size)
    side = min(size)
    span = side * chance.uniform(0.74, 0.86)
    left = (size[0] - span) / 2 + chance.uniform(-0.03, 0.03) * side
    top = (size[1] - span) / 2 + chance.uniform(-0.02, 0.03) * side
    draw = ImageDraw.Draw(image)
    shade = _mixed(palette.ground, INK, 0.12)  # faint: a cut-out leaves it behind
    draw.ellipse((left + span * 0.1, top + span * 0.88, left + span * 0.9, top + span * 1.02), fill=shade)
    pose = _Pose(left, top, span, chance.uniform(-0.07, 0.07), chance.random() < 0.35)
    for part in motif:
        _draw_part(image, draw, pose, part, palette.roles[part.role])
    _sparkles(draw, size, palette.roles["glow"], chance)
    return image


@dataclass(frozen=True)
class _Pose:
    """Where the 100 x 100 grid lies on the canvas."""

    left: float
    top: float
    span: float
    angle: float
    mirrored: bool

    def place(self, points: Sequence[float]) -> list[tuple[float, float]]:
        return [self._place(points[i], points[i + 1]) for i in range(0, len(points), 2)]

    def _place(self, x: float, y: float) -> tuple[float, float]:
        if self.mirrored:
            x = 100 - x
        across, down = (x - 50) / 100, (y - 50) / 100
        turned = across * math.cos(self.angle) - down * math.sin(self.angle)
        sunk = across * math.sin(self.angle) + down * math.cos(self.angle)
        return self.left + (turned + 0.5) * self.span, self.top + (sunk + 0.5) * self.span


def _draw_part(image: Image.Image, draw: ImageDraw.ImageDraw, pose: _Pose, part: Part, colour: Colour) -> None:
    outline = max(2, round(pose.span / 90))
    points = _outline(part)
    placed = pose.place(points)
    if part.form == "line":
        draw.line(placed, fill=INK, width=outline * 5, joint="curve")
        draw.line(placed, fill=colour, width=outline * 3, joint="curve")
        return
    draw.line([*placed, *placed[:2]], fill=INK, width=outline * 2, joint="curve")
    xs, ys = [x for x, _ in placed], [y for _, y in placed]
    corner = (math.floor(min(xs)), math.floor(min(ys)))
    box = (math.ceil(max(xs)) - corner[0] + 1, math.ceil(max(ys)) - corner[1] + 1)
    mask = Image.new("L", box, 0)
    ImageDraw.Draw(mask).polygon([(x - corner[0], y - corner[1]) for x, y in placed], fill=255)
    image.paste(_sheen(colour, box), corner, mask)


def _outline(part: Part) -> Sequence[float]:
    if part.form != "blob":
        return part.points
    left, top, right, bottom = part.points
    middle, level, wide, high = (left + right) / 2, (top + bottom) / 2, (right - left) / 2, (bottom - top) / 2
    around: list[float] = []
    for step in range(28):
        angle = step * math.tau / 28
        around += (middle + wide * math.cos(angle), level + high * math.sin(angle))
    return around


def _sheen(colour: Colour, size: tuple[int, int]) -> Image.Image:
    """Light from the upper left, shadow in the lower right."""
    patch = Image.new("RGB", (3, 3))
    tones = (0.42, 0.2, 0.0, 0.2, 0.0, -0.22, 0.0, -0.22, -0.45)
    patch.putdata([_lit(colour, tone) for tone in tones])
    return patch.resize(size, Image.Resampling.BICUBIC)


def _lit(colour: Colour, tone: float) -> Colour:
    return _mixed(colour, (255, 255, 255), tone) if tone > 0 else _mixed(colour, INK, -tone)


def _mixed(one: Colour, other: Colour, share: float) -> Colour:
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(one, other, strict=True))
    return red, green, blue


def _sparkles(draw: ImageDraw.ImageDraw, size: tuple[int, int], colour: Colour, chance: random.Random) -> None:
    for _ in range(chance.randint(2, 5)):
        x, y = chance.uniform(0.15, 0.85) * size[0], chance.uniform(0.12, 0.75) * size[1]
        long = chance.uniform(0.012, 0.028) * min(size)
        thin = long * 0.28
        draw.polygon(
            [(x, y - long), (x + thin, y - thin), (x + long, y), (x + thin, y + thin),
             (x, y + long), (x - thin, y + thin), (x - long, y), (x - thin, y - thin)],
            fill=colour,
        )  # fmt: skip


def _tile(size: tuple[int, int], palette: Palette, chance: random.Random) -> Image.Image:
    """Ground seen from above: patches, blades and flowers, wrapped so that tiles fit each other."""
    main, accent = palette.roles["main"], palette.roles["accent"]
    patches = Image.new("L", (5, 5))
    patches.putdata([chance.randint(0, 255) for _ in range(25)])
    patches.paste(patches.crop((0, 0, 1, 5)), (4, 0))
    patches.paste(patches.crop((0, 0, 5, 1)), (0, 4))
    field = patches.resize(size, Image.Resampling.BICUBIC)
    image = ImageOps.colorize(field, _mixed(main, INK, 0.5), _mixed(main, (255, 255, 255), 0.25))
    draw = ImageDraw.Draw(image)
    width, height = size
    for _ in range(130):
        x, y = chance.uniform(0, width), chance.uniform(0, height)
        lean, tall = chance.uniform(-6, 6), chance.uniform(10, 24)
        tone = _lit(main, chance.uniform(-0.4, 0.4))
        for shift in (0, width):
            draw.line((x - shift, y, x - shift + lean, y - tall), fill=tone, width=4)
    for _ in range(chance.randint(7, 12)):
        _flower(draw, chance.uniform(20, width - 20), chance.uniform(20, height - 20), accent, chance)
    return image


def _flower(draw: ImageDraw.ImageDraw, x: float, y: float, colour: Colour, chance: random.Random) -> None:
    reach = chance.uniform(8, 13)
    for petal in range(5):
        angle = petal * math.tau / 5
        left, top = x + reach * math.cos(angle), y + reach * math.sin(angle)
        draw.ellipse((left - reach * 0.7, top - reach * 0.7, left + reach * 0.7, top + reach * 0.7), fill=colour)
    draw.ellipse((x - reach / 2, y - reach / 2, x + reach / 2, y + reach / 2), fill=FIXED["gold"])
