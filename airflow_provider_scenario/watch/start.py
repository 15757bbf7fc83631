"""Start a training at most once: read the model, then adopt the training that runs, or start one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NotRequired, TypedDict

from airflow_provider_scenario.client.consequences import NOTHING_NEW
from airflow_provider_scenario.client.errors import AlreadyTrainingError, ScenarioError
from airflow_provider_scenario.client.scenario.secret_parameters import only_secrets
from airflow_provider_scenario.client.secret_text import revealed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_scenario.client.scenario.client import ScenarioClient
    from airflow_provider_scenario.client.scenario.schemas import Model


class EpochSamples(TypedDict):
    """One checkpoint of a trained model, and the assets that are its samples."""

    epoch: str | None
    asset_ids: list[str | None]


class TaskResult(TypedDict):
    """What a training task returns, to XCom as well. ``creative_units_total``: what all its attempts have paid."""

    model_id: str | None
    job_id: str | None
    status: Literal["trained", "training"]
    name: NotRequired[str | None]
    type: NotRequired[str | None]
    creative_units_cost: float | None
    creative_units_total: NotRequired[float]
    train_seconds: NotRequired[float | None]
    epochs: list[EpochSamples]


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """
    A training that runs.

    :param adopted: another attempt, another task or a person had started it; nothing new was paid.
    :param refused: our own request was refused, because a training runs already.
    """

    model_id: str
    job_id: str | None
    creative_units_cost: float | None = None
    adopted: bool = False
    refused: bool = False

    def result(self) -> TaskResult:
        """Return what a task returns that does not wait for the end."""
        return {
            "model_id": self.model_id,
            "job_id": self.job_id,
            "creative_units_cost": self.creative_units_cost,
            "status": "training",
            "epochs": [],
        }

    def __str__(self) -> str:
        if self.adopted:
            return f"A training of {self.model_id} runs already, as {self.job_id}. {NOTHING_NEW}"
        cost = "an unknown number of" if self.creative_units_cost is None else f"{self.creative_units_cost:g}"
        return f"Training of {self.model_id} has started as {self.job_id} for {cost} creative units."


def started_before(model: Model, previous_job_id: str | None) -> Started | None:
    """
    Return the training that runs, or that has run since ``previous_job_id``; None if there is none.

    :param model: as just read.
    :param previous_job_id: see :func:`start_or_adopt`.
    """
    if model.status == "training" or (model.job_id and previous_job_id != model.job_id):
        return Started(model_id=model.id, job_id=model.job_id, adopted=True)
    return None


def start_or_adopt(
    client: ScenarioClient, model: Model, parameters: dict[str, Any], *, previous_job_id: str | None = None
) -> Started:
    """
    Start the training of a model, unless one runs or has run since ``previous_job_id``.

    :param model: as just read.
    :param previous_job_id: the job that had trained the model when the caller decided to train it. If another job has
        trained it since, that is the wanted training: it was started here, and the answer was lost.
    :raises PlanCeilingError: no slot is free (``frees_up``), or the plan allows no more.
    """
    if earlier := started_before(model, previous_job_id):
        return earlier
    try:
        started = client.train(model.id, parameters, model=model)
    except AlreadyTrainingError:
        return Started(model_id=model.id, job_id=client.get_model(model.id).job_id, adopted=True, refused=True)
    except ScenarioError as error:
        # Scenario may quote the parameters in its error, which a trigger's event carries to Airflow's database.
        error.args = tuple(_without(only_secrets(parameters), text) for text in error.args)
        raise
    return Started(model_id=model.id, job_id=started.job.job_id, creative_units_cost=started.creative_units_cost)


def _without(secrets: Mapping[str, Any], text: str) -> str:
    for secret in revealed(dict(secrets)).values():
        text = text.replace(secret, "***") if secret else text
    return text
