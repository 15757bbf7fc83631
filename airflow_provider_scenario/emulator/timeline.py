"""Where a training stands at a moment. Computed from timestamps alone, so nothing has to run in the background."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import ceil, inf
from typing import TYPE_CHECKING

from airflow_provider_scenario.emulator.settings import Outcome

if TYPE_CHECKING:
    from airflow_provider_scenario.emulator.captcha import Captcha

# Shares of the whole duration. The stage runs ahead of the job's status: between 0.20 and 0.22 it already reads
# running-train while the job is still queued, which has been seen on the live service.
STAGES = ((0.0, "queued-for-train"), (0.14, "starting-train"), (0.20, "running-train"))
JOB_STATUSES = ((0.0, "queued"), (0.22, "warming-up"), (0.27, "in-progress"), (0.95, "finalizing"), (1.0, "success"))
RUNNING_FROM, RUNNING_UNTIL = 0.20, 0.95
QUEUE_LENGTH = 3


@dataclass(frozen=True, slots=True)
class Moment:
    """
    :param waiting: whether it waits to be queued at all.
    :param remaining_ms: None: nobody can say, since it waits for a person.
    """

    stage: str
    progress: float
    position: int | None
    remaining_ms: int | None
    running_since: float | None
    updated_at: float
    retrying: bool = False
    waiting: bool = False


@dataclass(slots=True)
class Timeline:
    """
    :param started: when it was launched, on the emulator's clock.
    :param seconds: how long all of it takes, once it is queued.
    :param queued_at: when it is queued; until then it is pending. Default: at once.
    :param captcha: what a person must do first.
    """

    started: float
    seconds: float
    outcome: Outcome = field(default_factory=Outcome)
    canceled_at: float | None = None
    queued_at: float = -inf
    captcha: Captcha | None = None

    @property
    def begun(self) -> float:
        """When it came into the queue; ``inf`` while it waits for a person."""
        return max(self.started, self.queued_at, self.captcha.solved_at if self.captcha else -inf)

    @property
    def ends_at(self) -> float:
        """When it is over by itself or was cancelled; ``inf`` for one that stalls."""
        if self.canceled_at is not None:
            return self.canceled_at
        if self._captcha_failed:
            return self.captcha.failed_at if self.captcha else inf
        if self.outcome.fail_at is not None and not self._stalls_before(self.outcome.fail_at):
            return self.begun + self.seconds * _share(self.outcome.fail_at)
        return inf if self.outcome.stall_at is not None else self.begun + self.seconds

    @property
    def ending(self) -> str:
        """The job's final status."""
        if self.canceled_at is not None:
            return "canceled"
        return "failure" if self._captcha_failed or self.outcome.fail_at is not None else "success"

    @property
    def complaint(self) -> tuple[str, str | None]:
        """Error and hint of a failure."""
        if self.captcha is not None and self._captcha_failed:
            return self.captcha.error or "", "Record the captcha again."
        return self.outcome.error, self.outcome.hint

    @property
    def running_since(self) -> float:
        return self.begun + self.seconds * RUNNING_FROM

    def share(self, now: float) -> float:
        """How much of the whole is over, 0 to 1; stands still when it stalls or has ended."""
        over = min(now, self.ends_at) - self.begun
        share = over / self.seconds if self.seconds else float(over >= 0)
        halts = [_share(halt) for halt in (self.outcome.stall_at, self.outcome.fail_at) if halt is not None]
        return max(min(share, 1.0, *halts), 0.0)

    def at(self, now: float) -> Moment:
        if min(now, self.ends_at) < self.begun:
            return self._before_the_queue(min(now, self.ends_at))
        share = self.share(now)
        stage = [name for begin, name in STAGES if begin <= share][-1]
        progress = min(max((share - RUNNING_FROM) / (RUNNING_UNTIL - RUNNING_FROM), 0.0), 1.0)
        queued = stage == "queued-for-train"
        return Moment(
            stage=stage,
            progress=round(progress, 4),
            position=max(1, ceil(QUEUE_LENGTH * (1 - share / STAGES[1][0]))) if queued else None,
            remaining_ms=round((1 - share) * self.seconds * 1000),
            running_since=self.running_since if stage == "running-train" else None,
            updated_at=self.begun + share * self.seconds,
            retrying=self.outcome.retryable_error is not None and progress >= self.outcome.retry_at,
        )

    def job_history(self, now: float) -> list[tuple[str, float]]:
        """The statuses the job has had so far, each with the moment it began. Never empty."""
        share = self.share(now)
        ended = now >= self.ends_at
        waited = [("pending", self.started)] if self.begun > self.started else []
        history = [
            (status, self.begun + begin * self.seconds)
            for begin, status in JOB_STATUSES
            if begin <= share and status != "success" and min(now, self.ends_at) >= self.begun
        ]
        return [*waited, *history, (self.ending, self.ends_at)] if ended else [*waited, *history]

    def _before_the_queue(self, now: float) -> Moment:
        if self.captcha is None or now < self.queued_at:
            remaining = None if self.captcha else round((self.begun + self.seconds - now) * 1000)
            return Moment("pending", 0.0, None, remaining, None, self.started, waiting=True)
        return Moment(self.captcha.stage, 0.0, None, None, None, self.captcha.since, waiting=True)

    @property
    def _captcha_failed(self) -> bool:
        return self.captcha is not None and self.captcha.failed_at < inf

    def _stalls_before(self, progress: float) -> bool:
        return self.outcome.stall_at is not None and self.outcome.stall_at < progress


def _share(progress: float) -> float:
    return RUNNING_FROM + (RUNNING_UNTIL - RUNNING_FROM) * progress
