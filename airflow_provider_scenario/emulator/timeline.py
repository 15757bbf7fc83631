"""The state of a training at a moment, computed from timestamps alone: nothing runs in the background."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import ceil, inf
from typing import TYPE_CHECKING

from airflow_provider_scenario.emulator.settings import Outcome

if TYPE_CHECKING:
    from airflow_provider_scenario.emulator.captcha import Captcha

# Shares of the whole duration. As on the live service, the stage is ahead of the job's status: between 0.20 and 0.22
# the stage is running-train already and the job is still queued.
STAGES = ((0.0, "queued-for-train"), (0.14, "starting-train"), (0.20, "running-train"))
JOB_STATUSES = ((0.0, "queued"), (0.22, "warming-up"), (0.27, "in-progress"), (0.95, "finalizing"), (1.0, "success"))
RUNNING_FROM, RUNNING_UNTIL = 0.20, 0.95
QUEUE_LENGTH = 3


@dataclass(frozen=True, slots=True)
class Moment:
    """
    :param waiting: whether the training is not queued yet.
    :param remaining_ms: None: unknown, because the training waits for a captcha.
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
    :param started: when the training was started, on the emulator's clock.
    :param seconds: its duration, from the queue to its end.
    :param queued_at: until when it is pending. Default: not at all.
    :param captcha: a captcha that must be solved before it is queued.
    """

    started: float
    seconds: float
    outcome: Outcome = field(default_factory=Outcome)
    canceled_at: float | None = None
    queued_at: float = -inf
    captcha: Captcha | None = None

    @property
    def entered_queue_at(self) -> float:
        """``inf`` while it waits for a captcha."""
        return max(self.started, self.queued_at, self.captcha.solved_at if self.captcha else -inf)

    @property
    def ends_at(self) -> float:
        """When it ends by itself or was cancelled; ``inf`` if it stalls."""
        if self.canceled_at is not None:
            return self.canceled_at
        if self._captcha_failed:
            return self.captcha.failed_at if self.captcha else inf
        if self.outcome.fail_at is not None and not self._stalls_before(self.outcome.fail_at):
            return self.entered_queue_at + self.seconds * _share(self.outcome.fail_at)
        return inf if self.outcome.stall_at is not None else self.entered_queue_at + self.seconds

    @property
    def final_job_status(self) -> str:
        if self.canceled_at is not None:
            return "canceled"
        return "failure" if self._captcha_failed or self.outcome.fail_at is not None else "success"

    @property
    def failure(self) -> tuple[str, str | None]:
        """Error and hint of a training that fails."""
        if self.captcha is not None and self._captcha_failed:
            return self.captcha.error or "", "Record the captcha again."
        return self.outcome.error, self.outcome.hint

    @property
    def running_since(self) -> float:
        return self.entered_queue_at + self.seconds * RUNNING_FROM

    def share(self, now: float) -> float:
        """The share of the duration that has passed, 0 to 1; constant once it stalls or has ended."""
        elapsed = min(now, self.ends_at) - self.entered_queue_at
        share = elapsed / self.seconds if self.seconds else float(elapsed >= 0)
        halts = [_share(halt) for halt in (self.outcome.stall_at, self.outcome.fail_at) if halt is not None]
        return max(min(share, 1.0, *halts), 0.0)

    def at(self, now: float) -> Moment:
        if min(now, self.ends_at) < self.entered_queue_at:
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
            updated_at=self.entered_queue_at + share * self.seconds,
            retrying=self.outcome.retryable_error is not None and progress >= self.outcome.retry_at,
        )

    def job_history(self, now: float) -> list[tuple[str, float]]:
        """The job's statuses so far, each with the time it began. Never empty."""
        share = self.share(now)
        ended = now >= self.ends_at
        pending = [("pending", self.started)] if self.entered_queue_at > self.started else []
        history = [
            (status, self.entered_queue_at + begin * self.seconds)
            for begin, status in JOB_STATUSES
            if begin <= share and status != "success" and min(now, self.ends_at) >= self.entered_queue_at
        ]
        return [*pending, *history, (self.final_job_status, self.ends_at)] if ended else [*pending, *history]

    def _before_the_queue(self, now: float) -> Moment:
        if self.captcha is None or now < self.queued_at:
            remaining = None if self.captcha else round((self.entered_queue_at + self.seconds - now) * 1000)
            return Moment("pending", 0.0, None, remaining, None, self.started, waiting=True)
        return Moment(self.captcha.stage, 0.0, None, None, None, self.captcha.since, waiting=True)

    @property
    def _captcha_failed(self) -> bool:
        return self.captcha is not None and self.captcha.failed_at < inf

    def _stalls_before(self, progress: float) -> bool:
        return self.outcome.stall_at is not None and self.outcome.stall_at < progress


def _share(progress: float) -> float:
    return RUNNING_FROM + (RUNNING_UNTIL - RUNNING_FROM) * progress
