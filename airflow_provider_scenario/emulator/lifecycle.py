"""What changes in a model when its training ends."""

from __future__ import annotations

from airflow_provider_scenario.emulator import pictures
from airflow_provider_scenario.emulator.records import Asset, Job, Model, Recipe
from airflow_provider_scenario.emulator.state import State, iso
from airflow_provider_scenario.emulator.trainers import COMPOSITIONS, DEFAULT_EPOCHS

MODEL_STATUS = {"success": "trained", "failure": "failed", "canceled": "training-canceled"}


def settle(state: State, now: float) -> None:
    """Update the models whose trainings or copies have ended since the last call."""
    for ended_at, model, status in state.ended_copies(now):
        model.status, model.updated_at = status, ended_at
    for job in state.ended_jobs(now):
        trained = state.models.get(job.model_id or "")
        if trained is not None and trained.job is job and trained.status == "training":
            _end_training(state, trained, job)


def cancel_training(state: State, model: Model, job: Job, now: float) -> None:
    job.timeline.canceled_at = now
    _end_training(state, model, job)


def _end_training(state: State, model: Model, job: Job) -> None:
    ended_at = job.timeline.ends_at
    model.status = MODEL_STATUS[job.timeline.final_job_status]
    model.updated_at = ended_at
    if model.status == "failed":
        error, hint = job.timeline.failure
        job.metadata |= {"error": error, **({"hint": hint} if hint else {})}
    if model.status == "trained":
        _publish_epochs(state, model, ended_at)
    entry = state.ledger.training(job.id)
    entry.status = model.status
    entry.ended_at = iso(ended_at)


def _publish_epochs(state: State, model: Model, now: float) -> None:
    """With sample prompts, list every epoch with its samples; without, only the last epoch."""
    last = int(model.parameters.get("nbEpochs", DEFAULT_EPOCHS))
    prompts: list[str] = model.parameters.get("samplePrompts") or []
    if model.type in COMPOSITIONS:
        # A composition has one epoch, with at least one picture of its concepts together.
        last, prompts = 1, prompts or [model.name or "composition"]
    first = 1 if prompts else last
    model.epochs = [
        (
            f"{epoch:06d}",
            [_sample(state, model, prompt, index, epoch / last, now) for index, prompt in enumerate(prompts)],
        )
        for epoch in range(first, last + 1)
    ]
    samples = [asset_id for _, assets in model.epochs for asset_id in assets]
    if samples and model.job is not None:
        model.job.metadata["assetIds"] = samples
    model.epoch = None
    model.example_asset_ids = list(model.epochs[-1][1])
    if model.thumbnail_id is None:
        model.thumbnail_id = next(iter([*model.example_asset_ids, *model.training_images]), None)


def _sample(state: State, model: Model, prompt: str, index: int, learned: float, now: float) -> str:
    """An asset that is painted when it is first downloaded."""
    sources = tuple(model.training_images)
    if model.type in COMPOSITIONS:
        sources = tuple(
            pictured[index % len(pictured)] for concept in model.concepts if (pictured := _pictures_of(state, concept))
        )
    asset_id = state.new_id("asset_")
    state.assets[asset_id] = Asset(
        id=asset_id,
        name=f"{prompt[:60]}.jpg",
        kind="image",
        mime_type=pictures.sample_mime_type(state, sources),
        created_at=now,
        updated_at=now,
        recipe=Recipe(sources, prompt, index, learned, blend=model.type in COMPOSITIONS),
        width=pictures.SIDE,
        height=pictures.SIDE,
        source="inference-txt",
        metadata_type="inference-txt2img",
        prompt=prompt,
        model_id=model.id,
    )
    return asset_id


def _pictures_of(state: State, concept: dict[str, object]) -> list[str]:
    model = state.models.get(str(concept["modelId"]))
    if model is None:
        return []
    chosen = concept.get("modelEpoch") or model.epoch
    samples = next((assets for epoch, assets in model.epochs if epoch == chosen), None) or model.example_asset_ids
    return samples or list(model.training_images)
