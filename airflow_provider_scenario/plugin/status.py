"""The status of a training as the page shows it: what Airflow knows of the task and Scenario of the model. No I/O."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal, get_args

from airflow_provider_scenario.watch.decision import CAPTCHA_STAGES

if TYPE_CHECKING:
    from airflow_provider_scenario.plugin.trainings import Training
    from airflow_provider_scenario.watch.decision import Snapshot

State = Literal[
    "waiting",
    "preparing",
    "queued",
    "training",
    "trained",
    "failed",
    "cancelled",
    "never started",
    "skipped",
    "unknown",
]
"""
``waiting``: the task has not begun; ``preparing``: the task runs, the training has not started; ``queued``: in
Scenario's queue; ``never started``: the task has failed before its training started; ``skipped``: Airflow has skipped
or removed the task; ``unknown``: Scenario has not answered yet.
"""

STATES: tuple[State, ...] = get_args(State)
UNFINISHED = frozenset({"waiting", "preparing", "queued", "training", "unknown"})
WITHOUT_MODEL = frozenset({"failed", "cancelled", "never started", "skipped"})

_WHY_NO_TRAINING = {
    "upstream_failed": "A task before it has failed.",
    "skipped": "The task was skipped.",
    "removed": "The task is not in the DAG any more.",
}
"""By the state of a task that never ran."""

_STAGES = {"starting-train": "starting", "running-train": "training"}
"""Stages of a training in the words of the page; those of a queue are the state ``queued``."""

_QUEUED = frozenset({"pending", "queued-for-train"}) | CAPTCHA_STAGES
_OF_STATUS: dict[str | None, State] = {"trained": "trained", "failed": "failed", "training-canceled": "cancelled"}


@dataclass(frozen=True)
class TrainingStatus:
    """
    The status of one training.

    :param snapshot: of the model; None if Scenario has not answered, or if it shows another training of the model.
    :param now: Unix time in seconds.
    """

    training: Training
    snapshot: Snapshot | None
    now: float

    @cached_property
    def state(self) -> State:
        """The state in the words of the page."""
        training, snapshot = self.training, self.snapshot
        if training.status == "trained":
            return "trained"
        if snapshot is None or snapshot.status is None:
            return self._state_by_task()
        if snapshot.status == "training":
            return "queued" if snapshot.stage in _QUEUED else "training"
        if snapshot.status in _OF_STATUS:
            return _OF_STATUS[snapshot.status]
        if not training.ended:
            return "preparing"
        return "skipped" if training.is_skipped else "never started"

    def _state_by_task(self) -> State:
        match self.training.state:
            case None | "scheduled" | "queued":
                return "waiting"
            case "failed":
                return "failed" if self.training.has_started else "never started"
            case "upstream_failed":
                return "never started"
            case "skipped" | "removed":
                return "skipped"
            case "success":
                return "unknown"
        return "training" if self.training.has_started else "preparing"

    @property
    def name(self) -> str:
        """The model's name; without one, what distinguishes the task from the others."""
        training = self.training
        return (self.snapshot and self.snapshot.name) or training.name or training.label or self.task

    @property
    def task(self) -> str:
        """The task's id, with its map index and its iteration."""
        training = self.training
        mapped = f" [{training.map_index}]" if training.map_index >= 0 else ""
        iteration = f", iteration {training.iteration}" if training.iteration is not None else ""
        return f"{training.task_id}{mapped}{iteration}"

    @property
    def type(self) -> str:
        """The model's type."""
        return (self.snapshot and self.snapshot.type) or self.training.type or ""

    @property
    def needs_person(self) -> bool:
        """Whether the training waits until a person has solved a captcha in Scenario's web app."""
        return self.state == "queued" and self.snapshot is not None and self.snapshot.needs_person

    @property
    def stage(self) -> str | None:
        """The stage of a running training, if it says more than the state."""
        stage = self.snapshot.stage if self.snapshot and self.state == "training" else None
        shown = _STAGES.get(stage, stage) if stage else None
        return None if shown == self.state else shown

    @property
    def queue_position(self) -> int | None:
        """How many trainings are before this one in Scenario's queue."""
        return self.snapshot.position if self.snapshot and self.state == "queued" else None

    @property
    def progress(self) -> float:
        """From 0 to 1; 0 if the training has ended without a trained model."""
        if self.state == "trained":
            return 1.0
        return 0.0 if self.is_without_model else (self.snapshot and self.snapshot.progress) or 0.0

    @property
    def seconds_left(self) -> float | None:
        """How long the training takes, counted from now."""
        snapshot = self.snapshot
        if self.state not in ("queued", "training") or snapshot is None or snapshot.seconds_left is None:
            return None
        return max(0.0, snapshot.seconds_left - (self.now - snapshot.at))

    @property
    def is_without_model(self) -> bool:
        """Whether it has ended without a trained model."""
        return self.state in WITHOUT_MODEL

    @property
    def reason_is_in_log(self) -> bool:
        """Whether the task has run and failed, so that its log has the reason."""
        return self.is_without_model and self.training.state in ("failed", "up_for_retry")

    @property
    def reason(self) -> str | None:
        """Why a task that never ran has no training; None for all others."""
        return _WHY_NO_TRAINING.get(self.training.state or "") if self.is_without_model else None

    @property
    def open_cost(self) -> float:
        """Creative units of a training that has not ended."""
        return min(self.training.cost or 0.0, self.training.billed or 0.0) if self.state in UNFINISHED else 0.0

    @property
    def may_change(self) -> bool:
        """Whether a later poll may show another state of the training."""
        return self.state in UNFINISHED and not (self.state == "unknown" and self.snapshot is not None)

    @property
    def needs_refresh(self) -> bool:
        """Whether a later refresh may show more: of the training, or of a task that has not ended."""
        return self.may_change or not self.training.ended


