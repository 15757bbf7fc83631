"""
What travels: the parts of Scenario's objects this package works with.

The service grows, so everything here bends: unknown fields are kept, unknown values of a status are kept as text and
logged once, an optional field of the wrong shape counts as absent and is logged once. What cannot be missing (an id,
the members of a dataset) is required, and an object without it is *unreadable*: a typed error, not a traceback.
Addresses of files are signed and expire: they are kept out of every ``repr``. Store ids, not addresses.
"""

from __future__ import annotations

import logging
import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    field_validator,
)
from pydantic.alias_generators import to_camel

from airflow_provider_scenario.client.errors import ServiceError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow_provider_scenario.client.transport import Answer

log = logging.getLogger("airflow_provider_scenario.client")

MODEL_STATUSES = frozenset({"new", "training", "trained", "failed", "training-canceled", "copying"})
TRAINING_STAGES = frozenset(
    {"pending", "queued-for-train", "starting-train", "running-train", "pending-captcha", "ready-for-captcha"}
)
JOB_STATUSES = frozenset(
    {"pending", "queued", "warming-up", "in-progress", "finalizing", "success", "failure", "canceled"}
)

UPLOAD_STATUSES = frozenset({"pending", "complete", "validating", "validated", "imported", "failed"})

_told: set[tuple[str, str]] = set()


def tell_once(field: str, value: object, message: str) -> None:
    """Log ``message`` once a process for this field and value; polls would repeat it for hours."""
    key = (field, repr(value)[:200])
    if key not in _told:
        _told.add(key)
        log.warning("%s", message)


def _one_of(field: str, known: frozenset[str]) -> AfterValidator:
    def check(value: str) -> str:
        if value not in known:
            tell_once(field, value, f"Scenario sent a {field} this provider does not know: {value[:100]!r}.")
        return value

    return AfterValidator(check)


def _share(value: float) -> float:
    return 0.0 if math.isnan(value) else min(1.0, max(0.0, value))


def _in_utc(value: datetime) -> datetime:
    return value if value.tzinfo else value.replace(tzinfo=UTC)


Share = Annotated[float, AfterValidator(_share)]
"""0..1; the service has been seen to send 1.02."""

Moment = Annotated[datetime, AfterValidator(_in_utc)]
"""From an ISO string or from milliseconds since 1970, always with a time zone."""

Text = Annotated[str, Field(min_length=1)]


class Schema(BaseModel):
    """Base of everything that travels: camelCase outside, snake case inside."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        extra="allow",
        protected_namespaces=(),
        str_strip_whitespace=False,
    )

    required_if_present: ClassVar[frozenset[str]] = frozenset()
    """Optional fields that make the whole object unreadable when they are there and cannot be read."""

    @field_validator("*", mode="wrap")
    @classmethod
    def _bend(cls, value: Any, read: ValidatorFunctionWrapHandler, info: ValidationInfo) -> Any:
        field = cls.model_fields[info.field_name or ""]
        try:
            return read(value)
        except ValidationError:
            if field.is_required() or (value is not None and info.field_name in cls.required_if_present):
                raise
            if value is not None:
                name = f"{cls.__name__}.{info.field_name}"
                tell_once(name, type(value), f"Scenario sent a {name} of an unknown shape; it counts as absent.")
            return field.get_default(call_default_factory=True)

    def __repr_args__(self) -> Iterable[tuple[str | None, Any]]:
        """Known fields that say something; what is unknown may be signed."""
        shown = type(self).model_fields
        return [
            (name, value) for name, value in super().__repr_args__() if name in shown and value not in (None, [], {})
        ]

    @classmethod
    def read(cls, data: object, *, asked: str, maybe_done: bool = False, answer: Answer | None = None) -> Self:
        """
        Read an object of an answer.

        :param data: as it came.
        :param asked: for the message: what was asked, such as ``read model model_8Xk``.
        :param maybe_done: what an unreadable answer means for the caller's request.
        :param answer: the whole answer, for the message.
        :raises ServiceError: the object cannot be read: something it must have is missing or has another shape.
        """
        try:
            return cls.model_validate(data)
        except ValidationError as problem:
            wrong = ", ".join(sorted({".".join(map(str, error["loc"])) or "everything" for error in problem.errors()}))
        raise ServiceError(
            f"Asked Scenario to {asked}; the {cls.__name__} in its answer is unreadable (missing or of another shape: "
            f"{wrong[:200]}).",
            maybe_done=maybe_done,
            **(answer.origin if answer else {}),
        )


S = TypeVar("S", bound=Schema)


class TrainingProgress(Schema):
    """
    Where a training is. For showing only: it stays on trained models, and runs ahead of or behind the job.

    :param stage: ``queued-for-train``, ``starting-train``, ``running-train`` …
    :param position: trainings in the queue before this one.
    :param remaining_time_ms: milliseconds.
    :param retryable_error: what went wrong and is tried again.
    """

    stage: Annotated[str, _one_of("training stage", TRAINING_STAGES)] | None = None
    progress: Share | None = None
    position: int | None = None
    remaining_time_ms: float | None = None
    started_at: Moment | None = None
    updated_at: Moment | None = None
    retryable_error: str | None = None
    retry_count: int | None = None
    captcha_image_url: str | None = Field(default=None, repr=False)


class TrainingStats(Schema):
    """When it ran; durations in seconds. Only the owner sees it."""

    started_at: Moment | None = None
    ended_at: Moment | None = None
    queue_duration: float | None = None
    train_duration: float | None = None


class TrainingImage(Schema):
    """One member of a dataset. Its id is the id of the asset, its caption the asset's description."""

    id: Text
    name: str | None = None
    description: str | None = None
    automatic_captioning: str | None = None
    download_url: str | None = Field(default=None, repr=False)
    created_at: Moment | None = None


