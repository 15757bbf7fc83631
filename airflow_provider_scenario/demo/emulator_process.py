"""The emulator as a child process."""

from __future__ import annotations

import os
import re
import sys
import time
from typing import TYPE_CHECKING, Any

from airflow_provider_scenario.client.scenario import ScenarioClient
from airflow_provider_scenario.demo.processes import Guarded, ProcessDiedError

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

EMULATOR = (sys.executable, "-m", "airflow_provider_scenario.emulator")
KEY, SECRET, PROJECT = "demo", "demo", "proj_emulator"
LISTENING = re.compile(r"listening on (http://\S+?/v1)\b")


class EmulatorProcess:
    """
    An emulated Scenario on a free port; a context manager. It ends when this process ends, in whatever way.

    :param log: file for what it prints; replaced.
    :param training_seconds: how long each training lasts.
    """

    def __init__(self, log: Path, *, training_seconds: float = 5) -> None:
        self._log, self._training_seconds = log, training_seconds
        self._process: Guarded | None = None
        self.url = ""

    def __enter__(self) -> EmulatorProcess:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self, timeout: float = 30) -> None:
        """
        Start it and wait until it listens; :attr:`url` is its base URL from then on.

        :raises ProcessDiedError: it has ended, or has not said in time where it listens.
        """
        self._log.unlink(missing_ok=True)
        options = ["--port", "0", "--training-seconds", f"{self._training_seconds:g}", "--api-key", KEY]
        command = [*EMULATOR, *options, "--api-secret", SECRET]
        self._process = Guarded("The emulator", command, log=self._log, env={**os.environ, "PYTHONUNBUFFERED": "1"})
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
        """The Airflow connection that leads to it, as the fields of its JSON form."""
        return {
            "conn_type": "scenario",
            "login": KEY,
            "password": SECRET,
            "host": self.url,
            "extra": {"project_id": PROJECT},
        }

    @staticmethod
    def _wait_for_url(process: Guarded, timeout: float) -> str:
        deadline = time.monotonic() + timeout
        while not (said := LISTENING.search(process.tail())):
            process.check()
            if time.monotonic() > deadline:
                raise ProcessDiedError(f"The emulator does not listen after {timeout:g} s:\n{process.tail()}")
            time.sleep(0.05)
        return said[1]
