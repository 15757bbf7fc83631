"""Checks right before a training is paid for: its parameters, its dataset and its price."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_scenario.client.consequences import NOTHING_STARTED
from airflow_provider_scenario.client.errors import InvalidInputError
from airflow_provider_scenario.client.scenario.trainers import check_training
from airflow_provider_scenario.datasets.score import dataset_warnings

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from airflow_provider_scenario.airflow_compat.types import Logger
    from airflow_provider_scenario.client.scenario.client import ScenarioClient
    from airflow_provider_scenario.client.scenario.schemas import Model
    from airflow_provider_scenario.client.scenario.trainers import CheckedParameters


def check_before_paying(
    client: ScenarioClient,
    model: Model,
    parameters: Mapping[str, Any] | None,
    limit: float | None,
    log: Logger,
    *,
    already_logged: Collection[str] = (),
) -> CheckedParameters:
    """
    Refuse what Scenario would refuse, and a price above the limit; log warnings.

    :param model: as just read; of a model that is being trained only the parameters are checked.
    :param limit: creative units that the training may cost. None: no limit.
    :param already_logged: flaws of the dataset that were logged before the upload, in Scenario's words.
    :return: the parameters, checked for the type of the model.
    :raises InvalidInputError: says what to change. Nothing was started or billed.
    """
    checked, warnings = check_training(model, parameters)
    if model.status == "training":
        return checked
    if model.training_images and model.type != "elevenlabs-voice":  # recordings have no captions to judge
        warnings += dataset_warnings(client, model.id, model=model, already_logged=already_logged)
    for warning in warnings:
        log.warning("%s", warning)
    if limit is not None:
        price = client.quote_training(model.id, checked.without_secrets()).creative_units_cost
        if price is None or price > limit:
            quoted = "an unknown number of" if price is None else f"{price:g}"
            raise InvalidInputError(
                f"Training {model.id} would cost {quoted} creative units; max_creative_units is {limit:g}. "
                f"{NOTHING_STARTED}"
            )
        log.info("Training %s will cost %g creative units, of at most %g.", model.id, price, limit)
    return checked
