"""The attempt that runs: its task instance, its number, and whether the task was ended."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_provider_scenario.airflow_compat.exceptions import AirflowTaskTimeout

if TYPE_CHECKING:
    from airflow.sdk import Context
    from airflow.triggers.base import BaseTrigger

T = TypeVar("T")

_ACTIVE_STATES = frozenset({"running", "up_for_retry", "up_for_reschedule", "scheduled", "queued", "deferred"})
"""
The states of a task that was not ended. This attempt may be over all the same: Airflow gives it up after missed
heartbeats, as when the API server was down, and starts the next one while the old process still runs.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """
    One attempt of one task instance.

    :param map_index: -1 for a task that is not mapped.
    :param iteration: of the loop that the task is in (3.4); None outside a loop.
    :param region_id: id of the loop or the expansion that has made the task instance (3.4); a new one when a clear
        makes Airflow expand again; None on older minors and for a plain task.
    :param try_number: 1 for the first attempt; grows with each retry and each clear.
    :param max_tries: ``retries`` at first; Airflow raises it when a finished task is cleared, and only then.
    """

    dag_id: str
    run_id: str
    task_id: str
    map_index: int = -1
    iteration: int | None = None
    region_id: str | None = None
    try_number: int = 1
    max_tries: int = 0

    @classmethod
    def of_context(cls, context: Context) -> Attempt:
        """
        Return the attempt of a task's context.

        Relies on ``region_id`` of the runtime task instance (3.4; nil outside a region) and on ``loop`` in the context
        (3.4). Where they are missing there are no loops.
        """
        ti: Any = context["ti"]
        loop: Any = context.get("loop")
        region = getattr(ti, "region_id", None)
        return cls(
            dag_id=ti.dag_id,
            run_id=ti.run_id,
            task_id=ti.task_id,
            map_index=-1 if ti.map_index is None else ti.map_index,
            iteration=None if loop is None else loop.index,
            region_id=str(region) if region is not None and region.int else None,
            try_number=ti.try_number,
            max_tries=ti.max_tries,
        )

    @classmethod
    def of_trigger(cls, trigger: BaseTrigger) -> Attempt:
        """
        Return the attempt that a trigger waits for.

        Relies on ``BaseTrigger.task_instance``, which the triggerer sets before it runs the trigger (3.1). A triggerer
        does not know the iteration of a loop, nor ``max_tries``.

        :raises LookupError: it has none, as in ``dag.test()``.
        """
        ti: Any = trigger.task_instance
        if ti is None:
            raise LookupError("the trigger has no task instance")
        map_index = -1 if ti.map_index is None else ti.map_index
        return cls(dag_id=ti.dag_id, run_id=ti.run_id, task_id=ti.task_id, map_index=map_index)

    @property
    def is_first(self) -> bool:
        """Whether its number says that it is the first attempt of this task instance."""
        return self.try_number == 1

    def is_retry(self, retries: int | None) -> bool:
        """
        Whether there was an earlier attempt since a person last cleared the finished task.

        Relies on the scheduler's arithmetic, which the SDK itself uses (``get_first_reschedule_date``): clearing a
        finished task raises ``max_tries`` to the tries made plus ``retries``. Clearing a running task does not, so the
        next attempt looks like a retry.

        :param retries: of the task.
        """
        return self.try_number > self.max_tries - (retries or 0) + 1

    def state(self) -> str | None:
        """
        Read the task instance's state from Airflow.

        Call it in a thread only, never on an event loop: it waits for the supervisor. Relies on
        ``RuntimeTaskInstance.get_task_states`` (3.1). For a task in a loop that reports the latest iteration, so the
        finished task instances (``get_task_breadcrumbs``) are searched first.

        :return: such as ``deferred``; None just after a clear.
        :raises LookupError: there is no supervisor, as outside of Airflow's processes.
        """
        from airflow.sdk.execution_time import task_runner

        if not hasattr(task_runner, "SUPERVISOR_COMMS"):
            raise LookupError("there is no supervisor")
        ti: Any = task_runner.RuntimeTaskInstance
        if self.iteration is not None and (final := self._final_state(ti)):
            return final
        states = ti.get_task_states(
            dag_id=self.dag_id,
            run_ids=[self.run_id],
            task_ids=[self.task_id],
            map_index=self.map_index if self.map_index >= 0 else None,
        )
        # There is one task instance in the answer; mapped ones are named task_id_mapindex.
        state = next((str(state) if state else None for state in states.get(self.run_id, {}).values()), None)
        if self.iteration is not None and state is not None and state not in _ACTIVE_STATES and state != "restarting":
            return "running"  # that is another iteration; ours is not among the finished ones
        return state

    def _final_state(self, ti: Any) -> str | None:
        for row in ti.get_task_breadcrumbs(self.dag_id, self.run_id):
            if (row["task_id"], row["map_index"], str(row.get("region_id"))) != (
                self.task_id,
                self.map_index,
                self.region_id,
            ):
                continue
            if self.map_index >= 0 or row.get("region_index") == self.iteration:
                return str(row["state"])
        return None


def is_ended(state: str | None) -> bool:
    """Whether a person or a time limit has ended a task in this state; if not, only this attempt may be over."""
    return state not in _ACTIVE_STATES


def is_task_timeout() -> bool:
    """
    Whether ``on_kill`` was called for the task's own ``execution_timeout``.

    Relies on the task runner, which calls it while it handles the exception (3.1).
    """
    return isinstance(sys.exc_info()[1], AirflowTaskTimeout)


def call_with_timeout(function: Callable[[], T], seconds: float) -> T:
    """
    Call a function in another thread and return its result.

    In the thread of a signal handler the call could hang for ever: the handler may have interrupted that thread while
    it held the lock that the function needs.

    :raises TimeoutError: there is no result within that many seconds.
    """
    results: list[T] = []
    problems: list[BaseException] = []

    def call() -> None:
        try:
            results.append(function())
        except BaseException as problem:
            problems.append(problem)

    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    thread.join(seconds)
    if problems:
        raise problems[0]
    if not results:
        raise TimeoutError(f"no answer within {seconds:g} s")
    return results[0]
