"""
Many waiting triggers, few requests: those of one event loop and one connection poll together.

Each waiter has a time by which its training is to be polled, and gets its own answer. The poller requests all that are
due together, 50 models with one request, and fills a request up with those that are due next, which costs nothing.
"""

from __future__ import annotations

import asyncio
import contextvars
import itertools
import time
from asyncio import Future
from collections.abc import Callable
from dataclasses import dataclass
from operator import attrgetter

from airflow_provider_scenario import metrics
from airflow_provider_scenario.airflow_compat.threads import run_in_thread
from airflow_provider_scenario.client.budget import SHORTEST_LOGGED, WaitNotice
from airflow_provider_scenario.client.errors import ServiceError
from airflow_provider_scenario.client.scenario.models import BULK
from airflow_provider_scenario.hooks.scenario import ScenarioHook
from airflow_provider_scenario.hooks.sharing import SharedByConnection
from airflow_provider_scenario.watch.polling import LAST_POLL_GRACE, PollAnswer, Poller

MAX_DELAY = 0.1
"""By how much of its own pause a poll may be late, so that it shares a request with others."""


def _poll_once(_: PollAnswer) -> float | None:
    return None


@dataclass(slots=True, eq=False)
class _Waiter:
    model_id: str | None
    job_id: str | None
    deadline: float
    last_answer: Future[PollAnswer]
    on_answer: Callable[[PollAnswer], float | None]
    wait_notice: WaitNotice | None
    context: contextvars.Context
    due: float = 0.0
    latest: float = 0.0
    is_requested: bool = False

    def wait(self, now: float, seconds: float) -> None:
        """Be due again after this many seconds."""
        self.due = now + seconds
        self.latest = now + min(seconds * (1 + MAX_DELAY), max(seconds, self.deadline - now))
        self.is_requested = False


