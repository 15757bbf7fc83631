"""A real Airflow on this machine: its own processes, database and folder, gone when it is no longer wanted."""

from __future__ import annotations

import base64
import contextlib
import fcntl
import json
import os
import secrets
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import requests

from airflow_provider_scenario.demo.processes import ONLY_OWNER, Guarded, stop_all
from airflow_provider_scenario.demo.rest import AirflowError, AirflowRest

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from types import TracebackType

PARTS = ("api-server", "scheduler", "dag-processor", "triggerer")
WORKER = "worker"
LOCK_NAME = "local-airflow.lock"
USERNAME = "admin"
AIRFLOW = [sys.executable, "-m", "airflow"]

HEARTBEATS = {
    "scheduler": ("scheduler", "latest_scheduler_heartbeat"),
    "dag-processor": ("dag_processor", "latest_dag_processor_heartbeat"),
    "triggerer": ("triggerer", "latest_triggerer_heartbeat"),
}
"""Where the health report speaks of a part; the API server proves its own health by reporting."""

QUICK = {
    "core.dags_are_paused_at_creation": "False",
    "core.executor": "LocalExecutor",
    "core.load_examples": "False",
    "core.min_serialized_dag_update_interval": "1",
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
    # On a machine that is short of CPU the answer takes longer than the default of 5 s, and Airflow kills the task.
    "workers.execution_api_timeout": "30",
    "usage_data_collection.enabled": "False",
}
"""What differs from Airflow's defaults, so that it starts fast and reacts at once; all of it may be overridden."""


