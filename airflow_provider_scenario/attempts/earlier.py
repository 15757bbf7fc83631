"""
The earlier attempts of a task, as far as this attempt must know them to create and pay nothing twice.

Scenario is the source of truth: the description of a model carries the :class:`Marker` of the task that has created it,
and a job has the time at which it was created. The :class:`Record` in Airflow's task state (3.3) saves those requests,
and also holds what an attempt was about to do. The marker decides if there is no record although an earlier attempt
ran: a clear has discarded it (3.4) or it has expired.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal, Unpack

from airflow_provider_scenario.airflow_compat.attempt import Attempt
from airflow_provider_scenario.airflow_compat.task_state_store import clear_discards_task_state, task_state_store
from airflow_provider_scenario.attempts.record import Record
from airflow_provider_scenario.client.consequences import NOTHING_NEW, RUNNING_TRAINING_CONTINUES
from airflow_provider_scenario.exceptions import ChangedInputError
from airflow_provider_scenario.provenance import Marker, digest

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_scenario.attempts.record import RecordFields
    from airflow_provider_scenario.client.scenario.client import ScenarioClient
    from airflow_provider_scenario.client.scenario.schemas import Model

OnClear = Literal["retrain", "reattach"]
"""What a cleared task does: train again, or continue with the model of an earlier attempt."""

OnRetry = Literal["resume", "retrain"]
"""What a retry does if the training has failed or was cancelled: fail without paying, or train and pay again."""

# How far the service's clock may be behind ours.
_CLOCK_SKEW = timedelta(minutes=10)


class EarlierAttempts:
    """
    What earlier attempts of a task instance have done, and the record that this attempt adds to.

    This attempt *continues* the earlier attempts since the last clear; with ``on_clear='reattach'`` all of them.

    :param inputs: the arguments that must not change before a retry, as JSON. None: do not compare them.
    :param on_clear: see :data:`OnClear`.
    :param retries: of the task.
    :raises ChangedInputError: an attempt that this one continues had other inputs.

    ``record`` is what the continued attempts and this one have recorded; ``before_clear`` what the attempts before the
    clear had recorded, if this one does not continue them. ``is_retry`` is True if an attempt came before since the
    last clear.
    """

    def __init__(
        self,
        context: Context,
        task_id: str,
        inputs: Mapping[str, Any] | None,
        *,
        on_clear: OnClear = "retrain",
        retries: int | None = 0,
    ) -> None:
        self.attempt = Attempt.of_context(context)
        self.marker = Marker.of(self.attempt, task_id, inputs or {})
        self.on_clear = on_clear
        self._retries = retries
        self._context = context
        self._store = task_state_store(context)
        self._inputs = {name: digest(value, 8) for name, value in inputs.items()} if inputs is not None else None
        stored = Record.of_task(context)
        marker = Marker.find(stored.marker) if stored else None
        same_clearing = marker is not None and marker.clearing == self.marker.clearing
        self.is_retry = same_clearing if self._store else self.attempt.is_retry(retries)
        self.record = stored if self.continues(marker, stored) else None
        self.before_clear = stored if not self.record and self.is_this_task(marker) else None
        self._record_is_complete = self._store is not None and (
            self.record is not None or self.attempt.is_first or not clear_discards_task_state()
        )

    def is_this_task(self, marker: Marker | None) -> bool:
        """Whether an attempt of this task instance wrote the marker, also before a clear."""
        return marker is not None and marker.task == self.marker.task

    def has_created(self, model: Model) -> bool:
        """Whether the model carries this task's marker, which may be replaced at the end of the task."""
        return self.is_this_task(Marker.find(model.short_description))

    def continues(self, marker: Marker | None, stored: Record | None = None) -> bool:
        """
        Whether this attempt continues the attempt that wrote the marker.

        :param stored: the record with the marker; names the changed inputs in the error.
        :raises ChangedInputError: it does, but that attempt had other inputs.
        """
        if marker is None or not self.is_this_task(marker):
            return False
        if marker.clearing != self.marker.clearing and self.on_clear != "reattach":
            return False
        if self._inputs is not None and marker.inputs != self.marker.inputs:
            raise self._changed_input(stored.inputs if stored else {})
        return True

    def _changed_input(self, stored: Mapping[str, str]) -> ChangedInputError:
        inputs = self._inputs or {}
        changed = [name for name, fingerprint in inputs.items() if stored.get(name, fingerprint) != fingerprint]
        named = f" ({', '.join(changed)})" if changed else ""
        train_anew = "set on_clear='retrain'" if self.on_clear == "reattach" else "clear the failed task"
        return ChangedInputError(
            f"The input of this task has changed since an earlier attempt{named}. {NOTHING_NEW} "
            f"{RUNNING_TRAINING_CONTINUES} Restore the old input to continue that attempt, or {train_anew} to begin "
            "anew."
        )

    @property
    def none_sent_requests(self) -> bool:
        """
        True if no attempt that this one continues can have sent a request.

        A first attempt in a region (3.4) may follow attempts of a task instance that a clear has replaced.
        """
        if self._store is None or self.record:
            return False
        may_follow_replaced = self.on_clear == "reattach" and self.attempt.region_id is not None
        return self.attempt.is_first and not may_follow_replaced

    def update_record(self, **changes: Unpack[RecordFields]) -> None:
        """
        Record what this attempt is about to do, or has done, for the next attempt.

        Below Airflow 3.3 nothing is stored, and the next attempt reads it from Scenario.

        :param changes: fields of :class:`Record`.
        """
        self.record = replace(
            self.record or Record(paid=self._paid), marker=str(self.marker), inputs=self._inputs or {}, **changes
        )
        self.record.store(self._context)

    def record_started(self, model_id: str, job_id: str | None, creative_units: float | None) -> None:
        """Record a running training of this task, and its price if it is known."""
        paid = {**self._paid, **({job_id: creative_units or self._paid.get(job_id)} if job_id else {})}
        self.update_record(model_id=model_id, job_id=job_id, paid=paid)

    def total_paid(self, *, except_job_id: str | None = None) -> float:
        """Creative units that all attempts have paid, also before a clear; 0 below 3.3, where nothing is recorded."""
        return sum(units or 0.0 for job, units in self._paid.items() if job != except_job_id)

    def cost_of(self, job_id: str | None) -> float | None:
        """Creative units of one training of this task; None if they are not recorded."""
        return self._paid.get(job_id or "")

    @property
    def _paid(self) -> Mapping[str, float | None]:
        stored = self.record or self.before_clear
        return stored.paid if stored else {}

    def note_training_before_clear(self, model: Model) -> None:
        """Note a model that an attempt before the clear has created and that is still being trained."""
        if self.before_clear is None:
            self.before_clear = Record(model_id=model.id, job_id=model.job_id)

    def continued_attempt_started(self, client: ScenarioClient, job_id: str) -> bool:
        """Whether an attempt that this one continues has started the training."""
        if self.record and self.record.has_started(job_id):
            return True
        if self._record_is_complete:
            return False
        reattaches = self.on_clear == "reattach" and not self.attempt.is_first
        retries = self._store is None and self.attempt.is_retry(self._retries)
        return (reattaches or retries) and self._was_created_in_this_run(client, job_id)

    def this_task_started(self, client: ScenarioClient, model: Model | None, job_id: str) -> bool:
        """
        Whether any attempt of this task instance has started the training.

        If the record may be incomplete (below 3.3, and after a clear on 3.4), a training counts as this task's if the
        task has created the model, or if the training was created since the run began.

        :param model: as just read; None if only the job is known.
        """
        if any(stored and stored.has_started(job_id) for stored in (self.record, self.before_clear)):
            return True
        if self._record_is_complete:
            return False
        if model and self.has_created(model):
            return True
        return self._was_created_in_this_run(client, job_id)

    def earlier_attempt_started(self, client: ScenarioClient, model: Model, job_id: str | None) -> bool:
        """As :meth:`this_task_started`, for a training that this attempt has found and not started."""
        if job_id is None:
            return False
        if self.attempt.is_first and not (self._record_is_complete and (self.record or self.before_clear)):
            return False
        return self.this_task_started(client, model, job_id)

    def _was_created_in_this_run(self, client: ScenarioClient, job_id: str) -> bool:
        created = client.get_job(job_id).created_at
        return created is not None and created >= self.run_began

    @property
    def run_began(self) -> datetime:
        """
        When the run began, minus a possible clock difference: no model and no training of this task is older.

        Clearing a finished run moves its start; ``reattach`` also counts what was created before that.
        """
        run = self._context["dag_run"]
        began = run.start_date or self._context["ti"].start_date or datetime.now(UTC)
        if self.on_clear == "reattach":
            began = min(began, run.run_after)
        return began - _CLOCK_SKEW
