"""Create a model once: what a crashed try of this task has created is found by its marker, not created again."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_scenario.client.trainers import MAX_SHORT_DESCRIPTION

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_scenario.client.scenario import ScenarioClient
    from airflow_provider_scenario.client.schemas import Model

# How far the service's clock may be behind ours.
_CLOCK_SKEW = timedelta(minutes=10)


def create_once(client: ScenarioClient, context: Context, fields: dict[str, Any]) -> Model:
    """
    Return the model that an earlier try of this task has created, or create it.

    The short description carries the marker; where the author gave one, :func:`describe` puts it in its place once the
    marker is no longer needed.

    :param fields: arguments of :meth:`ScenarioClient.create_model`.
    """
    marker = marker_of(context)
    since = began(context).isoformat()
    for model in client.list_models(sort_by="createdAt", created_after=since, page_size=500):
        if marker in (model.short_description or ""):
            return model
    text = fields.get("short_description") or _provenance(context)
    return client.create_model(
        **{**fields, "short_description": f"{text[: MAX_SHORT_DESCRIPTION - len(marker) - 1]} {marker}"}
    )


def began(context: Context) -> datetime:
    """When the run began, by the service's clock at the earliest: nothing of this task can be older."""
    began: datetime | None = context["dag_run"].start_date or context["ti"].start_date
    return (began or datetime.now(UTC)) - _CLOCK_SKEW


def is_retry(context: Context, retries: int | None) -> bool:
    """
    Whether an earlier try of this task instance came before, since a person has last cleared it.

    Clearing a finished task raises ``max_tries`` to the tries made plus ``retries``; a retry leaves it alone.
    """
    ti = context["ti"]
    return bool(ti.try_number > ti.max_tries - (retries or 0) + 1)


def describe(client: ScenarioClient, model_id: str, short_description: str | None) -> None:
    """Put the author's description in the place of the marker's."""
    if short_description:
        client.update_model(model_id, short_description=short_description)


def marker_of(context: Context) -> str:
    """
    What tells this task's model from all others: the same for every retry, another after a finished task is cleared.

    Airflow raises ``max_tries`` when a finished task is cleared, and leaves it alone for a retry.
    """
    ti = context["ti"]
    identity = (ti.dag_id, ti.run_id, ti.task_id, str(ti.map_index), str(ti.max_tries))
    return f"[airflow {hashlib.sha256(chr(0).join(identity).encode()).hexdigest()[:16]}]"


def _provenance(context: Context) -> str:
    ti = context["ti"]
    mapped = f"[{ti.map_index}]" if ti.map_index not in (None, -1) else ""
    return f"Made by Airflow: {ti.dag_id}, {ti.task_id}{mapped}, run {ti.run_id}"
