"""A part of a thread pool, so that a service that hangs leaves the other threads to the other connections."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future
from functools import partial
from typing import Any, TypeVar

T = TypeVar("T")


class ThreadShare(Executor):
    """
    Some of the threads of a pool.

    :param pool: the pool that others use, too.
    :param most: threads that are used at once; what is submitted beyond waits.
    """

    def __init__(self, pool: Executor, most: int) -> None:
        self._pool, self._free = pool, most
        self._lock = threading.Lock()
        self._waiting: deque[tuple[Future[Any], Callable[[], Any]]] = deque()

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        future: Future[T] = Future()
        with self._lock:
            self._waiting.append((future, partial(fn, *args, **kwargs)))
            if not self._free:
                return future
            self._free -= 1
        self._pool.submit(self._work)
        return future

    def _work(self) -> None:
        """Do one piece of work, then queue up again behind the others that use the pool."""
        with self._lock:
            if not self._waiting:
                self._free += 1
                return
            future, work = self._waiting.popleft()
        try:
            future.set_result(work())
        except BaseException as problem:  # as the pool itself does
            future.set_exception(problem)
        self._pool.submit(self._work)
