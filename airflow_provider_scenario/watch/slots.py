"""The queue for a slot of the plan's ``parallel-training``: within one process the longest wait comes first."""

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


class QueuePlace:
    """One place in the queue."""

    def __init__(self, queue: set[_Place], place: _Place) -> None:
        self._queue = queue
        self._place = place

    def is_first(self) -> bool:
        """Whether no other task in this process has waited longer; the others send no requests meanwhile."""
        return min(self._queue) == self._place


@contextmanager
def waiting_for_slot(team: Hashable, since: float) -> Iterator[QueuePlace]:
    """
    Queue up.

    :param team: tasks of one team wait for the same slots; the connection id stands for the team.
    :param since: when the waiting began, as a Unix time in seconds, so that a restarted triggerer keeps the order.
    """
    queue = _waiting.setdefault(get_running_loop(), defaultdict(set))[team]
    place = (since, next(_arrivals))
    queue.add(place)
    try:
        yield QueuePlace(queue, place)
    finally:
        queue.discard(place)
