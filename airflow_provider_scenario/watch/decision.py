"""
What one poll of a training means. Knows no clock, no HTTP and no Airflow: those are passed in.

The blocking loop, the trigger and the sensor each own their sleeping and their requests, and ask this.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from airflow_provider_scenario.client.defaults import LONGEST_POLL_PAUSE
from airflow_provider_scenario.client.errors import ScenarioError, ThrottledError
from airflow_provider_scenario.client.texts import plain

if TYPE_CHECKING:
    from airflow_provider_scenario.client.scenario.schemas import Job, Model

Outcome = Literal["started", "not-started", "secret-changed", "trained", "failed", "canceled", "timed-out", "refused"]
"""
``started``: when ``wait_for_completion`` is False; ``not-started``: refused when a slot was free at last;
``secret-changed``: not started, since the parameters can no longer be decrypted; ``timed-out``: not over at the
deadline; ``refused``: Scenario does not let us look any more.
"""

FINAL_STATUSES: dict[str, Outcome] = {"trained": "trained", "failed": "failed", "training-canceled": "canceled"}
CAPTCHA_STAGES = frozenset({"pending-captcha", "ready-for-captcha"})
"""Stages of a professional voice clone in which Scenario waits for a person; the second also after a failed try."""

_JOB_STATUS_AS_MODEL_STATUS = {"success": "trained", "failure": "failed", "canceled": "training-canceled"}

# Upper bound of a pause, as a multiple of `poke_interval`, and the part of the time left that a pause takes, while the
# service says that the end is far away.
_LEISURE = 10
_PART_OF_THE_TIME_LEFT = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """
    What one poll saw of a training.

    :param status: the model's status, in the API's words; it alone decides.
    :param stage: where the training is, for people: ``queued-for-train``, ``running-train``, …
    :param position: trainings in the queue before it, as the page of the training shows it.
    :param progress: part done, 0 to 1.
    :param remaining: seconds the service expects it to take.
    :param page: the model's page in Scenario's web app, where a person has to do something there.
    """

    status: str
    model_id: str | None = None
    model_name: str | None = None
    job_id: str | None = None
    stage: str | None = None
    position: int | None = None
    progress: float | None = None
    remaining: float | None = None
    retry_count: int | None = None
    retryable_error: str | None = None
    page: str | None = None

    @property
    def needs_person(self) -> bool:
        """Whether it cannot go on until a person has solved a captcha."""
        return self.status == "training" and self.stage in CAPTCHA_STAGES

    @classmethod
    def of_model(cls, model: Model) -> Snapshot:
        """The model's status is the truth; its ``trainingProgress`` is for showing."""
        seen = model.training_progress if model.status == "training" else None
        if seen is None:
            return cls(status=model.status or "", model_id=model.id, model_name=model.name, job_id=model.job_id)
        return cls(
            status=model.status or "",
            model_id=model.id,
            model_name=model.name,
            job_id=model.job_id,
            stage=seen.stage,
            position=seen.position,
            progress=seen.progress,
            remaining=None if seen.remaining_time_ms is None else seen.remaining_time_ms / 1000,
            retry_count=seen.retry_count,
            retryable_error=None if seen.retryable_error is None else str(seen.retryable_error),
        )

    @classmethod
    def of_job(cls, job: Job) -> Snapshot:
        """For who knows no more than the job's id."""
        status = job.status or ""
        return cls(
            status=_JOB_STATUS_AS_MODEL_STATUS.get(status, "training"),
            job_id=job.job_id,
            stage=status,
            progress=job.progress,
        )

    def __str__(self) -> str:
        parts = [self.stage or self.status]
        if self.position:
            parts.append(f"{self.position} in the queue before it")
        if self.progress and self.position is None:
            parts.append(f"{self.progress:.0%}")
        if self.remaining:
            parts.append(f"about {_duration(self.remaining)} left")
        if self.retryable_error:
            parts.append(f"the service tries again after: {self.retryable_error} (retry {self.retry_count or 1})")
        return ", ".join(parts)


