"""
Many waiting triggers, few requests: those of one event loop and one connection look through one poller.

Each waiter asks for one look by a certain time, and gets its own answer. The poller asks for all whose time has come
with one request for each 50 models, and fills a request up with those whose turn comes next, which costs nothing.
"""

from __future__ import annotations

import asyncio
import contextvars
import itertools
import time
from asyncio import AbstractEventLoop, Future
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from operator import attrgetter
from typing import TypeVar
from weakref import WeakKeyDictionary

from airflow_provider_scenario import metrics
from airflow_provider_scenario.airflow_compat.threads import in_thread
from airflow_provider_scenario.client.budget import WORTH_A_LINE, WaitNotice
from airflow_provider_scenario.client.errors import ServiceError
from airflow_provider_scenario.client.scenario.models import BULK
from airflow_provider_scenario.hooks.scenario import ScenarioHook
from airflow_provider_scenario.watch.polling import LAST_LOOK, PollAnswer, Poller

T = TypeVar("T")

GATHER = 0.1
"""Part of its own pause that a waiter waits at most for others, so that they share a request."""

_pollers: WeakKeyDictionary[AbstractEventLoop, dict[str, SharedPoller]] = WeakKeyDictionary()


@asynccontextmanager
async def shared_poller(scenario_conn_id: str) -> AsyncIterator[SharedPoller]:
    """
    The poller of this event loop and connection; who leaves last ends it and closes its connections.

    :param scenario_conn_id: connection of type ``scenario``; it is looked up once for all.
    """
    pollers = _pollers.setdefault(asyncio.get_running_loop(), {})
    poller = pollers.get(scenario_conn_id)
    if poller is None:
        poller = pollers[scenario_conn_id] = SharedPoller(Poller(ScenarioHook(scenario_conn_id)))
    poller.users += 1
    _count_waiting(pollers)
    try:
        yield poller
    finally:
        poller.users -= 1
        _count_waiting(pollers)
        if not poller.users:
            # Out of the registry first: who comes now gets a new one instead of joining one that ends.
            del pollers[scenario_conn_id]
            await poller.close()


def _count_waiting(pollers: dict[str, SharedPoller]) -> None:
    metrics.waiting(sum(poller.users for poller in pollers.values()))


def _only_once(_: PollAnswer) -> float | None:
    return None


@dataclass(slots=True, eq=False)
class _Waiter:
    model_id: str | None
    job_id: str | None
    deadline: float
    answer: Future[PollAnswer]
    again: Callable[[PollAnswer], float | None]
    line: WaitNotice | None
    context: contextvars.Context
    due: float = 0.0
    latest: float = 0.0
    is_asked: bool = False

    def wait(self, now: float, after: float) -> None:
        """Be due again after so many seconds."""
        self.due = now + after
        self.latest = now + min(after * (1 + GATHER), max(after, self.deadline - now))
        self.is_asked = False


