"""Models; their list, training images and training have modules of their own."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from typing import Any

from airflow_provider_scenario.emulator import checks
from airflow_provider_scenario.emulator.base_models import inputs
from airflow_provider_scenario.emulator.checks import invalid
from airflow_provider_scenario.emulator.ledger import CreatedModel
from airflow_provider_scenario.emulator.lifecycle import cancel_training, settle
from airflow_provider_scenario.emulator.records import Model
from airflow_provider_scenario.emulator.routing import Answer, Call, Refusal, Routes
from airflow_provider_scenario.emulator.state import iso
from airflow_provider_scenario.emulator.trainers import BASE_TYPES, checked_parameters, model_types
from airflow_provider_scenario.emulator.views import PREVIEWED_IMAGES, link, model_view

routes = Routes()
LONGEST_NAME, LONGEST_DESCRIPTION = 64, 256
RESTORABLE_SECONDS = 30 * 24 * 3600
EPOCH_CHOOSERS = ("flux.1-lora", "flux.1-kontext-lora")


def find_model(call: Call, *, own: bool = False) -> Model:
    """
    The model of the path; a deleted one is not found.

    :param own: refuse a public model: only its owner may change it.
    """
    model = call.state.models.get(call.params["modelId"])
    if model is None or model.deleted_at is not None:
        raise Refusal(404, f"Model {call.params['modelId']} not found", "ModelNotFoundError")
    if own and model.privacy == "public":
        raise Refusal(403, "You don't have access to this model", "ForbiddenError")
    return model


def model_answer(call: Call, model: Model) -> Answer:
    return Answer({"model": model_view(call.state, model, call.base, call.now)})


@routes.serve("POST", "/models")
def create(call: Call) -> Answer:
    body = call.body()
    checks.text(body, "baseModelId")  # unused: the type determines the base model
    model_type = body.get("type", "custom")  # the service's default is not known; this one cannot be trained
    checks.one_of(model_type, "type", model_types(call.state.settings.limits))
    model = Model(
        call.state.new_id("model_"),
        model_type,
        call.now,
        call.now,
        name=checks.text(body, "name", longest=LONGEST_NAME),
        short_description=checks.text(body, "shortDescription", longest=LONGEST_DESCRIPTION),
        class_slug=checks.text(body, "classSlug", nullable=True),
        collection_ids=list(checks.texts(body, "collectionIds") or []),
        concepts=concepts(call, body),
    )
    call.state.models[model.id] = model
    call.state.ledger.models.append(CreatedModel(model.id, model.name, model.type, iso(call.now)))
    return model_answer(call, model)


@routes.serve("GET", "/models/{modelId}")
def retrieve(call: Call) -> Answer:
    """The only route that returns the ``inputs`` of a base model."""
    model = find_model(call)
    answer = model_answer(call, model)
    if model.type in BASE_TYPES:
        answer.payload["model"] = {"inputs": inputs(), **answer.payload["model"]}
    return answer


@routes.serve("PUT", "/models/{modelId}")
def update(call: Call) -> Answer:
    model, body = find_model(call, own=True), call.body()
    changes = _changes(call, model, body)
    for attribute, value in changes.items():
        setattr(model, attribute, value)
    model.updated_at = call.now
    return model_answer(call, model)


def _changes(call: Call, model: Model, body: dict[str, Any]) -> dict[str, Any]:
    """The changed attributes, all checked before any is set."""
    changes: dict[str, Any] = {}
    for field, attribute, longest in (
        ("name", "name", LONGEST_NAME),
        ("shortDescription", "short_description", LONGEST_DESCRIPTION),
    ):
        if field in body:
            changes[attribute] = checks.text(body, field, longest=longest)
    for field, attribute in (
        ("classSlug", "class_slug"),
        ("promptEmbedding", "prompt_embedding"),
        ("negativePromptEmbedding", "negative_prompt_embedding"),
    ):
        if field in body:
            changes[attribute] = checks.text(body, field, nullable=True)
    if "type" in body and body["type"] != model.type:
        checks.one_of(body["type"], "type", model_types(call.state.settings.limits))
        if model.status != "new":
            raise Refusal(400, "The type of a model can only be changed while its status is new")
        changes["type"] = body["type"]
    if "concepts" in body:
        changes["concepts"] = concepts(call, body)
    if "parameters" in body:
        changes["parameters"] = checked_parameters(
            changes.get("type", model.type), body["parameters"], call.state.settings.limits
        )
    if "thumbnail" in body:
        thumbnail = checks.text(body, "thumbnail", nullable=True)
        if thumbnail is not None and thumbnail not in call.state.assets:
            raise Refusal(404, f"Asset {thumbnail} not found", "AssetNotFoundError")
        if thumbnail is not None and call.state.assets[thumbnail].kind != "image":
            raise Refusal(400, f"Asset {thumbnail} is not an image")
        changes["thumbnail_id"] = thumbnail
    if "epoch" in body:
        changes["epoch"] = _chosen_epoch(model, checks.text(body, "epoch", nullable=True))
    return changes


def _chosen_epoch(model: Model, epoch: str | None) -> str | None:
    if model.type not in EPOCH_CHOOSERS or model.status != "trained":
        raise Refusal(400, "The epoch can only be set on trained flux.1-lora and flux.1-kontext-lora models")
    if epoch is not None and epoch not in dict(model.epochs):
        raise Refusal(400, f"Epoch {epoch} not found in model {model.id}")
    return epoch


def concepts(call: Call, body: dict[str, Any]) -> list[dict[str, Any]]:
    """The concepts of a composition, which must exist. Only a training checks that they are trained."""
    given = body.get("concepts", [])
    if not isinstance(given, list):
        raise invalid("concepts", "must be an array")
    checked = []
    for index, concept in enumerate(given):
        if not isinstance(concept, dict):
            raise invalid(f"concepts[{index}]", "must be of type object")
        if not isinstance(concept.get("modelId"), str):
            raise invalid(f"concepts[{index}].modelId", "is required")
        if "scale" not in concept:
            raise invalid(f"concepts[{index}].scale", "is required")
        checks.number(concept["scale"], f"concepts[{index}].scale", least=-2, most=2)
        if concept["modelId"] not in call.state.models:
            raise Refusal(404, f"Model {concept['modelId']} not found", "ModelNotFoundError")
        checks.text(concept, "modelEpoch", label=f"concepts[{index}].modelEpoch")
        checked.append({key: concept[key] for key in ("modelId", "scale", "modelEpoch") if key in concept})
    return checked


@routes.serve("POST", "/models/get-bulk")
def get_bulk(call: Call) -> Answer:
    body = call.body()
    models = []
    for model_id in dict.fromkeys(checks.texts(body, "modelIds") or []):
        model = call.state.models.get(model_id)
        if model is not None and model.deleted_at is None:
            models.append(_bulk_row(call, model, body))
    return Answer({"models": models})


def _bulk_row(call: Call, model: Model, body: dict[str, Any]) -> dict[str, Any]:
    if body.get("minimal"):
        return {"id": model.id, "name": model.name, "type": model.type, "privacy": model.privacy}
    images = None if body.get("allTrainingImages") and not body.get("trainingImagesPreview") else PREVIEWED_IMAGES
    row = model_view(call.state, model, call.base, call.now, images)
    if not body.get("thumbnail"):
        row.pop("thumbnail", None)
    elif "thumbnail" not in row and model.training_images:
        row["thumbnail"] = link(call.state, next(iter(model.training_images)), call.base, call.now)
    if not body.get("settings"):
        row.pop("promptEmbedding", None)
        row.pop("negativePromptEmbedding", None)
    return row


@routes.serve("DELETE", "/models/{modelId}")
def delete(call: Call) -> Answer:
    """Delete softly: it is listed as ``deleted`` and can be restored for 30 days. Cancels a running training."""
    model = find_model(call, own=True)
    if model.status == "training" and model.job is not None:
        cancel_training(call.state, model, model.job, call.now)
    model.deleted_at = call.now
    return Answer({})


@routes.serve("POST", "/models/{modelId}/restore")
def restore(call: Call) -> Answer:
    model = call.state.models.get(call.params["modelId"])
    if model is None:
        raise Refusal(404, f"Model {call.params['modelId']} not found", "ModelNotFoundError")
    if model.deleted_at is None:
        raise Refusal(400, "Model is not deleted")
    if call.now - model.deleted_at > RESTORABLE_SECONDS:
        raise Refusal(410, "Model was deleted more than 30 days ago and cannot be restored")
    model.deleted_at = None
    model.tags = []
    model.collection_ids = []
    model.updated_at = call.now
    return model_answer(call, model)


@routes.serve("POST", "/models/{modelId}/copy")
def copy(call: Call) -> Answer:
    """An untrained model with the same images, or with ``copyAsTrained`` a copy of the trained model."""
    model, body = find_model(call), call.body()
    as_trained = body.get("copyAsTrained") is True
    if as_trained and model.status != "trained":
        raise Refusal(400, "Only trained models can be copied as trained")
    twin = replace(
        deepcopy(model),
        id=call.state.new_id("model_"),
        name=f"{model.name or 'Model'} (copy)"[:LONGEST_NAME],
        created_at=call.now,
        updated_at=call.now,
        privacy="private",
        parent_model_id=model.id,
        job=None,
        status="copying",
    )
    if not as_trained:
        twin.epochs, twin.epoch = [], None
    if not body.get("copyExamples"):
        twin.example_asset_ids = []
    call.state.models[twin.id] = twin
    call.state.schedule_copy(twin, "trained" if as_trained else "new", call.now + call.state.settings.copy_seconds)
    settle(call.state, call.now)
    call.state.ledger.models.append(CreatedModel(twin.id, twin.name, twin.type, iso(call.now)))
    return model_answer(call, twin)


@routes.serve("PUT", "/models/{modelId}/tags")
def update_tags(call: Call) -> Answer:
    model, body = find_model(call, own=True), call.body()
    add, remove = checks.texts(body, "add") or [], checks.texts(body, "delete") or []
    if body.get("strict", True):
        for tag in add:
            if tag in model.tags:
                raise Refusal(400, f"Tag {tag} already exists on this model")
        for tag in remove:
            if tag not in model.tags:
                raise Refusal(400, f"Tag {tag} not found on this model")
    added = [tag for tag in dict.fromkeys(add) if tag not in model.tags]
    deleted = [tag for tag in dict.fromkeys(remove) if tag in model.tags]
    model.tags = [tag for tag in [*model.tags, *added] if tag not in deleted]
    model.updated_at = call.now
    return Answer({"added": added, "deleted": deleted})


@routes.serve("GET", "/models/{modelId}/description")
def retrieve_description(call: Call) -> Answer:
    return Answer({"description": {"value": find_model(call).description, "assets": [], "models": []}})


@routes.serve("PUT", "/models/{modelId}/description")
def update_description(call: Call) -> Answer:
    model, body = find_model(call, own=True), call.body()
    if "description" not in body:
        raise invalid("description", "is required")
    model.description = checks.text(body, "description", nullable=True) or ""
    return retrieve_description(call)


@routes.serve("GET", "/models/{modelId}/prompt-guide")
def retrieve_prompt_guide(call: Call) -> Answer:
    return Answer({"promptGuide": {"value": find_model(call).prompt_guide}})


@routes.serve("PUT", "/models/{modelId}/prompt-guide")
def update_prompt_guide(call: Call) -> Answer:
    model, body = find_model(call, own=True), call.body()
    if "promptGuide" not in body:
        raise invalid("promptGuide", "is required")
    model.prompt_guide = checks.text(body, "promptGuide", nullable=True) or ""
    return retrieve_prompt_guide(call)
