"""A real Airflow for tests and benchmarks: its parts can be killed, restarted and added."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from airflow_provider_scenario.demo.local_airflow import LocalAirflow, as_variables, free_ports
from airflow_provider_scenario.demo.processes import ONLY_OWNER
from airflow_provider_scenario.demo.rest import AirflowError
from tests.harness.processes import KillableProcess
from tests.harness.rest import RestOfTests
from tests.harness.waiting import eventually


class AirflowUnderTest(RestOfTests, LocalAirflow):
    """
    The demo's Airflow with a database, a configuration and failures of a test's choice.

    :param home: folder for everything it writes; created, or emptied if an earlier LocalAirflow left it.
    :param dags: folder of the DAG files.
    :param connections: connection id → connection, as the fields of its JSON form.
    :param config: ``section.option`` → value, on top of the demo's settings.
    :param env: further environment variables for all parts.
    :param sql_alchemy_conn: an empty database to use. Default: SQLite in ``home``.
    :param parallelism: how many tasks run at once, each in a process of its own.
    :param password: of the user ``admin``. Default: a new one.
    :param python: runs it; Airflow and the provider must be installed there.
    """

    process_class = KillableProcess
    parts: dict[str, KillableProcess]

    def __init__(
        self,
        home: Path,
        dags: Path,
        *,
        connections: Mapping[str, Mapping[str, Any]] | None = None,
        config: Mapping[str, str] | None = None,
        env: Mapping[str, str] | None = None,
        sql_alchemy_conn: str | None = None,
        parallelism: int = 4,
        password: str | None = None,
        python: str = sys.executable,
    ) -> None:
        settings = {"core.parallelism": str(parallelism), "openlineage.disabled": "True", **(config or {})}
        env = {**as_variables(settings), **(env or {})}
        super().__init__(home, dags, connections=connections or {}, env=env, python=python)
        self.password = password or self.password
        self._has_sqlite = sql_alchemy_conn is None
        if sql_alchemy_conn is not None:
            self.database = sql_alchemy_conn
            self.env.update(as_variables({"database.sql_alchemy_conn": sql_alchemy_conn}))
            del self.env["AIRFLOW__DATABASE__SQL_ALCHEMY_CONNECT_ARGS"]  # SQLite's

    def restart(self, name: str, timeout: float = 120) -> None:
        """End a part, whether it still runs or not, start it again, and wait until it is healthy."""
        self.parts.pop(name).stop()
        self._start_part(name)
        self.wait_until_healthy(timeout)

    def kill(self, name: str, number: int = signal.SIGKILL) -> None:
        """Send a signal to a part. If the part dies, what it has started dies too, as in a container."""
        self.parts[name].kill(number)

    def crash(self, name: str) -> None:
        """Kill a part and everything it has started at the same moment, and forget the part."""
        self.parts.pop(name).crash()

    def add_triggerer(self, name: str = "triggerer-2") -> None:
        """Start one more triggerer under this name; do not wait for it."""
        (port,) = free_ports(1)
        self._start_part(name, **as_variables({"logging.trigger_log_server_port": str(port)}))

    def add_worker(self, name: str, timeout: float = 120) -> None:
        """
        Start a worker of the CeleryExecutor and wait until it takes tasks.

        :param name: of the part; begins with ``worker``.
        :raises ProcessDiedError: the worker has ended; the message has the end of its output.
        """
        self._start_part(name)
        worker = self.parts[name]

        def is_ready() -> bool:
            worker.check()
            return " ready." in worker.tail()

        eventually(is_ready, f"{name} is ready", seconds=timeout)

    def cli(self, *arguments: str, timeout: float = 240) -> str:
        """
        Run an ``airflow`` command against this Airflow and return what it printed.

        :raises AirflowError: its exit code is not 0; the message has the end of its output.
        """
        command = [*self.airflow, *arguments]
        done = subprocess.run(
            command, env=self.env, check=False, capture_output=True, text=True, timeout=timeout, umask=ONLY_OWNER
        )
        if done.returncode:
            output = f"{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
            raise AirflowError(f"airflow {' '.join(arguments)} ended with {done.returncode}:\n{output}")
        return done.stdout

    def _command(self, name: str) -> list[str]:
        if name.startswith("worker"):
            # All parts see the same folder of logs, so the worker does not need to serve them.
            return ["celery", "worker", "--celery-hostname", f"{name}@localhost", "--skip-serve-logs"]
        return super()._command("triggerer" if name.startswith("triggerer") else name)

    def _make_database(self, timeout: float) -> None:
        if self._has_sqlite:
            super()._make_database(timeout)
        else:
            self._migrate(timeout)
