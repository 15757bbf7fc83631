"""Checks of values that the page shows. Anyone who writes XComs or names models chooses them."""

from __future__ import annotations

import json
import logging
import math
import re
from datetime import UTC, datetime

log = logging.getLogger(__name__)

_logged: set[str] = set()
_MOST_LOGGED = 1000

LARGEST = 1e12
"""Creative units or seconds: 30,000 years. A larger number is a mistake or an attack, and is not shown."""

SHORT = 250
"""Characters of a name, a type or an id: the most that Airflow's own columns hold. Scenario's names have 64."""

LONG = 10_000
"""Characters of an error, a caption or a parameter. The longest that Scenario has sent has some hundreds."""


def number(value: object) -> float | None:
    """Return the number; None for anything else: infinity, NaN, a bool, or a number above the limit."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    try:
        found = float(value)
    except OverflowError:
        return None
    return found if math.isfinite(found) and abs(found) <= LARGEST else None


def amount(value: object) -> float | None:
    """Return the number; None for anything else, and for a number below zero."""
    found = number(value)
    return found if found is not None and found >= 0 else None


def text(value: object, most: int = LONG) -> str | None:
    """Return the text, shortened, without characters that UTF-8 or HTML cannot hold; None for anything else."""
    if not isinstance(value, str):
        return None
    kept = f"{value[:most]}…" if len(value) > most else value
    return kept.encode(errors="replace").decode().replace("\0", "�")


def moment(value: object) -> datetime | None:
    """Return the date in UTC; None for anything else, and for a year that some time zone could not show."""
    if not isinstance(value, datetime) or not 1970 <= value.year < 9999:
        return None
    return value.astimezone(UTC)


def epoch_number(value: object) -> str:
    """Format an epoch: ``2`` for ``000002``. A name that is not a number stays as it is."""
    shown = text(value, SHORT) or ""
    return (shown.lstrip("0") or "0") if shown.isascii() and shown.isdecimal() else shown


def by_name(name: object) -> list[tuple[int, str]]:
    """Sort key that puts ``2.jpg`` before ``10.jpg``."""
    parts = re.split(r"([0-9]+)", (text(name, SHORT) or "").casefold())
    # Compare numbers by length, then by digits: one may have more digits than Python converts to int.
    return [(len(digits), digits) if (digits := part.lstrip("0")) and part.isdecimal() else (0, part) for part in parts]


def as_json(value: object, most: int = LONG) -> str:
    """Format the value as JSON, shortened."""
    written, length = [], 0
    try:
        for piece in json.JSONEncoder(ensure_ascii=False, default=str).iterencode(value):
            written.append(piece[: most + 1])
            length += len(written[-1])
            if length > most:
                break
    except (ValueError, RecursionError):  # a number with too many digits, or nesting that is too deep
        return "cannot be shown"
    return text("".join(written), most) or ""


def cannot_show(what: object, problem: Exception) -> None:
    """Log that something cannot be shown, once a process: an open page refreshes itself for hours."""
    name = repr(what)[:LONG]
    if name not in _logged and len(_logged) < _MOST_LOGGED:
        _logged.add(name)
        log.warning("The Trainings page cannot show %s: %s", name, type(problem).__name__)
