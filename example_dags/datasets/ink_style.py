"""A style: brush and black ink on warm paper, one vermilion accent, much left empty."""

from __future__ import annotations

import math
from random import Random
from typing import TYPE_CHECKING

from PIL import Image, ImageChops, ImageDraw, ImageFilter

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Point = tuple[float, float]

SIZE = 2048
PAPER = (240, 232, 214)
INK = (28, 26, 30)
VERMILION = (196, 52, 38)


class Sheet:
    """A sheet of paper that ink darkens. Coordinates run from 0 to 1000 in both directions."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)  # noqa: S311 - a drawing, not a secret
        self.image = _paper()

    def wash(self, outline: Sequence[Point], strength: float, blur: float = 30, fade_to: float | None = None) -> None:
        """Diluted ink with a soft edge; with ``fade_to`` it thins out into mist from its top down to that height."""
        mask = Image.new("L", (SIZE, SIZE), 0)
        ImageDraw.Draw(mask).polygon([_scaled(point) for point in outline], fill=round(255 * strength))
        if fade_to is not None:
            mask = ImageChops.multiply(mask, _fade(min(y for _, y in outline), fade_to))
        self._ink(mask.filter(ImageFilter.GaussianBlur(blur)), INK)

    def stroke(self, path: Sequence[Point], width: float, strength: float = 0.9, dry: float = 0.2) -> None:
        """
        One pull of the brush along a smooth path: swelling, tapering, and breaking into bristles where it is dry.

        :param dry: share of the bristles that run out of ink on the way, 0 to 1.
        """
        points = _smooth(path)
        mask = Image.new("L", (SIZE, SIZE), 0)
        draw = ImageDraw.Draw(mask)
        for bristle in range(24):
            side = (bristle / 23 - 0.5) * 2
            runs_out = self.random.uniform(0.45, 0.95) if self.random.random() < dry else 2.0
            tone = round(255 * strength * self.random.uniform(0.82, 1))
            hair = max(2.0, width * 2.048 / 13)
            for index, (x, y) in enumerate(points):
                along = index / (len(points) - 1)
                if along > runs_out and self.random.random() < 0.85:
                    continue
                swell = math.sin(math.pi * min(1, 0.12 + along * 0.88)) ** 0.6
                dx, dy = _normal(points, index)
                cx, cy = _scaled((x + dx * side * width / 2 * swell, y + dy * side * width / 2 * swell))
                draw.ellipse((cx - hair, cy - hair, cx + hair, cy + hair), fill=tone)
        self._ink(mask.filter(ImageFilter.GaussianBlur(1.6)), INK)

    def dot(self, at: Point, radius: float, colour: tuple[int, int, int] = VERMILION, strength: float = 0.95) -> None:
        x, y = _scaled(at)
        r = radius * SIZE / 1000
        mask = Image.new("L", (SIZE, SIZE), 0)
        ImageDraw.Draw(mask).ellipse((x - r, y - r, x + r, y + r), fill=round(255 * strength))
        self._ink(mask.filter(ImageFilter.GaussianBlur(2)), colour)

    def shape(self, outline: Sequence[Point], colour: tuple[int, int, int] = INK, strength: float = 0.92) -> None:
        mask = Image.new("L", (SIZE, SIZE), 0)
        ImageDraw.Draw(mask).polygon([_scaled(point) for point in outline], fill=round(255 * strength))
        self._ink(mask.filter(ImageFilter.GaussianBlur(2)), colour)

    def seal(self, x: float = 900, y: float = 900) -> None:
        """The painter's seal: every picture of the set carries it."""
        self.shape([(x - 30, y - 31), (x + 31, y - 28), (x + 29, y + 30), (x - 31, y + 29)], VERMILION)
        for left, top, right, bottom in ((-17, -18, -9, 18), (-17, -18, 18, -11), (9, -18, 17, 4), (-3, 6, 17, 14)):
            self.shape(_box(x + left, y + top, x + right, y + bottom), PAPER, 1)

    def _ink(self, mask: Image.Image, colour: tuple[int, int, int]) -> None:
        self.image.paste(Image.new("RGB", self.image.size, colour), (0, 0), mask)


def mountains() -> Image.Image:
    sheet = Sheet(1)
    sheet.dot((720, 250), 70)
    sheet.wash(_ridge(sheet.random, 470, 120, 0.9), 0.28, 14, 720)
    sheet.wash(_ridge(sheet.random, 590, 150, 1.3), 0.5, 8, 850)
    sheet.wash(_ridge(sheet.random, 760, 110, 2.1), 0.85, 5, 990)
    return _signed(sheet, 110, 120)


