"""
Scenario's objects: the fields of them that this package works with.

An unknown status is kept as text and logged once. Addresses of files are signed and expire: they are kept out of every
``repr``. Store ids, not addresses. How values are read: see :mod:`airflow_provider_scenario.client.schema`.
"""

# Without `from __future__ import annotations`: as text, pydantic would compile each of 190 annotations at the import.
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, Field, model_validator

from airflow_provider_scenario.client.schema import (
    Address,
    Count,
    Free,
    Id,
    Milliseconds,
    Moment,
    Name,
    Number,
    Schema,
    Seconds,
    ServiceText,
    Share,
    Text,
    Word,
    warn_once,
)
from airflow_provider_scenario.client.texts import plain

MODEL_STATUSES = frozenset({"new", "training", "trained", "failed", "training-canceled", "copying"})
TRAINING_STAGES = frozenset(
    {"pending", "queued-for-train", "starting-train", "running-train", "pending-captcha", "ready-for-captcha"}
)
JOB_STATUSES = frozenset(
    {"pending", "queued", "warming-up", "in-progress", "finalizing", "success", "failure", "canceled"}
)

JOB_WORDS_OF_PROSE = {"succeeded": "success", "completed": "success", "failed": "failure", "cancelled": "canceled"}
"""The words of Scenario's guides and webhooks for a job's final statuses → the API's own words."""

UPLOAD_STATUSES = frozenset({"pending", "complete", "validating", "validated", "imported", "failed"})


def _one_of(field: str, known: frozenset[str]) -> AfterValidator:
    def check(value: str) -> str:
        if value not in known:
            warn_once(field, value, f"Scenario sent a {field} this provider does not know: {plain(value)!r}.")
        return value

    return AfterValidator(check)


def _in_the_apis_spelling(known: frozenset[str], others: Mapping[str, str] | None = None) -> AfterValidator:
    """Accept any letter case, and translate ``others``: words of the documentation → the API's own."""
    spelled = {**(others or {}), **{word: word for word in known}}
    return AfterValidator(lambda value: spelled.get(value.strip().lower(), value))


ModelStatus = Annotated[Word, _in_the_apis_spelling(MODEL_STATUSES), _one_of("model status", MODEL_STATUSES)]

TrainingStage = Annotated[Word, _in_the_apis_spelling(TRAINING_STAGES), _one_of("training stage", TRAINING_STAGES)]

JobStatus = Annotated[
    Word, _in_the_apis_spelling(JOB_STATUSES, JOB_WORDS_OF_PROSE), _one_of("job status", JOB_STATUSES)
]


class _Object(Schema):
    service = "Scenario"


class TrainingProgress(_Object):
    """
    The progress of a training. For showing only: it stays on trained models, and may be ahead of or behind the job.

    :param stage: ``queued-for-train``, ``starting-train``, ``running-train`` …
    :param position: trainings in the queue before this one.
    :param remaining_time_ms: milliseconds.
    :param retryable_error: the error after which Scenario tries again.
    """

    stage: TrainingStage | None = None
    progress: Share | None = None
    position: Count | None = None
    remaining_time_ms: Milliseconds | None = None
    started_at: Moment | None = None
    updated_at: Moment | None = None
    retryable_error: ServiceText | None = None
    retry_count: Count | None = None
    captcha_image_url: Address | None = Field(default=None, repr=False)


class TrainingStats(_Object):
    """When a training ran; durations in seconds. Only the owner gets it."""

    started_at: Moment | None = None
    ended_at: Moment | None = None
    queue_duration: Seconds | None = None
    train_duration: Seconds | None = None


class TrainingImage(_Object):
    """An image of a dataset. Its id is the id of its asset, its caption is the description of the asset."""

    id: Id
    name: Name | None = None
    description: Text | None = None
    automatic_captioning: Text | None = None
    download_url: Address | None = Field(default=None, repr=False)
    created_at: Moment | None = None


class TrainingImagePair(_Object):
    """What an edit model learns from: source, target, and the instruction between them. The ids are asset ids."""

    source_id: Id | None = None
    target_id: Id | None = None
    instruction: Text | None = None


