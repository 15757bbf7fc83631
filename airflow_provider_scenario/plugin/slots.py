"""
Threads for what may be slow, apart from those that Airflow's own routes run in.

A synchronous route takes one of the 40 threads that all routes of the API server share: with a service that hangs, a
few dozen requests to the page would leave none for Airflow.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import anyio
import anyio.to_thread
from fastapi import HTTPException, status

RETRY_AFTER = 5
"""Seconds after which it is worth asking again for what cannot be had now."""

T = TypeVar("T")


def not_now(reason: str) -> HTTPException:
    """503: nothing is wrong with the request, it may be sent again later."""
    return HTTPException(status.HTTP_503_SERVICE_UNAVAILABLE, reason, {"Retry-After": str(RETRY_AFTER)})


@dataclass(slots=True)
class _Lane:
    """Of one connection."""

    free: anyio.Semaphore
    inside: int = 0


class Slots:
    """
    So much is done at once, for each connection and altogether. Used in one event loop.

    :param each: threads that one connection may hold, so that a service that hangs leaves those of the others alone.
    :param altogether: threads.
    :param waiting: how many more may wait for a thread of the same connection, which costs no thread. The next is
        refused at once.
    :param patience: seconds that they wait at most.
    """

    def __init__(self, *, each: int, altogether: int, waiting: int = 0, patience: float = 0.0) -> None:
        self._each, self._altogether, self._waiting, self._patience = each, altogether, waiting, patience
        self._lanes: dict[str, _Lane] = {}

    @cached_property
    def threads(self) -> anyio.CapacityLimiter:
        """Those of all connections."""
        return anyio.CapacityLimiter(self._altogether)

    async def run(self, conn_id: str, work: Callable[[], T]) -> T:
        """
        Do it in one of the threads.

        :raises HTTPException: 503, nothing was done: too much of this connection is being done already.
        """
        lane = self._lanes.setdefault(conn_id, _Lane(anyio.Semaphore(self._each)))
        if lane.inside >= self._each + self._waiting:
            raise _too_many()
        lane.inside += 1
        try:
            await self._enter(lane)
            try:
                return await anyio.to_thread.run_sync(work, limiter=self.threads)
            finally:
                lane.free.release()
        finally:
            lane.inside -= 1
            if not lane.inside:
                del self._lanes[conn_id]

    async def _enter(self, lane: _Lane) -> None:
        try:
            lane.free.acquire_nowait()
        except anyio.WouldBlock:
            with anyio.move_on_after(self._patience):
                await lane.free.acquire()
                return
            raise _too_many() from None


def _too_many() -> HTTPException:
    return not_now("Too much is being asked of Scenario at once. Nothing was done. Try again in a moment.")
