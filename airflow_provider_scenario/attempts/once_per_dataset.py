"""
Train each dataset once in a project, whichever task, run or DAG trains it first.

Scenario is the source of truth: the short description of a model carries the :class:`DatasetMarker` of its dataset.
Before a task creates a model it searches for one with the same marker. After that it searches again, because another
task may have created one at the same moment. Of two models the older one is trained.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from time import sleep
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_provider_scenario.attempts.create import create_marked_model
from airflow_provider_scenario.client.consequences import NOTHING_NEW
from airflow_provider_scenario.client.errors import NotFoundError
from airflow_provider_scenario.client.scenario.secret_parameters import without_secrets
from airflow_provider_scenario.datasets.images import DatasetImage
from airflow_provider_scenario.provenance import DatasetMarker, digest
from airflow_provider_scenario.storage import map_in_threads

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_scenario.airflow_compat.types import Logger
    from airflow_provider_scenario.attempts.earlier import EarlierAttempts
    from airflow_provider_scenario.client.scenario.client import ScenarioClient
    from airflow_provider_scenario.client.scenario.models import ModelFilters
    from airflow_provider_scenario.client.scenario.schemas import Model
    from airflow_provider_scenario.datasets import Dataset

UPLOAD_LIMIT = timedelta(minutes=10)
"""How long a model may stay ``new`` and unchanged while its task uploads files; then the task counts as dead."""

POLL_INTERVAL = 10.0
"""Seconds between two polls of a model that another task is about to train."""

_STATUSES = ("trained", "training", "new")
"""The statuses that count, best first. In any other status the training has failed or was cancelled."""

_LONG_AGO = datetime.min.replace(tzinfo=UTC)


class DatasetModel(NamedTuple):
    """
    The model of a dataset.

    :param is_anothers: True if another task has trained it or trains it: this task starts and pays nothing.
    """

    model: Model
    is_anothers: bool


def find_or_create_model_of(
    dataset: Dataset,
    client: ScenarioClient,
    earlier: EarlierAttempts,
    fields: dict[str, Any],
    own: Model | None,
    *,
    cancel_on_kill: bool,
    turn: Callable[[], float],
    log: Logger,
) -> DatasetModel:
    """
    Return the model of a dataset; create one for this task if there is none.

    A model that another task has left untrained is trained by this task. If that other task comes back, it finds the
    training: a model is trained once, so that nothing is paid twice.

    :param fields: of the model, for :func:`create_marked_model`.
    :param own: the model that an earlier attempt of this task has created.
    :param cancel_on_kill: whether the training of an attempt before the clear is cancelled.
    :param turn: returns the seconds until the next turn in the request budget.
    """
    if own and own.status in ("trained", "training"):
        return DatasetModel(own, is_anothers=False)
    marker = DatasetMarker(fingerprint(dataset, fields["type"]))
    created_after: datetime | None = None
    while True:
        models = _models_of(client, marker, created_after)
        other = _best_other_model(models, earlier, own, cancel_on_kill=cancel_on_kill)
        if other is None:
            if own:
                return DatasetModel(own, is_anothers=False)
            own = create_marked_model(client, earlier, fields, dataset=marker)
            # The first list had the older models; this only finds those that were created at the same moment.
            created_after = own.created_at and own.created_at - UPLOAD_LIMIT
            continue
        if own and own.status == "new":
            log.info(
                "Another task has created %s from the same dataset. This task deletes its own untrained model %s.",
                other.id,
                own.id,
            )
            with suppress(NotFoundError):
                client.delete_model(own.id)
        own = created_after = None
        if other := _wait_while_prepared(client, earlier, other, turn, log):
            _log_found(other, log)
            return DatasetModel(other, is_anothers=other.status != "new")


def fingerprint(dataset: Dataset, model_type: str) -> str:
    """
    Return 16 digits that are the same for the same images, captions, pairs, ``training.yaml`` and model type.

    The names of the images do not count, nor do the DAG's own parameters: a change of the DAG must not pay for all
    datasets again. Reads every file.
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


def _models_of(client: ScenarioClient, marker: DatasetMarker, created_after: datetime | None) -> list[Model]:
    """The models of a dataset, in any status."""
    filters: ModelFilters = {"page_size": 500}
    if created_after:
        filters |= {"sort_by": "createdAt", "created_after": created_after}
    return [model for model in client.list_models(**filters) if DatasetMarker.find(model.short_description) == marker]


def _best_other_model(
    models: list[Model], earlier: EarlierAttempts, own: Model | None, *, cancel_on_kill: bool
) -> Model | None:
    """The model to use instead of our own: a trained one, else one that trains, else the oldest new one."""

    def counts(model: Model) -> bool:
        if model.status not in _STATUSES or (own and model.id == own.id):
            return False
        if model.status == "training" and cancel_on_kill:  # if of an attempt before the clear, it is being cancelled
            return not earlier.has_created(model)
        # Of two new models the older one counts. A model of ours whose training has failed gives way to any.
        return model.status != "new" or own is None or own.status != "new" or _age(model) < _age(own)

    found = filter(counts, models)
    return min(found, key=lambda model: (_STATUSES.index(model.status or ""), _age(model)), default=None)


def _age(model: Model) -> tuple[datetime, str]:
    """Sorts older models first, in the same order in every task."""
    return model.created_at or _LONG_AGO, model.id


def _wait_while_prepared(
    client: ScenarioClient, earlier: EarlierAttempts, model: Model, turn: Callable[[], float], log: Logger
) -> Model | None:
    """
    Wait while another task uploads the images of a model.

    :return: the model; None if it was deleted, or its training has failed or was cancelled.
    """

    def is_prepared(model: Model) -> bool:
        touched = max(model.created_at or _LONG_AGO, model.updated_at or _LONG_AGO)
        return model.status == "new" and not earlier.has_created(model) and datetime.now(UTC) < touched + UPLOAD_LIMIT

    if is_prepared(model):
        log.info("Another task is about to train %s from the same dataset: waiting for it.", model.id)
    try:
        while is_prepared(model):
            sleep(POLL_INTERVAL + turn())
            model = client.get_model(model.id)
    except NotFoundError:
        return None
    return model if model.status in _STATUSES else None


def _log_found(model: Model, log: Logger) -> None:
    if model.status == "trained":
        log.info(
            "This dataset is trained already: %r (%s). %s To train it again, leave once_per_dataset out, or delete "
            "that model in Scenario.",
            *(model.name, model.id, NOTHING_NEW),
        )
    elif model.status == "training":
        log.info("This dataset is being trained as %r (%s): waiting for that training.", model.name, model.id)
    else:
        log.info(
            "Another task has created %r (%s) from this dataset and not trained it. This task trains it, and pays.",
            model.name,
            model.id,
        )
