"""
A running emulator as a test sees it: the ledger as objects, the switches as methods.

It speaks HTTP with the emulator, so it serves for one in another process too. Standard library only.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from http.client import HTTPConnection
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from airflow_provider_scenario.emulator.ledger import AddedImage, CreatedModel, StartedTraining

if TYPE_CHECKING:
    from pathlib import Path


class SwitchError(ValueError):
    """The emulator refuses what a switch was given, such as a setting that does not exist."""


@dataclass(frozen=True, slots=True)
class SyncedFile:
    """
    A file of a model in AI Creation Workshop.

    :param status: of its listing: 5 in progress, 10 listed, -10 failed.
    :param error: why its listing has failed.
    """

    file_id: str
    version_id: str
    name: str
    hash: str
    status: int
    error: str | None

    @property
    def is_listed(self) -> bool:
        """Whether its listing has succeeded."""
        return self.status == 10


@dataclass(frozen=True, slots=True)
class SyncedModel:
    """
    A model in AI Creation Workshop.

    :param syncs: how often its tree was sent.
    :param changes: how often the tree was another than before.
    :param versions: ids of its versions.
    """

    model_id: str
    name: str
    syncs: int
    changes: int
    versions: list[str]
    files: list[SyncedFile]


@dataclass(frozen=True)
class ScenarioEmulator:
    """
    The ledger and the switches of a running emulator.

    :param address: such as ``http://127.0.0.1:8321``. Scenario's API is below ``/v1``, AI Creation Workshop's below
        ``/scc``, the switches below ``/emulator``.
    :param api_key: the key that it accepts.
    :param api_secret: the secret that it accepts.
    :param files_folder: what it serves without credentials under ``/files``. None: not known.
    """

    address: str
    api_key: str = "demo"
    api_secret: str = "demo"  # noqa: S105
    files_folder: Path | None = None

    @property
    def url(self) -> str:
        """Base URL of Scenario's API."""
        return f"{self.address}/v1"

    @property
    def files_url(self) -> str:
        """Address of ``files_folder``."""
        return f"{self.address}/files"

    @property
    def models(self) -> list[CreatedModel]:
        """Models that were created."""
        return [CreatedModel(**entry) for entry in self.ledger()["models"]]

    @property
    def training_images(self) -> list[AddedImage]:
        """Training images that were added."""
        return [AddedImage(**entry) for entry in self.ledger()["training_images"]]

    @property
    def trainings(self) -> list[StartedTraining]:
        """Trainings that were started, each with its status now: ``training``, ``trained``, ``failed``, …"""
        return [StartedTraining(**entry) for entry in self.ledger()["trainings"]]

    @property
    def billed(self) -> float:
        """Creative units of all trainings, also of those that have failed or were cancelled."""
        return float(self.ledger()["totals"]["creative_units_billed"])

    @property
    def synced_models(self) -> list[SyncedModel]:
        """Models that AI Creation Workshop has, each with its files and their listings."""
        return [
            SyncedModel(**{**entry, "files": [SyncedFile(**file) for file in entry["files"]]})
            for entry in self.ledger()["synced_models"]
        ]

    def ledger(self) -> dict[str, Any]:
        """Everything that was created, started, billed and synced; requests by route, answers by status, totals."""
        ledger: dict[str, Any] = self.read("ledger")
        return ledger

    def set(self, **settings: Any) -> None:
        """
        Change settings, such as ``training_seconds=60`` or ``parallel_training=1``; the others stay.

        :raises SwitchError: a setting does not exist or cannot have that value.
        """
        self.switch("settings", **settings)

    def fault(
        self, kind: Literal["status", "429", "garbage", "close", "hang", "slow"], route: str = "**", **options: Any
    ) -> None:
        """
        Make requests fail, such as ``fault("status", "/models/*/train", status=503, times=2)``.

        :param kind: what happens to a request.
        :param route: which requests; ``*`` is one segment of a path, ``**`` any number of them. Default: all.
        :param options: those of :class:`.Fault`. Default: the next such request fails, and no other.
        """
        self.switch("faults", kind=kind, route=route, **options)

    def clear_faults(self) -> None:
        """Let requests succeed again."""
        self._send("DELETE", "faults")

    def fail_trainings(
        self,
        error: str = "CUDA out of memory",
        *,
        model: str = "*",
        hint: str | None = None,
        at: float = 0.5,
        times: int | None = None,
    ) -> None:
        """
        Let trainings that start from now on fail. Scenario bills them all the same.

        :param error: the service's message.
        :param model: which: a glob on the name or id of the model. Default: all.
        :param hint: what the service advises. Default: nothing.
        :param at: the progress, from 0 to 1, at which they fail.
        :param times: how many fail. Default: all.
        """
        self.outcome(model=model, fail_at=at, error=error, hint=hint, times=times)

    def outcome(self, **outcome: Any) -> None:
        """Decide how trainings or listings end; the arguments are those of :class:`.Outcome`."""
        self.switch("outcomes", **outcome)

    def solve_captcha(self, model: str = "*") -> None:
        """Solve the captcha of a professional voice clone, as the owner of the voice does."""
        self.switch("captcha", action="solve", model=model)

    def advance(self, seconds: float) -> None:
        """Advance the emulator's clock: trainings, cool-downs and signed addresses depend on it."""
        self.switch("advance", seconds=seconds)

    def reset(self) -> None:
        """Delete everything; the settings become those of the start again."""
        self.switch("reset")

    def connection(self, **fields: Any) -> str:
        """
        Return an Airflow connection of type ``scenario``, as the value of a variable ``AIRFLOW_CONN_…``.

        :param fields: replace those that lead to this emulator, such as ``password="wrong"``.
        """
        extra = {"project_id": "proj_emulator", "requests_per_minute": 1_000_000}
        return self._connection({"conn_type": "scenario", "host": self.url, "extra": extra, **fields})

    def workshop_connection(self, **fields: Any) -> str:
        """
        Return an Airflow connection of type ``ai_creation_workshop``, as the value of a variable ``AIRFLOW_CONN_…``.

        :param fields: replace those that lead to this emulator.
        """
        extra = {"api_token": "demo", "requests_per_minute": 1_000_000}
        return self._connection({"conn_type": "ai_creation_workshop", "host": self.address, "extra": extra, **fields})

    def _connection(self, fields: dict[str, Any]) -> str:
        return json.dumps({"login": self.api_key, "password": self.api_secret, **fields})

    def switch(self, name: str, **payload: Any) -> Any:
        """
        Use a switch by its name; ``{address}/emulator/docs`` lists them.

        :raises SwitchError: it refuses this.
        """
        return self._send("POST", name, payload)

    def read(self, name: str) -> Any:
        """Return what a switch shows, such as ``read("faults")`` or ``read("synced/hero")``."""
        return self._send("GET", name)

    def _send(self, method: str, name: str, payload: dict[str, Any] | None = None) -> Any:
        # Not urllib.request: it would send this to the proxy of the environment.
        connection = HTTPConnection(urlsplit(self.address).netloc, timeout=60)
        try:
            body = None if payload is None else json.dumps(payload)
            connection.request(method, f"/emulator/{name}", body, {"content-type": "application/json"})
            response = connection.getresponse()
            content = response.read().decode()
        finally:
            connection.close()
        if response.status >= 400:
            raise SwitchError(f"The emulator refuses {method} /emulator/{name}: {response.status} {content}")
        return json.loads(content)