def bamboo() -> Image.Image:
    sheet = Sheet(2)
    for x, lean, width, strength in ((300, 40, 34, 0.35), (470, -30, 46, 0.85), (620, 50, 28, 0.6)):
        for joint in range(6):
            low, high = 1010 - joint * 175, 1010 - joint * 175 - 162
            sheet.stroke([(x + lean * joint / 5, low), (x + lean * (joint + 0.9) / 5, high)], width, strength, 0.35)
    for x, y, turn in (
        (500, 330, 20),
        (480, 320, 65),
        (640, 210, 35),
        (520, 520, 150),
        (330, 430, 120),
        (650, 480, 10),
    ):
        for spread in (-24, 0, 26):
            _leaf(sheet, (x, y), math.radians(turn + spread), 190)
    return _signed(sheet)


def cranes() -> Image.Image:
    sheet = Sheet(3)
    sheet.dot((500, 360), 190, strength=0.88)
    for x, y, size, tilt in ((430, 420, 1.25, -6), (690, 270, 0.75, -12), (250, 700, 0.9, 4)):
        _crane(sheet, x, y, size, tilt)
    sheet.wash([(0, 930), (300, 890), (700, 930), (1000, 900), (1000, 1000), (0, 1000)], 0.35, 40)
    return _signed(sheet, 905, 110)


def pine() -> Image.Image:
    sheet = Sheet(4)
    sheet.wash(_ridge(sheet.random, 800, 60, 1.2), 0.22, 16, 930)
    sheet.stroke([(330, 1000), (360, 800), (480, 640), (430, 480), (560, 330), (540, 200)], 72, 0.92, 0.5)
    sheet.stroke([(470, 620), (640, 600), (790, 640)], 30, 0.85, 0.5)
    sheet.stroke([(440, 470), (300, 440), (190, 470)], 28, 0.85, 0.5)
    sheet.stroke([(550, 340), (680, 300), (760, 320)], 22, 0.85, 0.5)
    for x, y, radius in ((790, 600, 120), (190, 430, 110), (760, 280, 100), (540, 180, 120), (620, 560, 80)):
        _needles(sheet, x, y, radius)
    sheet.dot((180, 180), 62)
    return _signed(sheet)


def boat() -> Image.Image:
    sheet = Sheet(5)
    sheet.wash(_ridge(sheet.random, 330, 90, 1.0), 0.3, 18, 520)
    sheet.stroke([(300, 690), (400, 745), (560, 745), (690, 670)], 34, 0.95, 0.15)
    sheet.shape([(470, 722), (484, 590), (520, 590), (534, 722)])
    sheet.shape([(430, 604), (503, 540), (576, 604)])
    sheet.stroke([(560, 640), (690, 780), (760, 900)], 9, 0.9, 0)
    for row in range(5):
        y = 790 + row * 34
        sheet.stroke([(250 + row * 30, y), (420, y + 8), (600 - row * 20, y)], 7, 0.35, 0.6)
    sheet.dot((770, 190), 58)
    return _signed(sheet, 110, 900)


def wave() -> Image.Image:
    sheet = Sheet(6)
    sheet.dot((690, 260), 105)
    for lift, strength, width in ((0, 0.95, 44), (60, 0.7, 34), (120, 0.5, 28), (180, 0.35, 24)):
        curl = [(0, 860), (170, 700), (300, 480), (470, 360), (600, 420), (590, 540), (500, 560)]
        sheet.stroke([(x + lift * 0.5, y + lift) for x, y in curl], width, strength, 0.45)
    for row, strength in enumerate((0.5, 0.65, 0.85)):
        y = 800 + row * 70
        sheet.stroke([(420, y), (560, y - 60), (700, y), (840, y - 50), (1000, y)], 26, strength, 0.5)
    for _ in range(36):
        at = (sheet.random.gauss(560, 90), sheet.random.gauss(370, 70))
        sheet.dot(at, sheet.random.uniform(2, 7), INK, 0.8)
    return _signed(sheet, 905, 110)


def bridge() -> Image.Image:
    sheet = Sheet(7)
    sheet.wash(_ridge(sheet.random, 420, 110, 1.1), 0.25, 18, 640)
    sheet.stroke([(90, 720), (300, 560), (500, 510), (700, 560), (910, 720)], 44, 0.92, 0.3)
    sheet.stroke([(110, 640), (310, 480), (500, 430), (690, 480), (890, 640)], 14, 0.9, 0.1)
    for x, top, bottom in ((200, 560, 645), (350, 462, 545), (500, 430, 515), (650, 462, 545), (800, 560, 645)):
        sheet.stroke([(x, top), (x, bottom)], 12, 0.9, 0)
    for x, top in ((330, 570), (670, 570)):
        sheet.stroke([(x, top), (x, 860)], 24, 0.8, 0.5)
    for row in range(4):
        sheet.stroke(
            [(160 + row * 40, 850 + row * 32), (500, 862 + row * 32), (850 - row * 30, 850 + row * 32)], 8, 0.4, 0.6
        )
    sheet.dot((500, 220), 64)
    return _signed(sheet)


