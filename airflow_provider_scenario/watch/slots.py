"""Who waits for a slot of the plan's ``parallel-training``, first come first served within one process."""

from __future__ import annotations

import itertools
from asyncio import AbstractEventLoop, get_running_loop
from collections import defaultdict
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from weakref import WeakKeyDictionary

_Place = tuple[float, int]
_waiting: WeakKeyDictionary[AbstractEventLoop, dict[Hashable, set[_Place]]] = WeakKeyDictionary()
_arrivals = itertools.count()


class Turn:
    """One place in the queue."""

    def __init__(self, queue: set[_Place], place: _Place) -> None:
        self._queue = queue
        self._place = place

    def is_mine(self) -> bool:
        """Whether nobody in this process has waited longer; only then is it worth a request."""
        return min(self._queue) == self._place


@contextmanager
def waiting_for_slot(team: Hashable, since: float) -> Iterator[Turn]:
    """
    Queue up.

    :param team: those of one team wait for the same slots; the connection stands for it.
    :param since: when the waiting began, as a Unix time in seconds: a restarted triggerer keeps the order.
    """
    queue = _waiting.setdefault(get_running_loop(), defaultdict(set))[team]
    place = (since, next(_arrivals))
    queue.add(place)
    try:
        yield Turn(queue, place)
    finally:
        queue.discard(place)
