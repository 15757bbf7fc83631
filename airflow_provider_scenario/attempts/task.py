"""The protocol of a training operator: operators import this package, so it cannot import them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NoReturn, Protocol, TypedDict

if TYPE_CHECKING:
    from datetime import timedelta

    from airflow.sdk import Context
    from airflow.triggers.base import BaseTrigger

    from airflow_provider_scenario.airflow_compat.types import Logger
    from airflow_provider_scenario.attempts.earlier import OnClear, OnRetry
    from airflow_provider_scenario.hooks.scenario import ScenarioHook
    from airflow_provider_scenario.lineage.notes import LineageNotes
    from airflow_provider_scenario.watch.cancelling import KillHandler


class PushedXComs(TypedDict):
    """XComs for other tasks and for the page, pushed when the training has started; ``model_id`` is pushed before."""

    job_id: str | None
    creative_units_cost: float | None


class DeferredKwargs(TypedDict, total=False):
    """
    What ``execute_complete`` receives beside the event. Airflow stores it while the task is deferred.

    :param pushed_xcoms: the XComs that are pushed already.
    :param adopted_at: when this attempt adopted a running training of its own task, as a Unix time in seconds.
    :param is_ours: whether this task has started the training. Missing: decide by the record.
    """

    pushed_xcoms: PushedXComs
    adopted_at: float | None
    is_ours: bool


class TrainingTask(Protocol):
    """An operator that trains a model; its arguments are described there."""

    wait_for_completion: bool
    poke_interval: float
    timeout: float
    deferrable: bool
    cancel_on_kill: bool
    on_clear: OnClear
    on_retry: OnRetry
    scenario_conn_id: str
    task_id: str
    retries: int | None
    execution_timeout: timedelta | None
    do_xcom_push: bool
    outlets: list[Any]

    @property
    def log(self) -> Logger: ...

    @property
    def hook(self) -> ScenarioHook: ...

    @property
    def kill_handler(self) -> KillHandler: ...

    @property
    def lineage_notes(self) -> LineageNotes: ...

    def deferred_lineage(self) -> dict[str, Any]: ...

    def ends_in_triggerer(self, context: Context) -> bool: ...

    def defer(
        self,
        *,
        trigger: BaseTrigger,
        method_name: str,
        kwargs: dict[str, Any] | None = None,
        timeout: timedelta | int | float | None = None,
    ) -> NoReturn: ...


def deadline_of(task: TrainingTask, context: Context) -> float:
    """When the waiting ends, as a Unix time in seconds; in the worker Airflow enforces ``execution_timeout`` itself."""
    deadline = time.time() + task.timeout
    started = context["ti"].start_date
    if task.deferrable and task.execution_timeout and started:
        deadline = min(deadline, (started + task.execution_timeout).timestamp())
    return deadline


def time_limit_of(task: TrainingTask) -> str:
    """For messages: the shorter one of the author's two limits."""
    limit = task.execution_timeout
    if limit is not None and limit.total_seconds() < task.timeout:
        return f"execution_timeout={limit}"
    return f"timeout={task.timeout:g} s"


def push_total(context: Context, total: float, last: float | None) -> None:
    """Push what all attempts have paid, unless it is the cost of the last training, which is an XCom already."""
    if total != (last or 0):
        context["ti"].xcom_push(key="creative_units_total", value=total)


def own_xcom(task: TrainingTask, context: Context, key: str) -> Any:
    """Read an XCom that this task instance has pushed before it was deferred."""
    return context["ti"].xcom_pull(task_ids=task.task_id, key=key, map_indexes=context["ti"].map_index)
