"""The calls of Airflow's REST API that tests need beyond those of the demo."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

from airflow_provider_scenario.demo.rest import FINAL_RUN_STATES, AirflowError, AirflowRest, run_path, task_path


class RestOfTests(AirflowRest):
    def wait_for_run(self, dag_id: str, run_id: str, timeout: float = 300) -> str:
        """
        The final state of the run: ``success`` or ``failed``.

        :raises AirflowError: the run has not ended in time; the message has the state of every task.
        """
        deadline = time.monotonic() + timeout
        while (state := self.run_state(dag_id, run_id)) not in FINAL_RUN_STATES:
            if time.monotonic() > deadline:
                tasks = ", ".join(f"{_label(task)} {task['state']}" for task in self.task_instances(dag_id, run_id))
                raise AirflowError(f"Run {run_id} of {dag_id} is still {state} after {timeout:g} s: {tasks}")
            time.sleep(0.5)
        return state

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
        The state of the task, once it is one of ``states``.

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
        The value that a task has pushed.

        :raises AirflowError: the task has pushed none under this key.
        """
        path = f"{task_path(dag_id, run_id, task_id)}/xcomEntries/{quote(key, safe='')}"
        return self.call("GET", path, params={"map_index": map_index, "stringify": False})["value"]

    def clear(
        self, dag_id: str, run_id: str, task_id: str, map_index: int = -1, *, downstream: bool = False, **options: Any
    ) -> list[dict[str, Any]]:
        """
        Clear a task, which makes it run again; return the task instances that were cleared.

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
        return self.call("POST", f"/dags/{quote(dag_id)}/clearTaskInstances", json=body)["task_instances"]

    def mark(self, dag_id: str, run_id: str, task_id: str, state: str, map_index: int = -1) -> None:
        """Set a task to ``success``, ``failed`` or ``skipped``, as a user does in the UI."""
        self.call("PATCH", task_path(dag_id, run_id, task_id, map_index), json={"new_state": state})

    def mark_run(self, dag_id: str, run_id: str, state: str) -> None:
        """Set a whole run to ``success`` or ``failed``, which ends its unfinished tasks, or to ``queued``."""
        self.call("PATCH", run_path(dag_id, run_id), json={"state": state})

    def _state(self, dag_id: str, run_id: str, task_id: str, map_index: int) -> str | None:
        try:
            return self.task_instance(dag_id, run_id, task_id, map_index)["state"]
        except AirflowError:  # a mapped task that has not been expanded yet
            return None


def _label(task: dict[str, Any]) -> str:
    return task["task_id"] if task["map_index"] < 0 else f"{task['task_id']}[{task['map_index']}]"