def koi() -> Image.Image:
    sheet = Sheet(8)
    for turn, cx, cy, accent in ((0.3, 400, 400, True), (3.3, 600, 640, False)):
        _koi(sheet, cx, cy, turn, accent)
    for x, y, r in ((160, 760, 90), (850, 230, 105), (820, 380, 60)):
        sheet.wash(
            [(x + r * math.cos(a / 20), y + r * 0.6 * math.sin(a / 20)) for a in range(8, 126)] + [(x, y)], 0.5, 5
        )
    return _signed(sheet)


def pagoda() -> Image.Image:
    sheet = Sheet(9)
    sheet.wash(_ridge(sheet.random, 640, 140, 0.8), 0.3, 14, 900)
    for floor in range(4):
        y, half = 800 - floor * 150, 190 - floor * 34
        sheet.wash(_box(500 - half * 0.6, y - 92, 500 + half * 0.6, y), 0.55, 3)
        roof = [(500 - half - 36, y - 88), (500 - half * 0.6, y - 112), (500, y - 138)]
        sheet.stroke(roof, 22, 0.95, 0.15)
        sheet.stroke([(1000 - x, height) for x, height in roof], 22, 0.95, 0.15)
        sheet.shape([(500 - half, y - 96), (500, y - 146), (500 + half, y - 96)])
        sheet.shape(_box(484, y - 60, 516, y), VERMILION if floor == 0 else PAPER)
    sheet.stroke([(500, 220), (500, 90)], 14, 0.95, 0)
    sheet.dot((790, 200), 70)
    return _signed(sheet, 110, 900)


def blossom() -> Image.Image:
    sheet = Sheet(10)
    sheet.stroke([(0, 820), (220, 700), (360, 560), (560, 500), (760, 330), (930, 250)], 54, 0.92, 0.55)
    sheet.stroke([(360, 570), (420, 380), (540, 240)], 22, 0.88, 0.5)
    sheet.stroke([(560, 500), (700, 560), (820, 540)], 18, 0.88, 0.5)
    for x, y, size in ((540, 230, 46), (425, 370, 38), (815, 545, 44), (765, 325, 52), (920, 250, 36), (640, 440, 34)):
        for petal in range(5):
            angle = petal * math.tau / 5 + x
            sheet.dot((x + size * math.cos(angle), y + size * math.sin(angle)), size * 0.56, VERMILION, 0.75)
        sheet.dot((x, y), size * 0.2, PAPER, 1)
    for x, y in ((250, 260), (700, 800), (610, 720), (330, 860)):
        sheet.dot((x, y), 13, VERMILION, 0.6)
    return _signed(sheet)


PICTURES: dict[str, tuple[str, Callable[[], Image.Image]]] = {
    "01-mountains": ("Ink wash painting of three misty mountain ridges under a red sun on warm paper.", mountains),
    "02-bamboo": ("Ink wash painting of three bamboo stalks with pointed leaves on warm paper.", bamboo),
    "03-cranes": ("Ink wash painting of three cranes flying past a large red sun on warm paper.", cranes),
    "04-pine": ("Ink wash painting of a crooked old pine tree with a small red sun on warm paper.", pine),
    "05-boat": ("Ink wash painting of a fisher standing in a small boat on a still lake on warm paper.", boat),
    "06-wave": ("Ink wash painting of a breaking wave with spray under a red sun on warm paper.", wave),
    "07-bridge": ("Ink wash painting of an arched wooden bridge over calm water on warm paper.", bridge),
    "08-koi": ("Ink wash painting of two koi circling among lily pads on warm paper.", koi),
    "09-pagoda": ("Ink wash painting of a four-storey pagoda in front of a hill on warm paper.", pagoda),
    "10-blossom": ("Ink wash painting of a plum branch with red blossoms on warm paper.", blossom),
}


def _paper() -> Image.Image:
    glow = Image.radial_gradient("L").resize((SIZE, SIZE)).point(lambda value: value * 0.3)
    sheet = Image.new("RGB", (SIZE, SIZE), PAPER)
    sheet.paste(Image.new("RGB", (SIZE, SIZE), (196, 178, 142)), (0, 0), glow)
    return sheet


def _fade(top: float, bottom: float) -> Image.Image:
    column = Image.new("L", (1, 1000))
    column.putdata([round(255 * max(0.0, min(1.0, (bottom - y) / (bottom - top)))) for y in range(1000)])
    return column.resize((SIZE, SIZE))


