"""The record that the attempts of a task instance keep in Airflow's task state (3.3), for the next attempt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, TypedDict

from airflow_provider_scenario.airflow_compat.task_state_store import task_state_store
from airflow_provider_scenario.provenance import Marker

if TYPE_CHECKING:
    from airflow.sdk import Context

_KEY = "scenario"


class RecordFields(TypedDict, total=False):
    """The fields of :class:`Record` that change while an attempt runs."""

    model_id: str | None
    previous_job_id: str | None
    requested: bool
    job_id: str | None
    paid: Mapping[str, float | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """
    What the attempts of a task instance have recorded. The field names are stored: Airflow keeps them.

    :param marker: of the attempt that wrote last.
    :param inputs: field → fingerprint of its value, for each field that an author may change before a retry.
    :param model_id: the model that the attempts have created or were given.
    :param previous_job_id: the last job of the model before the attempts requested a training.
    :param requested: True from the request for a start (by the task or its trigger) until Scenario refuses it.
    :param job_id: the training that Scenario has started for the attempts.
    :param paid: job → creative units, for each training that the attempts have started.
    :param given_up: the training that an attempt was about to cancel at its deadline; it may still run.
    """

    marker: str = ""
    inputs: Mapping[str, str] = field(default_factory=dict)
    model_id: str | None = None
    previous_job_id: str | None = None
    requested: bool = False
    job_id: str | None = None
    paid: Mapping[str, float | None] = field(default_factory=dict)
    given_up: str | None = None

    @classmethod
    def read(cls, stored: Any) -> Record | None:
        """Read what was stored; None for anything else. Fields of another version are left out."""
        if not isinstance(stored, dict) or Marker.find(stored.get("marker")) is None:
            return None
        known = {each.name for each in fields(cls)}
        return cls(**{name: value for name, value in stored.items() if name in known})

    @classmethod
    def of_task(cls, context: Context) -> Record | None:
        """Return the record of the task; None if there is none, as below Airflow 3.3."""
        store = task_state_store(context)
        return cls.read(store.get(_KEY)) if store else None

    def store(self, context: Context) -> None:
        """Store it in the task state; does nothing below Airflow 3.3."""
        if store := task_state_store(context):
            store.set(_KEY, asdict(self))

    def has_started(self, job_id: str) -> bool:
        """Whether these attempts have started a training, also if the response to their request was lost."""
        return job_id == self.job_id or (self.requested and job_id != self.previous_job_id)


def record_final_cost(context: Context, job_id: str | None, *, creative_units: float | None, is_ours: bool) -> float:
    """
    Record what the training of this attempt was billed in the end.

    :param is_ours: False if another task or a person has started the training and pays for it.
    :return: creative units that all attempts of the task have paid; below Airflow 3.3, where nothing is recorded, those
        of this training.
    """
    record = Record.of_task(context)
    if record is None:
        return creative_units or 0.0 if is_ours else 0.0
    if is_ours and job_id and creative_units is not None and record.paid.get(job_id) != creative_units:
        record = replace(record, paid={**record.paid, job_id: creative_units})
        record.store(context)
    return sum(units or 0.0 for units in record.paid.values())


def record_given_up(context: Context, job_id: str | None) -> None:
    """Record that this attempt is about to cancel a training at its deadline; does nothing below Airflow 3.3."""
    record = Record.of_task(context)
    if record and job_id:
        replace(record, given_up=job_id).store(context)