class SharedPoller:
    """
    Polls for many waiters.

    :param poller: sends the requests.
    :param clock: a monotonic time in seconds.
    """

    def __init__(self, poller: Poller, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.poller = poller
        self._clock = clock
        self._waiters: set[_Waiter] = set()
        self._has_new_waiter = asyncio.Event()
        self._next_turn = float("-inf")
        self._task: asyncio.Task[None] | None = None

    async def poll(
        self,
        model_id: str | None,
        job_id: str | None,
        *,
        after: float,
        max_wait: float = float("inf"),
        wait_notice: WaitNotice | None = None,
        on_answer: Callable[[PollAnswer], float | None] = _poll_once,
    ) -> PollAnswer | None:
        """
        Poll a training, together with others where that saves a request, until ``on_answer`` returns None.

        One call makes all polls of a waiter. A call for each poll would make new objects that live until the next one;
        those of thousands of waiters trigger full garbage collections, which stop the event loop for up to 0.3 s.

        :param after: seconds from now until the first poll is due; it may come sooner, where it costs nothing.
        :param max_wait: seconds from now after which a turn comes too late.
        :param wait_notice: logs that the turn is far away, in the log of the waiter's own task.
        :param on_answer: called with each answer, in the caller's context; returns the seconds until the next poll, or
            None if that answer is the last. Default: there is one poll.
        :return: the last answer; None if a turn did not come in time.
        """
        now = self._clock()
        waiter = _Waiter(
            model_id,
            job_id,
            deadline=now + max(0.0, max_wait),
            last_answer=asyncio.get_running_loop().create_future(),
            on_answer=on_answer,
            wait_notice=wait_notice,
            context=contextvars.copy_context(),
        )
        waiter.wait(now, after)
        self._waiters.add(waiter)
        self._notify_of_wait(waiter)
        self._has_new_waiter.set()
        self._keep_running()
        try:
            return await self._last_answer(waiter)
        finally:
            self._waiters.discard(waiter)

    def _keep_running(self) -> None:
        if self._task is None or self._task.done():
            # A context of its own: in the first waiter's context all log lines would go to that waiter's log.
            self._task = asyncio.create_task(self._run(), context=contextvars.Context())
            self._task.add_done_callback(self._on_crash)

    async def _last_answer(self, waiter: _Waiter) -> PollAnswer | None:
        deadline = waiter.deadline
        while not waiter.last_answer.done():
            now = self._clock()
            is_too_late = now >= deadline and max(now, self._next_turn) > deadline + LAST_POLL_GRACE
            if is_too_late and not waiter.is_requested:
                return None
            left = deadline - now if now < deadline else LAST_POLL_GRACE / 10
            await asyncio.wait([waiter.last_answer], timeout=None if left == float("inf") else left)
        return waiter.last_answer.result()

    async def close(self) -> None:
        """Stop polling and close the connections; call it when the last waiter has left."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        await run_in_thread(self.poller.close)

    async def _run(self) -> None:
        while self._waiters:
            self._has_new_waiter.clear()
            start = min(waiter.latest for waiter in self._waiters)
            if (pause := start - self._clock()) > 0:
                try:
                    await asyncio.wait_for(self._has_new_waiter.wait(), pause)
                except TimeoutError:
                    pass
                else:
                    continue  # the new waiter may be due before the others
            if self._waiters:
                await self._wait_for_turn()
            if self._waiters:
                await self._request(self._next_batch())

    async def _wait_for_turn(self) -> None:
        seconds = await run_in_thread(self.poller.turn)
        self._next_turn = self._clock() + seconds
        if seconds >= SHORTEST_LOGGED:
            for number, waiter in enumerate(list(self._waiters), start=1):
                # In the waiter's context, so that the line goes to the log of its own task.
                waiter.context.run(self._notify_of_wait, waiter)
                if number % BULK == 0:
                    await asyncio.sleep(0)  # the lines of thousands at once would stall the event loop
        await asyncio.sleep(seconds)

    def _notify_of_wait(self, waiter: _Waiter) -> None:
        # Not before the first turn: until then `why_wait` reads the connection, which asks Airflow, once for each of
        # thousands of waiters.
        if waiter.wait_notice and (seconds := self._next_turn - waiter.due) >= SHORTEST_LOGGED:
            waiter.wait_notice(seconds, self.poller.why_wait)

    def _next_batch(self) -> list[_Waiter]:
        """Return those that are due first, as many as one request has room for."""
        by_due = sorted(self._waiters, key=attrgetter("due"))
        if not by_due[0].model_id:
            return by_due[:1]
        models = dict.fromkeys(waiter.model_id for waiter in by_due if waiter.model_id)
        chosen = set(itertools.islice(models, BULK))
        return [waiter for waiter in by_due if waiter.model_id in chosen]

    async def _request(self, batch: list[_Waiter]) -> None:
        for waiter in batch:
            waiter.is_requested = True
        answers = await run_in_thread(self.poller.poll_many, [(waiter.model_id, waiter.job_id) for waiter in batch])
        for waiter, answer in zip(batch, answers, strict=True):
            self._deliver(waiter, answer)

    def _deliver(self, waiter: _Waiter, answer: PollAnswer) -> None:
        if waiter.last_answer.done():
            return
        try:
            # In the waiter's context, so that log lines go to the log of its own task.
            pause = waiter.context.run(waiter.on_answer, answer)
        except Exception as problem:
            waiter.last_answer.set_exception(problem)
        else:
            if pause is not None:
                waiter.wait(self._clock(), pause)
                return
            waiter.last_answer.set_result(answer)
        self._waiters.discard(waiter)

    def _on_crash(self, task: asyncio.Task[None]) -> None:
        """If the poller crashes, waiters get a `ServiceError`, and those that keep waiting start a new one."""
        if task.cancelled() or (problem := task.exception()) is None:
            return
        error = ServiceError(f"The shared poller stopped: {type(problem).__name__}: {problem}.", maybe_done=False)
        for waiter in list(self._waiters):
            self._deliver(waiter, error)
        if self._waiters:
            self._keep_running()


_pollers = SharedByConnection(
    lambda conn_id: SharedPoller(Poller(ScenarioHook(conn_id))), SharedPoller.close, on_users=metrics.waiting
)
shared_poller = _pollers.use
"""The poller of this event loop and of a connection of type ``scenario``."""
