"""The watchdog and the changed triggers of ``benchmarks/waiting.py``; importable in the triggerer."""

from __future__ import annotations

import asyncio
import gc
import os
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_scenario.hooks.scenario import ScenarioHook
from airflow_provider_scenario.triggers.training import ScenarioTrainingTrigger
from airflow_provider_scenario.watch.polling import PollAnswer, Poller
from airflow_provider_scenario.watch.shared import SharedPoller

if TYPE_CHECKING:
    from airflow_provider_scenario.watch.result import TrainingResult


class Watchdog(BaseTrigger):
    """
    Writes a line a second: the time; by how much a sleep of 10 ms took longer at worst, in ms; the same without time in
    which this thread had no core, because other processes used it; and the ms of CPU of full garbage collections.
    """

    def __init__(self, file: str) -> None:
        super().__init__()
        self.file = file

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return "waiting_triggers.Watchdog", {"file": self.file}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        Path(f"{self.file}.pid").write_text(str(os.getpid()))
        scheduling = os.open("/proc/thread-self/schedstat", os.O_RDONLY)
        with Path(self.file).open("w", buffering=1) as lines:
            collecting = _FullCollections()
            gc.callbacks.append(collecting)
            second, worst, ours = time.time() + 1, 0.0, 0.0
            begin, without_core = time.perf_counter(), _waited(scheduling)
            while True:
                await asyncio.sleep(0.01)
                late = time.perf_counter() - begin - 0.01
                waited = _waited(scheduling)
                worst, ours = max(worst, late), max(ours, late - (waited - without_core))
                if time.time() >= second:
                    lines.write(f"{second:.3f} {worst * 1000:.1f} {ours * 1000:.1f} {collecting.take() * 1000:.1f}\n")
                    second, worst, ours = time.time() + 1, 0.0, 0.0
                begin, without_core = time.perf_counter(), _waited(scheduling)
        yield TriggerEvent("never")


class _FullCollections:
    """Sums up the CPU seconds of full garbage collections."""

    def __init__(self) -> None:
        self._seconds = self._began = 0.0

    def __call__(self, phase: str, info: dict[str, int]) -> None:
        if info["generation"] == 2:
            if phase == "start":
                self._began = time.thread_time()
            else:
                self._seconds += time.thread_time() - self._began

    def take(self) -> float:
        seconds, self._seconds = self._seconds, 0.0
        return seconds


def _waited(scheduling: int) -> float:
    """Seconds that the thread has waited for a core so far."""
    return int(os.pread(scheduling, 100, 0).split()[1]) / 1e9


class Steady(ScenarioTrainingTrigger):
    """Our trigger with a fixed interval."""

    async def _end(self, shared: SharedPoller) -> TrainingResult:
        return await super()._end(_SteadyPoller(shared, self.poke_interval))


class Alone(ScenarioTrainingTrigger):
    """Our trigger with a fixed interval and its own poller and client."""

    async def run(self) -> AsyncIterator[TriggerEvent]:
        own = SharedPoller(Poller(ScenarioHook(self.scenario_conn_id)))
        try:
            end = await self._end(_SteadyPoller(own, self.poke_interval))
        finally:
            await own.close()
        yield TriggerEvent(end.to_event())


class _SteadyPoller:
    def __init__(self, shared: SharedPoller, interval: float) -> None:
        self.poller, self._poll, self._interval = shared.poller, shared.poll, interval

    async def poll(
        self, *ids: str | None, after: float, on_answer: Callable[[PollAnswer], float | None], **options: Any
    ) -> PollAnswer | None:
        return await self._poll(
            *ids,
            after=self._interval if after else 0.0,
            on_answer=lambda answer: None if on_answer(answer) is None else self._interval,
            **options,
        )
