"""Wait in a test until a condition holds."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

SURELY = 60.0
"""Seconds after which a test takes it that the condition never holds: far longer than any working code needs."""


def eventually(
    condition: Callable[[], Any], what: str = "the condition", seconds: float = 180, pause: float = 0.3
) -> Any:
    """
    Call the condition until it returns something true, and return that.

    :param what: names the condition in the failure.
    :param pause: seconds between two calls.
    :raises AssertionError: the condition does not hold within ``seconds``.
    """
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"did not hold within {seconds:g} s: {what}"
        time.sleep(pause)
    return found


async def eventually_async(condition: Callable[[], Any], *, seconds: float = SURELY, pause: float = 0.02) -> None:
    """
    Call the condition until it returns something true, and let the event loop run meanwhile.

    :raises TimeoutError: the condition does not hold within ``seconds``.
    """
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(pause)
