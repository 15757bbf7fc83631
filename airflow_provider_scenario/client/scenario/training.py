"""The endpoints of trainings and jobs: quote, start and cancel a training, read its job."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Literal, TypedDict, Unpack

from airflow_provider_scenario.client.consequences import NOTHING_SENT, NOTHING_STARTED
from airflow_provider_scenario.client.errors import InvalidInputError, RequestRefusedError, ServiceError
from airflow_provider_scenario.client.messages import shown
from airflow_provider_scenario.client.scenario.endpoints import filters_of, flag
from airflow_provider_scenario.client.scenario.models import Models
from airflow_provider_scenario.client.scenario.schemas import Job, Model, Quote, StartedTraining, job_id_in
from airflow_provider_scenario.client.scenario.trainers import as_sent, check_parameters, check_training
from airflow_provider_scenario.client.transport import path

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from airflow_provider_scenario.client.answers import Answer
    from airflow_provider_scenario.client.scenario.parameters import TrainingParameters

log = logging.getLogger(__name__)

DRY_RUN = 269
"""HTTP status of an answer that only quotes a price."""


class JobFilters(TypedDict, total=False):
    """
    The filters of ``list_jobs``. There is no filter by model.

    ``created_after`` works only without ``status``, ``type``, ``types`` and ``workflow_id``; ``updated_after`` only
    with one of them.
    """

    page_size: int
    """1-100, default 50."""
    status: str
    type: str
    types: Sequence[str]
    author_id: str
    workflow_id: str
    hide_results: bool
    created_after: str | datetime
    updated_after: str | datetime


class Trainings(Models):
    """The endpoints of trainings and jobs. Only ``train`` costs anything."""

    def quote_training(
        self,
        model_id: str,
        parameters: Mapping[str, Any] | TrainingParameters | None = None,
        *,
        training_images_count: int | None = None,
        tier: Literal["true", "api"] = "true",
        original_assets: bool | None = None,
    ) -> Quote:
        """
        Quote the price of a training; nothing is started.

        :param parameters: training parameters, in either spelling.
        :param training_images_count: how many images to count while the model has none.
        :param tier: ``api`` for the price of the API tier.
        :param original_assets: as for :meth:`get_model`.
        :raises InvalidInputError: a parameter is misspelt, of the wrong kind, or out of range. What depends on the
            model's type is checked by :meth:`train`: a quote costs nothing, and does not read the model.
        :raises ServiceError: no price came back; with ``money`` 'spent' if the service started a training all the same.
        """
        if tier not in ("true", "api"):
            # Without dryRun, the same request would start the training.
            raise InvalidInputError(f"tier is {shown(tier)}; give 'true' or 'api'. {NOTHING_SENT}")
        if training_images_count is not None and not _is_count(training_images_count):
            given = shown(training_images_count)
            raise InvalidInputError(f"training_images_count is {given}; give a whole number from 0 on. {NOTHING_SENT}")
        action = f"quote the training of model {model_id}"
        answer = self._transport.request(
            "PUT",
            path("models", model_id, "train"),
            query={
                "dryRun": tier,
                "originalAssets": flag(original_assets, "original_assets"),
                "trainingImagesCount": training_images_count,
            },
            json=_body(parameters, check_parameters(parameters)),
            action=action,
            repeatable=True,
            accept=(402,),  # the guides say that a dry run answers 402; the live service answers 269
        )
        if job_id_in(answer.json):
            raise _started_by_a_quote(answer, action)
        price = _price(answer.json)
        if price is None:
            raise ServiceError(
                f"Scenario was requested to {action}; its answer names no price. {NOTHING_STARTED}",
                maybe_done=False,
                **answer.origin,
            )
        return Quote.read({**answer.json, "creativeUnitsCost": price}, action=action, answer=answer)

    def train(
        self,
        model_id: str,
        parameters: Mapping[str, Any] | TrainingParameters | None = None,
        *,
        model: Model | None = None,
        original_assets: bool | None = None,
    ) -> StartedTraining:
        """
        Start the training of a model. **This costs creative units.** Never sent twice.

        :param parameters: training parameters, in either spelling; default: Scenario's own.
        :param model: the model, just read by the caller, who also logs the warnings of
            ``trainers.check_training``. Default: it is read first, and the warnings are logged here.
        :param original_assets: as for :meth:`get_model`.
        :raises InvalidInputError: a parameter is wrong, or the model is not ready; nothing was started or billed.
        :raises AlreadyTrainingError: the model is in training already.
        :raises PlanCeilingError: the plan does not allow it.
        :raises ServiceError: ``maybe_done`` when it may have been started and billed: read the model first.
        """
        checked, warnings = check_training(model or self.get_model(model_id), parameters)
        if model is None:
            for warning in warnings:
                log.warning("Training %s: %s", model_id, warning)
        action = f"train model {model_id}"
        answer = self._transport.request(
            "PUT",
            path("models", model_id, "train"),
            query={"originalAssets": flag(original_assets, "original_assets")},
            json=_body(parameters, checked),
            action=action,
            repeatable=False,
            if_lost="It may have been started and billed: read the model before starting it again.",
        )
        return _started(answer, action)

    def cancel_training(self, model_id: str, *, original_assets: bool | None = None) -> Model:
        """
        Cancel the training of a model. It may stay billed. Read the model afterwards: canceling takes time.

        :param original_assets: as for :meth:`get_model`.
        """
        action = f"cancel the training of model {model_id}"
        answer = self._transport.request(
            "POST",
            path("models", model_id, "train", "action"),
            query={"originalAssets": flag(original_assets, "original_assets")},
            json={"action": "cancel"},
            action=action,
            repeatable=True,
        )
        return self._read(Model, answer, "model", action, only_status=True)

    def get_job(self, job_id: str) -> Job:
        """Read a job: progress, what it was billed at, and why it failed."""
        action = f"read job {job_id}"
        answer = self._transport.request("GET", path("jobs", job_id), action=action, repeatable=True)
        return self._read(Job, answer, "job", action)

    def list_jobs(self, **filters: Unpack[JobFilters]) -> Iterator[Job]:
        """
        List jobs page by page as they are read.

        :param filters: see :class:`JobFilters`.
        """
        return self._pages(Job, path("jobs"), "jobs", query=filters_of(JobFilters, filters), action="list jobs")


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _body(given: object, checked: Mapping[str, object]) -> dict[str, object]:
    return {} if given is None else {"parameters": as_sent(checked)}


def _started(answer: Answer, action: str) -> StartedTraining:
    """
    Read the training that was started, in any of the documented spellings.

    It is billed, so only a missing job id makes the answer unreadable; the job id may also be the model's.
    """
    job, model = answer.json.get("job"), answer.json.get("model")
    job_id = job_id_in(answer.json)
    if not job_id and answer.status != DRY_RUN and isinstance(model, dict):
        job_id = job_id_in(model) if str(model.get("status")).lower() == "training" else None
    if not job_id:
        raise _not_launched(answer, action)
    found = {**answer.json, "job": {**(job if isinstance(job, dict) else {}), "jobId": job_id}}
    if (price := _price(answer.json)) is not None:
        found["creativeUnitsCost"] = price
    return StartedTraining.read(found, action=action, maybe_done=True, answer=answer)


def _price(answer: Mapping[str, object]) -> float | None:
    """The price, under the name in the schema or one of the names in the guides."""
    units = answer.get("creativeUnits")
    places = (
        answer.get("creativeUnitsCost"),
        answer.get("estimatedCost"),
        units.get("estimatedCreativeUnits") if isinstance(units, dict) else None,
    )
    return next((price for price in places if isinstance(price, int | float) and not isinstance(price, bool)), None)


def _started_by_a_quote(answer: Answer, action: str) -> ServiceError:
    job_id = answer.scrub(str(job_id_in(answer.json)))
    error = ServiceError(
        f"Scenario was requested to {action}, but it has started job {job_id}, which is billed. Cancel the "
        "training or wait for it, and report this to Scenario's support.",
        maybe_done=True,
        **answer.origin,
    )
    error.money = "spent"
    return error


def _not_launched(answer: Answer, action: str) -> RequestRefusedError | ServiceError:
    checked = answer.json.get("ipDetection")
    if isinstance(checked, dict) and checked.get("action") == "blocked":
        charged = answer.scrub(str(checked.get("creativeUnitsCharged", "?")))
        return RequestRefusedError(
            f"Scenario refused to {action}: the team's copyright check has blocked it. No training was started; the "
            f"check itself may be billed ({charged} creative units). Read its findings in Scenario, and change the "
            "dataset.",
            **answer.origin,
        )
    if answer.status == DRY_RUN:
        consequence = NOTHING_STARTED
    else:
        consequence = "Most likely nothing was started: read the model before starting it again."
    return ServiceError(
        f"Scenario was requested to {action}; it answered {answer.status} without a job. {consequence}",
        maybe_done=answer.status != DRY_RUN,
        **answer.origin,
    )
