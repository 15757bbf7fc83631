"""The records of the emulated AI Creation Workshop."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from math import inf
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_provider_scenario.emulator.settings import Outcome

NOT_LISTED, IN_PROGRESS, LISTED, FAILED = 0, 5, 10, -10


@dataclass(slots=True)
class ListedFile:
    """
    A file and its listing.

    :param started: when the listing began, on the emulator's clock.
    :param seconds: the listing's minimum duration; fetching the file may take longer.
    :param fetching: whether the file is being fetched. The fetching thread clears it last.
    :param fetch_error: why fetching failed.
    """

    id: str
    version_id: str
    name: str
    hash: str
    url: str
    size_kb: float
    primary: bool
    started: float
    seconds: float
    outcome: Outcome
    fetching: bool = False
    fetch_error: str | None = None

    @property
    def ends_at(self) -> float:
        """The earliest time at which the listing can end; ``inf`` for an outcome that stalls."""
        if self.outcome.stall_at is not None:
            return inf
        return self.started + self.seconds * (1.0 if self.outcome.fail_at is None else self.outcome.fail_at)

    def status(self, now: float) -> int:
        if now < self.ends_at or self.fetching:
            return IN_PROGRESS
        return FAILED if self.error(now) else LISTED

    def error(self, now: float) -> str | None:
        """Why the listing has failed. Only the ledger shows it: the service's answer has no field for it."""
        if now < self.ends_at or self.fetching:
            return None
        if self.outcome.fail_at is not None:
            return self.outcome.error if "error" in self.outcome.model_fields_set else "An outcome of the emulator"
        return self.fetch_error


@dataclass(slots=True)
class SyncedModel:
    """
    :param tree: of the latest sync, with unknown fields.
    :param session: the other fields of that sync except the token.
    :param files: by the id of their version and their name.
    :param syncs: number of syncs.
    :param changes: number of syncs with a changed tree.
    """

    id: str
    name: str
    tree: dict[str, object]
    files: dict[tuple[str, str], ListedFile] = field(default_factory=dict)
    version_ids: set[str] = field(default_factory=set)
    syncs: int = 0
    changes: int = 0
    session: dict[str, object] = field(default_factory=dict)


@dataclass(slots=True)
class Workshop:
    """
    :param nonces: nonces of the last minutes, with the time of their use.
    :param callbacks: what was sent to ``callback_url``, and the response.
    """

    models: dict[str, SyncedModel] = field(default_factory=dict)
    nonces: dict[str, float] = field(default_factory=dict)
    recent_requests: deque[float] = field(default_factory=deque)
    callbacks: list[dict[str, object]] = field(default_factory=list)

    def report(self, now: float) -> dict[str, object]:
        return {
            "synced_models": [
                {
                    "model_id": model.id,
                    "name": model.name,
                    "syncs": model.syncs,
                    "changes": model.changes,
                    "versions": sorted(model.version_ids),
                    "files": [
                        {
                            "file_id": file.id,
                            "version_id": file.version_id,
                            "name": file.name,
                            "hash": file.hash,
                            "status": file.status(now),
                            "error": file.error(now),
                        }
                        for file in model.files.values()
                    ],
                }
                for model in self.models.values()
            ],
            "callbacks": self.callbacks,
        }

    def totals(self, now: float) -> dict[str, int]:
        models = self.models.values()
        statuses = [file.status(now) for model in models for file in model.files.values()]
        return {
            "models_synced": len(models),
            "versions_synced": sum(len(model.version_ids) for model in models),
            "files_synced": len(statuses),
            "files_listed": statuses.count(LISTED),
            "files_failed": statuses.count(FAILED),
            "syncs": sum(model.syncs for model in models),
            "callbacks": len(self.callbacks),
        }
