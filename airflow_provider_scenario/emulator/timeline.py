"""Where a training stands at a moment. Computed from timestamps alone, so nothing has to run in the background."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import ceil, inf

from airflow_provider_scenario.emulator.settings import Outcome

# Shares of the whole duration. The stage runs ahead of the job's status: between 0.20 and 0.22 it already reads
# running-train while the job is still queued, which has been seen on the live service.
STAGES = ((0.0, "queued-for-train"), (0.14, "starting-train"), (0.20, "running-train"))
JOB_STATUSES = ((0.0, "queued"), (0.22, "warming-up"), (0.27, "in-progress"), (0.95, "finalizing"), (1.0, "success"))
RUNNING_FROM, RUNNING_UNTIL = 0.20, 0.95
QUEUE_LENGTH = 3


@dataclass(frozen=True, slots=True)
class Moment:
    stage: str
    progress: float
    position: int | None
    remaining_ms: int
    running_since: float | None
    updated_at: float
    retrying: bool


@dataclass(slots=True)
class Timeline:
    """
    :param started: when it was launched, on the emulator's clock.
    :param seconds: how long all of it takes.
    """

    started: float
    seconds: float
    outcome: Outcome = field(default_factory=Outcome)
    canceled_at: float | None = None

    @property
    def ends_at(self) -> float:
        """When it is over by itself or was cancelled; ``inf`` for one that stalls."""
        if self.canceled_at is not None:
            return self.canceled_at
        if self.outcome.fail_at is not None and not self._stalls_before(self.outcome.fail_at):
            return self.started + self.seconds * _share(self.outcome.fail_at)
        return inf if self.outcome.stall_at is not None else self.started + self.seconds

    @property
    def ending(self) -> str:
        """The job's final status."""
        if self.canceled_at is not None:
            return "canceled"
        return "failure" if self.outcome.fail_at is not None else "success"

    @property
    def running_since(self) -> float:
        return self.started + self.seconds * RUNNING_FROM

    def share(self, now: float) -> float:
        """How much of the whole is over, 0 to 1; stands still when it stalls or has ended."""
        over = min(now, self.ends_at) - self.started
        share = over / self.seconds if self.seconds else 1.0
        halts = [_share(halt) for halt in (self.outcome.stall_at, self.outcome.fail_at) if halt is not None]
        return min(share, 1.0, *halts)

    def at(self, now: float) -> Moment:
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
            updated_at=self.started + share * self.seconds,
            retrying=self.outcome.retryable_error is not None and progress >= self.outcome.retry_at,
        )

    def job_history(self, now: float) -> list[tuple[str, float]]:
        """The statuses the job has had so far, each with the moment it began. Never empty."""
        share = self.share(now)
        ended = now >= self.ends_at
        history = [
            (status, self.started + begin * self.seconds)
            for begin, status in JOB_STATUSES
            if begin <= share and (status != "success")
        ]
        return [*history, (self.ending, self.ends_at)] if ended else history

    def _stalls_before(self, progress: float) -> bool:
        return self.outcome.stall_at is not None and self.outcome.stall_at < progress


def _share(progress: float) -> float:
    return RUNNING_FROM + (RUNNING_UNTIL - RUNNING_FROM) * progress
