"""The few calls of Airflow's REST API that the demo needs."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import requests

if TYPE_CHECKING:
    from collections.abc import Mapping

FINAL_RUN_STATES = ("success", "failed")


class AirflowError(RuntimeError):
    """Airflow refused a request, or did not reach the expected state in time."""


class AirflowRest:
    """Airflow's ``/api/v2`` with one user's login. Calls return the JSON that Airflow sent."""

    def __init__(self, url: str, username: str, password: str) -> None:
        self.url, self.username, self.password = url, username, password
        self._session = requests.Session()
        self._session.trust_env = False  # requests to this machine must not pass through a proxy of the environment

    def call(self, method: str, path: str, *, json: Any = None, params: Mapping[str, Any] | None = None) -> Any:
        """
        Send one request below ``/api/v2``; log in first where needed.

        :raises AirflowError: the status is not 2xx; the message has the response.
        """
        response = self._request(method, f"/api/v2{path}", json, params)
        return response.json() if response.content else None

    def page(self, path: str, **params: str) -> str:
        """
        The HTML of a page that a plugin adds.

        :param path: such as ``/scenario/trainings``.
        :raises AirflowError: the status is not 2xx; the message has the response.
        """
        return self._request("GET", path, None, params).text

    def health(self) -> dict[str, Any]:
        """Status and latest heartbeat of the database, the scheduler, the triggerer and the DAG processor."""
        health: dict[str, Any] = self.call("GET", "/monitor/health")
        return health

    def import_errors(self) -> list[dict[str, Any]]:
        """DAG files that cannot be imported: ``filename`` and ``stack_trace`` of each."""
        return self._all("/importErrors", "import_errors")

    def wait_for_dag(self, dag_id: str, timeout: float = 120) -> dict[str, Any]:
        """
        The DAG, once the DAG processor has found it.

        :raises AirflowError: not found in time; the message has all import errors.
        """
        deadline = time.monotonic() + timeout
        while True:
            try:
                dag: dict[str, Any] = self.call("GET", f"/dags/{quote(dag_id)}")
            except AirflowError:
                if time.monotonic() > deadline:
                    traces = "\n".join(
                        f"{error['filename']}:\n{error['stack_trace']}" for error in self.import_errors()
                    )
                    raise AirflowError(f"Airflow has no DAG {dag_id!r} after {timeout:g} s.\n{traces}") from None
                time.sleep(0.3)
            else:
                return dag

    def trigger(self, dag_id: str, conf: dict[str, Any] | None = None, run_id: str | None = None) -> str:
        """Start a run of the DAG as soon as Airflow knows the DAG; return the run's id."""
        self.wait_for_dag(dag_id)
        body = {"logical_date": None, "conf": conf or {}, **({"dag_run_id": run_id} if run_id else {})}
        return str(self.call("POST", f"/dags/{quote(dag_id)}/dagRuns", json=body)["dag_run_id"])

    def run_state(self, dag_id: str, run_id: str) -> str:
        return str(self.call("GET", run_path(dag_id, run_id))["state"])

    def task_instances(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """Every task instance of the run, mapped ones included: ``task_id``, ``map_index``, ``state``, …"""
        return self._all(f"{run_path(dag_id, run_id)}/taskInstances", "task_instances")

    def task_instance(self, dag_id: str, run_id: str, task_id: str, map_index: int = -1) -> dict[str, Any]:
        task: dict[str, Any] = self.call("GET", task_path(dag_id, run_id, task_id, map_index))
        return task

    def task_log(
        self, dag_id: str, run_id: str, task_id: str, map_index: int = -1, try_number: int | None = None
    ) -> str:
        """What one attempt of the task and its trigger have logged, one event a line. Default: the latest attempt."""
        number = try_number or self.task_instance(dag_id, run_id, task_id, map_index)["try_number"] or 1
        path = f"{task_path(dag_id, run_id, task_id)}/logs/{number}"
        log = self.call("GET", path, params={"map_index": map_index, "full_content": True})
        return "\n".join(_line(event) for event in log["content"])

    def _all(self, path: str, key: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        while True:
            page = self.call("GET", path, params={"limit": 100, "offset": len(found)})
            found += page[key]
            if not page[key] or len(found) >= page["total_entries"]:
                return found

    def _request(self, method: str, path: str, json: Any, params: Mapping[str, Any] | None) -> requests.Response:
        response = self._send(method, path, json, params)
        if response.status_code == requests.codes.unauthorized:
            self._log_in()
            response = self._send(method, path, json, params)
        if not response.ok:
            raise AirflowError(f"{method} {path}: {response.status_code} {response.text[:2000]}")
        return response

    def _send(self, method: str, path: str, json: Any, params: Mapping[str, Any] | None) -> requests.Response:
        return self._session.request(method, f"{self.url}{path}", json=json, params=params, timeout=60)

    def _log_in(self) -> None:
        login = {"username": self.username, "password": self.password}
        response = self._session.post(f"{self.url}/auth/token", json=login, timeout=30)
        if not response.ok:
            raise AirflowError(f"Logging in as {self.username}: {response.status_code} {response.text[:500]}")
        self._session.headers["Authorization"] = f"Bearer {response.json()['access_token']}"


def run_path(dag_id: str, run_id: str) -> str:
    return f"/dags/{quote(dag_id)}/dagRuns/{quote(run_id)}"


def task_path(dag_id: str, run_id: str, task_id: str, map_index: int = -1) -> str:
    path = f"{run_path(dag_id, run_id)}/taskInstances/{quote(task_id)}"
    return path if map_index < 0 else f"{path}/{map_index}"


def _line(event: Any) -> str:
    """One log event as text, with its exceptions."""
    if not isinstance(event, dict):
        return str(event)
    head = " ".join(str(event[name]) for name in ("timestamp", "level", "event") if event.get(name))
    return "\n".join([head, *(_exception(each) for each in event.get("error_detail") or [])])


def _exception(detail: dict[str, Any]) -> str:
    frames = [f"  {frame['filename']}:{frame['lineno']} in {frame['name']}" for frame in detail.get("frames") or []]
    notes = [f"  {note}" for note in detail.get("exc_notes") or []]
    return "\n".join([*frames, f"{detail.get('exc_type')}: {detail.get('exc_value')}", *notes])
