"""Training images of a model, and the pairs of an edit model."""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from airflow_provider_scenario.emulator import checks, formats
from airflow_provider_scenario.emulator.assets import add_asset
from airflow_provider_scenario.emulator.checks import invalid
from airflow_provider_scenario.emulator.ledger import AddedImage
from airflow_provider_scenario.emulator.models import find_model
from airflow_provider_scenario.emulator.routing import Answer, Call, Refusal, Routes
from airflow_provider_scenario.emulator.state import iso
from airflow_provider_scenario.emulator.trainers import VOICE
from airflow_provider_scenario.emulator.views import training_image_view

if TYPE_CHECKING:
    from airflow_provider_scenario.emulator.records import Asset, Model

routes = Routes()
MOST_IDS = 10
PRESETS = ("default", "style", "subject")


@routes.serve("POST", "/models/{modelId}/training-images")
def add(call: Call) -> Answer:
    """Add a data URL, or one to ten assets: all of them or none. A ``caption`` is ignored silently."""
    model, body = find_model(call, own=True), call.body()
    named = _named_assets(call, model, body)
    _check_ceiling(call, model, len(named) or 1)
    assets = named or [_upload(call, model, body)]
    for asset in assets:
        _attach(call, model, asset)
    # The documentation has one trainingImage even for ten assets; what the service really returns is not known.
    return Answer({"trainingImage": training_image_view(call.state, assets[0].id, call.base, call.now)})


@routes.serve("PUT", "/models/{modelId}/training-images/pairs")
def replace_pairs(call: Call) -> Answer:
    """Replace all pairs; the body is an array."""
    model, body = find_model(call, own=True), call.json()
    if not isinstance(body, list):
        raise invalid("value", "must be an array")
    pairs = [_checked_pair(model, index, pair) for index, pair in enumerate(body)]
    model.pairs = pairs
    model.updated_at = call.now
    return Answer({"count": len(pairs), "pairs": pairs})


@routes.serve("PUT", "/models/{modelId}/training-images/{imageId}")
def replace(call: Call) -> Answer:
    model, body = find_model(call, own=True), call.body()
    replaced = _attached(call, model)
    named = _named_assets(call, model, body)
    if len(named) > 1:
        raise invalid("assetIds", "must contain less than or equal to 1 items")
    asset = named[0] if named else _upload(call, model, body)
    _detach(model, replaced, instead=asset.id, now=call.now)
    _register(call, model, asset)
    return Answer({"trainingImage": training_image_view(call.state, asset.id, call.base, call.now)})


@routes.serve("DELETE", "/models/{modelId}/training-images/{imageId}")
def delete(call: Call) -> Answer:
    model = find_model(call, own=True)
    _detach(model, _attached(call, model), instead=None, now=call.now)
    return Answer({})


def _named_assets(call: Call, model: Model, body: dict[str, Any]) -> list[Asset]:
    """The assets that the body names by id; empty if it has a picture of its own."""
    if "preset" in body:
        checks.one_of(body["preset"], "preset", PRESETS)
    asset_id, asset_ids = checks.text(body, "assetId"), checks.texts(body, "assetIds")
    if asset_ids is not None:
        if asset_id is not None or "data" in body:
            raise Refusal(400, '"assetIds" conflicts with "assetId" and "data"')
        if len(asset_ids) > MOST_IDS:
            raise Refusal(400, "Too many assetIds provided in a single request")
        if not asset_ids:
            raise invalid("assetIds", "must contain at least 1 items")
    named = asset_ids if asset_ids is not None else [asset_id] if asset_id is not None else []
    for index, named_id in enumerate(named):
        if named_id not in call.state.assets:
            raise Refusal(404, f"Asset {named_id} not found", "AssetNotFoundError")
        if named_id in model.training_images or named_id in named[:index]:
            raise Refusal(400, "The provided assetId is already a training image of this model")
        _check_kind(model, call.state.assets[named_id].kind)
    return [call.state.assets[named_id] for named_id in named]


def _upload(call: Call, model: Model, body: dict[str, Any]) -> Asset:
    data = checks.required_text(body, "data")
    name = checks.required_text(body, "name")
    content = formats.from_data_url(data, "data")
    mime_type = formats.mime_type(content)
    if mime_type is None:
        raise Refusal(400, "Unhandled file format")
    _check_kind(model, mime_type.partition("/")[0])
    return add_asset(call.state, name, content, mime_type, call.now)


def _check_kind(model: Model, kind: str) -> None:
    expected = "audio" if model.type == VOICE else "image"
    if kind != expected:
        raise Refusal(400, f"Training assets of a {model.type} model must be of kind {expected}")


def _check_ceiling(call: Call, model: Model, more: int) -> None:
    limit, used = call.state.settings.add_training_image, len(model.training_images)
    if used + more > limit:
        raise Refusal(
            429,
            "You have reached the limit of training images of your plan",
            "PlanLimitReachedError",
            {"actionName": "add-training-image", "actionLimit": limit, "actionValue": used, "limitScope": "team"},
        )


def _attach(call: Call, model: Model, asset: Asset) -> None:
    model.training_images[asset.id] = call.now
    model.updated_at = call.now
    _register(call, model, asset)


def _register(call: Call, model: Model, asset: Asset) -> None:
    """Caption an image that has no caption yet, and enter it into the ledger."""
    asset.training_image = True
    asset.automatic_captioning = f"A picture that could be named {PurePath(asset.name).stem}, seen from the front."
    if asset.description is None:
        asset.description = asset.automatic_captioning
    call.state.ledger.training_images.append(AddedImage(model.id, asset.id, asset.name, iso(call.now)))


def _attached(call: Call, model: Model) -> str:
    image_id = call.params["imageId"]
    if image_id not in model.training_images:
        raise Refusal(404, f"Training image {image_id} not found", "TrainingImageNotFoundError")
    return image_id


def _detach(model: Model, image_id: str, instead: str | None, now: float) -> None:
    """Remove an image, or replace it. Its pairs are removed: their members must be training images."""
    images = {(instead or "") if known == image_id else known: since for known, since in model.training_images.items()}
    images.pop("", None)
    model.training_images = images
    model.pairs = [pair for pair in model.pairs if image_id not in (pair.get("sourceId"), pair.get("targetId"))]
    model.updated_at = now


def _checked_pair(model: Model, index: int, pair: object) -> dict[str, Any]:
    if not isinstance(pair, dict):
        raise invalid(f"[{index}]", "must be of type object")
    checked: dict[str, Any] = {}
    for field in ("sourceId", "targetId", "instruction"):
        value = checks.text(pair, field, label=f"[{index}].{field}")
        if value is None:
            continue
        if field != "instruction" and value not in model.training_images:
            raise Refusal(400, f"Asset {value} is not a training image of this model")
        checked[field] = value
    return checked
