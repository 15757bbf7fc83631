"""Create a model once: a retry finds the model that an earlier attempt of the task has created."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_scenario.airflow_compat.task_state_store import task_state_store
from airflow_provider_scenario.client.errors import NotFoundError
from airflow_provider_scenario.client.scenario.model_fields import MAX_SHORT_DESCRIPTION
from airflow_provider_scenario.provenance import Marker, made_by

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_scenario.attempts.earlier import EarlierAttempts, OnClear
    from airflow_provider_scenario.client.scenario.client import ScenarioClient
    from airflow_provider_scenario.client.scenario.schemas import Model
    from airflow_provider_scenario.provenance import DatasetMarker


def create_model_once(client: ScenarioClient, earlier: EarlierAttempts, fields: dict[str, Any]) -> Model:
    """
    Return the model that an earlier attempt of this task has created, or create it.

    :param fields: arguments of :meth:`ScenarioClient.create_model`.
    :raises ChangedInputError: that attempt had other inputs.
    """
    return find_created_model(client, earlier) or create_marked_model(client, earlier, fields)


def find_created_model(client: ScenarioClient, earlier: EarlierAttempts) -> Model | None:
    """
    Return the model that an attempt which this one continues has created.

    Also notes the model that is still being trained for an attempt before the clear, if there is no record of it.

    :raises ChangedInputError: that attempt had other inputs.
    """
    if earlier.none_sent_requests:
        return None
    if earlier.record and earlier.record.model_id:
        try:
            return client.get_model(earlier.record.model_id)
        except NotFoundError:  # a person has deleted it since
            return None
    found = None
    for model in client.list_models(sort_by="createdAt", created_after=earlier.run_began.isoformat(), page_size=500):
        marker = Marker.find(model.short_description)
        if found is None and earlier.continues(marker):
            found = model
            earlier.update_record(model_id=model.id)
        elif earlier.is_this_task(marker) and model.status == "training":
            earlier.note_training_before_clear(model)
    return found


def create_marked_model(
    client: ScenarioClient, earlier: EarlierAttempts, fields: dict[str, Any], *, dataset: DatasetMarker | None = None
) -> Model:
    """
    Create a model with the task's marker in its short description; :func:`replace_marker` removes the marker later.

    :param fields: arguments of :meth:`ScenarioClient.create_model`.
    :param dataset: a second marker, before that of the task.
    """
    earlier.update_record(model_id=None)
    description = fields.get("short_description") or made_by(earlier.attempt)
    markers = f"{dataset} {earlier.marker}" if dataset else str(earlier.marker)
    marked = f"{description[: MAX_SHORT_DESCRIPTION - len(markers) - 1]} {markers}"
    model = client.create_model(**{**fields, "short_description": marked})
    earlier.update_record(model_id=model.id)
    return model


def replace_marker(
    client: ScenarioClient, context: Context, model_id: str, description: str | None, *, on_clear: OnClear
) -> None:
    """Replace the marker by the author's description, unless an attempt may still need the marker."""
    if description and not marker_is_needed(context, on_clear):
        client.update_model(model_id, short_description=description)


def marker_is_needed(context: Context, on_clear: OnClear) -> bool:
    """
    Whether the marker must stay in the model's description after the model's id is recorded.

    Without it an attempt cannot find its model below Airflow 3.3, which records nothing, nor after a clear with
    ``reattach``, which may discard the record (3.4).
    """
    return task_state_store(context) is None or on_clear == "reattach"
