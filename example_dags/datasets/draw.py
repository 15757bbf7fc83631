"""
Draw the three picture sets that the examples train on.

    python example_dags/datasets/draw.py [folder]

Every picture is drawn here, so nobody's rights are touched, and the same pictures come out on every machine. Beside
each picture lies its caption, a text file of the same name: the convention of kohya and of most other trainers.
"""

from __future__ import annotations

import sys
from pathlib import Path

import hero_character
import ink_style
import isometric_props
from PIL import Image

SIDE = 1024
"""Pixels along an edge: the service recommends at least this much."""

SETS = {
    "ink-style": ink_style.PICTURES,
    "hero-character": hero_character.PICTURES,
    "isometric-props": isometric_props.PICTURES,
}


def main(folder: Path) -> None:
    for name, pictures in SETS.items():
        target = folder / name
        target.mkdir(parents=True, exist_ok=True)
        for stem, (caption, paint) in pictures.items():
            save(paint(), target / f"{stem}.jpg")
            (target / f"{stem}.txt").write_text(caption + "\n", encoding="utf-8")
        sys.stdout.write(f"{target}: {len(pictures)} pictures\n")


def save(picture: Image.Image, path: Path) -> None:
    """Painted at twice the size and shrunk here, which is what makes the edges smooth."""
    small = picture.convert("RGB").resize((SIDE, SIDE), Image.Resampling.LANCZOS)
    small.save(path, quality=82, optimize=True, progressive=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
