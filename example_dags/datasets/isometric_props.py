"""A third set: props for a game, seen from the same isometric corner, three tones a colour, on a pastel tile."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from PIL import Image, ImageColor, ImageDraw

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Point = tuple[float, float]
Colour = str

SIZE = 2048
WOOD, DARK, STONE, IRON, GOLD, RED, LEAF, WATER, CREAM = (
    "#c68b59", "#8c5a3a", "#a9b0bd", "#5c6679", "#f2c14e", "#d9574a", "#6fb36b", "#5aa9d6", "#f5e6c8",
)  # fmt: skip


class Tile:
    """
    Space seen from a corner: x runs down to the right, y down to the left, z up; the tile reaches from -4 to 4.

    What is drawn later covers what was drawn earlier, so draw from the back to the front.
    """

    def __init__(self, background: Colour, ground: Colour) -> None:
        self.image = Image.new("RGB", (SIZE, SIZE), background)
        self.draw = ImageDraw.Draw(self.image)
        self.box(-4, -4, -0.6, 8, 8, 0.6, ground)

    def box(self, x: float, y: float, z: float, dx: float, dy: float, dz: float, colour: Colour) -> None:
        top, left, right = _tones(colour)
        a, b = x + dx, y + dy
        self.face([(x, y, z + dz), (a, y, z + dz), (a, b, z + dz), (x, b, z + dz)], top)
        self.face([(x, b, z + dz), (a, b, z + dz), (a, b, z), (x, b, z)], left)
        self.face([(a, b, z + dz), (a, y, z + dz), (a, y, z), (a, b, z)], right)

    def face(self, corners: Sequence[tuple[float, float, float]], colour: Colour) -> None:
        self.draw.polygon([_seen(*corner) for corner in corners], fill=colour)

    def cylinder(self, x: float, y: float, z: float, radius: float, height: float, colour: Colour) -> None:
        self.cone(x, y, z, radius, radius, height, colour)

    def cone(self, x: float, y: float, z: float, low: float, high: float, height: float, colour: Colour) -> None:
        """A round body whose radius goes from ``low`` at the foot to ``high`` at the top."""
        top, left, right = _tones(colour)
        steps = 48
        for step in range(steps):
            a, b = (math.radians(-45 + 180 * (step + i) / steps) for i in (0, 1))
            tone = _mixed(right, left, step / steps)
            rim = ((a, low, z), (b + 0.03, low, z), (b + 0.03, high, z + height), (a, high, z + height))
            self.face([(x + r * math.cos(angle), y + r * math.sin(angle), level) for angle, r, level in rim], tone)
        self.disc(x, y, z + height, high, top)

    def disc(self, x: float, y: float, z: float, radius: float, colour: Colour) -> None:
        rim = [math.radians(6 * step) for step in range(60)]
        self.face([(x + radius * math.cos(angle), y + radius * math.sin(angle), z) for angle in rim], colour)

    def ball(self, x: float, y: float, z: float, radius: float, colour: Colour) -> None:
        light, dark, _ = _tones(colour)
        cx, cy = _seen(x, y, z)
        for share in range(24):
            r = radius * 150 * (1 - share / 26)
            shift = radius * 60 * share / 24
            fill = _mixed(dark, light, share / 23)
            self.draw.ellipse((cx - shift - r, cy - shift - r, cx - shift + r, cy - shift + r), fill=fill)

    def roof(self, x: float, y: float, z: float, dx: float, dy: float, height: float, colour: Colour) -> None:
        """A gable roof whose ridge runs along x."""
        top, left, right = _tones(colour)
        ridge, a, b, middle = z + height, x + dx, y + dy, y + dy / 2
        self.face([(x, y, z), (a, y, z), (a, middle, ridge), (x, middle, ridge)], top)
        self.face([(x, b, z), (a, b, z), (a, middle, ridge), (x, middle, ridge)], left)
        self.face([(a, y, z), (a, b, z), (a, middle, ridge)], right)


def crate() -> Image.Image:
    tile = Tile("#f6dfd0", "#eebfa3")
    _crate(tile, -2.2, -2.2, 0, 3.4)
    _crate(tile, 0.6, 0.8, 0, 2.2)
    return tile.image


def barrel() -> Image.Image:
    tile = Tile("#dcebf2", "#a9cfe0")
    staves = ((0, 0.35, WOOD), (0.35, 0.7, IRON), (0.7, 1.6, WOOD), (1.6, 2, IRON), (2, 2.9, WOOD), (2.9, 3.25, IRON))
    for low, high, colour in (*staves, (3.25, 3.6, WOOD)):
        tile.cone(0, 0, low, _belly(low), _belly(high), high - low, colour)
    tile.disc(0, 0, 3.6, 1.28, DARK)
    return tile.image


def lantern() -> Image.Image:
    tile = Tile("#34406b", "#4d5c94")
    tile.cylinder(0, 0, 0, 1.1, 0.4, IRON)
    tile.cylinder(0, 0, 0.4, 0.28, 3.6, IRON)
    tile.box(-0.9, -0.9, 4, 1.8, 1.8, 0.25, IRON)
    tile.box(-0.65, -0.65, 4.25, 1.3, 1.3, 1.3, "#ffe08a")
    tile.box(-0.9, -0.9, 5.55, 1.8, 1.8, 0.25, IRON)
    tile.cone(0, 0, 5.8, 0.8, 0.1, 0.7, IRON)
    return tile.image


def chest() -> Image.Image:
    tile = Tile("#e6ddf2", "#c4b0e0")
    tile.box(-2.4, -1.6, 0, 4.8, 3.2, 1.8, WOOD)
    tile.box(-2.4, -1.6, 1.8, 4.8, 3.2, 1.2, DARK)
    light, front, _ = _tones(GOLD)
    for x in (-2.0, 1.5):
        tile.face([(x, -1.6, 3), (x + 0.5, -1.6, 3), (x + 0.5, 1.6, 3), (x, 1.6, 3)], light)
        tile.face([(x, 1.6, 3), (x + 0.5, 1.6, 3), (x + 0.5, 1.6, 0), (x, 1.6, 0)], front)
    tile.box(-0.4, 1.6, 1.3, 0.8, 0.15, 0.9, GOLD)
    for x, y in ((-1.8, 2.6), (-1.1, 3.0), (2.9, 1.0), (0.6, 3.2)):
        tile.cylinder(x, y, 0, 0.34, 0.14, GOLD)
    return tile.image


def mushroom_house() -> Image.Image:
    tile = Tile("#e0f0d5", "#a9d190")
    tile.cone(0, 0, 0, 1.6, 1.3, 2.8, CREAM)
    tile.face([(-0.7, 1.45, 0), (0.35, 1.58, 0), (0.35, 1.45, 1.6), (-0.7, 1.35, 1.6)], DARK)
    tile.cone(0, 0, 2.6, 2.9, 2.3, 0.8, RED)
    tile.cone(0, 0, 3.4, 2.3, 0.9, 1.3, RED)
    for angle, r, z in ((20, 2.1, 3.3), (75, 2.0, 3.5), (48, 1.5, 4.2), (110, 1.7, 3.9), (-20, 1.8, 3.8)):
        a = math.radians(angle)
        tile.ball(r * math.cos(a), r * math.sin(a), z, 0.36, "#fff6e6")
    return tile.image


def well() -> Image.Image:
    tile = Tile("#d8eee9", "#9fd0c4")
    tile.box(-1.9, -0.2, 0, 0.4, 0.4, 4.4, DARK)
    tile.cylinder(0, 0, 0, 2, 1.6, STONE)
    tile.disc(0, 0, 1.6, 1.5, "#3d5f7a")
    tile.disc(0.1, 0.1, 1.6, 1.2, WATER)
    tile.box(1.5, -0.2, 0.9, 0.4, 0.4, 3.5, DARK)
    tile.box(-1.9, -0.15, 3.6, 3.8, 0.3, 0.3, WOOD)
    tile.cylinder(0, 0.1, 2.2, 0.45, 0.8, WOOD)
    tile.roof(-2.6, -1.7, 4.3, 5.2, 3.4, 1.5, RED)
    return tile.image


def tower() -> Image.Image:
    tile = Tile("#f2e6d3", "#d9bf94")
    tile.cylinder(0, 0, 0, 1.9, 4.2, STONE)
    tile.cylinder(0, 0, 4.2, 2.2, 0.6, STONE)
    for step in range(10):
        a = math.radians(36 * step + 215)
        tile.box(1.9 * math.cos(a) - 0.25, 1.9 * math.sin(a) - 0.25, 4.8, 0.5, 0.5, 0.5, STONE)
    tile.face([(-0.5, 1.85, 0), (0.6, 1.82, 0), (0.6, 1.82, 1.7), (-0.5, 1.85, 1.7)], DARK)
    tile.face([(1.75, 0.7, 2.4), (1.9, 0.1, 2.4), (1.9, 0.1, 3.3), (1.75, 0.7, 3.3)], IRON)
    tile.box(-0.05, -0.05, 4.8, 0.12, 0.12, 2.6, DARK)
    tile.face([(0, 0, 7.4), (1.4, 0, 7.05), (0, 0, 6.6)], RED)
    return tile.image


def market_stall() -> Image.Image:
    tile = Tile("#fbe3e0", "#f0b7ae")
    for x in (-2.6, 2.3):
        tile.box(x, -2.4, 0, 0.3, 0.3, 4.4, DARK)
    tile.box(-2.6, -2.2, 0, 5.2, 0.3, 2.4, DARK)
    for index in range(6):
        x = -2.9 + index * 0.97
        light, left, _ = _tones(RED if index % 2 else CREAM)
        tile.face([(x, -2.8, 5.2), (x + 0.97, -2.8, 5.2), (x + 0.97, -0.4, 4.6), (x, -0.4, 4.6)], light)
        tile.face([(x, -0.4, 4.6), (x + 0.97, -0.4, 4.6), (x + 0.97, -0.4, 4.1), (x, -0.4, 4.1)], left)
    tile.box(-2.6, 0.4, 0, 5.2, 2.2, 1.5, WOOD)
    for index in range(14):
        x, y = -2.1 + index % 7 * 0.7, 1.0 + index // 7 * 0.85
        tile.ball(x, y, 1.75, 0.36, (RED, GOLD, LEAF)[index % 3])
    return tile.image


def anvil() -> Image.Image:
    tile = Tile("#e3e3ea", "#b9bccb")
    tile.cylinder(0, 0, 0, 1.8, 1.3, DARK)
    tile.disc(0, 0, 1.3, 1.55, WOOD)
    tile.box(-1, -0.8, 1.3, 2, 1.6, 0.45, IRON)
    tile.box(-0.6, -0.5, 1.75, 1.2, 1, 0.7, IRON)
    tile.box(-2, -0.8, 2.45, 3.4, 1.6, 0.8, IRON)
    tile.face([(1.4, -0.8, 3.25), (2.9, 0, 3.25), (1.4, 0.8, 3.25)], _tones(IRON)[0])
    tile.face([(1.4, 0.8, 3.25), (2.9, 0, 3.25), (1.4, 0.8, 2.45)], _tones(IRON)[2])
    tile.box(-1.6, -0.2, 3.3, 2.4, 0.26, 0.26, WOOD)
    tile.box(0.5, -0.5, 3.26, 0.6, 0.9, 0.6, STONE)
    return tile.image


def pine_tree() -> Image.Image:
    tile = Tile("#dff0e8", "#a5d3bb")
    for x, y, size in ((-1.5, -1.5, 0.8), (1.9, -0.6, 0.62), (0, 1.2, 1.1)):
        tile.cylinder(x, y, 0, 0.34 * size, 1.2 * size, DARK)
        for level, radius in enumerate((1.7, 1.35, 0.95)):
            tile.cone(x, y, (1 + level * 1.15) * size, radius * size, 0.1, 1.7 * size, LEAF)
    return tile.image


def campfire() -> Image.Image:
    tile = Tile("#3c3a5a", "#5a5780")
    for step in range(12):
        a = math.radians(30 * step + 210)
        tile.ball(1.9 * math.cos(a), 1.9 * math.sin(a), 0.25, 0.44, STONE)
    tile.box(-1.3, -0.25, 0.1, 2.6, 0.5, 0.5, WOOD)
    tile.box(-0.25, -1.3, 0.45, 0.5, 2.6, 0.5, DARK)
    for radius, height, colour in ((1.05, 3.4, RED), (0.78, 2.6, "#f08a3c"), (0.48, 1.7, "#ffe08a")):
        tile.cone(0, 0, 0.8, radius, 0.04, height, colour)
    return tile.image


def cottage() -> Image.Image:
    tile = Tile("#d9e8f7", "#9fc3a0")
    tile.box(-2, -1.7, 0, 4, 3.4, 2.6, CREAM)
    tile.face([(2, 1.7, 2.6), (2, -1.7, 2.6), (2, 0, 4.4)], _tones(CREAM)[2])
    tile.face([(-0.5, 1.7, 0), (0.5, 1.7, 0), (0.5, 1.7, 1.7), (-0.5, 1.7, 1.7)], DARK)
    for x in (-1.6, 1.0):
        tile.face([(x, 1.7, 0.9), (x + 0.6, 1.7, 0.9), (x + 0.6, 1.7, 1.7), (x, 1.7, 1.7)], WATER)
    tile.face([(2, 0.5, 0.9), (2, -0.5, 0.9), (2, -0.5, 1.8), (2, 0.5, 1.8)], WATER)
    tile.box(-1.3, -1.1, 2.6, 0.7, 0.7, 2.7, STONE)
    tile.roof(-2.4, -2.2, 2.4, 4.8, 4.4, 2.2, RED)
    return tile.image


PICTURES: dict[str, tuple[str, Callable[[], Image.Image]]] = {
    "01-crates": ("Isometric game prop of two wooden crates on a peach tile.", crate),
    "02-barrel": ("Isometric game prop of a wooden barrel with iron hoops on a blue tile.", barrel),
    "03-lantern": ("Isometric game prop of a glowing iron street lantern on a night-blue tile.", lantern),
    "04-chest": ("Isometric game prop of a treasure chest with gold bands and coins on a lilac tile.", chest),
    "05-mushroom-house": ("Isometric game prop of a red mushroom house on a green tile.", mushroom_house),
    "06-well": ("Isometric game prop of a stone well with a red roof on a teal tile.", well),
    "07-tower": ("Isometric game prop of a round stone tower with a red flag on a sand tile.", tower),
    "08-market-stall": (
        "Isometric game prop of a market stall with a striped awning and fruit on a pink tile.",
        market_stall,
    ),
    "09-anvil": ("Isometric game prop of an anvil with a hammer on a grey tile.", anvil),
    "10-pine-trees": ("Isometric game prop of three stylised pine trees on a green tile.", pine_tree),
    "11-campfire": ("Isometric game prop of a campfire ringed with stones on a night-violet tile.", campfire),
    "12-cottage": ("Isometric game prop of a cottage with a red gable roof on a meadow tile.", cottage),
}


def _crate(tile: Tile, x: float, y: float, z: float, side: float) -> None:
    rim = side * 0.12
    tile.box(x, y, z, side, side, side, WOOD)
    light, left, right = _tones(DARK)
    top, a, b = z + side, x + side, y + side
    for start, end in ((0.0, rim), (side - rim, side)):
        tile.face([(x + start, y, top), (x + end, y, top), (x + end, b, top), (x + start, b, top)], light)
        tile.face([(x, y + start, top), (x, y + end, top), (a, y + end, top), (a, y + start, top)], light)
        tile.face([(x + start, b, z), (x + end, b, z), (x + end, b, top), (x + start, b, top)], left)
        tile.face([(x, b, z + start), (x, b, z + end), (a, b, z + end), (a, b, z + start)], left)
        tile.face([(a, y + start, z), (a, y + end, z), (a, y + end, top), (a, y + start, top)], right)
        tile.face([(a, y, z + start), (a, y, z + end), (a, b, z + end), (a, b, z + start)], right)
    tile.face([(x, b, z + rim), (x, b, z), (a, b, top - rim), (a, b, top)], left)
    tile.face([(a, b, z + rim), (a, b, z), (a, y, top - rim), (a, y, top)], right)


def _belly(height: float) -> float:
    """Radius of the barrel at a height: bulging in the middle."""
    return 1.45 + 0.5 * math.sin(math.pi * height / 3.6)


def _seen(x: float, y: float, z: float) -> Point:
    return (SIZE / 2 + (x - y) * 124, SIZE * 0.62 + (x + y) * 72 - z * 142)


def _tones(colour: Colour) -> tuple[Colour, Colour, Colour]:
    """Lit from above, from the left, and in the shade."""
    return (_mixed(colour, "#ffffff", 0.22), colour, _mixed(colour, "#1d2340", 0.3))


def _mixed(one: Colour, other: Colour, share: float) -> Colour:
    a, b = ImageColor.getrgb(one), ImageColor.getrgb(other)
    return "#{:02x}{:02x}{:02x}".format(*(round(p + (q - p) * share) for p, q in zip(a[:3], b[:3], strict=True)))
