"""A character: Pip, a small mint-green courier robot with a dark visor, one antenna and an orange scarf."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Point = tuple[float, float]
Colour = str

SCALE = 2.048
LINE = 11
OUTLINE, MINT, SHADE, VISOR, GLOW, SCARF, BAG = (
    "#23303d",
    "#8fd9bf",
    "#66b89f",
    "#1e2b3a",
    "#7df3ff",
    "#f2803a",
    "#a8703f",
)


@dataclass(frozen=True)
class Pose:
    """Angles in degrees, 0 to the right and 90 downwards: upper and lower half of each limb."""

    at: Point = (500, 560)
    lean: float = 0
    left_arm: tuple[float, float] = (115, 95)
    right_arm: tuple[float, float] = (65, 85)
    left_leg: tuple[float, float] = (97, 92)
    right_leg: tuple[float, float] = (83, 88)
    eyes: str = "open"
    scarf: float = 200


class Scene:
    """A canvas whose coordinates run from 0 to 1000; everything drawn gets the same dark outline."""

    def __init__(self, background: Colour) -> None:
        side = round(1000 * SCALE)
        self.image = Image.new("RGB", (side, side), background)
        self.draw = ImageDraw.Draw(self.image)

    def circle(self, at: Point, radius: float, fill: Colour, line: float = LINE) -> None:
        self.oval((at[0] - radius, at[1] - radius, at[0] + radius, at[1] + radius), fill, line)

    def oval(self, box: Sequence[float], fill: Colour, line: float = LINE) -> None:
        self.draw.ellipse(_all(box), fill=fill, outline=OUTLINE if line else None, width=_px(line))

    def box(self, box: Sequence[float], radius: float, fill: Colour, line: float = LINE) -> None:
        outline = OUTLINE if line else None
        self.draw.rounded_rectangle(_all(box), _px(radius), fill=fill, outline=outline, width=_px(line))

    def shape(self, points: Sequence[Point], fill: Colour, line: float = LINE) -> None:
        scaled = [(x * SCALE, y * SCALE) for x, y in points]
        self.draw.polygon(scaled, fill=fill)
        if line:
            self.draw.line([*scaled, scaled[0], scaled[1]], fill=OUTLINE, width=_px(line), joint="curve")

    def tube(self, points: Sequence[Point], width: float, fill: Colour) -> None:
        for size, colour in ((width + 2 * LINE, OUTLINE), (width, fill)):
            self.draw.line([(x * SCALE, y * SCALE) for x, y in points], fill=colour, width=_px(size), joint="curve")
            for point in points:
                self.circle(point, size / 2, colour, 0)

    def line(self, points: Sequence[Point], fill: Colour = OUTLINE, width: float = LINE) -> None:
        self.draw.line([(x * SCALE, y * SCALE) for x, y in points], fill=fill, width=_px(width), joint="curve")

    def pip(self, pose: Pose) -> None:
        x, y = pose.at

        def body(dx: float, dy: float) -> Point:
            return _turned((x, y), (dx, dy), pose.lean)

        for side, angles in ((-34, pose.left_leg), (34, pose.right_leg)):
            knee, foot = _limb(body(side, 92), angles, 78)
            self.tube([body(side, 92), knee, foot], 34, SHADE)
            self.oval((foot[0] - 42, foot[1] - 12, foot[0] + 50, foot[1] + 34), VISOR)
        self._scarf_tail(body(-40, -92), pose.scarf)
        elbow, hand = _limb(body(-78, -40), pose.left_arm, 82)
        self.tube([body(-78, -40), elbow, hand], 32, SHADE)
        self.circle(hand, 27, MINT)
        self._tilted(body, (-92, -100, 92, 110), 74, MINT)
        self.circle(body(0, 20), 30, GLOW)
        self.line([body(-84, -60), body(70, 60)], BAG, 20)
        self._tilted(body, (38, 36, 122, 104), 18, BAG)
        elbow, hand = _limb(body(78, -40), pose.right_arm, 82)
        self.tube([body(78, -40), elbow, hand], 32, MINT)
        self.circle(hand, 27, MINT)
        self._head(body, pose)
        self._tilted(body, (-98, -126, 98, -76), 25, SCARF)

    def _head(self, body: Callable[[float, float], Point], pose: Pose) -> None:
        self.line([body(0, -330), body(14, -400)])
        self.circle(body(16, -412), 24, SCARF)
        for side in (-1, 1):
            self.circle(body(side * 158, -225), 32, SHADE)
        self._tilted(body, (-158, -345, 158, -112), 88, MINT)
        self._tilted(body, (-120, -300, 120, -158), 62, VISOR)
        for side in (-1, 1):
            self._eye(body, side * 54, pose.eyes)
        self.line([body(-82, -282), body(-46, -288)], "#4d647c", 13)

    def _eye(self, body: Callable[[float, float], Point], dx: float, mood: str) -> None:
        if mood == "closed":
            self.line([body(dx - 26, -222), body(dx, -208), body(dx + 26, -222)], GLOW, 13)
        elif mood == "happy":
            self.line([body(dx - 26, -216), body(dx, -242), body(dx + 26, -216)], GLOW, 15)
        elif mood == "wink" and dx > 0:
            self.line([body(dx - 26, -228), body(dx + 26, -228)], GLOW, 15)
        else:
            cx, cy = body(dx, -229)
            self.oval((cx - 21, cy - 31, cx + 21, cy + 31), GLOW, 0)

    def _scarf_tail(self, start: Point, angle: float) -> None:
        x, y = start
        for spread, length in ((-9, 190), (12, 150)):
            a = math.radians(angle + spread)
            tip = (x + length * math.cos(a), y + length * math.sin(a))
            side = (24 * math.sin(a), -24 * math.cos(a))
            self.shape(
                [(x + side[0], y + side[1]), (tip[0] + 1.5 * side[0], tip[1] + 1.5 * side[1]),
                 (tip[0] - 1.5 * side[0], tip[1] - 1.5 * side[1]), (x - side[0], y - side[1])], SCARF,
            )  # fmt: skip

    def _tilted(self, body: Callable[[float, float], Point], box: Sequence[float], radius: float, fill: Colour) -> None:
        """A rounded box that leans with the body."""
        left, top, right, bottom = box
        for grow, colour in ((0.0, OUTLINE), (-float(LINE), fill)):
            r = max(1.0, radius + grow)
            corners = (
                (right + grow - r, bottom + grow - r, 0), (left - grow + r, bottom + grow - r, 90),
                (left - grow + r, top - grow + r, 180), (right + grow - r, top - grow + r, 270),
            )  # fmt: skip
            rim = [
                body(cx + r * math.cos(math.radians(start + step)), cy + r * math.sin(math.radians(start + step)))
                for cx, cy, start in corners
                for step in range(0, 91, 6)
            ]
            self.shape(rim, colour, 0)


def standing() -> Image.Image:
    scene = _floor("#ffe3b3", "#f7c983")
    scene.pip(Pose(at=(500, 610)))
    return scene.image


def waving() -> Image.Image:
    scene = _floor("#bfe3f7", "#8cc7e8")
    scene.pip(Pose(at=(500, 610), right_arm=(-30, -75), eyes="happy", scarf=165))
    return scene.image


def running() -> Image.Image:
    scene = _hills("#ffd9c7", "#f2a48a", "#d97f6a")
    for y, length in ((420, 150), (540, 110), (650, 170)):
        scene.line([(60, y), (60 + length, y)], "#ffffff", 16)
    scene.pip(Pose((540, 590), 14, (150, 60), (30, -30), (140, 175), (40, 95), scarf=186))
    return scene.image


def jumping() -> Image.Image:
    scene = _hills("#c9f0e4", "#8ad1b4", "#5fb08f")
    scene.oval((400, 900, 640, 940), "#4d9678", 0)
    scene.pip(Pose((520, 500), -6, (215, 250), (-35, -70), (130, 70), (60, 110), "happy", 150))
    return scene.image


def sitting() -> Image.Image:
    scene = _floor("#e4d8f5", "#c3ade6")
    scene.box((300, 690, 700, 900), 24, "#b98552")
    scene.line([(300, 795), (700, 795)])
    scene.pip(Pose((500, 590), 0, (120, 60), (60, 120), (60, 92), (50, 88)))
    return scene.image


def reading() -> Image.Image:
    scene = _floor("#f9d5dd", "#eda9b8")
    scene.pip(Pose((500, 610), 4, (85, 20), (95, 160), eyes="closed", scarf=110))
    scene.shape([(360, 650), (500, 690), (640, 650), (640, 770), (500, 812), (360, 770)], "#fff7e8")
    scene.line([(500, 690), (500, 812)])
    for y in (700, 730):
        scene.line([(385, y - 12), (475, y + 14)], "#b9a88f", 7)
        scene.line([(525, y + 14), (615, y - 12)], "#b9a88f", 7)
    return scene.image


def delivering() -> Image.Image:
    scene = _floor("#d6ecb8", "#b0d383")
    scene.box((700, 250, 930, 830), 14, "#c9694f")
    scene.circle((735, 560), 16, "#ffd35c")
    scene.pip(Pose((420, 610), 3, (110, 60), (35, -10), eyes="happy"))
    scene.box((520, 520, 680, 640), 12, "#d9a566")
    scene.line([(600, 522), (600, 638)], "#fff1d6", 18)
    return scene.image


def gardening() -> Image.Image:
    scene = _floor("#fff0b8", "#9ecf7a")
    scene.line([(790, 830), (790, 690)], "#3f8f5a", 16)
    for dx, dy in ((-34, -30), (34, -30), (0, -60), (-24, 8), (24, 8)):
        scene.circle((790 + dx, 670 + dy), 28, "#ff7f9f")
    scene.circle((790, 648), 24, "#ffd35c")
    scene.pip(Pose((420, 610), 6, (120, 80), (50, 0)))
    scene.box((590, 590, 690, 680), 16, "#4f8fc4")
    scene.line([(690, 620), (740, 585)], OUTLINE, 16)
    for dx, dy in ((745, 610), (765, 580), (752, 640)):
        scene.circle((dx, dy), 8, "#4f8fc4", 0)
    return scene.image


def sleeping() -> Image.Image:
    scene = _night()
    scene.oval((150, 800, 850, 960), "#3c4f7d", 0)
    scene.pip(Pose((500, 640), -12, (100, 70), (80, 110), (75, 40), (60, 20), "closed", 120))
    for x, y, size in ((720, 330, 34), (790, 250, 46), (880, 150, 60)):
        scene.line([(x, y), (x + size, y), (x, y + size), (x + size, y + size)], "#cfe0ff", 12)
    return scene.image


def floating() -> Image.Image:
    scene = _hills("#bfe3f7", "#9bd0a8", "#6fb183")
    for x, y, colour in ((620, 130, "#f25f5c"), (730, 170, "#ffd35c"), (690, 70, "#6fa8ff")):
        scene.line([(640, 420), (x, y + 70)], OUTLINE, 5)
        scene.oval((x - 58, y - 68, x + 58, y + 72), colour)
    scene.pip(Pose((480, 610), 5, (120, 100), (-30, -62), (110, 80), (75, 100), "happy", 210))
    return scene.image


def stargazing() -> Image.Image:
    scene = _night()
    scene.shape([(0, 800), (300, 740), (700, 790), (1000, 730), (1000, 1000), (0, 1000)], "#2d3c66", 0)
    scene.pip(Pose((430, 600), -8, (110, 90), (-20, -50), eyes="open", scarf=170))
    scene.line([(700, 250), (820, 180)], "#fff2b3", 10)
    scene.circle((835, 172), 16, "#fff2b3", 0)
    return scene.image


def winking() -> Image.Image:
    scene = _floor("#ffd0a8", "#f0a870")
    scene.circle((500, 420), 380, "#ffdfc2", 0)
    scene.pip(Pose(at=(500, 610), lean=-5, left_arm=(150, 230), right_arm=(10, -100), eyes="wink", scarf=140))
    return scene.image


WHO = "Pip, a small mint-green robot with a dark visor, one antenna and an orange scarf,"

PICTURES: dict[str, tuple[str, Callable[[], Image.Image]]] = {
    "01-standing": (f"{WHO} standing and facing the viewer.", standing),
    "02-waving": (f"{WHO} waving happily with one arm raised.", waving),
    "03-running": (f"{WHO} running past orange hills.", running),
    "04-jumping": (f"{WHO} jumping for joy above green hills.", jumping),
    "05-sitting": (f"{WHO} sitting on a wooden crate.", sitting),
    "06-reading": (f"{WHO} reading an open book.", reading),
    "07-delivering": (f"{WHO} delivering a parcel at a red door.", delivering),
    "08-gardening": (f"{WHO} watering a pink flower.", gardening),
    "09-sleeping": (f"{WHO} asleep at night under a starry sky.", sleeping),
    "10-floating": (f"{WHO} floating above hills with three balloons.", floating),
    "11-stargazing": (f"{WHO} pointing at a shooting star at night.", stargazing),
    "12-winking": (f"{WHO} winking at the viewer in front of a warm circle.", winking),
}


def _floor(wall: Colour, floor: Colour) -> Scene:
    scene = Scene(wall)
    scene.box((-20, 820, 1020, 1020), 0, floor, 0)
    return scene


def _hills(sky: Colour, far: Colour, near: Colour) -> Scene:
    scene = Scene(sky)
    scene.circle((820, 200), 80, "#fff3c4", 0)
    scene.oval((-250, 620, 620, 1300), far, 0)
    scene.oval((380, 660, 1300, 1300), far, 0)
    scene.oval((-300, 800, 1300, 1500), near, 0)
    return scene


def _night() -> Scene:
    scene = Scene("#28345c")
    scene.circle((190, 190), 90, "#fff2b3", 0)
    scene.circle((225, 165), 80, "#28345c", 0)
    for index in range(26):
        scene.circle((index * 397 % 1000, index * 211 % 640), 3 + index % 4, "#cfe0ff", 0)
    return scene


def _turned(origin: Point, offset: Point, degrees: float) -> Point:
    a = math.radians(degrees)
    return (
        origin[0] + offset[0] * math.cos(a) - offset[1] * math.sin(a),
        origin[1] + offset[0] * math.sin(a) + offset[1] * math.cos(a),
    )


def _limb(start: Point, angles: tuple[float, float], length: float) -> tuple[Point, Point]:
    upper, lower = (math.radians(angle) for angle in angles)
    joint = (start[0] + length * math.cos(upper), start[1] + length * math.sin(upper))
    return joint, (joint[0] + length * math.cos(lower), joint[1] + length * math.sin(lower))


def _all(values: Sequence[float]) -> tuple[float, float, float, float]:
    left, top, right, bottom = (value * SCALE for value in values)
    return (left, top, right, bottom)


def _px(value: float) -> int:
    return round(value * SCALE)
