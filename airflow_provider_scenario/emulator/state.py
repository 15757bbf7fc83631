"""The emulator's data and its clock."""

from __future__ import annotations

import heapq
import itertools
import random
import time
from collections import deque
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

from airflow_provider_scenario.emulator.faults import Faults
from airflow_provider_scenario.emulator.ledger import Ledger
from airflow_provider_scenario.emulator.records import Asset, Job, Model, Upload
from airflow_provider_scenario.emulator.settings import Outcome, Override, Settings
from airflow_provider_scenario.emulator.signing import Signer
from airflow_provider_scenario.emulator.workshop_records import SyncedModel, Workshop

if TYPE_CHECKING:
    from pathlib import Path

PROJECT_ID = "proj_emulator"
TEAM_ID = "team_emulator"
AUTHOR_ID = "api_emulator"
EPOCH_START = datetime(2026, 1, 1, tzinfo=UTC).timestamp()
PUBLIC_MODELS = (("flux.1-dev", "flux.1"), ("flux.1-kontext-dev", "flux.1-kontext-dev"), ("gpt-image-1", "gpt-image-1"))
_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"


class State:
    """
    One emulated project. It needs no lock: it changes only between two awaits of the server's event loop.

    :param settings: at the start and after a reset.
    :param files_folder: served without credentials under ``/files``. No switch changes it, because switches need no
        credentials either.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        api_key: str = "demo",
        api_secret: str = "demo",  # noqa: S107
        files_folder: Path | None = None,
    ) -> None:
        self.api_key = api_key
        self.api_secret = api_secret
        self.files_folder = files_folder
        self.signer = Signer()
        self._initial = settings or Settings()
        self.reset()

    def reset(self) -> None:
        self.settings = self._initial.model_copy(deep=True)
        self.faults = Faults()
        self.outcomes: dict[str, Outcome] = {}
        self.overrides: dict[str, Override] = {}
        self.ledger = Ledger()
        self.models: dict[str, Model] = {}
        self.assets: dict[str, Asset] = {}
        self.jobs: dict[str, Job] = {}
        self.uploads: dict[str, Upload] = {}
        self.workshop = Workshop()
        self._copies: list[tuple[float, Model, str]] = []
        self.launched_at: float | None = None
        self.recent_requests: deque[float] = deque()
        self.clock_offset = 0.0
        self._ends: list[tuple[float, int, Job]] = []
        self._tie_breaker = itertools.count()
        for model_id, model_type in PUBLIC_MODELS:
            self.models[model_id] = Model(
                model_id, model_type, EPOCH_START, EPOCH_START, model_id, status="trained", privacy="public"
            )

    def now(self) -> float:
        """Unix time, plus what ``POST /emulator/advance`` has added."""
        return time.time() + self.clock_offset

    def new_id(self, prefix: str) -> str:
        return prefix + "".join(random.choices(_ALPHABET, k=24))  # noqa: S311

    def asset_url(self, base: str, asset_id: str, now: float) -> str:
        return self.signer.url(base, f"/cdn/assets/{asset_id}", now, self.settings.url_seconds)

    def schedule_end(self, job: Job) -> None:
        heapq.heappush(self._ends, (job.timeline.ends_at, next(self._tie_breaker), job))

    def ended_jobs(self, now: float) -> list[Job]:
        """Jobs that have ended since the last call; fast while none has."""
        ended = []
        while self._ends and self._ends[0][0] <= now:
            ended.append(heapq.heappop(self._ends)[2])
        return ended

    def schedule_copy(self, model: Model, status: str, ends_at: float) -> None:
        """:param status: of the model after ``ends_at``."""
        self._copies.append((ends_at, model, status))

    def ended_copies(self, now: float) -> list[tuple[float, Model, str]]:
        """Copies that have ended since the last call: time of the end, model, the model's new status."""
        ended = [copy for copy in self._copies if copy[0] <= now]
        if ended:
            self._copies = [copy for copy in self._copies if copy[0] > now]
        return ended

    def models_named(self, glob: str) -> list[Model]:
        """Models whose name or id matches, without deleted ones."""
        return [model for model in self.models.values() if model.deleted_at is None and matches(model, glob)]

    def training_seconds(self, model: Model) -> float:
        for glob, seconds in self.settings.training_seconds_by_model.items():
            if matches(model, glob):
                return seconds
        return self.settings.training_seconds

    def take_outcome(self, model: Model | SyncedModel, of: Literal["training", "listing"] = "training") -> Outcome:
        for outcome_id, outcome in self.outcomes.items():
            if outcome.of == of and matches(model, outcome.model):
                if outcome.times is not None:
                    outcome.times -= 1
                    if outcome.times == 0:
                        del self.outcomes[outcome_id]
                return outcome
        return Outcome()


def matches(model: Model | SyncedModel, glob: str) -> bool:
    return fnmatchcase(model.id, glob) or fnmatchcase(model.name or "", glob)


@lru_cache(maxsize=65536)
def iso(moment: float) -> str:
    """A time in the API's format."""
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
