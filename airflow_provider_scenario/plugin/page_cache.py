"""Caches what takes long to compute, such as the batch of a large run, for all viewers together."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

T = TypeVar("T")

CHEAP = 0.25
"""Seconds of CPU. What takes less is not cached: the batch of a run of some hundred trainings."""

REST = 4
"""What took a second of CPU is cached for four: however many viewers there are, it takes a fifth of a core at most."""

MOST_ENTRIES = 8
"""Each takes some MB, for a run of 10,000 trainings."""


class PageCache(Generic[T]):
    """
    Keeps values that were expensive to compute. Viewers who need the same value at once wait for one computation.

    :param clock: seconds, for the age of a value.
    :param cpu_clock: seconds of CPU that this thread has used, for the cost of a value.
    """

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, cpu_clock: Callable[[], float] = time.thread_time
    ) -> None:
        self._clock, self._cpu_clock = clock, cpu_clock
        self._entries: OrderedDict[Hashable, tuple[float, T]] = OrderedDict()
        self._computing: dict[Hashable, threading.Lock] = {}
        self._lock = threading.Lock()

    def get(self, key: Hashable, compute: Callable[[], T]) -> T:
        """Return the cached value, or compute it now. The caller has checked that the viewer may see it."""
        with self._lock:
            computing = self._computing.setdefault(key, threading.Lock())
        with computing:
            with self._lock:
                until, cached = self._entries.get(key, (0.0, None))
            if cached is not None and self._clock() < until:
                return cached
            start = self._cpu_clock()
            value = compute()
            cost = self._cpu_clock() - start
            with self._lock:
                self._entries.pop(key, None)
                if cost > CHEAP:
                    self._entries[key] = (self._clock() + REST * cost, value)
                while len(self._entries) > MOST_ENTRIES:
                    self._entries.popitem(last=False)
                if self._computing.get(key) is computing:
                    del self._computing[key]
            return value