class EpochAsset(_Object):
    """A sample image of an epoch."""

    asset_id: Id
    url: Address | None = Field(default=None, repr=False)


class Epoch(_Object):
    """A checkpoint, with sample images where the training had sample prompts. ``epoch`` is text such as ``000001``."""

    epoch: Id
    assets: list[EpochAsset] = []


class Concept(_Object):
    """A LoRA in a composition; ``scale`` from -2 to 2."""

    model_id: Id
    scale: Number | None = None
    model_epoch: Id | None = None


class Thumbnail(_Object):
    asset_id: Id | None = None
    url: Address | None = Field(default=None, repr=False)


class ModelClass(_Object):
    slug: Word | None = None
    name: Name | None = None


class Model(_Object):
    """
    A model. Its status is the truth about its training: ``trained``, ``failed`` and ``training-canceled`` are final.

    :param job_id: of the training; only the owner gets it.
    :param parameters: of the training, in the API's spelling. Not in the ``repr``: they may hold a key.
    :param training_images: all of them from ``get_model``, at most three from ``list_models``.
    :param training_images_number: how many there are.
    """

    required_if_present: ClassVar[frozenset[str]] = frozenset({"training_images", "training_image_pairs"})

    id: Id
    name: Name | None = None
    status: ModelStatus | None = None
    type: Word | None = None
    short_description: Text | None = None
    job_id: Id | None = None
    parameters: Free = Field(default={}, repr=False)
    training_images: list[TrainingImage] = []
    training_image_pairs: list[TrainingImagePair] = []
    training_images_number: Count | None = None
    training_progress: TrainingProgress | None = None
    training_stats: TrainingStats | None = None
    epochs: list[Epoch] = []
    epoch: Id | None = None
    concepts: list[Concept] = []
    thumbnail: Thumbnail | None = None
    tags: list[Name] = []
    collection_ids: list[Id] = []
    capabilities: list[Word] = Field(default=[], repr=False)
    privacy: Word | None = None
    source: Word | None = None
    owner_id: Id | None = None
    author_id: Id | None = None
    parent_model_id: Id | None = None
    model_class: ModelClass | None = Field(default=None, alias="class")
    created_at: Moment | None = None
    updated_at: Moment | None = None
    deleted_at: Moment | None = None

    @property
    def class_slug(self) -> str | None:
        """Slug of the model's class, under the name in which it is set."""
        return self.model_class.slug if self.model_class else None


class JobMetadata(_Object):
    """
    Details of a job.

    :param error: why it failed.
    :param hint: the service's advice about it.
    """

    error: ServiceText | None = None
    hint: ServiceText | None = None
    input: Free | None = Field(default=None, repr=False)
    output: Free | None = Field(default=None, repr=False)
    asset_ids: list[Id] = []
    output_model_id: Id | None = None


class Billing(_Object):
    """In creative units. ``cu_cost`` stays the amount that was charged, even if a failed job was refunded."""

    cu_cost: Number | None = None
    cu_discount: Number | None = None
    cu_cost_details: dict[Word, Number] = {}


class JobStatusChange(_Object):
    status: Word | None = None
    date: Moment | None = None


def job_id_in(answer: Mapping[str, object]) -> str | None:
    """Find the job id in an answer: ``job.jobId`` (reference), ``job.id`` (guide), or ``jobId`` alone."""
    job = answer.get("job")
    of_job = (job.get("jobId"), job.get("id")) if isinstance(job, dict) else ()
    return next((found for found in (*of_job, answer.get("jobId")) if isinstance(found, str) and found), None)


class Job(_Object):
    """
    Something the service works on. Final statuses: ``success``, ``failure``, ``canceled``; other spellings of them are
    translated.
    """

    job_id: Id
    job_type: Word | None = None
    status: JobStatus | None = None
    progress: Share | None = None
    metadata: JobMetadata = Field(default_factory=JobMetadata)
    billing: Billing | None = None
    status_history: list[JobStatusChange] = Field(default=[], repr=False)
    author_id: Id | None = None
    owner_id: Id | None = None
    created_at: Moment | None = None
    updated_at: Moment | None = None

    @model_validator(mode="before")
    @classmethod
    def _as_in_the_guide(cls, data: Any) -> Any:
        """Accept ``id`` and ``type``, the names in the training guide."""
        if not isinstance(data, dict):
            return data
        names = {"jobId": "id", "jobType": "type"}
        return {**data, **{name: data[other] for name, other in names.items() if other in data and not data.get(name)}}


