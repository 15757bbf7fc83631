"""How long something takes, where a budget of requests is held against it."""

from __future__ import annotations

import time
from collections.abc import Callable


def stopwatch() -> Callable[[], float]:
    """
    Start to measure; each call of what is returned gives the seconds since then.

    By the clock that says more: a budget goes by the time of day and sleeps by another clock, and the time of day may
    be set meanwhile.
    """
    day, monotonic = time.time(), time.monotonic()
    return lambda: max(time.time() - day, time.monotonic() - monotonic)
