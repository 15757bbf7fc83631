"""Ends a task after its training: its result or error, its XComs, and whether Airflow retries it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from airflow_provider_scenario.assets import add_to_outlet_events
from airflow_provider_scenario.attempts.earlier import EarlierAttempts
from airflow_provider_scenario.attempts.record import record_final_cost, record_given_up
from airflow_provider_scenario.attempts.task import own_xcom, push_total, time_limit_of
from airflow_provider_scenario.client.consequences import NOT_RETRIED
from airflow_provider_scenario.client.errors import ScenarioError
from airflow_provider_scenario.exceptions import (
    TrainingFailedError,
    TrainingFailedForGoodError,
    TrainingTimeoutError,
    TrainingTimeoutForGoodError,
)
from airflow_provider_scenario.watch.cancelling import IN_TIMEOUT, StoppableTraining

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_scenario.attempts.task import PushedXComs, TrainingTask
    from airflow_provider_scenario.client.scenario.client import ScenarioClient
    from airflow_provider_scenario.watch.cancelling import CancelResult
    from airflow_provider_scenario.watch.result import TrainingResult
    from airflow_provider_scenario.watch.start import TaskResult

_NOT_RETRIED_ERRORS: dict[type[Exception], type[Exception]] = {
    TrainingFailedError: TrainingFailedForGoodError,
    TrainingTimeoutError: TrainingTimeoutForGoodError,
}


def conclude(
    task: TrainingTask,
    context: Context,
    result: TrainingResult,
    *,
    pushed_xcoms: PushedXComs | None = None,
    is_ours: bool | None = None,
) -> TaskResult:
    """
    Return the task's result, or raise its error; the cost is pushed and recorded either way.

    :param pushed_xcoms: the XComs that are pushed already.
    :param is_ours: whether this task has started the training. None: decide by the record.
    :raises TrainingFailedForGoodError: the training has failed, and a retry must not pay again.
    :raises TrainingTimeoutForGoodError: the training was cancelled at the deadline, and a retry must not pay again.
    """
    needs_new_training = result.outcome == "failed"
    if result.outcome == "timed-out":
        result, needs_new_training = _after_deadline(task, context, result, is_ours=is_ours)
    pushed: PushedXComs = pushed_xcoms or {"job_id": None, "creative_units_cost": None}
    result = _with_cost(task, context, result, pushed)
    _push_xcoms(context, result, pushed)
    pays = is_ours is not False
    total = record_final_cost(context, result.job_id, creative_units=result.creative_units_cost, is_ours=pays)
    push_total(context, total, result.creative_units_cost)
    task.lineage_notes.note_end(result, total, is_ours=pays)
    if is_ours and result.model_id and result.job_id != pushed.get("job_id"):  # the trigger has started it
        task.hook.show_model(context, result.model_id, job_id=result.job_id, is_ours=True)
    try:
        returned = result.value_or_raise(creative_units_total=total, time_limit=time_limit_of(task))
    except (TrainingFailedError, TrainingTimeoutError) as error:
        if needs_new_training and pays and task.on_retry == "resume":
            raise _NOT_RETRIED_ERRORS[type(error)](f"{error} {NOT_RETRIED}") from None
        raise
    add_to_outlet_events(context, task.outlets, returned)
    return returned


def _with_cost(task: TrainingTask, context: Context, result: TrainingResult, pushed: PushedXComs) -> TrainingResult:
    """If the job has no cost, the price from the start of the training counts."""
    if result.creative_units_cost is not None:
        return result
    price = pushed.get("creative_units_cost") or own_xcom(task, context, "creative_units_cost")
    return replace(result, creative_units_cost=price)


def _push_xcoms(context: Context, result: TrainingResult, pushed: PushedXComs) -> None:
    for key, value in (("job_id", result.job_id), ("creative_units_cost", result.creative_units_cost)):
        if value is not None and value != pushed.get(key):
            context["ti"].xcom_push(key=key, value=value)


def _after_deadline(
    task: TrainingTask, context: Context, result: TrainingResult, *, is_ours: bool | None
) -> tuple[TrainingResult, bool]:
    """
    Poll once more, since the training may have ended while no process polled it; else cancel it if that is allowed.

    :return: the result, and whether the training is over for certain without a model: then a retry would pay again.
    """
    from airflow_provider_scenario.watch.polling import fetch_missed_end

    with task.hook.connect(timeout=IN_TIMEOUT.timeout, max_tries=1) as client:
        if missed := fetch_missed_end(client, result.model_id, result.job_id):
            return missed, missed.outcome == "failed"
        cancelled = _cancel_after_deadline(task, context, client, result, is_ours=is_ours)
    if result.error and cancelled.effect in ("over", "continues"):
        return result, False  # the trigger waited for a slot: it knows better whether anything was started
    return replace(result, error=cancelled.text), cancelled.effect == "cancelled"


def _cancel_after_deadline(
    task: TrainingTask, context: Context, client: ScenarioClient, result: TrainingResult, *, is_ours: bool | None
) -> CancelResult:
    training = StoppableTraining(
        model_id=result.model_id or "",
        job_id=result.job_id,
        cancel_on_kill=task.cancel_on_kill and bool(result.model_id),
    )
    if is_ours is None and training.cancel_on_kill and result.job_id:
        earlier = EarlierAttempts(context, task.task_id, None, on_clear=task.on_clear, retries=task.retries)
        try:
            is_ours = earlier.this_task_started(client, client.get_model(training.model_id), result.job_id)
        except ScenarioError as error:
            return training.could_not_be_cancelled(error)
    training = replace(training, is_ours=is_ours is not False)
    if not training.may_be_cancelled:
        return training.cancel(client)
    record_given_up(context, result.job_id)  # before the request: this attempt may die before it can report
    return training.cancel_at_once(task.hook.connect, IN_TIMEOUT)
