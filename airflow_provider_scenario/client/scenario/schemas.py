"""
What travels: the parts of Scenario's objects this package works with.

The service grows, so everything here bends: unknown fields are kept, unknown values of a status are kept as text and
logged once, an optional field of the wrong shape counts as absent and is logged once. What cannot be missing (an id,
the members of a dataset) is required, and an object without it is *unreadable*: a typed error, not a traceback.
Addresses of files are signed and expire: they are kept out of every ``repr``. Store ids, not addresses.

A service may be wrong or hostile. Whatever is read here is sane: numbers are finite and in a range that can be shown,
texts are of bounded length, dates can be converted to any time zone, and text that is for people (:data:`ServiceText`)
holds neither our secrets nor signed addresses. :func:`.decoding.decode` sees to it that texts can be written as UTF-8.
"""

# Without `from __future__ import annotations`: as text, pydantic would compile each of 190 annotations at the import.
import logging
import math
import threading
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    field_validator,
    model_validator,
)
from pydantic.alias_generators import to_camel

from airflow_provider_scenario.client.decoding import DEEPEST_ANSWER
from airflow_provider_scenario.client.errors import ServiceError
from airflow_provider_scenario.client.messages import shortened
from airflow_provider_scenario.client.texts import plain

if TYPE_CHECKING:
    from airflow_provider_scenario.client.transport import Answer

log = logging.getLogger("airflow_provider_scenario.client")

MODEL_STATUSES = frozenset({"new", "training", "trained", "failed", "training-canceled", "copying"})
TRAINING_STAGES = frozenset(
    {"pending", "queued-for-train", "starting-train", "running-train", "pending-captcha", "ready-for-captcha"}
)
JOB_STATUSES = frozenset(
    {"pending", "queued", "warming-up", "in-progress", "finalizing", "success", "failure", "canceled"}
)

JOB_WORDS_OF_PROSE = {"succeeded": "success", "completed": "success", "failed": "failure", "cancelled": "canceled"}
"""What Scenario's guides and webhooks call a job's final statuses, and the API's own word for each."""

UPLOAD_STATUSES = frozenset({"pending", "complete", "validating", "validated", "imported", "failed"})

LONGEST_NAME = 1_000
"""Characters of a name; Scenario's own form takes 100."""

LONGEST_ID = 200
"""Characters of an id, a status and whatever else is one word; Scenario's are below 40."""

LONGEST_TEXT = 100_000
"""Characters of a caption, a description or a page: far above what people write."""

LONGEST_ADDRESS = 20_000
"""Characters of an address; signed ones have about 1 000, and servers refuse more than 8 000."""

LARGEST_NUMBER = 1e15
"""Of any number: exact as a float, and short enough to be shown."""

LONGEST_TIME = 10 * 365 * 24 * 3600.0
"""Seconds: ten years."""

_MOST_WARNINGS = 1_000
"""Different warnings a process gives about odd values: the service chooses how many there are."""

_FIRST, _LAST = datetime(1970, 1, 1, tzinfo=UTC), datetime(9999, 12, 30, tzinfo=UTC)
"""Between them a date can be converted to any time zone."""

_IN_NO_ID = frozenset("/\\?#% ")

_told: set[tuple[str, str]] = set()


def tell_once(field: str, value: object, message: str) -> None:
    """Log ``message`` once a process for this field and value; polls would repeat it for hours."""
    key = (field, repr(value)[:200])
    if key not in _told and len(_told) < _MOST_WARNINGS:
        _told.add(key)
        log.warning("%s", message)


def _one_of(field: str, known: frozenset[str]) -> AfterValidator:
    def check(value: str) -> str:
        if value not in known:
            tell_once(field, value, f"Scenario sent a {field} this provider does not know: {plain(value)!r}.")
        return value

    return AfterValidator(check)


def _in_the_apis_spelling(known: frozenset[str], others: Mapping[str, str] | None = None) -> AfterValidator:
    """In any letter case; ``others`` are words of the documentation, each with the API's own."""
    spelled = {**(others or {}), **{word: word for word in known}}
    return AfterValidator(lambda value: spelled.get(value.strip().lower(), value))


def _share(value: float) -> float:
    return 0.0 if math.isnan(value) else min(1.0, max(0.0, value))


