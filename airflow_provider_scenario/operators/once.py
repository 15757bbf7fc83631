"""Create a model once: what an earlier try of this task has created is found, not created again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_scenario.client.errors import NotFoundError
from airflow_provider_scenario.client.trainers import MAX_SHORT_DESCRIPTION
from airflow_provider_scenario.operators.memory import began, keeps_state
from airflow_provider_scenario.provenance import Marker, made_by

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_scenario.client.scenario import ScenarioClient
    from airflow_provider_scenario.client.schemas import Model
    from airflow_provider_scenario.operators.memory import Memory, OnClear

CREATABLE = ("name", "type", "short_description", "class_slug", "collection_ids", "concepts", "base_model_id")


def create_once(
    client: ScenarioClient, context: Context, memory: Memory, fields: dict[str, Any], *, on_clear: OnClear = "retrain"
) -> Model:
    """
    Return the model that an earlier try of this task has created, or create it.

    The short description carries the marker; :func:`describe` puts the author's in its place.

    :param fields: arguments of :meth:`ScenarioClient.create_model`.
    :raises ChangedInputError: an earlier try was asked for something else.
    """
    model = _earlier(client, context, memory, on_clear)
    if model is None:
        memory.record(model_id=None)
        text = fields.get("short_description") or made_by(context)
        marked = f"{text[: MAX_SHORT_DESCRIPTION - len(str(memory.marker)) - 1]} {memory.marker}"
        model = client.create_model(**{**fields, "short_description": marked})
    if memory.earlier.get("model_id") != model.id:
        memory.record(model_id=model.id)
    return model


def describe(client: ScenarioClient, context: Context, model_id: str, short_description: str | None) -> None:
    """
    Put the author's description in the place of the marker.

    Only where Airflow keeps the model's id for a later try: else the marker stays behind the author's text.
    """
    if short_description and keeps_state(context):
        client.update_model(model_id, short_description=short_description)


def _earlier(client: ScenarioClient, context: Context, memory: Memory, on_clear: OnClear) -> Model | None:
    if memory.is_blank:
        return None
    if known := memory.earlier.get("model_id"):
        try:
            return client.get_model(known)
        except NotFoundError:  # somebody has deleted it since
            return None
    since = began(context, on_clear).isoformat()
    for model in client.list_models(sort_by="createdAt", created_after=since, page_size=500):
        if memory.is_mine(Marker.find(model.short_description)):
            return model
    return None
