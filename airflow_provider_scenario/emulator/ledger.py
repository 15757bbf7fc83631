"""What was created, started and billed, how often each route was called, and which statuses were answered."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(slots=True)
class CreatedModel:
    model_id: str
    name: str | None
    type: str
    created_at: str


@dataclass(slots=True)
class AddedImage:
    model_id: str
    image_id: str
    name: str
    added_at: str


@dataclass(slots=True)
class StartedTraining:
    model_id: str
    model_name: str | None
    type: str
    job_id: str
    creative_units: float
    started_at: str
    status: str = "training"
    ended_at: str | None = None


@dataclass(slots=True)
class Ledger:
    models: list[CreatedModel] = field(default_factory=list)
    training_images: list[AddedImage] = field(default_factory=list)
    trainings: list[StartedTraining] = field(default_factory=list)
    quotes: int = 0
    requests: Counter[str] = field(default_factory=Counter)
    answers: Counter[int] = field(default_factory=Counter)

    @property
    def creative_units(self) -> float:
        """Billed when a training starts. Never refunded: the service does not promise refunds."""
        return sum(training.creative_units for training in self.trainings)

    def training(self, job_id: str) -> StartedTraining:
        return next(training for training in reversed(self.trainings) if training.job_id == job_id)

    def report(self) -> dict[str, Any]:
        ended = Counter(training.status for training in self.trainings)
        return {
            "models": [asdict(entry) for entry in self.models],
            "training_images": [asdict(entry) for entry in self.training_images],
            "trainings": [asdict(entry) for entry in self.trainings],
            "requests": dict(sorted(self.requests.items())),
            "answers": dict(sorted(self.answers.items())),
            "totals": {
                "models_created": len(self.models),
                "training_images_added": len(self.training_images),
                "trainings_started": len(self.trainings),
                "trainings_running": ended["training"],
                "trainings_trained": ended["trained"],
                "trainings_failed": ended["failed"],
                "trainings_canceled": ended["training-canceled"],
                "creative_units_billed": self.creative_units,
                "quotes": self.quotes,
                "requests": sum(self.requests.values()),
            },
        }
