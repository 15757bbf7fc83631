"""Where a training stands: what Airflow knows of the task and Scenario of the model, put together. No I/O."""

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
    "waiting", "preparing", "queued", "training", "trained", "failed", "cancelled", "never started", "unknown"
]
"""
``waiting``: the task has not begun; ``preparing``: it has, the training has not; ``queued``: at Scenario; ``never
started``: the task has ended without a training; ``unknown``: Scenario has not said.
"""

STATES: tuple[State, ...] = get_args(State)
MOVING = frozenset({"waiting", "preparing", "queued", "training", "unknown"})
"""States that a later look may find changed."""

_WITHOUT_A_START = {
    "upstream_failed": "A task before it has failed.",
    "skipped": "The task was skipped.",
    "removed": "The task is not in the DAG any more.",
}
"""Why a task that never ran has no training, by the task's state."""

_STAGES = {"starting-train": "starting", "running-train": "training"}
"""Stages of a training in the words of the page; those of a queue are the state ``queued``."""

_QUEUED = frozenset({"pending", "queued-for-train"}) | CAPTCHA_STAGES
_OF_STATUS: dict[str | None, State] = {"trained": "trained", "failed": "failed", "training-canceled": "cancelled"}


@dataclass(frozen=True)
class TrainingStatus:
    """
    One training as it is shown.

    :param sight: what Scenario says of it; None where it has not said anything, or of another training.
    :param now: Unix time in seconds.
    """

    training: Training
    sight: Snapshot | None
    now: float

    @cached_property
    def state(self) -> State:
        """In the words of the page."""
        training, sight = self.training, self.sight
        if training.status == "trained":
            return "trained"
        if sight is None or sight.status is None:
            return self._by_the_task()
        if sight.status == "training":
            return "queued" if sight.stage in _QUEUED else "training"
        if sight.status in _OF_STATUS:
            return _OF_STATUS[sight.status]
        return "never started" if training.ended else "preparing"

    def _by_the_task(self) -> State:
        match self.training.state:
            case None | "scheduled" | "queued":
                return "waiting"
            case "failed":
                return "failed" if self.training.has_started else "never started"
            case "skipped" | "upstream_failed" | "removed":
                return "never started"
            case "success":
                return "unknown"
        return "training" if self.training.has_started else "preparing"

    @property
    def name(self) -> str:
        """The model's name, or what else tells it from its siblings."""
        training = self.training
        return (self.sight and self.sight.name) or training.name or training.label or self.task

    @property
    def task(self) -> str:
        training = self.training
        mapped = f" [{training.map_index}]" if training.map_index >= 0 else ""
        iteration = f", iteration {training.iteration}" if training.iteration is not None else ""
        return f"{training.task_id}{mapped}{iteration}"

    @property
    def type(self) -> str:
        return (self.sight and self.sight.type) or self.training.type or ""

    @property
    def needs_person(self) -> bool:
        """Whether it cannot go on until a person has solved a captcha in Scenario's web app."""
        return self.state == "queued" and self.sight is not None and self.sight.needs_person

    @property
    def stage(self) -> str | None:
        """Of a training that runs, where that says more than its state."""
        stage = self.sight.stage if self.sight and self.state == "training" else None
        shown = _STAGES.get(stage, stage) if stage else None
        return None if shown == self.state else shown

    @property
    def place(self) -> int | None:
        """In the queue, while it is in one."""
        return self.sight.position if self.sight and self.state == "queued" else None

    @property
    def progress(self) -> float:
        """0 to 1; 0 where it has ended without a trained model."""
        if self.state == "trained":
            return 1.0
        return 0.0 if self.lost else (self.sight and self.sight.progress) or 0.0

    @property
    def seconds_left(self) -> float | None:
        if self.state not in ("queued", "training") or self.sight is None or self.sight.seconds_left is None:
            return None
        return max(0.0, self.sight.seconds_left - (self.now - self.sight.at))

    @property
    def lost(self) -> bool:
        """Whether it has ended without a trained model."""
        return self.state in ("failed", "cancelled", "never started")

    @property
    def log_says_why(self) -> bool:
        """Whether the task has run, so that its log says why there is no trained model."""
        return self.lost and self.training.state in ("failed", "up_for_retry")

    @property
    def reason(self) -> str | None:
        """Why a task that never ran has no training; None for all others."""
        return _WITHOUT_A_START.get(self.training.state or "") if self.lost else None

    @property
    def unsettled(self) -> float:
        """Creative units of a training that is not over."""
        return min(self.training.cost or 0.0, self.training.paid or 0.0) if self.state in MOVING else 0.0

    @property
    def moving(self) -> bool:
        """Whether it may still change."""
        return self.state in MOVING and not (self.state == "unknown" and self.sight is not None)

    @property
    def unfinished(self) -> bool:
        """Whether a later look may show more: it moves, or its task goes on, to its end or to another try."""
        return self.moving or not self.training.ended


@dataclass(frozen=True)
class Batch:
    """Several trainings together."""

    standings: Sequence[TrainingStatus]

    @cached_property
    def counts(self) -> Mapping[State, int]:
        """How many are in each state; the states in the order of a training's life."""
        counted = Counter(each.state for each in self.standings)
        return {state: counted[state] for state in STATES if counted[state]}

    @property
    def progress(self) -> float:
        """0 to 1: all trainings count the same. What has ended without a trained model adds nothing."""
        return sum(each.progress for each in self.standings) / len(self.standings) if self.standings else 0.0

    @property
    def trained(self) -> int:
        """How many have a trained model."""
        return self.counts.get("trained", 0)

    @property
    def lost(self) -> int:
        """How many have ended without one."""
        return sum(each.lost for each in self.standings)

    @property
    def spent(self) -> float:
        """Creative units of the trainings that are over, those of earlier attempts among them."""
        return sum((each.training.paid or 0.0) - each.unsettled for each in self.standings)

    @property
    def expected(self) -> float:
        """Creative units of all trainings that have started, in all attempts."""
        return sum(each.training.paid or 0.0 for each in self.standings)

    @property
    def unpriced(self) -> int:
        """How many may still start, at a price that nobody has named yet."""
        return sum(each.training.cost is None and each.state in ("waiting", "preparing") for each in self.standings)

    @property
    def seconds_left(self) -> float | None:
        """Until the last of those that run now is over."""
        return max((left for each in self.standings if (left := each.seconds_left) is not None), default=None)

    @property
    def unfinished(self) -> bool:
        return any(each.unfinished for each in self.standings)
