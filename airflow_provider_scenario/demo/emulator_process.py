"""The emulator as a child process."""

from __future__ import annotations

import os
import re
import sys
import time
from typing import TYPE_CHECKING, Any, Self

import requests

from airflow_provider_scenario.client.scenario.client import ScenarioClient
from airflow_provider_scenario.demo.processes import Guarded, ProcessDiedError

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

KEY, SECRET, TOKEN, PROJECT = "demo", "demo", "demo", "proj_emulator"
LISTENING = re.compile(r"listening on (http://\S+?/v1)\b")


class EmulatorProcess:
    """
    An emulator on a free port; a context manager. It ends when this process ends, however that happens.

    :param log: file for its output; replaced.
    :param training_seconds: how long each training lasts.
    :param files: folder that it serves without credentials. Default: the emulator's default.
    :param python: runs it; this provider must be installed there.
    """

    def __init__(
        self, log: Path, *, training_seconds: float = 5, files: Path | None = None, python: str = sys.executable
    ) -> None:
        self._command = [python, "-m", "airflow_provider_scenario.emulator"]
        self._log, self._training_seconds, self._files = log, training_seconds, files
        self._process: Guarded | None = None
        self.url = ""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self, timeout: float = 60) -> None:
        """
        Start it and wait until it listens; then :attr:`url` is its base URL.

        :raises ProcessDiedError: it has ended, or does not listen in time.
        """
        self._log.unlink(missing_ok=True)
        options = ["--port", "0", "--training-seconds", f"{self._training_seconds:g}"]
        options += ["--files", str(self._files)] if self._files else []
        # Every user of this machine can read the command line, but only this user the environment.
        secrets = {"API_KEY": KEY, "API_SECRET": SECRET, "API_TOKEN": TOKEN}
        env = {f"SCENARIO_EMULATOR_{name}": value for name, value in secrets.items()}
        env = {**os.environ, **env, "PYTHONUNBUFFERED": "1"}
        self._process = Guarded("The emulator", [*self._command, *options], log=self._log, env=env)
        try:
            self.url = self._wait_for_url(self._process, timeout)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        if self._process is not None:
            self._process.stop()
            self._process = None

    def client(self) -> ScenarioClient:
        return ScenarioClient.connect(api_key=KEY, api_secret=SECRET, base_url=self.url, project_id=PROJECT, timeout=10)

    @property
    def connection(self) -> dict[str, Any]:
        """An Airflow connection to its Scenario, as the fields of its JSON form."""
        return {
            "conn_type": "scenario",
            "login": KEY,
            "password": SECRET,
            "host": self.url,
            # The default would be too slow for trainings of seconds, and no other client uses this emulator.
            "extra": {"project_id": PROJECT, "requests_per_minute": 6000},
        }

    @property
    def root(self) -> str:
        """Its address without ``/v1``."""
        return self.url.removesuffix("/v1")

    @property
    def workshop_connection(self) -> dict[str, Any]:
        """An Airflow connection to its AI Creation Workshop."""
        return {
            "conn_type": "ai_creation_workshop",
            "login": KEY,
            "password": SECRET,
            "host": self.root,
            "extra": {"api_token": TOKEN},
        }

    def synced_models(self) -> list[dict[str, Any]]:
        """The models of its AI Creation Workshop, from the ledger."""
        response = requests.get(f"{self.root}/emulator/ledger", timeout=10)
        response.raise_for_status()
        synced: list[dict[str, Any]] = response.json()["synced_models"]
        return synced

    @staticmethod
    def _wait_for_url(process: Guarded, timeout: float) -> str:
        deadline = time.monotonic() + timeout
        while not (found := LISTENING.search(process.tail())):
            process.check()
            if time.monotonic() > deadline:
                raise ProcessDiedError(f"The emulator does not listen after {timeout:g} s:\n{process.tail()}")
            time.sleep(0.05)
        return found[1]
