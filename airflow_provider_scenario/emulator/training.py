"""Start, quote and cancel a training."""

from __future__ import annotations

import re
from math import ceil
from typing import Any

from airflow_provider_scenario.emulator import checks
from airflow_provider_scenario.emulator.captcha import needs_captcha, new_captcha
from airflow_provider_scenario.emulator.checks import invalid
from airflow_provider_scenario.emulator.ledger import StartedTraining
from airflow_provider_scenario.emulator.lifecycle import cancel_training
from airflow_provider_scenario.emulator.models import find_model, model_answer
from airflow_provider_scenario.emulator.records import Job, Model
from airflow_provider_scenario.emulator.routing import Answer, Call, Refusal, Routes
from airflow_provider_scenario.emulator.state import iso
from airflow_provider_scenario.emulator.timeline import Timeline
from airflow_provider_scenario.emulator.trainers import (
    COMPOSITIONS,
    VOICE,
    checked_parameters,
    creative_units,
    is_trainable,
    job_type,
    needs_pairs,
)
from airflow_provider_scenario.emulator.views import job_view, model_view

routes = Routes()
DRY_RUN_STATUS = 269
FEWEST_PAIRS = 2
MOST_IMAGES = 50


@routes.serve("PUT", "/models/{modelId}/train")
def train(call: Call) -> Answer:
    """
    Bill and start a training, or quote it with ``dryRun`` in the query.

    ``dryRun`` in the body is ignored, and so is a value in the query other than ``true`` and ``api``: the training
    starts. A ``trained``, ``failed`` or ``training-canceled`` model may be trained again. Whether the service allows
    that is not known.
    """
    model, body = find_model(call), call.body()
    limits = call.state.settings.limits
    if not is_trainable(model.type, limits) or model.privacy == "public":
        raise Refusal(400, "Custom models only are supported for this endpoint")
    quoting = call.query.get("dryRun") in ("true", "api")
    if not quoting and model.status == "training":
        raise Refusal(400, "Model is already training")
    if not quoting and model.status == "copying":
        raise Refusal(400, "Model is being copied")  # the message is ours
    parameters = checked_parameters(model.type, body.get("parameters"), limits, model.parameters)
    cost = creative_units(_images(call, model, quoting=quoting), parameters)
    price = {"creativeUnitsCost": cost, "creativeUnitsDiscount": 0, "costDetails": {"train-model": cost}}
    if quoting:
        call.state.ledger.quotes += 1
        return Answer(price, DRY_RUN_STATUS)
    _check_ceilings(call, cost)
    _check_cooldown(call)
    model.parameters = parameters
    job = _start(call, model, cost)
    return Answer(
        {
            "job": job_view(call.state, job, call.now),
            "model": model_view(call.state, model, call.base, call.now),
            **price,
        }
    )


@routes.serve("POST", "/models/{modelId}/train/action")
def cancel(call: Call) -> Answer:
    """Cancel, the only action. The response has the model only; what was billed stays billed."""
    model, body = find_model(call), call.body()
    if "action" not in body:
        raise invalid("action", "is required")
    checks.one_of(body["action"], "action", ("cancel",))
    if model.status != "training" or model.job is None:
        raise Refusal(400, "Model is not training")
    cancel_training(call.state, model, model.job, call.now)
    return model_answer(call, model)


def _images(call: Call, model: Model, *, quoting: bool) -> int:
    """The number of images to train on, after checks; for a model without images, a quote may give a number."""
    if model.type in COMPOSITIONS:
        _check_concepts(call, model)
        return 0
    limits = call.state.settings.limits
    given = call.query.get("trainingImagesCount", "")
    if quoting and not model.training_images and re.fullmatch("[1-9][0-9]{0,5}", given):
        return int(given)
    if not model.training_images:
        raise Refusal(400, '"trainingImages" must contain at least 1 items')
    complete = [pair for pair in model.pairs if "sourceId" in pair and "targetId" in pair]
    if limits.images == "strict" and len(model.training_images) > MOST_IMAGES:
        raise Refusal(400, f'"trainingImages" must contain less than or equal to {MOST_IMAGES} items')
    if needs_pairs(model.type, limits) and len(complete) < FEWEST_PAIRS:
        raise Refusal(400, f"At least {FEWEST_PAIRS} complete training image pairs are required")
    return len(model.training_images)


def _check_concepts(call: Call, model: Model) -> None:
    if not model.concepts:
        raise Refusal(400, '"concepts" must contain at least 1 items')
    for concept in model.concepts:
        model_of_concept = call.state.models.get(concept["modelId"])
        if model_of_concept is None or model_of_concept.deleted_at is not None:
            raise Refusal(404, f"Model {concept['modelId']} not found", "ModelNotFoundError")
        # A composition takes LoRAs of its own family only.
        if model_of_concept.status != "trained" or model_of_concept.type not in COMPOSITIONS[model.type]:
            raise Refusal(400, f"Model {concept['modelId']} is not a trained LoRA that a {model.type} is made of")
        if "modelEpoch" in concept and concept["modelEpoch"] not in dict(model_of_concept.epochs):
            raise Refusal(400, f"Epoch {concept['modelEpoch']} not found in model {concept['modelId']}")


def _check_ceilings(call: Call, cost: float) -> None:
    settings, ledger = call.state.settings, call.state.ledger
    running = sum(model.status == "training" for model in call.state.models.values())
    if settings.parallel_training is not None and running >= settings.parallel_training:
        raise _ceiling("parallel-training", settings.parallel_training, running)
    # This training's own cost counts too.
    if settings.train_model is not None and ledger.creative_units + cost > settings.train_model:
        raise _ceiling("train-model", settings.train_model, ledger.creative_units)


def _ceiling(action: str, limit: float, value: float) -> Refusal:
    return Refusal(
        429,
        f"You have reached the limit of your plan for {action}",
        "PlanLimitReachedError",
        {"actionName": action, "actionLimit": limit, "actionValue": value, "limitScope": "team"},
    )


def _check_cooldown(call: Call) -> None:
    since = call.now - (call.state.launched_at or 0.0)
    remaining = call.state.settings.cooldown_seconds - since
    if remaining > 0:
        raise Refusal(429, "Please wait before you launch again", details={"remainingSeconds": ceil(remaining)})


def _start(call: Call, model: Model, cost: float) -> Job:
    state = call.state
    timeline = Timeline(call.now, state.training_seconds(model), state.take_outcome(model))
    timeline.queued_at = call.now + state.settings.pending_seconds
    if needs_captcha(model.type, model.parameters):
        timeline.captcha = new_captcha(state, model, timeline.queued_at)
    # metadata.input stays empty: the service is not known to put the model there, so clients must not rely on it.
    metadata: dict[str, Any] = {"input": {}, **({"outputModelId": model.id} if model.type == VOICE else {})}
    job = Job(state.new_id("job_"), job_type(model.type), timeline, model.id, metadata, cost)
    state.jobs[job.id] = job
    state.schedule_end(job)
    state.launched_at = call.now
    model.job = job
    model.status = "training"
    model.updated_at = call.now
    model.name = model.name or f"Model {model.id[-6:]}"
    model.short_description = model.short_description or "A model trained on its images."
    state.ledger.trainings.append(StartedTraining(model.id, model.name, model.type, job.id, cost, iso(call.now)))
    return job
