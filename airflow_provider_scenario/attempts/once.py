"""Create and train a model once: what an earlier attempt of this task has done is found, not done again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_scenario.attempts.record import marker_stays
from airflow_provider_scenario.client.errors import NotFoundError, ScenarioError
from airflow_provider_scenario.client.scenario.model_fields import MAX_SHORT_DESCRIPTION
from airflow_provider_scenario.provenance import Marker, made_by

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_scenario.attempts.record import EarlierAttempts, OnClear
    from airflow_provider_scenario.client.scenario.client import ScenarioClient
    from airflow_provider_scenario.client.scenario.schemas import Model
    from airflow_provider_scenario.provenance import DatasetMarker
    from airflow_provider_scenario.watch.start import Started

CREATABLE = ("name", "type", "short_description", "class_slug", "collection_ids", "concepts", "base_model_id")


def create_once(client: ScenarioClient, memory: EarlierAttempts, fields: dict[str, Any]) -> Model:
    """
    Return the model that an earlier attempt of this task has created, or create it.

    :param fields: arguments of :meth:`ScenarioClient.create_model`.
    :raises ChangedInputError: an earlier attempt was asked for something else.
    """
    return find_earlier(client, memory) or create_marked(client, memory, fields)


def find_earlier(client: ScenarioClient, memory: EarlierAttempts) -> Model | None:
    """
    Return the model that an attempt from which this one goes on has created.

    A model that is trained for an attempt before the clear is noted as left behind, unless one is noted already.

    :raises ChangedInputError: an earlier attempt was asked for something else.
    """
    if memory.is_blank:
        return None
    if memory.earlier and memory.earlier.model_id:
        try:
            return client.get_model(memory.earlier.model_id)
        except NotFoundError:  # somebody has deleted it since
            return None
    found = None
    for model in client.list_models(sort_by="createdAt", created_after=memory.since.isoformat(), page_size=500):
        marker = Marker.find(model.short_description)
        if found is None and memory.is_mine(marker):
            found = model
            memory.record(model_id=model.id)
        elif memory.is_of_this_task(marker) and model.status == "training":
            memory.note_left_behind(model)
    return found


def create_marked(
    client: ScenarioClient, memory: EarlierAttempts, fields: dict[str, Any], *, dataset: DatasetMarker | None = None
) -> Model:
    """
    Create a model whose short description carries the marker; :func:`describe` puts the author's in its place.

    :param fields: arguments of :meth:`ScenarioClient.create_model`.
    :param dataset: a second marker, beside that of the task.
    """
    memory.record(model_id=None)
    text = fields.get("short_description") or made_by(memory.attempt)
    markers = f"{dataset} {memory.marker}" if dataset else str(memory.marker)
    marked = f"{text[: MAX_SHORT_DESCRIPTION - len(markers) - 1]} {markers}"
    model = client.create_model(**{**fields, "short_description": marked})
    memory.record(model_id=model.id)
    return model


def describe(client: ScenarioClient, context: Context, model_id: str, text: str | None, *, on_clear: OnClear) -> None:
    """Put the author's description in the place of the marker, unless the marker may still be needed."""
    if text and not marker_stays(context, on_clear):
        client.update_model(model_id, short_description=text)


def start_once(
    client: ScenarioClient,
    memory: EarlierAttempts,
    model: Model,
    parameters: dict[str, Any],
    *,
    previous_job_id: str | None,
) -> tuple[Started, bool]:
    """
    Start the training of a model, or adopt the one that runs.

    That it is requested is recorded first: the answer may be lost.

    :param model: as just read.
    :param previous_job_id: the job that had trained the model when this task decided to train it.
    :return: the training, and whether this task has started it.
    :raises PlanCeilingError: no slot is free (``frees_up``), or the plan allows no more.
    """
    from airflow_provider_scenario.watch.start import start_or_adopt

    requested_before = memory.earlier is not None and memory.earlier.requested
    if model.status != "training":
        memory.record(model_id=model.id, previous_job_id=previous_job_id, requested=True)
    try:
        started = start_or_adopt(client, model, parameters, previous_job_id=previous_job_id)
    except ScenarioError as error:
        if error.money == "none" and not requested_before:
            memory.record(requested=False)
        raise
    if started.refused and not requested_before:
        memory.record(requested=False)
    is_ours = not started.adopted or is_own_training(client, memory, model, started.job_id)
    if is_ours:
        memory.record_started(model.id, started.job_id, started.creative_units_cost)
    else:
        memory.record(model_id=model.id)
    return started, is_ours


def is_own_training(client: ScenarioClient, memory: EarlierAttempts, model: Model, job_id: str | None) -> bool:
    """Whether an attempt of this task has started a training that this attempt has come by."""
    return job_id is not None and memory.may_have_started(client, model, job_id)