class SharedPoller:
    """
    :param poller: makes the requests.
    :param clock: a monotonic time in seconds.
    """

    def __init__(self, poller: Poller, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.users = 0
        self.poller = poller
        self._clock = clock
        self._waiters: set[_Waiter] = set()
        self._news = asyncio.Event()
        self._turn = float("-inf")
        self._task: asyncio.Task[None] | None = None

    async def look(
        self,
        model_id: str | None,
        job_id: str | None,
        *,
        after: float,
        patience: float = float("inf"),
        line: WaitNotice | None = None,
        again: Callable[[PollAnswer], float | None] = _only_once,
    ) -> PollAnswer | None:
        """
        Look at a training, together with others where that saves a request.

        With ``again``, one call makes many looks. A call for each look would make new objects that live until the next
        one; those of thousands of waiters trigger full garbage collections, which stop the event loop for up to 0.3 s.

        :param after: seconds from now until it is due; it may come sooner, where it costs nothing.
        :param patience: seconds from now for which it is worth waiting for its turn.
        :param line: says so in the log of its own task where the turn is not near.
        :param again: called with each answer, in the caller's context; returns the seconds until the next look, or None
            if that answer is the last. Default: there is one look.
        :return: the last answer; None where a turn did not come in time.
        """
        now = self._clock()
        waiter = _Waiter(
            model_id,
            job_id,
            deadline=now + max(0.0, patience),
            answer=asyncio.get_running_loop().create_future(),
            again=again,
            line=line,
            context=contextvars.copy_context(),
        )
        waiter.wait(now, after)
        self._waiters.add(waiter)
        self._say_that_it_waits(waiter)
        self._news.set()
        self._keep_running()
        try:
            return await self._answer(waiter)
        finally:
            self._waiters.discard(waiter)

    def _keep_running(self) -> None:
        if self._task is None or self._task.done():
            # A context of its own: else all its log lines would be the first waiter's.
            self._task = asyncio.create_task(self._run(), context=contextvars.Context())
            self._task.add_done_callback(self._tell_all)

    async def _answer(self, waiter: _Waiter) -> PollAnswer | None:
        deadline = waiter.deadline
        while not waiter.answer.done():
            now = self._clock()
            if now >= deadline and not waiter.is_asked and max(now, self._turn) > deadline + LAST_LOOK:
                return None
            left = deadline - now if now < deadline else LAST_LOOK / 10
            await asyncio.wait([waiter.answer], timeout=None if left == float("inf") else left)
        return waiter.answer.result()

    async def close(self) -> None:
        """End it; nobody waits any more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        await in_thread(self.poller.close)

    async def _run(self) -> None:
        while self._waiters:
            self._news.clear()
            start = min(waiter.latest for waiter in self._waiters)
            if (pause := start - self._clock()) > 0:
                try:
                    await asyncio.wait_for(self._news.wait(), pause)
                except TimeoutError:
                    pass
                else:
                    continue  # somebody has come who may have less patience
            if self._waiters:
                await self._wait_for_turn()
            if self._waiters:
                await self._ask(self._next_batch())

    async def _wait_for_turn(self) -> None:
        seconds = await in_thread(self.poller.turn)
        self._turn = self._clock() + seconds
        if seconds >= WORTH_A_LINE:
            for number, waiter in enumerate(list(self._waiters), start=1):
                # Where its own task logs, not where this one runs.
                waiter.context.run(self._say_that_it_waits, waiter)
                if number % BULK == 0:
                    await asyncio.sleep(0)  # the lines of thousands at once would stall the event loop
        await asyncio.sleep(seconds)

    def _say_that_it_waits(self, waiter: _Waiter) -> None:
        # Before the first turn the reason is not known: each of thousands would ask Airflow for the connection.
        if waiter.line and (seconds := self._turn - waiter.due) >= WORTH_A_LINE:
            waiter.line(seconds, self.poller.why_wait)

    def _next_batch(self) -> list[_Waiter]:
        """Who has waited longest, with as many others as one request has room for, those next whose turn comes next."""
        turn = sorted(self._waiters, key=attrgetter("due"))
        if not turn[0].model_id:
            return turn[:1]
        models = dict.fromkeys(waiter.model_id for waiter in turn if waiter.model_id)
        chosen = set(itertools.islice(models, BULK))
        return [waiter for waiter in turn if waiter.model_id in chosen]

    async def _ask(self, batch: list[_Waiter]) -> None:
        for waiter in batch:
            waiter.is_asked = True
        answers = await in_thread(self.poller.poll_all, [(waiter.model_id, waiter.job_id) for waiter in batch])
        for waiter, seen in zip(batch, answers, strict=True):
            self._tell(waiter, seen)

    def _tell(self, waiter: _Waiter, seen: PollAnswer) -> None:
        if waiter.answer.done():
            return
        try:
            # Where its own task logs, not where this one runs.
            pause = waiter.context.run(waiter.again, seen)
        except Exception as problem:
            waiter.answer.set_exception(problem)
        else:
            if pause is not None:
                waiter.wait(self._clock(), pause)
                return
            waiter.answer.set_result(seen)
        self._waiters.discard(waiter)

    def _tell_all(self, task: asyncio.Task[None]) -> None:
        """If the poller crashes, waiters get a `ServiceError`, and those that go on waiting start a new one."""
        if task.cancelled() or (problem := task.exception()) is None:
            return
        error = ServiceError(f"The shared poller stopped: {type(problem).__name__}: {problem}.", maybe_done=False)
        for waiter in list(self._waiters):
            self._tell(waiter, error)
        if self._waiters:
            self._keep_running()
