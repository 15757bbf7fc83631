"""A real Airflow on this machine, with its own processes, database and folder; everything ends when it is stopped."""

from __future__ import annotations

import base64
import contextlib
import fcntl
import json
import os
import secrets
import shutil
import socket
import sqlite3
import sys
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self

import requests

from airflow_provider_scenario.demo.processes import Guarded, stop_all
from airflow_provider_scenario.demo.rest import AirflowError, AirflowRest

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from types import TracebackType

PARTS = ("api-server", "scheduler", "dag-processor", "triggerer")
LOCK_NAME = "local-airflow.lock"
USERNAME = "admin"

HEARTBEATS = {
    "scheduler": ("scheduler", "latest_scheduler_heartbeat"),
    "dag-processor": ("dag_processor", "latest_dag_processor_heartbeat"),
    "triggerer": ("triggerer", "latest_triggerer_heartbeat"),
}
"""Where the health report has a part's heartbeat; the API server is healthy if it answers."""

SETTINGS = {
    "core.dags_are_paused_at_creation": "False",
    "core.executor": "LocalExecutor",
    "core.load_examples": "False",
    "core.min_serialized_dag_update_interval": "1",
    "core.parallelism": "4",
    "core.test_connection": "Enabled",
    "core.hostname_callable": "airflow_provider_scenario.demo.loopback.hostname",
    "api.expose_stacktrace": "True",
    "api.workers": "1",
    "dag_processor.bundle_refresh_check_interval": "1",
    "dag_processor.parsing_processes": "1",
    "dag_processor.refresh_interval": "5",
    "database.sql_alchemy_connect_args": "airflow_provider_scenario.demo.loopback.PATIENT_SQLITE",
    "scheduler.enable_health_check": "False",
    "scheduler.job_heartbeat_sec": "2",
    "scheduler.orphaned_tasks_check_interval": "15",
    "scheduler.scheduler_heartbeat_sec": "2",
    "scheduler.scheduler_idle_sleep_time": "0.3",
    "scheduler.trigger_timeout_check_interval": "3",
    "triggerer.job_heartbeat_sec": "2",
    # On a slow machine the response takes longer than the default of 5 s, and Airflow would kill the task.
    "workers.execution_api_timeout": "30",
    "usage_data_collection.enabled": "False",
}
"""Differences from Airflow's defaults, so that it starts fast and reacts at once; ``env`` may override each."""


