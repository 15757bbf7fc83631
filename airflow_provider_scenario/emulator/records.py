"""The emulated service's records."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from airflow_provider_scenario.emulator.timeline import Timeline


@dataclass(frozen=True, slots=True)
class Recipe:
    """
    How to paint a sample of an epoch when it is first downloaded.

    :param sources: ids of the assets it is painted from: training images, or samples of a composition's concepts.
    :param learned: the share of the training that had passed, above 0 up to 1.
    """

    sources: tuple[str, ...]
    prompt: str
    variation: int
    learned: float
    blend: bool = False


@dataclass(slots=True)
class Asset:
    id: str
    name: str
    kind: str
    mime_type: str
    created_at: float
    updated_at: float
    content: bytes | None = None
    recipe: Recipe | None = None
    width: int | None = None
    height: int | None = None
    source: str = "uploaded"
    metadata_type: str = "uploaded"
    description: str | None = None
    automatic_captioning: str | None = None
    collection_ids: list[str] = field(default_factory=list)
    parent_id: str | None = None
    hidden: bool = False
    training_image: bool = False
    prompt: str | None = None
    model_id: str | None = None


@dataclass(slots=True)
class Job:
    id: str
    type: str
    timeline: Timeline
    model_id: str | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    cost: float = 0.0


@dataclass(slots=True)
class Model:
    id: str
    type: str
    created_at: float
    updated_at: float
    name: str | None = None
    short_description: str | None = None
    status: str = "new"
    privacy: Literal["private", "public"] = "private"
    class_slug: str | None = None
    collection_ids: list[str] = field(default_factory=list)
    concepts: list[dict[str, Any]] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    training_images: dict[str, float] = field(default_factory=dict)
    pairs: list[dict[str, Any]] = field(default_factory=list)
    parameters: dict[str, Any] = field(default_factory=dict)
    prompt_embedding: str | None = None
    negative_prompt_embedding: str | None = None
    description: str = ""
    prompt_guide: str = ""
    thumbnail_id: str | None = None
    example_asset_ids: list[str] = field(default_factory=list)
    epochs: list[tuple[str, list[str]]] = field(default_factory=list)
    epoch: str | None = None
    job: Job | None = None
    parent_model_id: str | None = None
    deleted_at: float | None = None


@dataclass(slots=True)
class Upload:
    id: str
    file_name: str
    kind: str
    content_type: str
    file_size: float
    parts_count: int
    created_at: float
    job: Job
    asset_options: dict[str, Any] = field(default_factory=dict)
    parts: dict[int, bytes] = field(default_factory=dict)
    completed_at: float | None = None
    asset_id: str | None = None
    error: str | None = None
