"""
What a task knows of its earlier attempts, so that nothing is made or paid twice.

Scenario is the record: a model carries the :class:`Marker` of the task that has made it, and a job says when it was
started. Airflow's task state (3.3) is the shortcut to it, and knows what an attempt was about to do. Where that state
is empty although an attempt came before, because a clear has discarded it (3.4) or it has expired, the marker decides.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_scenario.airflow_compat.attempt import Attempt
from airflow_provider_scenario.airflow_compat.task_state_store import clear_discards_task_state, task_state_store
from airflow_provider_scenario.exceptions import ChangedInputError
from airflow_provider_scenario.provenance import Marker, digest

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_scenario.client.scenario.client import ScenarioClient
    from airflow_provider_scenario.client.scenario.schemas import Model

OnClear = Literal["retrain", "reattach"]
"""What clearing a finished task means: train again, or take what an earlier attempt has made."""

OnRetry = Literal["resume", "retrain"]
"""What a retry does where there is nothing to go on from: fail and pay nothing, or train, and pay, again."""

_KEY = "scenario"

# How far the service's clock may be behind ours.
_CLOCK_SKEW = timedelta(minutes=10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """
    What the attempts of a task instance have written down, as it stands in Airflow's task state.

    :param marker: of the attempt that wrote last.
    :param inputs: field → fingerprint of what the author asked for.
    :param model_id: the model that they have made or were given.
    :param previous_job_id: the job that had trained the model before they requested a training.
    :param requested: whether they have requested a training that Scenario has not refused.
    :param job_id: the training that Scenario has started for them.
    :param paid: job → creative units, of each training that they have started.
    :param given_up: the training that was to be cancelled because time was up; it may run or be cancelled.
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
        """As it was stored; None for anything else."""
        if not isinstance(stored, dict) or Marker.find(stored.get("marker")) is None:
            return None
        known = {each.name for each in fields(cls)}
        return cls(**{name: value for name, value in stored.items() if name in known})

    @classmethod
    def of_task(cls, context: Context) -> Record | None:
        """What is recorded of the task; None where nothing is, as below Airflow 3.3."""
        store = task_state_store(context)
        return cls.read(store.get(_KEY)) if store else None

    def store(self, context: Context) -> None:
        """Write it down, where Airflow keeps it."""
        if store := task_state_store(context):
            store.set(_KEY, asdict(self))

    def has_started(self, job_id: str) -> bool:
        """Whether these attempts have started a training; the answer to their request may have been lost."""
        return job_id == self.job_id or (self.requested and job_id != self.previous_job_id)


