"""The attempt that runs: of which task instance it is, which one it is, and whether somebody has ended it."""

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

_GOES_ON = frozenset({"running", "up_for_retry", "up_for_reschedule", "scheduled", "queued", "deferred"})
"""
The states of a task that nobody has ended. The attempt may be over all the same: Airflow gives it up when it misses the
heartbeat, because the API server was away, say, and begins the next one while the old process still lives.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """
    One attempt of one task instance.

    :param map_index: -1 for a task that is not mapped.
    :param iteration: of the loop that the task is in (3.4); None outside a loop.
    :param region_id: names the loop or the expansion that has made the task instance (3.4), and changes when a clear
        lets Airflow make it anew; None on older minors and for a plain task.
    :param try_number: 1 for the first attempt; counts on through retries and clears.
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
        """Whether no attempt of this task instance came before, as far as its number tells."""
        return self.try_number == 1

    def is_retry(self, retries: int | None) -> bool:
        """
        Whether an attempt came before since a person has last cleared the finished task.

        Relies on the scheduler's arithmetic, which the SDK itself uses (``get_first_reschedule_date``): clearing a
        finished task raises ``max_tries`` to the tries made plus ``retries``. Clearing a running task does not, so the
        next attempt looks like a retry.

        :param retries: of the task.
        """
        return self.try_number > self.max_tries - (retries or 0) + 1

    def state(self) -> str | None:
        """
        Ask Airflow for the task instance's state.

        From a thread only, never on an event loop: it asks the supervisor and waits for the answer. Relies on
        ``RuntimeTaskInstance.get_task_states`` (3.1). For a task in a loop that reports the latest iteration, so the
        finished task instances (``get_task_breadcrumbs``) are looked through first.

        :return: such as ``deferred``; None where it has none, having just been cleared.
        :raises LookupError: nobody is there to ask, as outside of Airflow's processes.
        """
        from airflow.sdk.execution_time import task_runner

        if not hasattr(task_runner, "SUPERVISOR_COMMS"):
            raise LookupError("no supervisor is there to ask")
        ti: Any = task_runner.RuntimeTaskInstance
        if self.iteration is not None and (final := self._final_state(ti)):
            return final
        states = ti.get_task_states(
            dag_id=self.dag_id,
            run_ids=[self.run_id],
            task_ids=[self.task_id],
            map_index=self.map_index if self.map_index >= 0 else None,
        )
        # One task instance was asked for; mapped ones are named task_id_mapindex.
        state = next((str(state) if state else None for state in states.get(self.run_id, {}).values()), None)
        if self.iteration is not None and state is not None and state not in _GOES_ON and state != "restarting":
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
    """Whether a task in this state was ended by a person or a time limit; else only this process of it may be over."""
    return state not in _GOES_ON


def is_task_timeout() -> bool:
    """
    Whether ``on_kill`` was called for the task's own ``execution_timeout``.

    Relies on the task runner, which calls it while it handles the exception (3.1).
    """
    return isinstance(sys.exc_info()[1], AirflowTaskTimeout)


def in_time(question: Callable[[], T], seconds: float) -> T:
    """
    The answer to a question that may hang.

    A signal handler may have interrupted its own thread in the middle of a question, and would wait for itself.

    :raises TimeoutError: no answer within that many seconds.
    """
    answers: list[T] = []
    problems: list[BaseException] = []

    def ask() -> None:
        try:
            answers.append(question())
        except BaseException as problem:
            problems.append(problem)

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(seconds)
    if problems:
        raise problems[0]
    if not answers:
        raise TimeoutError(f"no answer within {seconds:g} s")
    return answers[0]