class LocalAirflow(AirflowRest):
    """
    API server, scheduler, DAG processor and triggerer as processes of their own, with a database that starts empty.

    Use it as a context manager. It ends only what it started, and all of that, even when this process is killed.

    :param home: folder for everything it writes; created, or emptied if an earlier LocalAirflow left it.
    :param dags: folder of the DAG files.
    :param connections: connection id → connection as a URI or as the fields of its JSON form.
    :param config: ``section.option`` → value, on top of :data:`QUICK`.
    :param env: further environment variables for all parts.
    :param sql_alchemy_conn: an empty database to use. Default: SQLite in ``home``.
    :param parallelism: how many tasks run at once, each in a process of its own.
    :param password: of the user ``admin``. Default: a new one.
    """

    def __init__(
        self,
        home: Path,
        dags: Path,
        *,
        connections: Mapping[str, str | Mapping[str, Any]] | None = None,
        config: Mapping[str, str] | None = None,
        env: Mapping[str, str] | None = None,
        sql_alchemy_conn: str | None = None,
        parallelism: int = 4,
        password: str | None = None,
    ) -> None:
        self.home, self.dags = home.resolve(), dags.resolve()
        self.port, *self._log_ports = free_ports(3)
        super().__init__(f"http://127.0.0.1:{self.port}", USERNAME, password or secrets.token_urlsafe(9))
        self.database = sql_alchemy_conn or f"sqlite:///{self.home}/airflow.db"
        self.parts: dict[str, Guarded] = {}
        self._started: dict[str, datetime] = {}
        self._lock: int | None = None
        settings = {**QUICK, **self._own_settings(parallelism), **(config or {})}
        if not self.database.startswith("sqlite"):
            settings.pop("database.sql_alchemy_connect_args")
        self.env = {**_clean_environment(), "AIRFLOW_HOME": str(self.home), **_as_variables(settings)}
        for name, connection in (connections or {}).items():
            self.env[f"AIRFLOW_CONN_{name.upper()}"] = (
                connection if isinstance(connection, str) else json.dumps(connection)
            )
        self.env.update(env or {})

    def __enter__(self) -> LocalAirflow:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self, timeout: float = 240) -> None:
        """
        Make the database, start the parts and wait until they are well.

        :raises ProcessDiedError: a part has ended; carries the end of its output.
        :raises AirflowError: it is not healthy in time, or another one uses ``home``.
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
        """End everything; harmless when there is nothing to end."""
        stop_all(self.parts.values())
        self.parts.clear()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def wait_until_healthy(self, timeout: float = 120) -> None:
        """
        Wait until every part has given a sign of life since it was last started.

        :raises ProcessDiedError: a part has ended meanwhile; carries the end of its output.
        :raises AirflowError: not within ``timeout`` seconds.
        """
        deadline = time.monotonic() + timeout
        while missing := self._not_healthy():
            for part in self.parts.values():
                part.check()
            if time.monotonic() > deadline:
                raise AirflowError(f"Airflow is not healthy after {timeout:g} s: no sign of {', '.join(missing)}.")
            time.sleep(0.25)

    def restart(self, name: str, timeout: float = 120) -> None:
        """End a part, whether it still runs or not, start it again, and wait until it is well."""
        self.parts.pop(name).stop()
        self._start_part(name)
        self.wait_until_healthy(timeout)

    def kill(self, name: str, number: int = signal.SIGKILL) -> None:
        """Send a signal to a part. If it dies of it, what it had started dies too, as in a container."""
        self.parts[name].kill(number)

    def crash(self, name: str) -> None:
        """Kill a part and all it had started at the same moment, as when its machine is gone; it is a part no more."""
        self.parts.pop(name).crash()

    def add_triggerer(self, name: str = "triggerer-2") -> None:
        """Start one more triggerer, to be addressed by this name; do not wait for it."""
        (port,) = free_ports(1)
        self._start_part(name, **_as_variables({"logging.trigger_log_server_port": str(port)}))

    def add_worker(self, name: str, timeout: float = 120) -> None:
        """
        Start a worker of the CeleryExecutor and wait until it takes tasks.

        :param name: by which it is addressed; begins with ``worker``.
        :raises ProcessDiedError: it has ended; carries the end of its output.
        :raises AirflowError: it takes none within ``timeout`` seconds.
        """
        self._start_part(name)
        worker, deadline = self.parts[name], time.monotonic() + timeout
        while " ready." not in worker.tail():
            worker.check()
            if time.monotonic() > deadline:
                raise AirflowError(f"{name} is not ready after {timeout:g} s:\n{worker.tail()}")
            time.sleep(0.2)

    def cli(self, *arguments: str, timeout: float = 240) -> str:
        """
        Run an ``airflow`` command against this Airflow and return what it printed.

        :raises AirflowError: its exit code is not 0; carries the end of what it said.
        """
        command = [*AIRFLOW, *arguments]
        done = subprocess.run(  # noqa: S603 - our own command
            command, env=self.env, check=False, capture_output=True, text=True, timeout=timeout, umask=ONLY_OWNER
        )
        if done.returncode:
            said = f"{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
            raise AirflowError(f"airflow {' '.join(arguments)} ended with {done.returncode}:\n{said}")
        return done.stdout

    def _own_settings(self, parallelism: int) -> dict[str, str]:
        """What every Airflow has of its own: addresses, ports, secrets."""
        worker_logs, trigger_logs = self._log_ports
        return {
            "api.base_url": self.url,
            "api.secret_key": secrets.token_hex(32),
            "api_auth.jwt_secret": secrets.token_hex(32),
            "core.dags_folder": str(self.dags),
            "core.execution_api_server_url": f"{self.url}/execution/",
            "core.fernet_key": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
            "core.parallelism": str(parallelism),
            "core.simple_auth_manager_passwords_file": str(self.home / "passwords.json"),
            "core.simple_auth_manager_users": f"{USERNAME}:admin",
            "database.sql_alchemy_conn": self.database,
            "logging.trigger_log_server_port": str(trigger_logs),
            "logging.worker_log_server_port": str(worker_logs),
        }

    def _take_home(self, patience: float = 20) -> None:
        """
        Lock the folder and empty it.

        The guards hold the lock too: a second start right after a killed first one waits until the first is gone.
        """
        self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = self.home / LOCK_NAME
        if not lock.exists() and any(self.home.iterdir()):
            raise AirflowError(f"{self.home} is not empty and was not made by a LocalAirflow: choose another folder.")
        try:
            self.home.chmod(0o700)  # keys, passwords and logs lie here
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
        migrate = self._run("db-migrate", [*AIRFLOW, "db", "migrate"], self.env)
        try:
            if migrate.wait(timeout):
                migrate.check()
        finally:
            migrate.stop()
        if self.database == f"sqlite:///{self.home}/airflow.db":
            with contextlib.closing(sqlite3.connect(self.home / "airflow.db")) as database:
                database.execute("PRAGMA journal_mode=WAL")  # readers and the writer do not lock each other out

    def _start_part(self, name: str, **env: str) -> None:
        self._started[name] = datetime.now(UTC)
        self.parts[name] = self._run(name, [*AIRFLOW, *self._command(name)], {**self.env, **env})

    def _command(self, name: str) -> list[str]:
        if name.startswith(WORKER):
            # All processes see the same folder of logs: nobody has to serve them.
            return ["celery", "worker", "--celery-hostname", f"{name}@localhost", "--skip-serve-logs"]
        part = next(part for part in PARTS if name.startswith(part))
        return [part, "--host", "127.0.0.1", "--port", str(self.port)] if part == "api-server" else [part]

    def _run(self, name: str, command: list[str], env: Mapping[str, str]) -> Guarded:
        keep_open = [self._lock] if self._lock is not None else []
        log = self.home / "parts" / f"{name}.log"
        return Guarded(name, command, log=log, env=env, cwd=self.home, keep_open=keep_open)

    def _not_healthy(self) -> list[str]:
        try:
            health = self.health()
        except (requests.ConnectionError, requests.Timeout, AirflowError):
            return ["the API server"]
        return [name for name in HEARTBEATS if not self._is_healthy(name, health)]

    def _is_healthy(self, name: str, health: dict[str, Any]) -> bool:
        section, field = HEARTBEATS[name]
        told = health.get(section) or {}
        beat = told.get(field)
        if beat is None or told.get("status") != "healthy":
            return False
        return datetime.fromisoformat(beat) > self._started[name]


def free_ports(count: int) -> list[int]:
    """Ports that nothing listens on now; different ones, since all are held until the last is found."""
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _clean_environment() -> dict[str, str]:
    """The environment without another Airflow's settings, and with no proxy in the way of this machine."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW_", "_AIRFLOW"))}
    for name in ("no_proxy", "NO_PROXY"):
        env[name] = ",".join(filter(None, [env.get(name), "127.0.0.1", "localhost"]))
    env.pop("PYTHONDONTWRITEBYTECODE", None)  # each worker start would compile this provider anew
    return {**env, "PYTHONUNBUFFERED": "1", "OBJC_DISABLE_INITIALIZE_FORK_SAFETY": "YES"}


def _as_variables(settings: Mapping[str, str]) -> dict[str, str]:
    return {f"AIRFLOW__{name.replace('.', '__').upper()}": value for name, value in settings.items()}
