"""
Decides after each poll of a training whether to keep waiting. Uses no clock, no HTTP and no Airflow.

The blocking loop, the trigger and the sensor sleep and poll themselves, and decide with :class:`TrainingWatch`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from airflow_provider_scenario.client.texts import plain
from airflow_provider_scenario.client.values import duration_text
from airflow_provider_scenario.pacing import Watch

if TYPE_CHECKING:
    from airflow_provider_scenario.client.errors import ScenarioError
    from airflow_provider_scenario.client.scenario.schemas import Job, Model

Outcome = Literal["started", "not-started", "secret-changed", "trained", "failed", "canceled", "timed-out", "refused"]
"""
``started``: when ``wait_for_completion`` is False; ``not-started``: refused when a slot was free at last;
``secret-changed``: not started, since the parameters can no longer be decrypted; ``timed-out`` and ``refused``: see
:data:`~.pacing.EarlyOutcome`.
"""

FINAL_STATUSES: dict[str, Outcome] = {"trained": "trained", "failed": "failed", "training-canceled": "canceled"}
CAPTCHA_STAGES = frozenset({"pending-captcha", "ready-for-captcha"})
"""Stages of a professional voice clone in which Scenario waits for a person; the second also after a failed try."""

_JOB_STATUS_AS_MODEL_STATUS = {"success": "trained", "failure": "failed", "canceled": "training-canceled"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """
    What one poll returned about a training.

    :param status: the model's status, in the API's words; it alone decides. None if Scenario does not know the model.
    :param name: the model's.
    :param type: the model's.
    :param stage: where the training is, for people: ``queued-for-train``, ``running-train``, …
    :param position: trainings before it in the queue.
    :param progress: part done, 0 to 1.
    :param seconds_left: that the service expects the training to take from then on.
    :param retryable_error: why Scenario runs the training again.
    :param page: the model's page in Scenario's web app, if a person has to act there.
    :param at: when the answer came, as a Unix time in seconds; only for the Trainings page.
    :param made_by: the task that the model's marker names, see :class:`~.provenance.Marker`; only for that page.
    """

    status: str | None
    model_id: str | None = None
    name: str | None = None
    type: str | None = None
    job_id: str | None = None
    stage: str | None = None
    position: int | None = None
    progress: float | None = None
    seconds_left: float | None = None
    retry_count: int | None = None
    retryable_error: str | None = None
    page: str | None = None
    at: float = 0.0
    made_by: str | None = None

    @property
    def is_final(self) -> bool:
        """Whether the training has ended."""
        return self.status in FINAL_STATUSES

    def is_of(self, job_id: str | None) -> bool:
        """Whether it shows the training of this job, not an earlier or a later one of the same model."""
        return job_id is None or self.job_id is None or job_id == self.job_id

    @property
    def needs_person(self) -> bool:
        """Whether the training cannot continue until a person has solved a captcha."""
        return self.status == "training" and self.stage in CAPTCHA_STAGES

    @property
    def is_queued(self) -> bool:
        """Whether the training waits at Scenario for its start."""
        return (self.stage or "").startswith("queued")

    @classmethod
    def of_model(cls, model: Model) -> Snapshot:
        """Make it of a model: its status decides; its ``trainingProgress`` is for showing."""
        progress = model.training_progress if model.status == "training" else None
        if progress is None:
            return cls(status=model.status or "", model_id=model.id, name=model.name, job_id=model.job_id)
        return cls(
            status=model.status,
            model_id=model.id,
            name=model.name,
            job_id=model.job_id,
            stage=progress.stage,
            position=progress.position,
            progress=progress.progress,
            seconds_left=None if progress.remaining_time_ms is None else progress.remaining_time_ms / 1000,
            retry_count=progress.retry_count,
            retryable_error=None if progress.retryable_error is None else str(progress.retryable_error),
        )

    @classmethod
    def of_job(cls, job: Job) -> Snapshot:
        """Make it of a job, where only the job's id is known."""
        status = job.status or ""
        return cls(
            status=_JOB_STATUS_AS_MODEL_STATUS.get(status, "training"),
            job_id=job.job_id,
            stage=status,
            progress=job.progress,
        )

    def __str__(self) -> str:
        parts = [self.stage or self.status or "not known to Scenario"]
        if self.position:
            parts.append(f"{self.position} in the queue before it")
        if self.progress and self.position is None:
            parts.append(f"{self.progress:.0%}")
        if self.seconds_left:
            parts.append(f"about {duration_text(self.seconds_left)} left")
        if self.retryable_error:
            parts.append(f"Scenario retries it (retry {self.retry_count or 1}) after: {self.retryable_error}")
        return ", ".join(parts)


class TrainingWatch(Watch[Snapshot, Outcome]):
    """
    Decides, poll by poll, whether to keep waiting for a training.

    Beside what :class:`~.pacing.Watch` has, ``warning`` holds after each poll what a person must do for the training
    to continue (None: nothing, or it was logged before). ``label`` becomes the model's name once that is known.
    """

    subject = "Training"

    def __init__(self, *, label: str, deadline: float, poke_interval: float) -> None:
        super().__init__(label=label, deadline=deadline, poke_interval=poke_interval)
        self.warning: str | None = None
        self._logged: tuple[object, ...] | None = None
        self._captcha: tuple[object, ...] | None = None

    def after(self, answer: Snapshot | ScenarioError, now: float) -> Outcome | None:
        self.warning = None
        return super().after(answer, now)

    def _after_answer(self, answer: Snapshot) -> Outcome | None:
        if self._pacing.failures:
            self._logged = None
        self.pause = self._pacing.after_answer(seconds_left=answer.seconds_left, is_queued=answer.is_queued)
        if answer.name:
            self.label = f"{plain(answer.name)!r} ({answer.model_id})"
        worth_a_line = _worth_a_line(answer)
        if worth_a_line != self._logged:
            self._logged = worth_a_line
            self.log_line = f"Training {self.label}: {answer}."
        captcha = (answer.stage, answer.retry_count) if answer.needs_person else None
        if captcha != self._captcha:
            self._captcha = captcha
            self.warning = self._captcha_warning(answer) if captcha else None
        return FINAL_STATUSES.get(answer.status or "")

    def _captcha_warning(self, snapshot: Snapshot) -> str:
        error = snapshot.retryable_error
        last = f" The last try failed: {error.rstrip('.')}." if error else ""
        return (
            f"Training {self.label} waits for a person ({snapshot.stage}): before Scenario clones a voice, a person "
            f"must read a captcha aloud.{last} Open the model in Scenario's web app and solve the captcha there: "
            f"{snapshot.page or f'the page of {snapshot.model_id}'}"
        )


def _worth_a_line(snapshot: Snapshot) -> tuple[object, ...]:
    """Return what must differ between two snapshots for another log line; progress counts in steps of 5 %."""
    step = None if snapshot.progress is None else int(snapshot.progress * 20)
    return snapshot.status, snapshot.stage, snapshot.position, step, snapshot.retry_count
