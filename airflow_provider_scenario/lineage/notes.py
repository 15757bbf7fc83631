"""What a task notes while it runs, for the OpenLineage event at its end."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any

from airflow_provider_scenario.client.scenario.secret_parameters import without_secrets

if TYPE_CHECKING:
    from airflow_provider_scenario.client.scenario.schemas import Model
    from airflow_provider_scenario.datasets.images import DatasetImage
    from airflow_provider_scenario.watch.result import TrainingResult


@dataclass(slots=True, kw_only=True)
class LineageNotes:
    """
    What a task knows about its training. OpenLineage's listener asks at the end, in the process that ends the task.

    :param is_connected: whether the connection has been read.
    :param base_url: of Scenario's API, from the connection. None: the public service.
    :param project_id: from the connection.
    :param model_id: the model that is made or trained.
    :param inputs: names of what the training reads from Scenario: the model's training images, or LoRAs.
    :param images: how many files were read, and ``image_bytes`` their size.
    :param parameters: the training parameters that are sent, without secrets.
    :param job_id: of the training, once it has started.
    :param creative_units_cost: its cost, once it has started.
    :param is_ours: whether this task pays for the training.
    :param creative_units_total: what all attempts of the task have paid.
    :param result: how the training ended. None: it has not ended, or never started.
    """

    is_connected: bool = False
    base_url: str | None = None
    project_id: str | None = None
    model_id: str | None = None
    inputs: list[str] = field(default_factory=list)
    images: int | None = None
    image_bytes: int | None = None
    parameters: dict[str, Any] | None = None
    job_id: str | None = None
    creative_units_cost: float | None = None
    is_ours: bool = True
    creative_units_total: float | None = None
    result: TrainingResult | None = None

    def note_connection(self, settings: Mapping[str, Any]) -> None:
        """Note the service; keys and secrets of the connection are left out."""
        self.is_connected, self.base_url = True, settings.get("base_url")
        self.project_id = settings.get("project_id") or None

    def note_images(self, images: Iterable[DatasetImage]) -> None:
        """Note how much was read from the dataset."""
        files = [image for image in images if image.path]
        self.images, self.image_bytes = len(files), sum(image.size for image in files)

    def note_parameters(self, parameters: Mapping[str, Any] | None) -> None:
        """Note the training parameters that are sent; their secrets are left out."""
        self.parameters = without_secrets(parameters or {})

    def note_model(self, model: Model) -> None:
        """
        Note what the model learns from: its LoRAs, if it is a composition, else its training images.

        :param model: as just read.
        """
        self.inputs = [concept.model_id for concept in model.concepts] or [training_images_of(model.id)]

    def note_start(self, job_id: str | None, creative_units_cost: float | None, *, is_ours: bool) -> None:
        """Note the training that runs now."""
        self.job_id, self.creative_units_cost, self.is_ours = job_id, creative_units_cost, is_ours

    def note_end(self, result: TrainingResult, total: float | None = None, *, is_ours: bool) -> None:
        """Note how the training ended."""
        self.result, self.creative_units_total, self.is_ours = result, total, is_ours

    def to_json(self) -> dict[str, Any]:
        """Return what the worker after a deferral cannot know otherwise; Airflow stores it meanwhile."""
        return {name: value for name, value in asdict(self).items() if value is not None and name not in _AT_THE_END}

    def restore(self, stored: object) -> None:
        """
        Take over what the worker before the deferral has noted.

        :param stored: of :meth:`to_json`; another version of this provider may have written it.
        """
        if not isinstance(stored, dict):
            return
        for each in fields(self):
            if each.name in stored and each.name not in _AT_THE_END:
                setattr(self, each.name, stored[each.name])


_AT_THE_END = ("creative_units_total", "result")


def training_images_of(model_id: str) -> str:
    """Return the name of a model's training images as an OpenLineage dataset."""
    return f"{model_id}/training-images"