class TrainingWatch:
    """
    Decides, poll by poll, whether to go on waiting.

    After each :meth:`see`, ``news`` holds the line to log (None: nothing worth a line has changed), ``warning`` what a
    person must do for the training to go on (None: nothing, or it was said before) and ``pause`` the seconds until the
    next poll.

    :param what: how log lines name the training until the service has told the model's name.
    :param deadline: when to give up, as a Unix time in seconds; wall clock, because it crosses processes.
    :param poke_interval: seconds between two polls while the end may be near. Where the service says how long it will
        take, pauses are a tenth of the time left, and where the training has to queue they grow; up to ten times that,
        and at most to 300 s. Towards the expected end they shrink to a third of it, so that fewer requests see the end
        sooner.
    """

    def __init__(self, *, what: str, deadline: float, poke_interval: float) -> None:
        self.what = what
        self.deadline = deadline
        self.poke_interval = poke_interval
        self.pause = poke_interval
        self.news: str | None = None
        self.warning: str | None = None
        self._shown: tuple[object, ...] | None = None
        self._captcha: tuple[object, ...] | None = None
        self._failures = 0
        self._queued = 0

    def see(self, seen: Snapshot | ScenarioError, now: float) -> Outcome | None:
        """The outcome, or None to keep waiting."""
        self.news = self.warning = None
        outcome = self._after_error(seen) if isinstance(seen, ScenarioError) else self._after_sighting(seen)
        if outcome is None and now >= self.deadline:
            outcome = "timed-out"
        self.pause = max(0.0, min(self.pause, self.deadline - now))
        return outcome

    def _after_sighting(self, seen: Snapshot) -> Outcome | None:
        if self._failures:
            self._shown = None
        self._failures = 0
        self.pause = self._pace(seen)
        if seen.model_name:
            self.what = f"{plain(seen.model_name)!r} ({seen.model_id})"
        shown = _worth_a_line(seen)
        if shown != self._shown:
            self._shown = shown
            self.news = f"Training {self.what}: {seen}."
        captcha = (seen.stage, seen.retry_count) if seen.needs_person else None
        if captcha != self._captcha:
            self._captcha = captcha
            self.warning = self._what_a_person_must_do(seen) if captcha else None
        return FINAL_STATUSES.get(seen.status)

    def _what_a_person_must_do(self, seen: Snapshot) -> str:
        last = f" The last try failed: {seen.retryable_error.rstrip('.')}." if seen.retryable_error else ""
        return (
            f"Training {self.what} waits for a person ({seen.stage}) and cannot go on without: to clone a voice, "
            f"Scenario wants a captcha to be read aloud.{last} Open the model in Scenario's web app and solve the "
            f"captcha there: {seen.page or f'the page of {seen.model_id}'}"
        )

    def _pace(self, seen: Snapshot) -> float:
        longest = max(self.poke_interval, min(self.poke_interval * _LEISURE, LONGEST_POLL_PAUSE))
        self._queued = self._queued + 1 if (seen.stage or "").startswith("queued") else 0
        if seen.remaining:
            if seen.remaining < self.poke_interval:
                return max(seen.remaining, self.poke_interval / 3)
            return min(max(seen.remaining * _PART_OF_THE_TIME_LEFT, self.poke_interval), longest)
        return min(self.poke_interval * 1.5 ** max(self._queued - 1, 0), longest)

    def _after_error(self, error: ScenarioError) -> Outcome | None:
        if error.permanent:
            return "refused"
        self._failures += 1
        asked = error.retry_after if isinstance(error, ThrottledError) and error.retry_after else 0.0
        slower = min(self.poke_interval * 2 ** min(self._failures, 10), LONGEST_POLL_PAUSE)
        self.pause = max(self.poke_interval, slower, asked)
        if self._failures & (self._failures - 1) == 0:
            self.news = (
                f"Training {self.what}: no usable answer from Scenario ({self._failures} in a row): {error} "
                f"The training is not affected; asking again in {self.pause:.0f} s."
            )
        return None


def _worth_a_line(seen: Snapshot) -> tuple[object, ...]:
    """Two sightings that are alike here make one log line; progress counts in steps of 5 %."""
    step = None if seen.progress is None else int(seen.progress * 20)
    return seen.status, seen.stage, seen.position, step, seen.retry_count


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"
