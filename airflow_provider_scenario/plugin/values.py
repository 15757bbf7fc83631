"""What a page may show: finite numbers, clean text, sane dates. Whoever writes XComs or names models chooses them."""

from __future__ import annotations

import json
import logging
import math
import re
from datetime import UTC, datetime
from typing import Any

log = logging.getLogger(__name__)

_told: set[str] = set()
_MOST_TOLD = 1000

LARGEST = 1e12
"""Creative units or seconds; 30,000 years of training. What is larger is not a number that anybody has meant."""

SHORT = 250
"""Characters of a name, a type or an id: the most that Airflow's own columns hold. Scenario's names have 64."""

LONG = 10_000
"""Characters of an error, a caption or a parameter. The longest that Scenario was seen to send has some hundreds."""


def number(value: Any) -> float | None:
    """The number; None for anything else, such as infinity, NaN, a truth value, or what is too large to be one."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    try:
        found = float(value)
    except OverflowError:
        return None
    return found if math.isfinite(found) and abs(found) <= LARGEST else None


def amount(value: Any) -> float | None:
    """The number; None for anything else, and below zero: nobody is paid for a training."""
    found = number(value)
    return found if found is not None and found >= 0 else None


def text(value: Any, most: int = LONG) -> str | None:
    """The text, cut, without what UTF-8 or HTML cannot hold; None for anything else."""
    if not isinstance(value, str):
        return None
    kept = f"{value[:most]}…" if len(value) > most else value
    return kept.encode(errors="replace").decode().replace("\0", "�")


def moment(value: Any) -> datetime | None:
    """The date in UTC; None for anything else, or where no time zone could show it."""
    if not isinstance(value, datetime) or not 1970 <= value.year < 9999:
        return None
    return value.astimezone(UTC)


def epoch_number(value: Any) -> str:
    """An epoch as people count: ``2`` for ``000002``; as it is, where it is not a number."""
    shown = text(value, SHORT) or ""
    return (shown.lstrip("0") or "0") if shown.isascii() and shown.isdecimal() else shown


def by_name(name: Any) -> list[tuple[int, str]]:
    """Sorts names as people do: ``2.jpg`` before ``10.jpg``."""
    parts = re.split(r"([0-9]+)", (text(name, SHORT) or "").casefold())
    # A number by its length first: it may have more digits than Python converts.
    return [(len(digits), digits) if (digits := part.lstrip("0")) and part.isdecimal() else (0, part) for part in parts]


def as_json(value: Any, most: int = LONG) -> str:
    """The value as JSON, no further than can be shown."""
    written, length = [], 0
    try:
        for piece in json.JSONEncoder(ensure_ascii=False, default=str).iterencode(value):
            written.append(piece[: most + 1])
            length += len(written[-1])
            if length > most:
                break
    except (ValueError, RecursionError):  # endless digits, or nested too deeply
        return "cannot be shown"
    return text("".join(written), most) or ""


def cannot_show(what: object, problem: Exception) -> None:
    """Log once a process that something cannot be shown; a page that is open refreshes itself for hours."""
    said = repr(what)[:LONG]
    if said not in _told and len(_told) < _MOST_TOLD:
        _told.add(said)
        log.warning("The Trainings page cannot show %s: %s", said, type(problem).__name__)
