"""
Threads for work that may be slow, apart from the threads that Airflow's own routes run in.

A synchronous route takes one of the 40 threads that all routes of the API server share. If the service hangs, a few
dozen requests to the page would leave none for Airflow.
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
"""Seconds after which a request that could not be served now may be sent again."""

T = TypeVar("T")


def not_now(reason: str) -> HTTPException:
    """503: the request is valid and may be sent again later."""
    return HTTPException(status.HTTP_503_SERVICE_UNAVAILABLE, reason, {"Retry-After": str(RETRY_AFTER)})


@dataclass(slots=True)
class _Lane:
    """The work of one connection: ``inside`` runs or waits, ``free`` counts the threads that it may still take."""

    free: anyio.Semaphore
    inside: int = 0


class Threads:
    """
    Runs work in a limited number of threads, for each connection and altogether. Used in one event loop.

    :param each: threads that one connection may hold, so that a service that hangs leaves the others theirs.
    :param altogether: threads of all connections.
    :param waiting: how many more may wait for a thread of the same connection, without a thread. The next is refused.
    :param max_wait: seconds that they wait at most.
    """

    def __init__(self, *, each: int, altogether: int, waiting: int = 0, max_wait: float = 0.0) -> None:
        self._each, self._altogether, self._waiting, self._max_wait = each, altogether, waiting, max_wait
        self._lanes: dict[str, _Lane] = {}

    @cached_property
    def limiter(self) -> anyio.CapacityLimiter:
        """Made when first used: it needs a running event loop."""
        return anyio.CapacityLimiter(self._altogether)

    async def run(self, conn_id: str, work: Callable[[], T]) -> T:
        """
        Do the work in one of the threads.

        :raises HTTPException: 503, nothing was done: the connection has too much work already.
        """
        lane = self._lanes.setdefault(conn_id, _Lane(anyio.Semaphore(self._each)))
        if lane.inside >= self._each + self._waiting:
            raise _too_many()
        lane.inside += 1
        try:
            await self._enter(lane)
            try:
                return await anyio.to_thread.run_sync(work, limiter=self.limiter)
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
            with anyio.move_on_after(self._max_wait):
                await lane.free.acquire()
                return
            raise _too_many() from None


def _too_many() -> HTTPException:
    return not_now("Too many requests to this page wait for Scenario at once. Nothing was done. Try again in a moment.")
