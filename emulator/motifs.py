"""What the emulator's pictures show: little game assets as lists of parts, drawn back to front on a 100 x 100 grid.

A part is a form, its colour's role, and its points. "blob" is an ellipse in a box; the others are point by point.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

Role = Literal["main", "accent", "metal", "skin", "wood", "gold", "pale", "dark", "glow"]
Form = Literal["polygon", "blob", "line"]


class Part(NamedTuple):
    """One drawn shape; `points` is x, y, x, y, ..."""

    form: Form
    role: Role
    points: tuple[float, ...]


Motif = tuple[Part, ...]


def _polygon(role: Role, *points: float) -> Part:
    return Part("polygon", role, points)


def _blob(role: Role, *box: float) -> Part:
    return Part("blob", role, box)


def _line(role: Role, *points: float) -> Part:
    return Part("line", role, points)


KNIGHT: Motif = (
    _polygon("main", 36, 40, 24, 88, 40, 93, 60, 93, 76, 88, 64, 40),
    _polygon("metal", 40, 64, 38, 92, 48, 92, 50, 68, 52, 92, 62, 92, 60, 64),
    _polygon("metal", 35, 38, 65, 38, 62, 68, 38, 68),
    _polygon("accent", 44, 42, 56, 42, 54, 68, 50, 73, 46, 68),
    _blob("metal", 25, 36, 41, 52),
    _blob("metal", 59, 36, 75, 52),
    _polygon("metal", 28, 48, 36, 48, 38, 64, 30, 66),
    _polygon("metal", 64, 48, 72, 48, 76, 62, 68, 66),
    _polygon("pale", 72, 12, 76, 6, 80, 12, 78, 58, 74, 58),
    _polygon("gold", 66, 57, 86, 57, 86, 61, 66, 61),
    _polygon("wood", 74, 61, 78, 61, 78, 70, 74, 70),
    _polygon("accent", 16, 46, 40, 46, 38, 64, 28, 74, 18, 64),
    _polygon(
        "gold", 26, 50, 30, 50, 30, 56, 35, 56, 35, 60, 30, 60, 30, 68, 26, 68, 26, 60, 21, 60, 21, 56, 26, 56
    ),
    _polygon("main", 48, 14, 58, 2, 70, 6, 64, 16, 54, 18),
    _polygon("metal", 38, 20, 44, 13, 56, 13, 62, 20, 61, 36, 50, 42, 39, 36),
    _polygon("dark", 41, 25, 59, 25, 58, 29, 52, 29, 51, 36, 49, 36, 48, 29, 42, 29),
)
POTION: Motif = (
    _polygon("pale", 42, 20, 58, 20, 58, 42, 42, 42),
    _blob("pale", 20, 34, 80, 92),
    _blob("main", 25, 48, 75, 88),
    _polygon("wood", 43, 8, 57, 8, 59, 22, 41, 22),
    _polygon("gold", 38, 22, 62, 22, 62, 28, 38, 28),
    _blob("glow", 34, 52, 46, 64),
    _blob("accent", 54, 60, 62, 68),
    _blob("accent", 46, 72, 52, 78),
    _blob("glow", 60, 74, 64, 78),
    _blob("glow", 29, 42, 35, 50),
)
CASTLE: Motif = (
    _polygon("accent", 2, 92, 20, 72, 50, 66, 80, 72, 98, 92),
    _polygon("metal", 30, 38, 70, 38, 70, 80, 30, 80),
    _polygon("metal", 30, 38, 30, 32, 36, 32, 36, 36, 42, 36, 42, 32, 48, 32, 48, 36, 54, 36, 54, 32, 60, 32, 60, 36,
             64, 36, 64, 32, 70, 32, 70, 40, 30, 40),
    _polygon("metal", 16, 30, 34, 30, 34, 80, 16, 80),
    _polygon("metal", 66, 30, 84, 30, 84, 80, 66, 80),
    _polygon("main", 12, 32, 25, 8, 38, 32),
    _polygon("main", 62, 32, 75, 8, 88, 32),
    _polygon("metal", 42, 16, 58, 16, 58, 38, 42, 38),
    _polygon("main", 39, 18, 50, 2, 61, 18),
    _polygon("wood", 43, 80, 43, 62, 46, 56, 50, 54, 54, 56, 57, 62, 57, 80),
    _blob("glow", 22, 42, 28, 52),
    _blob("glow", 72, 42, 78, 52),
    _blob("glow", 47, 22, 53, 31),
)  # fmt: skip
DRAGON: Motif = (
    _polygon("accent", 46, 44, 66, 10, 96, 22, 82, 34, 88, 46, 72, 46, 70, 58),
    _polygon("main", 60, 84, 84, 88, 96, 74, 90, 66, 84, 76, 70, 72),
    _polygon("glow", 8, 44, 2, 34, 10, 38, 6, 26, 16, 34, 20, 42),
    _blob("main", 38, 46, 76, 92),
    _blob("pale", 42, 56, 60, 90),
    _polygon("main", 40, 60, 34, 34, 50, 30, 60, 56),
    _blob("main", 22, 20, 54, 46),
    _polygon("main", 14, 34, 30, 28, 34, 44, 16, 44),
    _polygon("gold", 42, 24, 48, 8, 52, 24),
    _polygon("gold", 34, 22, 36, 8, 43, 22),
    _blob("glow", 34, 27, 43, 36),
    _blob("dark", 36, 29, 40, 35),
    _blob("main", 40, 80, 54, 96),
    _blob("main", 60, 80, 76, 96),
    _polygon("accent", 62, 50, 70, 42, 72, 52, 78, 52, 74, 60),
)
CHEST: Motif = (
    _polygon("wood", 14, 44, 20, 18, 80, 18, 86, 44),
    _polygon("dark", 16, 44, 84, 44, 82, 54, 18, 54),
    _blob("gold", 22, 36, 42, 54),
    _blob("gold", 56, 34, 78, 54),
    _blob("gold", 36, 32, 62, 54),
    _blob("main", 44, 34, 54, 44),
    _blob("accent", 62, 38, 70, 46),
    _polygon("wood", 12, 50, 88, 50, 84, 88, 16, 88),
    _polygon("gold", 12, 50, 88, 50, 87, 57, 13, 57),
    _polygon("gold", 24, 50, 32, 50, 32, 88, 25, 88),
    _polygon("gold", 68, 50, 76, 50, 75, 88, 68, 88),
    _blob("metal", 42, 54, 58, 70),
    _blob("dark", 48, 59, 52, 66),
)
SHIELD: Motif = (
    _polygon("metal", 14, 14, 50, 6, 86, 14, 84, 56, 72, 78, 50, 95, 28, 78, 16, 56),
    _polygon("main", 21, 20, 50, 13, 79, 20, 77, 54, 67, 73, 50, 87, 33, 73, 23, 54),
    _polygon("accent", 50, 13, 79, 20, 77, 54, 50, 54),
    _polygon("accent", 23, 54, 50, 54, 50, 87, 33, 73),
    _blob("gold", 34, 34, 66, 68),
    _polygon("main", 50, 38, 54, 47, 63, 48, 56, 54, 59, 63, 50, 58, 41, 63, 44, 54, 37, 48, 46, 47),
    _blob("pale", 22, 18, 28, 24),
    _blob("pale", 72, 18, 78, 24),
    _blob("pale", 47, 86, 53, 92),
)
SWORD: Motif = (
    _polygon("pale", 76, 6, 88, 4, 88, 16, 44, 66, 32, 56),
    _polygon("main", 84, 8, 42, 58, 38, 54),
    _polygon("gold", 22, 46, 30, 42, 58, 68, 54, 76),
    _polygon("wood", 30, 60, 40, 68, 24, 86, 14, 78),
    _blob("accent", 8, 78, 24, 94),
    _blob("main", 34, 54, 46, 66),
)
COIN: Motif = (
    _blob("wood", 14, 18, 90, 94),
    _blob("gold", 10, 10, 86, 90),
    _blob("wood", 18, 18, 78, 82),
    _blob("gold", 20, 20, 76, 80),
    _polygon("main", 30, 62, 26, 36, 39, 48, 48, 30, 57, 48, 70, 36, 66, 62),
    _polygon("main", 30, 66, 66, 66, 66, 71, 30, 71),
    _blob("glow", 26, 24, 34, 32),
)
GEM: Motif = (
    _polygon("main", 28, 16, 72, 16, 92, 40, 50, 92, 8, 40),
    _polygon("pale", 28, 16, 50, 16, 34, 40, 8, 40),
    _polygon("accent", 50, 16, 72, 16, 92, 40, 66, 40),
    _polygon("glow", 50, 16, 66, 40, 34, 40),
    _polygon("accent", 34, 40, 66, 40, 50, 92),
    _polygon("main", 66, 40, 92, 40, 50, 92),
)
WIZARD: Motif = (
    _line("wood", 80, 20, 76, 94),
    _blob("glow", 73, 8, 89, 24),
    _polygon("main", 36, 44, 64, 44, 78, 94, 22, 94),
    _polygon("accent", 46, 46, 54, 46, 58, 94, 42, 94),
    _polygon("main", 60, 48, 76, 56, 82, 66, 70, 70, 60, 62),
    _polygon("main", 40, 48, 24, 58, 22, 72, 34, 72, 42, 62),
    _blob("skin", 72, 58, 82, 68),
    _blob("skin", 36, 26, 64, 50),
    _polygon("pale", 37, 40, 63, 40, 60, 60, 50, 76, 40, 60),
    _polygon("main", 34, 32, 58, 2, 68, 8, 62, 14, 66, 32),
    _polygon("main", 24, 34, 36, 28, 64, 28, 76, 34, 50, 38),
    _polygon("gold", 48, 16, 50, 21, 55, 21, 51, 24, 53, 29, 48, 26, 43, 29, 45, 24, 41, 21, 46, 21),
    _blob("dark", 43, 37, 46, 41),
    _blob("dark", 54, 37, 57, 41),
)
MUSHROOM: Motif = (
    _polygon("pale", 38, 52, 62, 52, 68, 90, 60, 95, 40, 95, 32, 90),
    _polygon("accent", 26, 54, 74, 54, 64, 60, 36, 60),
    _polygon("main", 8, 54, 12, 34, 24, 18, 42, 9, 58, 9, 76, 18, 88, 34, 92, 54, 70, 58, 30, 58),
    _blob("glow", 42, 16, 58, 30),
    _blob("glow", 20, 30, 34, 44),
    _blob("glow", 66, 28, 80, 42),
    _blob("glow", 46, 40, 56, 50),
    _blob("dark", 43, 68, 47, 75),
    _blob("dark", 53, 68, 57, 75),
)
TREE: Motif = (
    _polygon("wood", 44, 56, 56, 56, 62, 94, 38, 94),
    _blob("main", 12, 38, 52, 72),
    _blob("main", 48, 38, 88, 72),
    _blob("main", 22, 8, 78, 58),
    _blob("accent", 34, 26, 42, 34),
    _blob("accent", 58, 22, 66, 30),
    _blob("accent", 66, 50, 74, 58),
    _blob("accent", 24, 50, 32, 58),
)
SLIME: Motif = (
    _polygon("main", 8, 84, 10, 66, 16, 48, 26, 33, 38, 23, 46, 14, 52, 14, 62, 23, 74, 33, 84, 48, 90, 66, 92, 84,
             84, 91, 72, 94, 28, 94, 16, 91),
    _blob("glow", 28, 34, 44, 48),
    _blob("pale", 30, 52, 44, 70),
    _blob("pale", 56, 52, 70, 70),
    _blob("dark", 35, 56, 42, 68),
    _blob("dark", 58, 56, 65, 68),
    _polygon("dark", 42, 76, 58, 76, 54, 82, 46, 82),
)  # fmt: skip
ORB: Motif = (
    _polygon("wood", 28, 78, 72, 78, 80, 94, 20, 94),
    _polygon("gold", 26, 74, 74, 74, 74, 81, 26, 81),
    _blob("main", 16, 10, 84, 78),
    _blob("accent", 34, 30, 72, 68),
    _blob("main", 42, 36, 66, 60),
    _blob("glow", 28, 20, 44, 36),
)
TILE: Motif = ()

MOTIFS: Mapping[str, Motif] = {
    "knight": KNIGHT, "warrior": KNIGHT, "soldier": KNIGHT, "hero": KNIGHT, "paladin": KNIGHT, "character": KNIGHT,
    "potion": POTION, "flask": POTION, "bottle": POTION, "elixir": POTION,
    "castle": CASTLE, "tower": CASTLE, "fortress": CASTLE, "house": CASTLE, "village": CASTLE,
    "dragon": DRAGON, "lizard": DRAGON, "monster": DRAGON, "creature": DRAGON,
    "chest": CHEST, "treasure": CHEST, "crate": CHEST, "loot": CHEST, "box": CHEST,
    "shield": SHIELD, "armor": SHIELD, "armour": SHIELD, "emblem": SHIELD, "crest": SHIELD,
    "sword": SWORD, "blade": SWORD, "dagger": SWORD, "axe": SWORD, "weapon": SWORD,
    "coin": COIN, "coins": COIN, "medal": COIN, "token": COIN,
    "gem": GEM, "crystal": GEM, "diamond": GEM, "ruby": GEM, "jewel": GEM, "emerald": GEM,
    "wizard": WIZARD, "mage": WIZARD, "witch": WIZARD, "sorcerer": WIZARD,
    "mushroom": MUSHROOM, "toadstool": MUSHROOM,
    "tree": TREE, "forest": TREE, "oak": TREE, "bush": TREE,
    "slime": SLIME, "blob": SLIME, "ghost": SLIME,
    "grass": TILE, "tile": TILE, "texture": TILE, "seamless": TILE, "floor": TILE, "ground": TILE, "terrain": TILE,
}  # fmt: skip
UNNAMED: tuple[Motif, ...] = (ORB, GEM, POTION, SHIELD, SLIME)