class StartedTraining(_Object):
    """
    A training that was started, and its cost.

    :param job: store its ``job_id``.
    :param creative_units_cost: creative units, after the discount.
    :param cost_details: the same by action; a training is ``train-model``.
    :param ip_detection: findings of the copyright check, where the team has it.
    """

    job: Job
    model: Model | None = None
    creative_units_cost: Number | None = None
    creative_units_discount: Number | None = None
    cost_details: dict[Word, Number] = {}
    ip_detection: Free | None = Field(default=None, repr=False)


class Quote(_Object):
    """The price of a training, in creative units."""

    creative_units_cost: Number
    creative_units_discount: Number | None = None
    cost_details: dict[Word, Number] = {}


class UploadPart(_Object):
    """The address for one part of a file; ``number`` counts from 1."""

    number: Count
    url: Address = Field(repr=False)


class Upload(_Object):
    """
    An upload in parts.

    :param entity_id: the asset that it became, once ``imported``.
    :param parts: only while it is ``pending``.
    """

    id: Id
    status: Annotated[Word, _one_of("upload status", UPLOAD_STATUSES)] | None = None
    file_name: Name | None = None
    entity_id: Id | None = None
    error_message: ServiceText | None = None
    job_id: Id | None = None
    parts: list[UploadPart] = Field(default=[], repr=False)


class Asset(_Object):
    """A file in a project. The description of a training image is its caption."""

    id: Id
    description: Text | None = None
    automatic_captioning: Text | None = None
    mime_type: Word | None = None
    kind: Word | None = None
    status: Word | None = None
    properties: Free = Field(default={}, repr=False)
    metadata: Free = Field(default={}, repr=False)
    tags: list[Name] = []
    collection_ids: list[Id] = []
    owner_id: Id | None = None
    url: Address | None = Field(default=None, repr=False)
    created_at: Moment | None = None
    updated_at: Moment | None = None


class Project(_Object):
    id: Id
    name: Name | None = None


class TagChange(_Object):
    """The tags that were added and deleted. Without ``strict``, tags that needed no change are left out."""

    added: list[Name] = []
    deleted: list[Name] = []


class Description(_Object):
    """The page of a model: markdown, with ``{asset:…}`` and ``{model:…}`` for references. Empty if there is none."""

    value: Text = ""


class AssetWarning(_Object):
    """Warnings about one training image, such as ``Missing caption``."""

    asset_id: Id | None = None
    message: list[ServiceText] = []


class AssetCoupleWarning(_Object):
    """Warnings about two training images, such as ``Captions are identical``."""

    couple: list[Id] = []
    message: list[ServiceText] = []


class DatasetScore(_Object):
    """
    How Scenario rates a dataset. It does not refuse a training because of it.

    :param score: 0..1; the higher, the better the chances of the training.
    :param status: ``complete``, ``incomplete`` or ``unknown``: whether there was enough data for the score.
    :param details: the parts of the score, in the API's spelling.
    """

    model_id: Id | None = None
    score: Share | None = None
    status: Word | None = None
    assets_warnings: list[AssetWarning] = []
    asset_couples_warnings: list[AssetCoupleWarning] = []
    details: Free = Field(default={}, repr=False)


class Download(_Object):
    """A packed model. The address is set when the job has ended; it is signed and expires."""

    job_id: Id
    job_status: JobStatus | None = None
    download_url: Address | None = Field(default=None, repr=False)

    @model_validator(mode="before")
    @classmethod
    def _of_either_spelling(cls, data: Any) -> Any:
        return {**data, "jobId": job_id_in(data)} if isinstance(data, dict) and not data.get("jobId") else data
