"""A page in a real browser: what tests of it have in common."""

from __future__ import annotations

import os
from pathlib import Path

PATIENCE = 60_000  # milliseconds


def keeps_pictures() -> bool:
    """Whether :func:`picture` does anything."""
    return "SCREENSHOTS" in os.environ


def picture(page, name: str) -> None:
    """Take a picture: ``SCREENSHOTS=folder make test-full`` renews those in docs/pictures."""
    if folder := os.environ.get("SCREENSHOTS"):
        page.screenshot(path=Path(folder) / f"{name}.png", animations="disabled")


def wait_for(page, condition):
    for _ in range(PATIENCE // 200):
        if condition():
            return
        page.wait_for_timeout(200)
    raise AssertionError("It did not happen in time.")
