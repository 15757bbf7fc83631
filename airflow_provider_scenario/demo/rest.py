"""The few calls of Airflow's REST API that a demo and a system test need."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import requests

if TYPE_CHECKING:
    from collections.abc import Iterable

FINAL_RUN_STATES = ("success", "failed")


class AirflowError(RuntimeError):
    """Airflow answered something else than was hoped for."""


class AirflowRest:
    """Airflow's ``/api/v2`` with one user's login. Answers are the JSON that Airflow sent."""

    def __init__(self, url: str, username: str, password: str) -> None:
        self.url, self.username, self.password = url, username, password
        self._session = requests.Session()
        self._session.trust_env = False  # a proxy from the environment has no business on this machine

    def call(self, method: str, path: str, *, json: Any = None, params: dict[str, Any] | None = None) -> Any:
        """
        One request below ``/api/v2``, logging in where that has not happened yet.

        :raises AirflowError: the status is not 2xx; carries the answer.
        """
        answer = self._answer(method, f"/api/v2{path}", json, params)
        return answer.json() if answer.content else None

    def page(self, path: str, **params: Any) -> str:
        """
        The HTML of one of the pages that a plugin adds.

        :param path: such as ``/scenario/trainings``.
        :raises AirflowError: the status is not 2xx; carries the answer.
        """
        return self._answer("GET", path, None, params).text

    def health(self) -> dict[str, Any]:
        """State and latest heartbeat of the database, the scheduler, the triggerer and the DAG processor."""
        health: dict[str, Any] = self.call("GET", "/monitor/health")
        return health

    def import_errors(self) -> list[dict[str, Any]]:
        """DAG files that cannot be imported: ``filename`` and ``stack_trace`` of each."""
        return self._all("/importErrors", "import_errors")

    def wait_for_dag(self, dag_id: str, timeout: float = 120) -> dict[str, Any]:
        """
        The DAG, once the DAG processor has found it.

        :raises AirflowError: not found in time; names the import errors there are.
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
        """Start a run of the DAG, waiting first until Airflow knows it; returns the run's id."""
        self.wait_for_dag(dag_id)
        body = {"logical_date": None, "conf": conf or {}, **({"dag_run_id": run_id} if run_id else {})}
        return str(self.call("POST", f"/dags/{quote(dag_id)}/dagRuns", json=body)["dag_run_id"])

    def run_state(self, dag_id: str, run_id: str) -> str:
        return str(self.call("GET", _run(dag_id, run_id))["state"])

    def wait_for_run(self, dag_id: str, run_id: str, timeout: float = 300) -> str:
        """
        The final state of the run: ``success`` or ``failed``.

        :raises AirflowError: the run has not ended in time; names the state of every task.
        """
        deadline = time.monotonic() + timeout
        while (state := self.run_state(dag_id, run_id)) not in FINAL_RUN_STATES:
            if time.monotonic() > deadline:
                tasks = ", ".join(f"{_label(task)} {task['state']}" for task in self.task_instances(dag_id, run_id))
                raise AirflowError(f"Run {run_id} of {dag_id} is still {state} after {timeout:g} s: {tasks}")
            time.sleep(0.5)
        return state

    def task_instances(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """Every task of the run, each of the mapped ones included: ``task_id``, ``map_index``, ``state``, …"""
        return self._all(f"{_run(dag_id, run_id)}/taskInstances", "task_instances")

    def task_instance(self, dag_id: str, run_id: str, task_id: str, map_index: int = -1) -> dict[str, Any]:
        task: dict[str, Any] = self.call("GET", _task(dag_id, run_id, task_id, map_index))
        return task

    def wait_for_task(
        self,
        dag_id: str,
        run_id: str,
        task_id: str,
        states: Iterable[str],
        *,
        map_index: int = -1,
        timeout: float = 300,
    ) -> str:
        """
        The state of the task, once it is one of the given ones.

        :raises AirflowError: it was in none of them in time.
        """
        wanted = set(states)
        deadline = time.monotonic() + timeout
        while (state := self._state(dag_id, run_id, task_id, map_index)) not in wanted:
            if time.monotonic() > deadline:
                raise AirflowError(f"{task_id}[{map_index}] of {run_id} is {state}, not {sorted(wanted)}")
            time.sleep(0.2)
        return str(state)

    def xcom(self, dag_id: str, run_id: str, task_id: str, key: str = "return_value", map_index: int = -1) -> Any:
        """
        The value that a task has left.

        :raises AirflowError: the task has left none under this key.
        """
        path = f"{_task(dag_id, run_id, task_id)}/xcomEntries/{quote(key, safe='')}"
        return self.call("GET", path, params={"map_index": map_index, "stringify": False})["value"]

    def task_log(
        self, dag_id: str, run_id: str, task_id: str, map_index: int = -1, try_number: int | None = None
    ) -> str:
        """What the task and its trigger have logged, a line an event; by default of the latest try."""
        tried = try_number or self.task_instance(dag_id, run_id, task_id, map_index)["try_number"] or 1
        path = f"{_task(dag_id, run_id, task_id)}/logs/{tried}"
        answer = self.call("GET", path, params={"map_index": map_index, "full_content": True})
        return "\n".join(_line(event) for event in answer["content"])

    def clear(
        self, dag_id: str, run_id: str, task_id: str, map_index: int = -1, *, downstream: bool = False, **options: Any
    ) -> list[dict[str, Any]]:
        """
        Clear a task, which runs it again; returns the task instances that were cleared.

        :param options: further fields of the request, such as ``keep_task_state`` (Airflow 3.4).
        """
        body = {
            "dag_run_id": run_id,
            "task_ids": [task_id if map_index < 0 else [task_id, map_index]],
            "dry_run": False,
            "only_failed": False,
            "reset_dag_runs": True,
            "include_downstream": downstream,
            **options,
        }
        cleared: list[dict[str, Any]] = self.call("POST", f"/dags/{quote(dag_id)}/clearTaskInstances", json=body)[
            "task_instances"
        ]
        return cleared

    def mark(self, dag_id: str, run_id: str, task_id: str, state: str, map_index: int = -1) -> None:
        """Set a task to ``success``, ``failed`` or ``skipped``, as a person does in the UI."""
        self.call("PATCH", _task(dag_id, run_id, task_id, map_index), json={"new_state": state})

    def mark_run(self, dag_id: str, run_id: str, state: str) -> None:
        """Set a whole run to ``success`` or ``failed``, which ends its unfinished tasks, or to ``queued``."""
        self.call("PATCH", _run(dag_id, run_id), json={"state": state})

    def _state(self, dag_id: str, run_id: str, task_id: str, map_index: int) -> str | None:
        try:
            state: str | None = self.task_instance(dag_id, run_id, task_id, map_index)["state"]
        except AirflowError:  # a mapped task that has not been expanded yet
            return None
        return state

    def _all(self, path: str, key: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        while True:
            page = self.call("GET", path, params={"limit": 100, "offset": len(found)})
            found += page[key]
            if not page[key] or len(found) >= page["total_entries"]:
                return found

    def _answer(self, method: str, path: str, json: Any, params: dict[str, Any] | None) -> requests.Response:
        answer = self._send(method, path, json, params)
        if answer.status_code == requests.codes.unauthorized:
            self._log_in()
            answer = self._send(method, path, json, params)
        if not answer.ok:
            raise AirflowError(f"{method} {path}: {answer.status_code} {answer.text[:2000]}")
        return answer

    def _send(self, method: str, path: str, json: Any, params: dict[str, Any] | None) -> requests.Response:
        return self._session.request(method, f"{self.url}{path}", json=json, params=params, timeout=60)

    def _log_in(self) -> None:
        login = {"username": self.username, "password": self.password}
        answer = self._session.post(f"{self.url}/auth/token", json=login, timeout=30)
        if not answer.ok:
            raise AirflowError(f"Logging in as {self.username}: {answer.status_code} {answer.text[:500]}")
        self._session.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"


def _run(dag_id: str, run_id: str) -> str:
    return f"/dags/{quote(dag_id)}/dagRuns/{quote(run_id)}"


def _task(dag_id: str, run_id: str, task_id: str, map_index: int = -1) -> str:
    return f"{_run(dag_id, run_id)}/taskInstances/{quote(task_id)}" + (f"/{map_index}" if map_index >= 0 else "")


def _label(task: dict[str, Any]) -> str:
    return task["task_id"] if task["map_index"] < 0 else f"{task['task_id']}[{task['map_index']}]"


def _line(event: Any) -> str:
    """One log event as text, with the exceptions it carries."""
    if not isinstance(event, dict):
        return str(event)
    head = " ".join(str(event[name]) for name in ("timestamp", "level", "event") if event.get(name))
    return "\n".join([head, *(_exception(each) for each in event.get("error_detail") or [])])


def _exception(detail: dict[str, Any]) -> str:
    frames = [f"  {frame['filename']}:{frame['lineno']} in {frame['name']}" for frame in detail.get("frames") or []]
    notes = [f"  {note}" for note in detail.get("exc_notes") or []]
    return "\n".join([*frames, f"{detail.get('exc_type')}: {detail.get('exc_value')}", *notes])
