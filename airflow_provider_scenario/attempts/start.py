"""Start a training once: adopt the one that runs, or that an earlier attempt has started."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from airflow_provider_scenario import pacing
from airflow_provider_scenario.client.consequences import MAY_HAVE_STARTED, NOTHING_STARTED
from airflow_provider_scenario.client.errors import PlanCeilingError, ScenarioError
from airflow_provider_scenario.client.messages import shown
from airflow_provider_scenario.client.scenario.trainers import as_sent
from airflow_provider_scenario.exceptions import TrainingTimeoutError

if TYPE_CHECKING:
    from airflow_provider_scenario.attempts.earlier import EarlierAttempts
    from airflow_provider_scenario.attempts.task import TrainingTask
    from airflow_provider_scenario.client.scenario.client import ScenarioClient
    from airflow_provider_scenario.client.scenario.schemas import Model
    from airflow_provider_scenario.client.scenario.trainers import CheckedParameters
    from airflow_provider_scenario.watch.start import Started


class StartedOnce(NamedTuple):
    """
    A training that runs.

    :param is_ours: True if this task has started it, in this attempt or an earlier one.
    """

    started: Started
    is_ours: bool


def start_once(
    client: ScenarioClient,
    earlier: EarlierAttempts,
    model: Model,
    parameters: CheckedParameters,
    *,
    previous_job_id: str | None,
) -> StartedOnce:
    """
    Start the training of a model, or adopt the one that runs.

    The request is recorded before it is sent: if the response is lost, the next attempt knows of it.

    :param model: as just read.
    :param previous_job_id: the last job of the model when this task decided to train it.
    :raises PlanCeilingError: no slot is free (``frees_up``), or the plan allows no more.
    """
    from airflow_provider_scenario.watch.start import start_or_adopt

    requested_before = earlier.record is not None and earlier.record.requested
    if model.status != "training":
        earlier.update_record(model_id=model.id, previous_job_id=previous_job_id, requested=True)
    try:
        started = start_or_adopt(client, model, parameters, previous_job_id=previous_job_id)
    except ScenarioError as error:
        if error.money == "none" and not requested_before:
            earlier.update_record(requested=False)
        raise
    if started.refused and not requested_before:
        earlier.update_record(requested=False)
    is_ours = not started.adopted or earlier.earlier_attempt_started(client, model, started.job_id)
    if is_ours:
        earlier.record_started(model.id, started.job_id, started.creative_units_cost)
    else:
        earlier.update_record(model_id=model.id)
    return StartedOnce(started, is_ours)


def start_when_slot_is_free(
    task: TrainingTask,
    earlier: EarlierAttempts,
    model: Model,
    parameters: CheckedParameters,
    *,
    deadline: float,
    time_limit: str,
) -> StartedOnce:
    """
    Hold the worker and try to start the training every ``poke_interval``, until a slot of the plan is free.

    :param deadline: when to give up, as a Unix time in seconds.
    :param time_limit: for the message, the author's argument behind ``deadline``.
    :raises TrainingTimeoutError: no slot was free in time.
    """
    consequence = NOTHING_STARTED
    while time.time() < deadline:
        pause = min(task.poke_interval, pacing.longest_pause) + task.hook.budget.turn()
        time.sleep(max(0.0, min(pause, deadline - time.time())))
        task.kill_handler.stop_if_ended()
        try:
            current = task.hook.client.get_model(model.id)
            return start_once(task.hook.client, earlier, current, parameters, previous_job_id=model.job_id)
        except ScenarioError as error:
            if isinstance(error, PlanCeilingError) and error.frees_up:
                consequence = NOTHING_STARTED
                continue
            if error.permanent:
                raise
            task.log.info("The training of %s has not started yet: %s", model.id, error)
            if error.money == "unknown":
                consequence = MAY_HAVE_STARTED
    raise TrainingTimeoutError(f"No slot to train {model.id} was free within {time_limit}. {consequence}")


def parameter_differences(model: Model, parameters: CheckedParameters) -> list[str]:
    """Sentences about the parameters of an adopted training that differ from those of this task."""

    def spelled(name: str) -> str:
        return parameters.spelling(name) if name in parameters else name

    return [
        f"{model.id} is being trained with {spelled(name)}={shown(model.parameters[name])}, not with {shown(value)}. "
        "The running training is not replaced. To train with the new value, clear the task when it has ended."
        for name, value in as_sent(parameters.without_secrets()).items()
        if name in model.parameters and model.parameters[name] != value
    ]
