"""What is checked right before a training is paid for: its parameters, its dataset and its price."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from airflow_provider_scenario.client.errors import InvalidInputError, ScenarioError
from airflow_provider_scenario.client.scenario.trainers import check_training, without_secrets
from airflow_provider_scenario.datasets.review import EMPTY_CAPTION, NO_CAPTION, RECOMMENDED_SIDE, SAME, TOO_SMALL

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from airflow_provider_scenario.airflow_compat.types import Logger
    from airflow_provider_scenario.client.scenario.client import ScenarioClient
    from airflow_provider_scenario.client.scenario.schemas import DatasetScore, Model

log = logging.getLogger(__name__)

# The service's words (vendor's SDK), and what an author is to make of them; both kinds may be said of one image or two.
_MEANING = {
    TOO_SMALL: f"smaller than the recommended {RECOMMENDED_SIDE} pixels on a side",
    NO_CAPTION: "without a caption",
    EMPTY_CAPTION: "with an empty caption",
    "Missing metadata": "without metadata",
    "Similarity with other assets is too low": "that are too unlike the others",
    "Similarity is too high": "that are too alike",
    SAME: "that are the same",
    "Captions are identical": "with identical captions",
    "Captions are too close": "with almost identical captions",
}
_SHOWN = 10


def check_before_paying(
    client: ScenarioClient,
    model: Model,
    parameters: Mapping[str, Any] | None,
    limit: float | None,
    log: Logger,
    *,
    covered: Collection[str] = (),
) -> dict[str, Any]:
    """
    Refuse whatever Scenario would refuse, and what is too dear.

    :param model: as just read; one that is being trained already is only checked for its parameters.
    :param limit: creative units that the training may cost; None: any.
    :param covered: what has been said of the dataset before it was uploaded, in the service's words.
    :return: the parameters, in the API's spelling.
    :raises InvalidInputError: says what would be right. Nothing was started or billed.
    """
    checked, warnings = check_training(model, parameters)
    if model.status == "training":
        return checked
    if model.training_images and model.type != "elevenlabs-voice":  # recordings have no captions to judge
        warnings += dataset_warnings(client, model.id, model=model, covered=covered)
    for warning in warnings:
        log.warning("%s", warning)
    if limit is not None:
        price = client.quote_training(model.id, without_secrets(checked)).creative_units_cost
        if price is None or price > limit:
            quoted = "an unknown number of" if price is None else f"{price:g}"
            raise InvalidInputError(
                f"Training {model.id} would cost {quoted} creative units; max_creative_units is {limit:g}. "
                "Nothing was started or billed."
            )
        log.info("Training %s will cost %g creative units, of at most %g.", model.id, price, limit)
    return checked


def dataset_warnings(
    client: ScenarioClient, model_id: str, *, model: Model | None = None, covered: Collection[str] = ()
) -> list[str]:
    """
    Say what Scenario holds against the dataset of a model: one line a kind of flaw, with the names of the images.

    A score that cannot be had keeps nobody from training: nothing is said then.

    :param model: the model with its training images, where the caller has read it already.
    :param covered: what is left out, in the service's words.
    """
    try:
        score = client.get_dataset_score(model_id)
        if not (score.assets_warnings or score.asset_couples_warnings):
            return []
        return list(_lines(score, model or client.get_model(model_id), covered))
    except ScenarioError as problem:
        log.debug("The dataset of %s could not be judged: %s", model_id, problem)
        return []


def _lines(score: DatasetScore, model: Model, covered: Collection[str]) -> Iterator[str]:
    names = {image.id: image.name or image.id for image in model.training_images}
    # Source and target of an edit are meant to be alike.
    meant = [{pair.source_id, pair.target_id} for pair in model.training_image_pairs]
    flaws: dict[str, list[set[str]]] = {}
    for warning in score.assets_warnings:
        for message in warning.message:
            flaws.setdefault(message, []).append({warning.asset_id or "an image"})
    for couple in score.asset_couples_warnings:
        for message in couple.message:
            if message != "Similarity is too high" or set(couple.couple) not in meant:
                flaws.setdefault(message, []).append(set(couple.couple))
    for message, found in flaws.items():
        if message in covered:
            continue
        groups = [sorted(names.get(image, image) for image in group) for group in _merged(found)]
        count = sum(map(len, groups))
        what = _MEANING.get(message, f"of which Scenario says {message!r}")
        yield f"Dataset: {count} image{'s' if count > 1 else ''} {what}: {_shown(groups)}."


def _merged(couples: Iterable[set[str]]) -> list[set[str]]:
    """A like B and B like C is one group of three."""
    groups: list[set[str]] = []
    for couple in couples:
        touching = [group for group in groups if group & couple]
        groups = [group for group in groups if group not in touching] + [couple.union(*touching)]
    return groups


def _shown(groups: list[list[str]]) -> str:
    """``a = b, c = d``; cut where it gets long."""
    shown = [" = ".join(group[:_SHOWN]) + (" = …" if len(group) > _SHOWN else "") for group in sorted(groups)]
    more = f" and {len(shown) - _SHOWN} more" if len(shown) > _SHOWN else ""
    return ", ".join(shown[:_SHOWN]) + more