class TrainingImagePair(Schema):
    """What an edit model learns from: source, target, and how one becomes the other. The ids are asset ids."""

    source_id: str | None = None
    target_id: str | None = None
    instruction: str | None = None


class EpochAsset(Schema):
    """A sample image of an epoch."""

    asset_id: Text
    url: str | None = Field(default=None, repr=False)


class Epoch(Schema):
    """A checkpoint, with sample images where the training had sample prompts. ``epoch`` is text such as ``000001``."""

    epoch: Text
    assets: list[EpochAsset] = []


class Concept(Schema):
    """A LoRA in a composition; ``scale`` from -2 to 2."""

    model_id: Text
    scale: float | None = None
    model_epoch: str | None = None


class Thumbnail(Schema):
    asset_id: str | None = None
    url: str | None = Field(default=None, repr=False)


class ModelClass(Schema):
    slug: str | None = None
    name: str | None = None


class Model(Schema):
    """
    A model. Its status is the truth about its training: ``trained``, ``failed`` and ``training-canceled`` are final.

    :param job_id: of the training; only the owner sees it.
    :param parameters: of the training, in the API's spelling. Not shown in a ``repr``: may hold a key.
    :param training_images: all of them from ``get_model``, at most three from ``list_models``.
    :param training_images_number: how many there are.
    """

    required_if_present: ClassVar[frozenset[str]] = frozenset({"training_images", "training_image_pairs"})

    id: Text
    name: str | None = None
    status: Annotated[str, _one_of("model status", MODEL_STATUSES)] | None = None
    type: str | None = None
    short_description: str | None = None
    job_id: str | None = None
    parameters: dict[str, Any] = Field(default={}, repr=False)
    training_images: list[TrainingImage] = []
    training_image_pairs: list[TrainingImagePair] = []
    training_images_number: int | None = None
    training_progress: TrainingProgress | None = None
    training_stats: TrainingStats | None = None
    epochs: list[Epoch] = []
    epoch: str | None = None
    concepts: list[Concept] = []
    thumbnail: Thumbnail | None = None
    tags: list[str] = []
    collection_ids: list[str] = []
    capabilities: list[str] = Field(default=[], repr=False)
    privacy: str | None = None
    source: str | None = None
    owner_id: str | None = None
    author_id: str | None = None
    parent_model_id: str | None = None
    model_class: ModelClass | None = Field(default=None, alias="class")
    created_at: Moment | None = None
    updated_at: Moment | None = None
    deleted_at: Moment | None = None

    @property
    def class_slug(self) -> str | None:
        """Slug of the model's class, under the name in which it is set."""
        return self.model_class.slug if self.model_class else None


class JobMetadata(Schema):
    """
    What a job says about itself.

    :param error: why it failed.
    :param hint: what the service advises to do about it.
    """

    error: str | None = None
    hint: str | None = None
    input: dict[str, Any] | None = Field(default=None, repr=False)
    output: dict[str, Any] | None = Field(default=None, repr=False)
    asset_ids: list[str] = []
    output_model_id: str | None = None


