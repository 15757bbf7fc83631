"""Assets: uploaded and generated pictures and other files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_scenario.emulator import checks, formats
from airflow_provider_scenario.emulator.checks import invalid
from airflow_provider_scenario.emulator.records import Asset
from airflow_provider_scenario.emulator.routing import Answer, Call, Refusal, Routes
from airflow_provider_scenario.emulator.views import asset_view

if TYPE_CHECKING:
    from airflow_provider_scenario.emulator.state import State

routes = Routes()
MOST_READ, MOST_DELETED = 200, 100


def add_asset(state: State, name: str, content: bytes, mime_type: str, now: float) -> Asset:
    kind = mime_type.partition("/")[0]
    width, height = formats.size(content) or (None, None)
    asset = Asset(
        id=state.new_id("asset_"),
        name=name,
        kind=kind,
        mime_type=mime_type,
        created_at=now,
        updated_at=now,
        content=content,
        width=width,
        height=height,
        source="uploaded" if kind == "image" else f"uploaded-{kind}",
        metadata_type="uploaded" if kind == "image" else f"uploaded-{kind}",
    )
    state.assets[asset.id] = asset
    return asset


def find_asset(call: Call) -> Asset:
    asset = call.state.assets.get(call.params["assetId"])
    if asset is None:
        raise Refusal(404, f"Asset {call.params['assetId']} not found", "AssetNotFoundError")
    return asset


def asset_answer(call: Call, asset: Asset) -> Answer:
    return Answer({"asset": asset_view(call.state, asset, call.base, call.now)})


@routes.serve("POST", "/assets")
def upload(call: Call) -> Answer:
    body = call.body()
    name = checks.required_text(body, "name")
    if not body.get("image"):
        raise Refusal(400, "Missing image")
    content = formats.from_base64(checks.required_text(body, "image"), "image")
    mime_type = formats.mime_type(content)
    if mime_type is None or not mime_type.startswith("image/"):
        raise Refusal(400, "Unhandled image format")
    collection_ids, parent_id = checks.texts(body, "collectionIds"), checks.text(body, "parentId")
    if parent_id is not None and parent_id not in call.state.assets:
        raise Refusal(404, f"Asset {parent_id} not found", "AssetNotFoundError")
    asset = add_asset(call.state, name, content, mime_type, call.now)
    asset.collection_ids, asset.parent_id, asset.hidden = (
        list(collection_ids or []),
        parent_id,
        body.get("hide") is True,
    )
    return asset_answer(call, asset)


@routes.serve("GET", "/assets/{assetId}")
def retrieve(call: Call) -> Answer:
    return asset_answer(call, find_asset(call))


@routes.serve("PUT", "/assets/{assetId}")
def update(call: Call) -> Answer:
    """The ``description`` is the caption that a training uses."""
    asset, body = find_asset(call), call.body()
    description, name = checks.text(body, "description"), checks.text(body, "name")
    asset.description = asset.description if description is None else description
    asset.name = asset.name if name is None else name
    asset.updated_at = call.now
    return asset_answer(call, asset)


@routes.serve("POST", "/assets/get-bulk")
def get_bulk(call: Call) -> Answer:
    ids = checks.texts(call.body(), "assetIds", most=MOST_READ)
    if ids is None:
        raise invalid("assetIds", "is required")
    found = [call.state.assets[asset_id] for asset_id in dict.fromkeys(ids) if asset_id in call.state.assets]
    return Answer({"assets": [asset_view(call.state, asset, call.base, call.now) for asset in found]})


@routes.serve("DELETE", "/assets")
def delete(call: Call) -> Answer:
    ids = checks.texts(call.body(), "assetIds", most=MOST_DELETED)
    if not ids:
        raise invalid("assetIds", "is required")
    for asset_id in ids:
        if asset_id not in call.state.assets:
            raise Refusal(404, f"Asset {asset_id} not found", "AssetNotFoundError")
    for asset_id in dict.fromkeys(ids):
        _delete_asset(call.state, asset_id)
    return Answer({})


def _delete_asset(state: State, asset_id: str) -> None:
    del state.assets[asset_id]
    for model in state.models.values():
        model.training_images.pop(asset_id, None)
        model.pairs = [pair for pair in model.pairs if asset_id not in (pair.get("sourceId"), pair.get("targetId"))]
        model.example_asset_ids = [known for known in model.example_asset_ids if known != asset_id]
        model.epochs = [(epoch, [known for known in assets if known != asset_id]) for epoch, assets in model.epochs]
        if model.thumbnail_id == asset_id:
            model.thumbnail_id = None
