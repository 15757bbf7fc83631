"""What is dear to make is made for several viewers at once."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

T = TypeVar("T")

CHEAP = 0.25
"""Seconds of CPU. What takes less is made anew for each viewer: a run of some hundred trainings."""

REST = 4
"""What took a second is shown for as many: however many look, it takes a fifth of a core at most."""

KEPT = 8
"""Some MB each, for a run of 10,000 trainings."""


class Shared(Generic[T]):
    """Keeps what was dear to make, for as long as that was dear. Whoever comes while it is made waits for it."""

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, effort: Callable[[], float] = time.thread_time
    ) -> None:
        self._clock, self._effort = clock, effort
        self._kept: OrderedDict[Hashable, tuple[float, T]] = OrderedDict()
        self._making: dict[Hashable, threading.Lock] = {}
        self._lock = threading.Lock()

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """What was made for this key, or is made now; who may see it is asked before."""
        with self._lock:
            making = self._making.setdefault(key, threading.Lock())
        with making:
            with self._lock:
                until, kept = self._kept.get(key, (0.0, None))
            if kept is not None and self._clock() < until:
                return kept
            began = self._effort()
            made = make()
            took = self._effort() - began
            with self._lock:
                self._kept.pop(key, None)
                if took > CHEAP:
                    self._kept[key] = (self._clock() + REST * took, made)
                while len(self._kept) > KEPT:
                    self._kept.popitem(last=False)
                if self._making.get(key) is making:
                    del self._making[key]
            return made
