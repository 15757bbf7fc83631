"""Measure durations that tests compare with a request budget."""

from __future__ import annotations

import time
from collections.abc import Callable


def stopwatch() -> Callable[[], float]:
    """
    Start to measure; the returned function gives the seconds since then.

    Takes the larger result of two clocks: a request budget uses the time of day and sleeps by the monotonic clock, and
    the time of day may be changed meanwhile.
    """
    day, monotonic = time.time(), time.monotonic()
    return lambda: max(time.time() - day, time.monotonic() - monotonic)
