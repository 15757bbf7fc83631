"""Actions on the page for viewers who may edit the DAG; :mod:`.access` checks that right first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_scenario.client.errors import InvalidInputError
from airflow_provider_scenario.plugin.values import epoch_number
from airflow_provider_scenario.watch.cancelling import cancel_training

if TYPE_CHECKING:
    from airflow_provider_scenario.plugin.lookup import ScenarioLookup
    from airflow_provider_scenario.plugin.trainings import Training


def can_choose_epoch(model_type: str | None) -> bool:
    """Whether Scenario lets users choose an epoch of this type of model: of LoRAs of the Flux.1 family."""
    return bool(model_type) and str(model_type).startswith("flux.1") and str(model_type).endswith("-lora")


def cancel(lookup: ScenarioLookup, training: Training) -> str:
    """
    Cancel the training; never another one that was started on the same model since.

    :return: the result, as a sentence.
    """
    model_id = str(training.model_id)
    try:
        return cancel_training(lookup.client(), model_id, training.job_id).text
    finally:
        lookup.forget(model_id)


def choose_epoch(lookup: ScenarioLookup, training: Training, epoch: str) -> str:
    """
    Make the model use one of its epochs.

    :return: the result, as a sentence.
    :raises InvalidInputError: the model has no such epoch.
    """
    model_id, client = str(training.model_id), lookup.client()
    epochs = [each.epoch for each in client.get_model(model_id).epochs]
    if epoch not in epochs:
        raise InvalidInputError(f"{model_id} has no epoch {epoch_number(epoch)!r}. Nothing was changed.")
    try:
        client.update_model(model_id, epoch=epoch)
    finally:
        lookup.forget(model_id)
    return f"{model_id} uses epoch {epoch_number(epoch)} from now on."
