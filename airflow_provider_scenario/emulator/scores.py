"""The service's score of a dataset before it is trained."""

from __future__ import annotations

import hashlib
from itertools import combinations
from typing import TYPE_CHECKING, Any

from airflow_provider_scenario.emulator.models import find_model
from airflow_provider_scenario.emulator.routing import Answer, Call, Routes

if TYPE_CHECKING:
    from airflow_provider_scenario.emulator.records import Asset

routes = Routes()
RECOMMENDED_SIDE = 1024
FEWEST_IMAGES = 5


@routes.serve("GET", "/models/{modelId}/scores/training-dataset")
def training_dataset(call: Call) -> Answer:
    """The share of images without a warning. Values that the vendor computes from embeddings are 0."""
    model = find_model(call, own=True)
    images = [call.state.assets[image_id] for image_id in model.training_images]
    warnings = [{"assetId": image.id, "message": found} for image in images if (found := _image_warnings(image))]
    couples = [
        {"couple": [one.id, other.id], "message": found}
        for one, other in combinations(images, 2)
        if (found := _pair_warnings(one, other))
    ]
    flawed = {str(warning["assetId"]) for warning in warnings} | {
        image_id for pair in couples for image_id in pair["couple"]
    }
    return Answer(
        {
            "modelId": model.id,
            "score": round(1 - len(flawed) / len(images), 4) if images else 0,
            "status": "unknown" if not images else "complete" if len(images) >= FEWEST_IMAGES else "incomplete",
            "details": _details(),
            # The service leaves these out if they are empty.
            **({"assetsWarnings": warnings} if warnings else {}),
            **({"assetCouplesWarnings": couples} if couples else {}),
        }
    )


def _image_warnings(image: Asset) -> list[str]:
    found = []
    if image.width and image.height and min(image.width, image.height) < RECOMMENDED_SIDE:
        found.append("Width and height must be larger than 1024")
    if not image.description:
        found.append("Empty caption" if image.description == "" else "Missing caption")
    return found


def _pair_warnings(one: Asset, other: Asset) -> list[str]:
    found = []
    if one.content is not None and other.content is not None and _digest(one) == _digest(other):
        found.append("Same asset")
    if one.description and one.description == other.description:
        found.append("Captions are identical")
    return found


def _digest(image: Asset) -> bytes:
    return hashlib.sha256(image.content or b"").digest()


def _details() -> dict[str, Any]:
    spread = {"mean": 0, "median": 0, "min": 0}
    return {
        "assetCouplesCaptionsDistance": [],
        "assetCouplesSimilarity": [],
        "assetsEmbeddingSimilarity": [],
        "assetsSimilarity": spread,
        "couplesCaptionsDistance": spread,
        "couplesSimilarity": spread,
        "metadataScore": 0,
    }
