"""Cancel the training of an attempt before the clear, if this attempt does not continue it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_scenario.client.consequences import TRAINING_MAY_CONTINUE
from airflow_provider_scenario.client.errors import ScenarioError
from airflow_provider_scenario.watch.cancelling import StoppableTraining

if TYPE_CHECKING:
    from airflow_provider_scenario.airflow_compat.types import Logger
    from airflow_provider_scenario.attempts.earlier import EarlierAttempts
    from airflow_provider_scenario.client.scenario.client import ScenarioClient


def cancel_training_before_clear(
    client: ScenarioClient, earlier: EarlierAttempts, log: Logger, *, except_model_id: str | None = None
) -> None:
    """
    Cancel what this task was training when a person cleared it to train anew: no task waits for that training.

    The trigger of the old attempt usually cancels it. It does not if no triggerer is alive, nor if this attempt defers
    before the trigger reads the task's state: the trigger then reads `deferred` and cancels nothing.

    :param except_model_id: the model that this attempt trains.
    """
    old = earlier.before_clear
    if old is None or not old.model_id or old.model_id == except_model_id:
        return
    try:
        model = client.get_model(old.model_id)
        if model.status == "training" and model.job_id and earlier.this_task_started(client, model, model.job_id):
            training = StoppableTraining(model_id=model.id, job_id=model.job_id)
            training.cancel(client).log_to(log, "The task was cleared.")
    except ScenarioError as error:
        log.warning("Model %s: %s Cannot cancel it: %s", old.model_id, TRAINING_MAY_CONTINUE, error)