class LocalAirflow(AirflowRest):
    """
    API server, scheduler, DAG processor and triggerer as separate processes, with a database that starts empty.

    Use it as a context manager. It ends everything that it has started, and nothing else, even when this process is
    killed.

    :param home: folder for everything it writes; created, or emptied if an earlier LocalAirflow left it.
    :param dags: folder of the DAG files.
    :param connections: connection id → connection, as the fields of its JSON form.
    :param env: further environment variables for all parts.
    :param python: runs it; Airflow and this provider must be installed there.
    """

    process_class: type[Guarded] = Guarded

    def __init__(
        self,
        home: Path,
        dags: Path,
        *,
        connections: Mapping[str, Mapping[str, Any]],
        env: Mapping[str, str],
        python: str = sys.executable,
    ) -> None:
        self.airflow = [python, "-m", "airflow"]
        self.home, self.dags = home.resolve(), dags.resolve()
        self.port, *self._log_ports = free_ports(3)
        super().__init__(f"http://127.0.0.1:{self.port}", USERNAME, secrets.token_urlsafe(9))
        self.database = f"sqlite:///{self.home}/airflow.db"
        self.parts: dict[str, Guarded] = {}
        self._started: dict[str, datetime] = {}
        self._lock: int | None = None
        self.env = {
            **_clean_environment(),
            "AIRFLOW_HOME": str(self.home),
            **as_variables({**SETTINGS, **self._own_settings()}),
            **{f"AIRFLOW_CONN_{name.upper()}": json.dumps(connection) for name, connection in connections.items()},
            **env,
        }

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self, timeout: float = 240) -> None:
        """
        Make the database, start the parts and wait until they are healthy.

        :raises ProcessDiedError: a part has ended; the message has the end of its output.
        :raises AirflowError: Airflow is not healthy in time, or another one uses ``home``.
        """
        try:
            self._take_home()
            self._make_database(timeout)
            for name in PARTS:
                self._start_part(name)
            self.wait_until_healthy(timeout)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End everything; does nothing when nothing runs."""
        stop_all(self.parts.values())
        self.parts.clear()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def wait_until_healthy(self, timeout: float = 120) -> None:
        """
        Wait until every part has sent a heartbeat since it was last started.

        :raises ProcessDiedError: a part has ended meanwhile; the message has the end of its output.
        :raises AirflowError: not within ``timeout`` seconds.
        """
        deadline = time.monotonic() + timeout
        while missing := self._not_healthy():
            for part in self.parts.values():
                part.check()
            if time.monotonic() > deadline:
                raise AirflowError(f"Airflow is not healthy after {timeout:g} s: no heartbeat of {', '.join(missing)}.")
            time.sleep(0.25)

    def _own_settings(self) -> dict[str, str]:
        """Settings that differ from one local Airflow to the next: addresses, ports, secrets."""
        worker_logs, trigger_logs = self._log_ports
        return {
            "api.base_url": self.url,
            "api.secret_key": secrets.token_hex(32),
            "api_auth.jwt_secret": secrets.token_hex(32),
            "core.dags_folder": str(self.dags),
            "core.execution_api_server_url": f"{self.url}/execution/",
            "core.fernet_key": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
            "core.simple_auth_manager_passwords_file": str(self.home / "passwords.json"),
            "core.simple_auth_manager_users": f"{USERNAME}:admin",
            "database.sql_alchemy_conn": self.database,
            "logging.trigger_log_server_port": str(trigger_logs),
            "logging.worker_log_server_port": str(worker_logs),
        }

    def _take_home(self, patience: float = 20) -> None:
        """
        Lock the folder and empty it.

        The guards hold the lock too: a start right after a kill waits until the killed Airflow's processes have ended.
        """
        self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = self.home / LOCK_NAME
        if not lock.exists() and any(self.home.iterdir()):
            raise AirflowError(f"{self.home} has files that are not an earlier demo's: choose another folder.")
        try:
            self.home.chmod(0o700)  # it holds keys, passwords and logs
        except PermissionError:
            raise AirflowError(f"{self.home} belongs to another user: choose another folder.") from None
        self._lock = os.open(lock, os.O_RDWR | os.O_CREAT, 0o600)
        deadline = time.monotonic() + patience
        while not _locked(self._lock):
            if time.monotonic() > deadline:
                raise AirflowError(f"Another Airflow is running in {self.home}: stop it or choose another folder.")
            time.sleep(0.2)
        for entry in self.home.iterdir():
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            elif entry.name != LOCK_NAME:
                entry.unlink()
        passwords = self.home / "passwords.json"
        passwords.touch(mode=0o600)
        passwords.write_text(json.dumps({self.username: self.password}), encoding="utf-8")

    def _make_database(self, timeout: float) -> None:
        self._migrate(timeout)
        with contextlib.closing(sqlite3.connect(self.home / "airflow.db")) as database:
            database.execute("PRAGMA journal_mode=WAL")  # readers and the writer do not lock each other out

    def _migrate(self, timeout: float) -> None:
        migrate = self._run("db-migrate", [*self.airflow, "db", "migrate"], self.env)
        try:
            if migrate.wait(timeout):
                migrate.check()
        finally:
            migrate.stop()

    def _start_part(self, name: str, **env: str) -> None:
        self._started[name] = datetime.now(UTC)
        self.parts[name] = self._run(name, [*self.airflow, *self._command(name)], {**self.env, **env})

    def _command(self, name: str) -> list[str]:
        return [name, "--host", "127.0.0.1", "--port", str(self.port)] if name == "api-server" else [name]

    def _run(self, name: str, command: list[str], env: Mapping[str, str]) -> Guarded:
        keep_open = [self._lock] if self._lock is not None else []
        log = self.home / "parts" / f"{name}.log"
        return self.process_class(name, command, log=log, env=env, cwd=self.home, keep_open=keep_open)

    def _not_healthy(self) -> list[str]:
        try:
            health = self.health()
        except (requests.ConnectionError, requests.Timeout, AirflowError):
            return ["the API server"]
        return [name for name in HEARTBEATS if not self._is_healthy(name, health)]

    def _is_healthy(self, name: str, health: dict[str, Any]) -> bool:
        section, field = HEARTBEATS[name]
        report = health.get(section) or {}
        heartbeat = report.get(field)
        if heartbeat is None or report.get("status") != "healthy":
            return False
        return datetime.fromisoformat(heartbeat) > self._started[name]


def free_ports(count: int) -> list[int]:
    """Different ports that nothing listens on now."""
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:  # all stay open until the last has its port, so that no two get the same
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _clean_environment() -> dict[str, str]:
    """The environment without another Airflow's settings, and without a proxy for this machine."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW_", "_AIRFLOW"))}
    for name in ("no_proxy", "NO_PROXY"):
        env[name] = ",".join(filter(None, [env.get(name), "127.0.0.1", "localhost"]))
    env.pop("PYTHONDONTWRITEBYTECODE", None)  # otherwise each task would compile this provider again
    return {**env, "PYTHONUNBUFFERED": "1", "OBJC_DISABLE_INITIALIZE_FORK_SAFETY": "YES"}


def as_variables(settings: Mapping[str, str]) -> dict[str, str]:
    return {f"AIRFLOW__{name.replace('.', '__').upper()}": value for name, value in settings.items()}