class Billing(Schema):
    """In creative units. ``cu_cost`` stays what was charged, even where a failed job was refunded."""

    cu_cost: float | None = None
    cu_discount: float | None = None
    cu_cost_details: dict[str, float] = {}


class JobStatusChange(Schema):
    status: str | None = None
    date: Moment | None = None


class Job(Schema):
    """Something the service works on. Final statuses: ``success``, ``failure``, ``canceled``."""

    job_id: Text
    job_type: str | None = None
    status: Annotated[str, _one_of("job status", JOB_STATUSES)] | None = None
    progress: Share | None = None
    metadata: JobMetadata = Field(default_factory=JobMetadata)
    billing: Billing | None = None
    status_history: list[JobStatusChange] = Field(default=[], repr=False)
    author_id: str | None = None
    owner_id: str | None = None
    created_at: Moment | None = None
    updated_at: Moment | None = None


class StartedTraining(Schema):
    """
    A training that was started, and what it was billed at.

    :param job: its ``job_id`` is what to keep.
    :param creative_units_cost: creative units, after the discount.
    :param cost_details: the same by action; a training is ``train-model``.
    :param ip_detection: findings, where the team has its inputs checked.
    """

    job: Job
    model: Model | None = None
    creative_units_cost: float | None = None
    creative_units_discount: float | None = None
    cost_details: dict[str, float] = {}
    ip_detection: dict[str, Any] | None = Field(default=None, repr=False)


class Quote(Schema):
    """What a training would cost, in creative units."""

    creative_units_cost: float
    creative_units_discount: float | None = None
    cost_details: dict[str, float] = {}


class UploadPart(Schema):
    """Where one part of a file goes; ``number`` counts from 1."""

    number: int
    url: Text = Field(repr=False)


class Upload(Schema):
    """
    A file that comes in parts.

    :param entity_id: the asset it has become, once ``imported``.
    :param parts: only while it is ``pending``.
    """

    id: Text
    status: Annotated[str, _one_of("upload status", UPLOAD_STATUSES)] | None = None
    file_name: str | None = None
    entity_id: str | None = None
    error_message: str | None = None
    job_id: str | None = None
    parts: list[UploadPart] = Field(default=[], repr=False)


class Asset(Schema):
    """A file in a project. The description of a training image is its caption."""

    id: Text
    description: str | None = None
    automatic_captioning: str | None = None
    mime_type: str | None = None
    kind: str | None = None
    status: str | None = None
    properties: dict[str, Any] = Field(default={}, repr=False)
    metadata: dict[str, Any] = Field(default={}, repr=False)
    tags: list[str] = []
    collection_ids: list[str] = []
    owner_id: str | None = None
    url: str | None = Field(default=None, repr=False)
    created_at: Moment | None = None
    updated_at: Moment | None = None


class Project(Schema):
    id: Text
    name: str | None = None


class TagChange(Schema):
    """The tags that were added and deleted: without ``strict`` those that were (not) there are not among them."""

    added: list[str] = []
    deleted: list[str] = []


class Description(Schema):
    """The page of a model: markdown, with ``{asset:…}`` and ``{model:…}`` for references. Empty if there is none."""

    value: str = ""


class AssetWarning(Schema):
    """What the service holds against one training image, such as ``Missing caption``."""

    asset_id: str | None = None
    message: list[str] = []


class AssetCoupleWarning(Schema):
    """What it holds against two of them together, such as ``Captions are identical``."""

    couple: list[str] = []
    message: list[str] = []


class DatasetScore(Schema):
    """
    What the service thinks of a dataset. It refuses no training for it.

    :param score: 0..1; the higher, the better the chances of the training.
    :param status: ``complete``, ``incomplete`` or ``unknown``: whether there was enough to judge by.
    :param details: what the score is made of, in the API's spelling.
    """

    model_id: str | None = None
    score: Share | None = None
    status: str | None = None
    assets_warnings: list[AssetWarning] = []
    asset_couples_warnings: list[AssetCoupleWarning] = []
    details: dict[str, Any] = Field(default={}, repr=False)


class Download(Schema):
    """The archive a download job makes; the address is there when the job has ended, is signed, and expires."""

    job_id: Text
    job_status: str | None = None
    download_url: str | None = Field(default=None, repr=False)
