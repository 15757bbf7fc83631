"""What those who may edit the DAG can do on the page. Who may is asked before; see :mod:`.access`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_scenario.client.errors import InvalidInputError
from airflow_provider_scenario.plugin.values import epoch_number
from airflow_provider_scenario.watch.cancelling import cancel_training

if TYPE_CHECKING:
    from airflow_provider_scenario.plugin.lookup import ScenarioLookup
    from airflow_provider_scenario.plugin.trainings import Training


def can_choose_epoch(model_type: str | None) -> bool:
    """Whether Scenario lets one choose: it does for the LoRAs of the Flux.1 family."""
    return bool(model_type) and str(model_type).startswith("flux.1") and str(model_type).endswith("-lora")


def cancel(line: ScenarioLookup, training: Training) -> str:
    """
    Cancel the training; never another one that has begun on the same model since.

    :return: what became of it, as a sentence.
    """
    model_id = str(training.model_id)
    try:
        return cancel_training(line.client(), model_id, training.job_id).text
    finally:
        line.forget(model_id)


def choose_epoch(line: ScenarioLookup, training: Training, epoch: str) -> str:
    """
    Let the model use one of its epochs.

    :return: what was done, as a sentence.
    :raises InvalidInputError: it has no such epoch.
    """
    model_id, client = str(training.model_id), line.client()
    epochs = [each.epoch for each in client.get_model(model_id).epochs]
    if epoch not in epochs:
        raise InvalidInputError(f"{model_id} has no epoch {epoch_number(epoch)!r}. Nothing was changed.")
    try:
        client.update_model(model_id, epoch=epoch)
    finally:
        line.forget(model_id)
    return f"{model_id} uses epoch {epoch_number(epoch)} from now on."
