"""Scenario's own score of an uploaded dataset, as warnings for the log."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from airflow_provider_scenario.client.errors import ScenarioError
from airflow_provider_scenario.datasets.review import EMPTY_CAPTION, NO_CAPTION, RECOMMENDED_SIDE, SAME, TOO_SMALL

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from airflow_provider_scenario.client.scenario.client import ScenarioClient
    from airflow_provider_scenario.client.scenario.schemas import DatasetScore, Model

log = logging.getLogger(__name__)

# Scenario's message (as in the vendor's SDK) → the words of our warning. A message may be about one image or a couple.
_FLAWS = {
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
_MAX_LISTED = 10


def dataset_warnings(
    client: ScenarioClient, model_id: str, *, model: Model | None = None, already_logged: Collection[str] = ()
) -> list[str]:
    """
    Return one warning for each kind of flaw that Scenario finds in the dataset of a model, with the images' names.

    A score that cannot be read must not stop a training: there are no warnings then.

    :param model: the model with its training images, if the caller has read it already.
    :param already_logged: Scenario's messages to leave out.
    """
    try:
        score = client.get_dataset_score(model_id)
        if not (score.assets_warnings or score.asset_couples_warnings):
            return []
        return list(_warnings(score, model or client.get_model(model_id), already_logged))
    except ScenarioError as error:
        log.debug("The dataset score of %s cannot be read: %s", model_id, error)
        return []


def _warnings(score: DatasetScore, model: Model, already_logged: Collection[str]) -> Iterator[str]:
    names = {image.id: image.name or image.id for image in model.training_images}
    for message, images in _images_by_message(score, model).items():
        if message in already_logged:
            continue
        groups = [sorted(names.get(image, image) for image in group) for group in _merge_overlapping(images)]
        count = sum(map(len, groups))
        flaw = _FLAWS.get(message, f"about which Scenario says {message!r}")
        yield f"Dataset: {count} image{'s' if count > 1 else ''} {flaw}: {_list_groups(groups)}."


def _images_by_message(score: DatasetScore, model: Model) -> dict[str, list[set[str]]]:
    """Scenario's message → image ids: one for a flaw of an image, two for a flaw of a couple."""
    edits = [{pair.source_id, pair.target_id} for pair in model.training_image_pairs]
    found: dict[str, list[set[str]]] = {}
    for warning in score.assets_warnings:
        for message in warning.message:
            found.setdefault(message, []).append({warning.asset_id or "an image"})
    for couple in score.asset_couples_warnings:
        for message in couple.message:
            # The source and the target of an edit should be alike.
            if message != "Similarity is too high" or set(couple.couple) not in edits:
                found.setdefault(message, []).append(set(couple.couple))
    return found


def _merge_overlapping(couples: Iterable[set[str]]) -> list[set[str]]:
    """Merge couples with a common image: A like B and B like C is one group of three."""
    groups: list[set[str]] = []
    for couple in couples:
        touching = [group for group in groups if group & couple]
        groups = [group for group in groups if group not in touching] + [couple.union(*touching)]
    return groups


def _list_groups(groups: list[list[str]]) -> str:
    """``a = b, c = d``, cut if it is long."""
    listed = [
        " = ".join(group[:_MAX_LISTED]) + (" = …" if len(group) > _MAX_LISTED else "") for group in sorted(groups)
    ]
    more = f" and {len(listed) - _MAX_LISTED} more" if len(listed) > _MAX_LISTED else ""
    return ", ".join(listed[:_MAX_LISTED]) + more
