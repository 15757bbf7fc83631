"""The JSON of models, jobs and assets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_scenario.emulator import base_models
from airflow_provider_scenario.emulator.state import AUTHOR_ID, PROJECT_ID, State, iso, matches
from airflow_provider_scenario.emulator.trainers import FLUX_LORA, RETIRED, TRAINABLE, VOICE

if TYPE_CHECKING:
    from airflow_provider_scenario.emulator.records import Asset, Job, Model

# The service adds fields that its documentation does not list; every object here has some too.
COMPLIANCE = {"ipIndemnification": False, "dataRetention": "standard"}
PREVIEWED_IMAGES = 3


def model_view(state: State, model: Model, base: str, now: float, images: int | None = None) -> dict[str, Any]:
    """A model as its owner sees it, with at most ``images`` training images; None: all of them."""
    view: dict[str, Any] = {
        "id": model.id,
        "status": model.status,
        "type": model.type,
        "privacy": model.privacy,
        "source": "scenario",
        "custom": model.type in (*TRAINABLE, *RETIRED),
        "capabilities": ["txt2audio"] if model.type == VOICE else ["img2img", "txt2img"],
        "collectionIds": model.collection_ids,
        "exampleAssetIds": model.example_asset_ids,
        "tags": model.tags,
        "trainingImagesNumber": len(model.training_images),
        "createdAt": iso(model.created_at),
        "updatedAt": iso(model.updated_at),
        "accessRestrictions": 0,
        "complianceMetadata": COMPLIANCE,
    }
    if model.name is not None:
        view["name"] = model.name
    if model.short_description is not None:
        view["shortDescription"] = model.short_description
    if model.deleted_at is not None:
        view["deletedAt"] = iso(model.deleted_at)
    if model.privacy == "public":
        return _overridden(state, "model", model, view | base_models.usage(model))
    view |= {"ownerId": PROJECT_ID, "authorId": AUTHOR_ID, "userId": AUTHOR_ID, "parameters": model.parameters}
    shown = list(model.training_images)[:images]
    view["trainingImages"] = [training_image_view(state, image_id, base, now) for image_id in shown]
    if model.thumbnail_id is not None:
        view["thumbnail"] = link(state, model.thumbnail_id, base, now)
    if model.pairs:
        view["trainingImagePairs"] = model.pairs
    if model.concepts:
        view["concepts"] = model.concepts
    if model.parent_model_id is not None:
        view["parentModelId"] = model.parent_model_id
    if model.prompt_embedding is not None:
        view["promptEmbedding"] = model.prompt_embedding
    if model.negative_prompt_embedding is not None:
        view["negativePromptEmbedding"] = model.negative_prompt_embedding
    if model.epochs:
        view["epochs"] = [
            {"epoch": epoch, "assets": [link(state, asset_id, base, now) for asset_id in assets]}
            for epoch, assets in model.epochs
        ]
    if model.epoch is not None:
        view["epoch"] = model.epoch
    if model.class_slug is not None:
        view["class"] = _class(model.class_slug)
    if model.type in FLUX_LORA:
        view["compliantModelIds"] = ["flux.1-dev", "flux.1-schnell"]
    if model.type in RETIRED and "conceptPrompt" in model.parameters:
        view["modelKeyword"] = model.parameters["conceptPrompt"]
    if state.settings.soft_deletion_days is not None:
        view["softDeletionOn"] = iso(model.created_at + state.settings.soft_deletion_days * 24 * 3600)
    if model.job is not None:
        view["jobId"] = model.job.id
        view["trainingProgress"] = _training_progress(state, model.job, base, now)
        view["trainingStats"] = _training_stats(model, model.job)
    return _overridden(state, "model", model, view)


def _class(slug: str) -> dict[str, Any]:
    name = slug.replace("-", " ")
    return {
        "slug": slug,
        "name": name.title(),
        "category": slug.partition("-")[0],
        "prompt": f"a {name}",
        "conceptPrompt": f"a sks {name}",
        "modelId": "stable-diffusion-v1-5",
        "status": "published",
        "thumbnails": [],
    }


def _overridden(state: State, of: Literal["model", "job"], model: Model | None, view: dict[str, Any]) -> dict[str, Any]:
    for override in state.overrides.values():
        if override.of == of and model is not None and matches(model, override.model):
            view = _merged(view, override.fields)
    return view


def _merged(view: dict[str, Any], fields: dict[str, Any]) -> dict[str, Any]:
    """``view`` with other ``fields``: objects are merged, other values are replaced."""
    merged = dict(view)
    for name, value in fields.items():
        old = view.get(name)
        merged[name] = _merged(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return merged


def _training_progress(state: State, job: Job, base: str, now: float) -> dict[str, Any]:
    moment = job.timeline.at(now)
    progress: dict[str, Any] = {
        "stage": moment.stage,
        "updatedAt": round(moment.updated_at * 1000),
        "progress": moment.progress,
    }
    if moment.remaining_ms is not None:
        progress["remainingTimeMs"] = moment.remaining_ms
    if moment.position is not None:
        progress["position"] = moment.position
    if moment.running_since is not None:
        progress["startedAt"] = round(moment.running_since * 1000)
    if moment.retrying:
        progress["retryableError"] = job.timeline.outcome.retryable_error
        progress["retryCount"] = job.timeline.outcome.retry_count
    if (captcha := job.timeline.captcha) is not None and moment.waiting:
        if captcha.image_id in state.assets and moment.stage == captcha.stage:
            progress["captchaImageUrl"] = state.asset_url(base, captcha.image_id, now)
        if captcha.failures:
            progress |= {"retryableError": captcha.error, "retryCount": captcha.failures}
    return progress


def _training_stats(model: Model, job: Job) -> dict[str, Any]:
    timeline = job.timeline
    queue_ended = min(timeline.running_since, timeline.ends_at)
    stats: dict[str, Any] = {"startedAt": iso(timeline.started)}
    if model.status != "training":
        stats |= {
            "endedAt": iso(timeline.ends_at),
            "queueDuration": round(queue_ended - timeline.started, 3),
            "trainDuration": round(timeline.ends_at - queue_ended, 3),
        }
    return stats


def training_image_view(state: State, image_id: str, base: str, now: float) -> dict[str, Any]:
    asset = state.assets[image_id]
    return {
        "id": asset.id,
        "name": asset.name,
        "description": asset.description or "",
        "automaticCaptioning": asset.automatic_captioning or "",
        "downloadUrl": state.asset_url(base, asset.id, now),
        "createdAt": iso(asset.created_at),
        "moderationStatus": "approved",
    }


def link(state: State, asset_id: str, base: str, now: float) -> dict[str, str]:
    return {"assetId": asset_id, "url": state.asset_url(base, asset_id, now)}


def job_view(state: State, job: Job, now: float) -> dict[str, Any]:
    history = job.timeline.job_history(now)
    view: dict[str, Any] = {
        "jobId": job.id,
        "jobType": job.type,
        "status": history[-1][0],
        "statusHistory": [{"status": status, "date": iso(date)} for status, date in history],
        "progress": round(job.timeline.share(now), 4),
        "metadata": job.metadata,
        "createdAt": iso(job.timeline.started),
        "updatedAt": iso(job_updated_at(job, now)),
        "authorId": AUTHOR_ID,
        "ownerId": PROJECT_ID,
        "complianceMetadata": COMPLIANCE,
    }
    if job.cost:
        view["billing"] = {"cuCost": job.cost, "cuDiscount": 0}
    return _overridden(state, "job", state.models.get(job.model_id or ""), view)


def job_updated_at(job: Job, now: float) -> float:
    """When its status or progress last changed: a job that stalls keeps its old time."""
    return max(job.timeline.job_history(now)[-1][1], job.timeline.at(now).updated_at)


def asset_view(state: State, asset: Asset, base: str, now: float) -> dict[str, Any]:
    metadata: dict[str, Any] = {"kind": asset.kind, "type": asset.metadata_type, "name": asset.name}
    properties: dict[str, Any] = {"size": len(asset.content or b""), "format": asset.mime_type.partition("/")[2]}
    if asset.width and asset.height:
        size = {"width": asset.width, "height": asset.height}
        metadata |= size
        properties |= size
    if asset.training_image:
        metadata["trainingImage"] = True
    if asset.prompt is not None:
        metadata |= {"prompt": asset.prompt, "modelId": asset.model_id}
    if asset.parent_id is not None:
        metadata["parentId"] = asset.parent_id
    view: dict[str, Any] = {
        "id": asset.id,
        "url": state.asset_url(base, asset.id, now),
        "mimeType": asset.mime_type,
        "metadata": metadata,
        "properties": properties,
        "kind": asset.kind,
        "source": asset.source,
        "status": "success",
        "privacy": "private",
        "tags": [],
        "collectionIds": asset.collection_ids,
        "editCapabilities": [],
        "authorId": AUTHOR_ID,
        "ownerId": PROJECT_ID,
        "createdAt": iso(asset.created_at),
        "updatedAt": iso(asset.updated_at),
        "isHidden": asset.hidden,
        "complianceMetadata": COMPLIANCE,
    }
    if asset.description is not None:
        view["description"] = asset.description
    if asset.automatic_captioning is not None:
        view["automaticCaptioning"] = asset.automatic_captioning
    return view
