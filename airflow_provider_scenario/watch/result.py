"""The end of the waiting for a training: as a trigger event, as a task's result, or as its error."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, TypedDict, cast, get_args

from airflow_provider_scenario.client.consequences import NOTHING_STARTED, RUNNING_TRAINING_CONTINUES
from airflow_provider_scenario.client.texts import plain
from airflow_provider_scenario.exceptions import (
    SecretChangedError,
    TrainingCanceledError,
    TrainingFailedError,
    TrainingNotStartedError,
    TrainingTimeoutError,
    WatchingRefusedError,
)
from airflow_provider_scenario.watch.decision import Outcome
from airflow_provider_scenario.watch.start import EpochSamples, Started, TaskResult

if TYPE_CHECKING:
    from airflow_provider_scenario.client.scenario.schemas import Job, Model


class TrainingEvent(TypedDict):
    """What a trigger sends to a worker: the fields of :class:`TrainingResult`. Its keys are stored in events."""

    outcome: Outcome
    model_id: str | None
    model_name: str | None
    model_type: str | None
    job_id: str | None
    status: str | None
    creative_units_cost: float | None
    train_seconds: float | None
    epochs: list[EpochSamples] | None
    error: str | None
    hint: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingResult:
    """
    How the waiting for one training ended.

    :param status: the model's last known status, in the API's words.
    :param creative_units_cost: what the training cost in creative units; None if Scenario did not report it.
    :param epochs: the checkpoints, oldest first.
    :param error: Scenario's error message, or why the waiting ended.
    :param hint: Scenario's advice.
    """

    outcome: Outcome
    model_id: str | None = None
    model_name: str | None = None
    model_type: str | None = None
    job_id: str | None = None
    status: str | None = None
    creative_units_cost: float | None = None
    train_seconds: float | None = None
    epochs: list[EpochSamples] | None = None
    error: str | None = None
    hint: str | None = None

    @classmethod
    def of(cls, outcome: Outcome, model: Model | None, job: Job | None, *, model_id: str | None) -> TrainingResult:
        """Make it of what Scenario has returned; the model or the job may be missing."""
        billing = job.billing if job else None
        stats = model.training_stats if model else None
        return cls(
            outcome=outcome,
            model_id=model.id if model else model_id,
            model_name=model.name if model else None,
            model_type=model.type if model else None,
            job_id=job.job_id if job else model.job_id if model else None,
            status=model.status if model else outcome,
            creative_units_cost=billing.cu_cost if billing else None,
            train_seconds=stats.train_duration if stats else None,
            epochs=[
                {"epoch": epoch.epoch, "asset_ids": [asset.asset_id for asset in epoch.assets or []]}
                for epoch in (model.epochs if model else None) or []
            ],
            error=job.metadata.error if job and job.metadata else None,
            hint=job.metadata.hint if job and job.metadata else None,
        )

    def to_event(self) -> TrainingEvent:
        """Return it as a trigger event: JSON, without addresses and secrets."""
        return cast("TrainingEvent", asdict(self))

    @classmethod
    def from_event(cls, event: object) -> TrainingResult:
        """
        Read a trigger's event.

        :raises ValueError: it is anything else, which must not count as success.
        """
        if not isinstance(event, dict) or event.get("outcome") not in get_args(Outcome):
            raise ValueError(
                f"The trigger sent {event!r}, which is not the result of a training. Do worker and triggerer run the "
                "same version of this provider?"
            )
        known = {field.name for field in fields(cls)}
        return cls(**{key: value for key, value in event.items() if key in known})

    @property
    def label(self) -> str:
        """Name and ids, for messages."""
        name = f"{plain(self.model_name)!r} " if self.model_name else ""
        return f"{name}({self.model_id or 'model unknown'}, {self.job_id or 'job unknown'})"

    def value_or_raise(self, *, creative_units_total: float | None = None, time_limit: str | None = None) -> TaskResult:
        """
        Return what the task returns, or raise the error with which it fails.

        :param creative_units_total: what all attempts of the task have paid. None: it pays nothing, it only waits.
        :param time_limit: for the message, which limit has run out, such as ``timeout=60 s``.
        :raises TrainingNotStartedError: Scenario refused to start the training.
        :raises SecretChangedError: its secret parameters could not be decrypted; it was not started.
        :raises TrainingFailedError: the training has failed; carries Scenario's error and hint.
        :raises TrainingCanceledError: the training was cancelled.
        :raises TrainingTimeoutError: it had not ended at the deadline.
        :raises WatchingRefusedError: Scenario refuses further polls.
        """
        reason = (self.error or "Scenario gave no reason").rstrip(".")
        hint = f" Hint: {self.hint.rstrip('.')}." if self.hint else ""
        cost = "" if self.creative_units_cost is None else f" It cost {self.creative_units_cost:g} creative units."
        match self.outcome:
            case "trained":
                value: TaskResult = {
                    "model_id": self.model_id,
                    "job_id": self.job_id,
                    "status": "trained",
                    "name": self.model_name,
                    "type": self.model_type,
                    "creative_units_cost": self.creative_units_cost,
                    "train_seconds": self.train_seconds,
                    "epochs": self.epochs or [],
                }
                if creative_units_total is not None:
                    value["creative_units_total"] = creative_units_total
                return value
            case "started":
                return Started(
                    model_id=self.model_id or "", job_id=self.job_id, creative_units_cost=self.creative_units_cost
                ).result()
            case "not-started":
                raise TrainingNotStartedError(str(self.error))
            case "secret-changed":
                raise SecretChangedError(
                    f"The connection's API secret was changed while {self.model_id} waited for a slot, and the "
                    f"training's secret parameters were encrypted with the old one. {NOTHING_STARTED} A retry encrypts "
                    "them with the new one and starts the training; without retries, clear the task."
                )
            case "failed":
                raise TrainingFailedError(f"Training {self.label} failed: {reason}.{hint}{cost}")
            case "canceled":
                raise TrainingCanceledError(
                    f"Training {self.label} was cancelled.{cost} The task is not retried; clear it to train again."
                )
            case "timed-out":
                limit = f"within {time_limit}" if time_limit else "in time"
                raise TrainingTimeoutError(f"Training {self.label} did not end {limit}. {self.error or ''}".strip())
            case "refused":
                raise WatchingRefusedError(
                    f"Training {self.label} can no longer be polled: {self.error} {RUNNING_TRAINING_CONTINUES} Correct "
                    "the connection, then clear the task with on_clear='reattach'."
                )