@dataclass(frozen=True)
class Batch:
    """Several trainings together."""

    statuses: Sequence[TrainingStatus]

    @cached_property
    def counts(self) -> Mapping[State, int]:
        """How many trainings are in each state, in the order of a training's life."""
        counted = Counter(each.state for each in self.statuses)
        return {state: counted[state] for state in STATES if counted[state]}

    @property
    def planned(self) -> int:
        """All trainings without those of skipped tasks."""
        return len(self.statuses) - self.counts.get("skipped", 0)

    @property
    def progress(self) -> float:
        """From 0 to 1. Each planned training counts the same; one that has ended without a model counts as 0."""
        return sum(each.progress for each in self.statuses) / self.planned if self.planned else 0.0

    @property
    def trained(self) -> int:
        """How many have a trained model."""
        return self.counts.get("trained", 0)

    @property
    def without_model(self) -> int:
        """How many have ended without a trained model; skipped tasks do not count."""
        return sum(each.is_without_model for each in self.statuses) - self.counts.get("skipped", 0)

    @property
    def spent(self) -> float:
        """Creative units of the trainings that have ended, with those of earlier attempts."""
        return sum((each.training.billed or 0.0) - each.open_cost for each in self.statuses)

    @property
    def expected(self) -> float:
        """Creative units of all trainings that have started, in all attempts."""
        return sum(each.training.billed or 0.0 for each in self.statuses)

    @property
    def unpriced(self) -> int:
        """How many trainings may still start at a price that is not known yet."""
        return sum(each.training.cost is None and each.state in ("waiting", "preparing") for each in self.statuses)

    @property
    def seconds_left(self) -> float | None:
        """Until the last of the trainings that run now has ended."""
        return max((left for each in self.statuses if (left := each.seconds_left) is not None), default=None)

    @property
    def needs_refresh(self) -> bool:
        """Whether a later refresh may show more of one of them."""
        return any(each.needs_refresh for each in self.statuses)
