"""How a training ended: as an event that crosses processes, as a task's result, or as its error."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, get_args

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
from airflow_provider_scenario.watch.start import Started

if TYPE_CHECKING:
    from airflow_provider_scenario.client.scenario.schemas import Job, Model


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingResult:
    """
    The end of waiting for one training.

    :param outcome: what it came to.
    :param status: the model's last known status, in the API's words.
    :param creative_units_cost: what it cost in creative units; None where the service did not say.
    :param epochs: one ``{"epoch": …, "asset_ids": […]}`` a checkpoint, oldest first; the assets are its samples.
    :param error: the vendor's text, or why the waiting ended.
    :param hint: the vendor's advice.
    """

    outcome: Outcome
    model_id: str | None = None
    model_name: str | None = None
    model_type: str | None = None
    job_id: str | None = None
    status: str | None = None
    creative_units_cost: float | None = None
    train_seconds: float | None = None
    epochs: list[dict[str, Any]] | None = None
    error: str | None = None
    hint: str | None = None

    @classmethod
    def of(cls, outcome: Outcome, model: Model | None, job: Job | None, *, model_id: str | None) -> TrainingResult:
        """Gather what the service told; the model or the job may be missing."""
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

    def to_event(self) -> dict[str, Any]:
        """A JSON-serialisable trigger event; holds no address and no secret."""
        return asdict(self)

    @classmethod
    def from_event(cls, event: Any) -> TrainingResult:
        """
        Read a trigger's event back.

        :raises ValueError: for anything but a whole ending, so that nothing odd can pass for success.
        """
        if not isinstance(event, dict) or event.get("outcome") not in get_args(Outcome):
            raise ValueError(f"The trigger sent {event!r}, which is no end of a training. Do the versions match?")
        known = {field.name for field in fields(cls)}
        return cls(**{key: value for key, value in event.items() if key in known})

    @property
    def what(self) -> str:
        """Name and ids, for people."""
        name = f"{plain(self.model_name)!r} " if self.model_name else ""
        return f"{name}({self.model_id or 'model unknown'}, {self.job_id or 'job unknown'})"

    def result(self, *, creative_units_total: float | None = None, time_limit: str | None = None) -> dict[str, Any]:
        """
        What the task returns.

        :param creative_units_total: what all attempts of the task have paid. None: it pays nothing, it only waits.
        :param time_limit: for the message, what has run out, such as ``timeout=60 s``.
        :raises TrainingNotStartedError: Scenario refused to start it.
        :raises SecretChangedError: its secret parameters could not be decrypted; it was not started.
        :raises TrainingFailedError: the service reports that the training has failed; carries its error and hint.
        :raises TrainingCanceledError: somebody cancelled it.
        :raises TrainingTimeoutError: it was not over at the deadline.
        :raises WatchingRefusedError: the service no longer lets us look.
        """
        reason = (self.error or "Scenario gave no reason").rstrip(".")
        hint = f" Hint: {self.hint.rstrip('.')}." if self.hint else ""
        cost = "" if self.creative_units_cost is None else f" It cost {self.creative_units_cost:g} creative units."
        match self.outcome:
            case "trained":
                return {
                    "model_id": self.model_id,
                    "job_id": self.job_id,
                    "status": "trained",
                    "name": self.model_name,
                    "type": self.model_type,
                    "creative_units_cost": self.creative_units_cost,
                    **({} if creative_units_total is None else {"creative_units_total": creative_units_total}),
                    "train_seconds": self.train_seconds,
                    "epochs": self.epochs or [],
                }
            case "started":
                return Started(
                    model_id=self.model_id or "", job_id=self.job_id, creative_units_cost=self.creative_units_cost
                ).result()
            case "not-started":
                raise TrainingNotStartedError(str(self.error))
            case "secret-changed":
                raise SecretChangedError(
                    f"The secret of the connection was changed while {self.model_id} waited for a slot, and the "
                    "training's own secrets were encrypted with it. Nothing was started or billed. A retry goes on; "
                    "without retries, clear the task."
                )
            case "failed":
                raise TrainingFailedError(f"Training {self.what} failed: {reason}.{hint}{cost}")
            case "canceled":
                raise TrainingCanceledError(f"Training {self.what} was cancelled.{cost} It is not started again.")
            case "timed-out":
                limit = f"within {time_limit}" if time_limit else "in time"
                raise TrainingTimeoutError(f"Training {self.what} was not over {limit}. {self.error or ''}".strip())
            case "refused":
                raise WatchingRefusedError(
                    f"Training {self.what} can no longer be watched: {self.error} "
                    "If it was running it goes on, and so does its cost; a later run finds it by the model's id."
                )