def _no_boolean(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("a boolean is not a number")  # noqa: TRY004
    return value


def _in_utc(value: datetime) -> datetime:
    moment = value if value.tzinfo else value.replace(tzinfo=UTC)
    # Compared in its own time zone: converting year 1 or 9999 overflows.
    if not _FIRST <= moment <= _LAST:
        raise ValueError("not a date that can be converted to any time zone")
    return moment


def _one_word(value: str) -> str:
    if not value.isprintable() or len(value) > LONGEST_ID:
        raise ValueError("not one word")
    return value


def _one_segment(value: str) -> str:
    # As client.ids has it, without a loop over each character: this runs thousands of times a poll.
    if value in (".", "..") or len(value) > LONGEST_ID or not value.isprintable() or not _IN_NO_ID.isdisjoint(value):
        raise ValueError("not an id")
    return value


def _safe_to_show(value: str, info: ValidationInfo) -> str:
    scrub = (info.context or {}).get("scrub", plain)
    return str(scrub(value))


def _without_oddities(value: Any, depth: int = 0) -> Any:
    """What the service may put in freely is shown, and written as JSON."""
    if depth > DEEPEST_ANSWER:
        raise ValueError("nested too deep")
    match value:
        case float() if not math.isfinite(value):
            return None
        case dict():
            return {name: _without_oddities(item, depth + 1) for name, item in value.items()}
        case list():
            return [_without_oddities(item, depth + 1) for item in value]
    return value


Number = Annotated[
    float, BeforeValidator(_no_boolean), Field(ge=-LARGEST_NUMBER, le=LARGEST_NUMBER, allow_inf_nan=False)
]

Count = Annotated[int, BeforeValidator(_no_boolean), Field(ge=0, le=int(LARGEST_NUMBER))]

Seconds = Annotated[float, BeforeValidator(_no_boolean), Field(ge=0, le=LONGEST_TIME, allow_inf_nan=False)]

Milliseconds = Annotated[float, BeforeValidator(_no_boolean), Field(ge=0, le=LONGEST_TIME * 1000, allow_inf_nan=False)]

Share = Annotated[float, BeforeValidator(_no_boolean), AfterValidator(_share)]
"""0..1; the service has been seen to send 1.02."""

Moment = Annotated[datetime, BeforeValidator(_no_boolean), AfterValidator(_in_utc)]
"""From an ISO string or from milliseconds since 1970, always with a time zone."""

Text = Annotated[str, Field(max_length=LONGEST_TEXT)]
"""As it is, for comparing and for editing."""

Name = Annotated[str, Field(max_length=LONGEST_NAME)]

Word = Annotated[str, AfterValidator(_one_word)]
"""A status, a type, a kind."""

Id = Annotated[str, Field(min_length=1), AfterValidator(_one_segment)]
"""One segment of a path, here and where files are named after it."""

Address = Annotated[str, Field(min_length=1, max_length=LONGEST_ADDRESS)]
"""Of a file, signed: never shown."""

ServiceText = Annotated[str, AfterValidator(_safe_to_show)]
"""The service's own words, for people: see :mod:`.texts`."""

Free = Annotated[dict[str, Any], BeforeValidator(_without_oddities)]
"""Whatever the service puts in."""

ModelStatus = Annotated[Word, _in_the_apis_spelling(MODEL_STATUSES), _one_of("model status", MODEL_STATUSES)]

TrainingStage = Annotated[Word, _in_the_apis_spelling(TRAINING_STAGES), _one_of("training stage", TRAINING_STAGES)]

JobStatus = Annotated[
    Word, _in_the_apis_spelling(JOB_STATUSES, JOB_WORDS_OF_PROSE), _one_of("job status", JOB_STATUSES)
]


_building = threading.RLock()  # a signal handler may come while this thread builds


class Schema(BaseModel):
    """Base of everything that travels: camelCase outside, snake case inside."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        extra="allow",
        protected_namespaces=(),
        defer_build=True,  # a task uses a third of the classes
        str_strip_whitespace=False,
    )

    service: ClassVar[str] = "Scenario"
    """Who sends it, in messages."""

    required_if_present: ClassVar[frozenset[str]] = frozenset()
    """Optional fields that make the whole object unreadable when they are there and cannot be read."""

    @field_validator("*", mode="wrap")
    @classmethod
    def _bend(cls, value: Any, read: ValidatorFunctionWrapHandler, info: ValidationInfo) -> Any:
        field = cls.model_fields[info.field_name or ""]
        try:
            return read(value)
        except ValidationError:
            may_be_absent = value is None or (info.context or {}).get("only_status")
            if field.is_required() or (info.field_name in cls.required_if_present and not may_be_absent):
                raise
            if value is not None:
                name = f"{cls.__name__}.{info.field_name}"
                tell_once(name, type(value), f"{cls.service} sent a {name} of an unknown shape; it counts as absent.")
            return field.get_default(call_default_factory=True)

    @classmethod
    def model_validate(cls, obj: Any, **options: Any) -> Self:
        """As pydantic's, and safe in several threads: up to 2.12 two of them may not build a class at once."""
        if not cls.__pydantic_complete__:
            with _building:
                cls.model_rebuild()
        return super().model_validate(obj, **options)

    def __repr_args__(self) -> Iterable[tuple[str | None, Any]]:
        """Known fields that say something; what is unknown may be signed."""
        shown = type(self).model_fields
        return [
            (name, value) for name, value in super().__repr_args__() if name in shown and value not in (None, [], {})
        ]

    @classmethod
    def read(
        cls,
        data: object,
        *,
        action: str,
        maybe_done: bool = False,
        answer: "Answer | None" = None,
        only_status: bool = False,
    ) -> Self:
        """
        Read an object of an answer.

        :param data: as it came.
        :param action: for the message: what was asked, such as ``read model model_8Xk``.
        :param maybe_done: what an unreadable answer means for the caller's request.
        :param answer: the whole answer, for the message.
        :param only_status: whether :attr:`required_if_present` may be unreadable: a dataset that cannot be read must
            not end the watch of a paid training.
        :raises ServiceError: the object cannot be read: something it must have is missing or has another shape.
        """
        try:
            context = {"scrub": answer.scrub if answer else plain, "only_status": only_status}
            return cls.model_validate(data, context=context)
        except ValidationError as problem:
            wrong = ", ".join(sorted({".".join(map(str, error["loc"])) or "everything" for error in problem.errors()}))
        raise ServiceError(
            f"Asked Scenario to {shortened(action, 300)}; the {cls.__name__} in its answer is unreadable (missing or "
            f"of another shape: {plain(wrong)[:200]}).",
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

    stage: TrainingStage | None = None
    progress: Share | None = None
    position: Count | None = None
    remaining_time_ms: Milliseconds | None = None
    started_at: Moment | None = None
    updated_at: Moment | None = None
    retryable_error: ServiceText | None = None
    retry_count: Count | None = None
    captcha_image_url: Address | None = Field(default=None, repr=False)


class TrainingStats(Schema):
    """When it ran; durations in seconds. Only the owner sees it."""

    started_at: Moment | None = None
    ended_at: Moment | None = None
    queue_duration: Seconds | None = None
    train_duration: Seconds | None = None


class TrainingImage(Schema):
    """One member of a dataset. Its id is the id of the asset, its caption the asset's description."""

    id: Id
    name: Name | None = None
    description: Text | None = None
    automatic_captioning: Text | None = None
    download_url: Address | None = Field(default=None, repr=False)
    created_at: Moment | None = None


class TrainingImagePair(Schema):
    """What an edit model learns from: source, target, and how one becomes the other. The ids are asset ids."""

    source_id: Id | None = None
    target_id: Id | None = None
    instruction: Text | None = None


class EpochAsset(Schema):
    """A sample image of an epoch."""

    asset_id: Id
    url: Address | None = Field(default=None, repr=False)


class Epoch(Schema):
    """A checkpoint, with sample images where the training had sample prompts. ``epoch`` is text such as ``000001``."""

    epoch: Id
    assets: list[EpochAsset] = []


class Concept(Schema):
    """A LoRA in a composition; ``scale`` from -2 to 2."""

    model_id: Id
    scale: Number | None = None
    model_epoch: Id | None = None


class Thumbnail(Schema):
    asset_id: Id | None = None
    url: Address | None = Field(default=None, repr=False)


class ModelClass(Schema):
    slug: Word | None = None
    name: Name | None = None


class Model(Schema):
    """
    A model. Its status is the truth about its training: ``trained``, ``failed`` and ``training-canceled`` are final.

    :param job_id: of the training; only the owner sees it.
    :param parameters: of the training, in the API's spelling. Not shown in a ``repr``: may hold a key.
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


class JobMetadata(Schema):
    """
    What a job says about itself.

    :param error: why it failed.
    :param hint: what the service advises to do about it.
    """

    error: ServiceText | None = None
    hint: ServiceText | None = None
    input: Free | None = Field(default=None, repr=False)
    output: Free | None = Field(default=None, repr=False)
    asset_ids: list[Id] = []
    output_model_id: Id | None = None


class Billing(Schema):
    """In creative units. ``cu_cost`` stays what was charged, even where a failed job was refunded."""

    cu_cost: Number | None = None
    cu_discount: Number | None = None
    cu_cost_details: dict[Word, Number] = {}


class JobStatusChange(Schema):
    status: Word | None = None
    date: Moment | None = None


def job_id_in(answer: Mapping[str, Any]) -> str | None:
    """The id of the job in an answer: ``job.jobId`` in the reference, ``job.id`` in the guide, or ``jobId`` alone."""
    job = answer.get("job")
    of_job = (job.get("jobId"), job.get("id")) if isinstance(job, dict) else ()
    return next((found for found in (*of_job, answer.get("jobId")) if isinstance(found, str) and found), None)


class Job(Schema):
    """
    Something the service works on. Final statuses: ``success``, ``failure``, ``canceled``, in whatever spelling the
    service has sent them.
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
        """The training guide calls them ``id`` and ``type``."""
        if not isinstance(data, dict):
            return data
        names = {"jobId": "id", "jobType": "type"}
        return {**data, **{name: data[other] for name, other in names.items() if other in data and not data.get(name)}}


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
    creative_units_cost: Number | None = None
    creative_units_discount: Number | None = None
    cost_details: dict[Word, Number] = {}
    ip_detection: Free | None = Field(default=None, repr=False)


class Quote(Schema):
    """What a training would cost, in creative units."""

    creative_units_cost: Number
    creative_units_discount: Number | None = None
    cost_details: dict[Word, Number] = {}


class UploadPart(Schema):
    """Where one part of a file goes; ``number`` counts from 1."""

    number: Count
    url: Address = Field(repr=False)


class Upload(Schema):
    """
    A file that comes in parts.

    :param entity_id: the asset it has become, once ``imported``.
    :param parts: only while it is ``pending``.
    """

    id: Id
    status: Annotated[Word, _one_of("upload status", UPLOAD_STATUSES)] | None = None
    file_name: Name | None = None
    entity_id: Id | None = None
    error_message: ServiceText | None = None
    job_id: Id | None = None
    parts: list[UploadPart] = Field(default=[], repr=False)


class Asset(Schema):
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


class Project(Schema):
    id: Id
    name: Name | None = None


class TagChange(Schema):
    """The tags that were added and deleted: without ``strict`` those that were (not) there are not among them."""

    added: list[Name] = []
    deleted: list[Name] = []


class Description(Schema):
    """The page of a model: markdown, with ``{asset:…}`` and ``{model:…}`` for references. Empty if there is none."""

    value: Text = ""


class AssetWarning(Schema):
    """What the service holds against one training image, such as ``Missing caption``."""

    asset_id: Id | None = None
    message: list[ServiceText] = []


class AssetCoupleWarning(Schema):
    """What it holds against two of them together, such as ``Captions are identical``."""

    couple: list[Id] = []
    message: list[ServiceText] = []


class DatasetScore(Schema):
    """
    What the service thinks of a dataset. It refuses no training for it.

    :param score: 0..1; the higher, the better the chances of the training.
    :param status: ``complete``, ``incomplete`` or ``unknown``: whether there was enough to judge by.
    :param details: what the score is made of, in the API's spelling.
    """

    model_id: Id | None = None
    score: Share | None = None
    status: Word | None = None
    assets_warnings: list[AssetWarning] = []
    asset_couples_warnings: list[AssetCoupleWarning] = []
    details: Free = Field(default={}, repr=False)


class Download(Schema):
    """The archive a download job makes; the address is there when the job has ended, is signed, and expires."""

    job_id: Id
    job_status: JobStatus | None = None
    download_url: Address | None = Field(default=None, repr=False)

    @model_validator(mode="before")
    @classmethod
    def _of_either_spelling(cls, data: Any) -> Any:
        return {**data, "jobId": job_id_in(data)} if isinstance(data, dict) and not data.get("jobId") else data
