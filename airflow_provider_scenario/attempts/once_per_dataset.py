"""
Train each dataset once in a project, whichever task, run or DAG asks for it.

Scenario is the record: a model that is made of a dataset says so in its short description, with a
:class:`DatasetMarker`. Before a task makes a model of its own, it looks for one with the same marker; after that it
looks again, because another task may have done the same at the same moment. The older of two models stays.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from time import sleep
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_provider_scenario.attempts.once import create_marked
from airflow_provider_scenario.client.errors import NotFoundError
from airflow_provider_scenario.client.scenario.trainers import without_secrets
from airflow_provider_scenario.datasets.images import DatasetImage
from airflow_provider_scenario.provenance import DatasetMarker, Marker, digest
from airflow_provider_scenario.storage import map_in_threads

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_scenario.airflow_compat.types import Logger
    from airflow_provider_scenario.attempts.record import EarlierAttempts
    from airflow_provider_scenario.client.scenario.client import ScenarioClient
    from airflow_provider_scenario.client.scenario.models import ModelFilters
    from airflow_provider_scenario.client.scenario.schemas import Model
    from airflow_provider_scenario.datasets import Dataset

PATIENCE = timedelta(minutes=10)
"""How long a model may stay ``new``, unchanged, until its task counts as dead: files are uploaded in that time."""

PAUSE = 10.0
"""Seconds between two looks at a model that another task is about to train."""

_ORDER = ("trained", "training", "new")
"""A model in any other status does not count: its training has failed, or was cancelled."""

_LONG_AGO = datetime.min.replace(tzinfo=UTC)


class Found(NamedTuple):
    """
    The model of a dataset.

    :param is_taken: another task has trained it, or trains it: there is nothing to start or to pay.
    """

    model: Model
    is_taken: bool


def find_or_create(
    client: ScenarioClient,
    memory: EarlierAttempts,
    fields: dict[str, Any],
    dataset: Dataset,
    own: Model | None,
    *,
    cancel_on_kill: bool,
    turn: Callable[[], float],
    log: Logger,
) -> Found:
    """
    Return the model that is made of a dataset; this task's own where there is no other.

    A model that another task has left untrained is gone on with, not made again: a model is trained once, however many
    tasks ask for it, so that nothing is paid twice where that task comes back.

    :param fields: of the model, for :func:`create_marked`.
    :param own: the model that an earlier attempt of this task has created.
    :param cancel_on_kill: whether a training that this task has left behind when it was cleared is cancelled.
    :param turn: returns the seconds to wait for a turn in the request budget.
    """
    if own and own.status in ("trained", "training"):
        return Found(own, is_taken=False)
    marker = DatasetMarker(fingerprint(dataset, fields["type"]))
    since: datetime | None = None
    while True:
        models = _models_of(client, marker, since)
        other = _another(models, memory, own, cancel_on_kill=cancel_on_kill)
        if other is None:
            if own:
                return Found(own, is_taken=False)
            own = create_marked(client, memory, fields, dataset=marker)
            since = own.created_at and own.created_at - PATIENCE  # older ones were seen at the first look
            continue
        if own and own.status == "new":
            log.info("Another task has made %s of the same dataset: %s is deleted, untrained.", other.id, own.id)
            with suppress(NotFoundError):
                client.delete_model(own.id)
        own = since = None
        if other := _prepared(client, memory, other, turn, log):
            return _found(other, log)


def fingerprint(dataset: Dataset, model_type: str) -> str:
    """
    Return 16 digits that are the same for the same images, captions, pairs, ``training.yaml`` and model type.

    The names of the images do not count, nor do the DAG's own parameters: a DAG that is changed must not pay for
    everything again. Reads every file.
    """
    hashes = map_in_threads(DatasetImage.content_hash, dataset.images)
    named = dict(zip((image.asset_id or image.name for image in dataset.images), hashes, strict=True))
    named |= dict(zip((image.name for image in dataset.images), hashes, strict=True))
    learned = sorted([content, image.caption or ""] for content, image in zip(hashes, dataset.images, strict=True))
    pairs = sorted(
        [named.get(pair["source"], ""), named.get(pair["target"], ""), pair.get("instruction") or ""]
        for pair in dataset.pairs or []
    )
    return digest([model_type, learned, pairs, without_secrets(dataset.parameters)], 16)


def _models_of(client: ScenarioClient, marker: DatasetMarker, since: datetime | None) -> list[Model]:
    """The models that are made of a dataset, in any status."""
    filters: ModelFilters = {"page_size": 500}
    if since:
        filters |= {"sort_by": "createdAt", "created_after": since}
    return [model for model in client.list_models(**filters) if DatasetMarker.find(model.short_description) == marker]


def _another(models: list[Model], memory: EarlierAttempts, own: Model | None, *, cancel_on_kill: bool) -> Model | None:
    """The model to which this task gives way: a trained one, else one that trains, else the oldest that is to be."""

    def counts(model: Model) -> bool:
        if model.status not in _ORDER or (own and model.id == own.id):
            return False
        if model.status == "training" and cancel_on_kill:  # left behind when the task was cleared, and being cancelled
            return not memory.is_of_this_task(Marker.find(model.short_description))
        # Of two that are to be trained the older one is. One that has failed gives way to any.
        return model.status != "new" or own is None or own.status != "new" or _age(model) < _age(own)

    found = filter(counts, models)
    return min(found, key=lambda model: (_ORDER.index(model.status or ""), _age(model)), default=None)


def _age(model: Model) -> tuple[datetime, str]:
    """Less for an older one; the same for every task that asks."""
    return model.created_at or _LONG_AGO, model.id


def _prepared(
    client: ScenarioClient, memory: EarlierAttempts, model: Model, turn: Callable[[], float], log: Logger
) -> Model | None:
    """The model once its task has begun to train it, or does not work on it; None if it came to nothing."""

    def is_worked_on(model: Model) -> bool:
        touched = max(model.created_at or _LONG_AGO, model.updated_at or _LONG_AGO)
        return model.status == "new" and not memory.has_made(model) and datetime.now(UTC) < touched + PATIENCE

    if is_worked_on(model):
        log.info("Another task is about to train the same dataset as %s: waiting until it does.", model.id)
    try:
        while is_worked_on(model):
            sleep(PAUSE + turn())
            model = client.get_model(model.id)
    except NotFoundError:
        return None
    return model if model.status in _ORDER else None


def _found(model: Model, log: Logger) -> Found:
    again = "To train it again, leave once_per_dataset out, or delete that model in Scenario."
    if model.status == "trained":
        log.info(
            "This dataset is trained already: %r (%s). Nothing is started or paid. %s", model.name, model.id, again
        )
    elif model.status == "training":
        log.info("This dataset is being trained as %r (%s): waiting for that.", model.name, model.id)
    else:
        log.info("%r (%s) of this dataset was left untrained: going on with it.", model.name, model.id)
    return Found(model, is_taken=model.status != "new")