class EarlierAttempts:
    """
    What the earlier attempts of a task have done, and what this one does.

    :param inputs: what the author asks for, as JSON. None: not compared with what an earlier attempt was asked for.
    :param on_clear: whether to go on from what there was before a person cleared the task, too.
    :param retries: of the task.
    :raises ChangedInputError: an earlier attempt was asked for something else.

    ``earlier`` is what the attempts have recorded from which this one goes on, ``left_behind`` what was recorded before
    a person cleared the task to begin anew. ``is_retry`` says whether an attempt came before since the last clear.
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
        recorded = Record.of_task(context)
        marker = Marker.find(recorded.marker) if recorded else None
        same_clearing = marker is not None and marker.clearing == self.marker.clearing
        self.is_retry = same_clearing if self._store else self.attempt.is_retry(retries)
        self.earlier = recorded if self.is_mine(marker, recorded) else None
        self.left_behind = recorded if not self.earlier and self.is_of_this_task(marker) else None
        self._all_is_recorded = self._store is not None and (
            self.earlier is not None or self.attempt.is_first or not clear_discards_task_state()
        )

    def is_of_this_task(self, marker: Marker | None) -> bool:
        """Whether an attempt of this task instance has left the marker, also before a person cleared it."""
        return marker is not None and marker.task == self.marker.task

    def has_made(self, model: Model) -> bool:
        """Whether the model itself says that this task has made it. The marker is there until the task is over."""
        return self.is_of_this_task(Marker.find(model.short_description))

    def is_mine(self, marker: Marker | None, recorded: Record | None = None) -> bool:
        """
        Whether an attempt from which this one goes on has left the marker.

        :raises ChangedInputError: it has, but was asked for something else.
        """
        if marker is None or not self.is_of_this_task(marker):
            return False
        if marker.clearing != self.marker.clearing and self.on_clear != "reattach":
            return False
        if self._inputs is not None and marker.inputs != self.marker.inputs:
            before = recorded.inputs if recorded else {}
            changed = [name for name, digest in self._inputs.items() if before.get(name, digest) != digest]
            anew = "set on_clear='retrain'" if self.on_clear == "reattach" else "clear the failed task"
            raise ChangedInputError(
                f"This attempt asks for something else ({', '.join(changed) or 'its input has changed'}) than an "
                "earlier attempt of this task, which has begun already. Nothing new was made or paid; a training that "
                f"runs goes on, and so does its cost. Bring the old input back to go on from there, or {anew} to begin "
                "anew."
            )
        return True

    @property
    def is_blank(self) -> bool:
        """
        True if no attempt from which this one goes on can have sent a request.

        A task instance in a region (3.4) may be the successor of one that was cleared away, and yet a first attempt.
        """
        if self._store is None or self.earlier:
            return False
        replaced = self.on_clear == "reattach" and self.attempt.region_id is not None
        return self.attempt.is_first and not replaced

    def record(self, **facts: Any) -> None:
        """
        Keep what is about to be done, or has been, for the next attempt.

        Below Airflow 3.3 Scenario alone keeps it.

        :param facts: fields of :class:`Record`.
        """
        self.earlier = replace(
            self.earlier or Record(paid=self._paid), marker=str(self.marker), inputs=self._inputs or {}, **facts
        )
        self.earlier.store(self._context)

    def paid_before(self, job_id: str | None = None) -> float:
        """
        Creative units that all attempts have paid so far, also before a clear, as far as is recorded (Airflow 3.3).

        :param job_id: a training not to count, the one that runs now.
        """
        return sum(units or 0.0 for job, units in self._paid.items() if job != job_id)

    def price_of(self, job_id: str | None) -> float | None:
        """Creative units that a training of this task costs, where that is recorded."""
        return self._paid.get(job_id or "")

    def record_started(self, model_id: str, job_id: str | None, creative_units: float | None) -> None:
        """Record a training of this task that runs, and what it costs where that is known."""
        paid = {**self._paid, **({job_id: creative_units or self._paid.get(job_id)} if job_id else {})}
        self.record(model_id=model_id, job_id=job_id, paid=paid)

    @property
    def _paid(self) -> Mapping[str, float | None]:
        recorded = self.earlier or self.left_behind
        return recorded.paid if recorded else {}

    def note_left_behind(self, model: Model) -> None:
        """Note a model that an attempt before the clear has made and that is still being trained."""
        if self.left_behind is None:
            self.left_behind = Record(model_id=model.id, job_id=model.job_id)

    def has_trained(self, client: ScenarioClient, job_id: str) -> bool:
        """Whether an attempt from which this one goes on has started the job that has trained the model."""
        if self.earlier and self.earlier.has_started(job_id):
            return True
        if self._all_is_recorded:
            return False
        reattaches = self.on_clear == "reattach" and not self.attempt.is_first
        retries = self._store is None and self.attempt.is_retry(self._retries)
        return (reattaches or retries) and self._is_of_this_run(client, job_id)

    def has_started(self, client: ScenarioClient, model: Model | None, job_id: str) -> bool:
        """
        Whether this task instance, not somebody else, has started a training that runs.

        Where not all is recorded (below 3.3, and after a clear on 3.4), a training counts as ours if this task has made
        the model, or else if it was started since the run began.

        :param model: as just read; None where only the job is known.
        """
        if any(record and record.has_started(job_id) for record in (self.earlier, self.left_behind)):
            return True
        if self._all_is_recorded:
            return False
        if model and self.has_made(model):
            return True
        return self._is_of_this_run(client, job_id)

    def may_have_started(self, client: ScenarioClient, model: Model, job_id: str) -> bool:
        """As :meth:`has_started`, of a training that this attempt has come by and has not started itself."""
        if self.attempt.is_first and not (self._all_is_recorded and (self.earlier or self.left_behind)):
            return False
        return self.has_started(client, model, job_id)

    def _is_of_this_run(self, client: ScenarioClient, job_id: str) -> bool:
        created = client.get_job(job_id).created_at
        return created is not None and created >= self.since

    @property
    def since(self) -> datetime:
        """
        When the run began, by the service's clock at the earliest: nothing of this task can be older.

        Clearing a finished run lets it begin anew; what was made before that counts for ``reattach``.
        """
        run = self._context["dag_run"]
        began = run.start_date or self._context["ti"].start_date or datetime.now(UTC)
        if self.on_clear == "reattach":
            began = min(began, run.run_after)
        return began - _CLOCK_SKEW


def record_end(context: Context, job_id: str | None, *, creative_units: float | None, is_ours: bool) -> float:
    """
    Record what the training that this task waited for has cost in the end, for the next attempt.

    :param is_ours: False for a training that somebody else has started and pays.
    :return: creative units that all attempts of the task have paid; below Airflow 3.3, where nothing is recorded, those
        of this training.
    """
    recorded = Record.of_task(context)
    if recorded is None:
        return creative_units or 0.0 if is_ours else 0.0
    if is_ours and job_id and creative_units is not None and recorded.paid.get(job_id) != creative_units:
        recorded = replace(recorded, paid={**recorded.paid, job_id: creative_units})
        recorded.store(context)
    return sum(units or 0.0 for units in recorded.paid.values())


def record_given_up(context: Context, job_id: str | None) -> None:
    """Record that a training is going to be cancelled because time is up. Below Airflow 3.3 nothing is recorded."""
    recorded = Record.of_task(context)
    if recorded and job_id:
        replace(recorded, given_up=job_id).store(context)


def marker_stays(context: Context, on_clear: OnClear) -> bool:
    """
    Whether the marker has to stay in the model's description once the model's id is recorded.

    It has to where nothing is recorded (below 3.3), and where the task is to find its model again after a clear, which
    may discard what was recorded (3.4).
    """
    return task_state_store(context) is None or on_clear == "reattach"