def _ridge(random: Random, height: float, rise: float, steps: float) -> list[Point]:
    phases = [random.uniform(0, math.tau) for _ in range(4)]
    line: list[Point] = []
    for x in range(0, 1001, 8):
        waves = (math.sin(x / 1000 * math.tau * steps * 2**octave + phases[octave]) / 2**octave for octave in range(4))
        line.append((x, height - rise * sum(waves)))
    return [*line, (1000, 1000), (0, 1000)]


def _leaf(sheet: Sheet, at: Point, angle: float, length: float) -> None:
    x, y = at
    tip = (x + length * math.cos(angle), y + length * math.sin(angle))
    bend = (x + length * 0.5 * math.cos(angle - 0.12), y + length * 0.5 * math.sin(angle - 0.12))
    sheet.stroke([at, bend, tip], 24, 0.88, 0.15)


def _crane(sheet: Sheet, x: float, y: float, size: float, tilt: float) -> None:
    turn = math.radians(tilt)

    def place(points: Sequence[Point]) -> list[Point]:
        return [
            (
                x + size * (px * math.cos(turn) - py * math.sin(turn)),
                y + size * (px * math.sin(turn) + py * math.cos(turn)),
            )
            for px, py in points
        ]

    sheet.stroke(place([(-110, 20), (0, 0), (90, 10)]), 44 * size, 0.95, 0.1)
    sheet.stroke(place([(80, 8), (150, -20), (215, -8)]), 13 * size, 0.95, 0)
    sheet.stroke(place([(210, -8), (262, 4)]), 7 * size, 0.9, 0)
    sheet.stroke(place([(20, 0), (-30, -120), (-130, -200)]), 52 * size, 0.85, 0.7)
    sheet.stroke(place([(30, 10), (60, 110), (0, 190)]), 44 * size, 0.7, 0.7)
    sheet.stroke(place([(-100, 20), (-220, 40)]), 7 * size, 0.9, 0)
    sheet.dot(place([(212, -14)])[0], 8 * size, VERMILION)


def _needles(sheet: Sheet, x: float, y: float, radius: float) -> None:
    for step in range(30):
        angle = math.pi + math.pi * step / 29
        reach = radius * sheet.random.uniform(0.75, 1)
        tip = (x + reach * math.cos(angle), y + reach * 0.7 * math.sin(angle))
        sheet.stroke([(x + reach * 0.2 * math.cos(angle), y), tip], 5, 0.85, 0)


def _koi(sheet: Sheet, cx: float, cy: float, turn: float, accent: bool) -> None:
    def along(distance: float, side: float) -> Point:
        angle = turn + distance / 260
        return (cx + (220 + side) * math.cos(angle) - 90, cy + (220 + side) * math.sin(angle) - 60)

    body = [along(d, 0) for d in range(-190, 200, 30)]
    sheet.stroke(body, 92, 0.8 if not accent else 0.3, 0.15)
    if accent:
        for distance, radius in ((90, 30), (10, 26), (-70, 20)):
            sheet.dot(along(distance, 0), radius, VERMILION, 0.9)
    sheet.stroke([along(-180, 0), along(-240, 40), along(-290, 70)], 26, 0.7, 0.6)
    sheet.stroke([along(-180, 0), along(-240, -30), along(-280, -70)], 26, 0.7, 0.6)
    sheet.stroke([along(80, 36), along(40, 90)], 22, 0.6, 0.6)
    sheet.stroke([along(80, -36), along(40, -90)], 22, 0.6, 0.6)
    for side in (-20, 20):
        sheet.dot(along(158, side), 6, INK)


def _signed(sheet: Sheet, x: float = 900, y: float = 900) -> Image.Image:
    sheet.seal(x, y)
    return sheet.image


def _box(left: float, top: float, right: float, bottom: float) -> list[Point]:
    return [(left, top), (right, top), (right, bottom), (left, bottom)]


def _scaled(point: Point) -> Point:
    return (point[0] * SIZE / 1000, point[1] * SIZE / 1000)


def _normal(points: Sequence[Point], index: int) -> Point:
    (x0, y0), (x1, y1) = points[max(0, index - 1)], points[min(len(points) - 1, index + 1)]
    length = math.hypot(x1 - x0, y1 - y0) or 1.0
    return (-(y1 - y0) / length, (x1 - x0) / length)


def _smooth(path: Sequence[Point]) -> list[Point]:
    """A Catmull-Rom curve through the points, about one sample for every three units."""
    ends = [path[0], *path, path[-1]]
    curve: list[Point] = []
    for a, b, c, d in zip(ends, ends[1:], ends[2:], ends[3:], strict=False):
        steps = max(2, round(math.dist(b, c) / 3))
        for step in range(steps):
            t = step / steps
            curve.append((_spline(a[0], b[0], c[0], d[0], t), _spline(a[1], b[1], c[1], d[1], t)))
    return [*curve, path[-1]]


def _spline(a: float, b: float, c: float, d: float, t: float) -> float:
    return 0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)
