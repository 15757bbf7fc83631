"""A run of a DAG with a loop (Airflow 3.4), iteration by iteration."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from tests.harness.waiting import eventually


class Loop:
    """
    A run of a DAG with a loop of three iterations.

    :param task_id: of the task in the loop that trains.
    """

    def __init__(self, airflow: Any, dag: str, run: str, task_id: str) -> None:
        self.airflow, self.dag, self.run, self.task_id = airflow, dag, run, f"body.{task_id}"

    @classmethod
    def begin(cls, airflow: Any, dag: str) -> Loop:
        return cls(airflow, dag, airflow.trigger(dag), "train")

    def end(self) -> str:
        return self.airflow.wait_for_run(self.dag, self.run)

    def tasks(self) -> list[dict[str, Any]]:
        """The instances of the training task, in the order of the iterations."""
        found = self.airflow.task_instances(self.dag, self.run)
        ours = [task for task in found if task["task_id"] == self.task_id]
        return sorted(ours, key=lambda task: (task["region_index"], task["map_index"]))

    def task(self, number: int) -> dict[str, Any]:
        return next(task for task in self.tasks() if task["region_index"] == number)

    def place(self, number: int) -> dict[str, Any]:
        task = self.task(number)
        return {"region_id": task["region_id"], "region_index": task["region_index"]}

    def results(self) -> list[dict[str, Any]]:
        return [self._call("GET", task, "/xcomEntries/return_value", stringify=False)["value"] for task in self.tasks()]

    def wait_for_iteration(self, number: int, emulator: Any) -> None:
        """Let the earlier iterations end their long trainings, and wait until this one polls its own."""
        for earlier in range(number):
            self.wait_for_poll(earlier)
            emulator.advance(900)
        self.wait_for_poll(number)

    def wait_for_poll(self, number: int) -> None:
        eventually(lambda: self.has_polled(number))

    def has_polled(self, number: int) -> bool:
        """Whether the latest attempt of an iteration, or its trigger, has polled its training."""
        begun = any(task["region_index"] == number and task["try_number"] for task in self.tasks())
        return begun and "queued-for-train" in self.log(number)

    def log(self, number: int) -> str:
        task = self.task(number)
        answer = self._call("GET", task, f"/logs/{task['try_number']}", full_content=True)
        return "\n".join(str(event.get("event")) for event in answer["content"])

    def mark(self, number: int, state: str) -> None:
        self._call("PATCH", self.task(number), "", json={"new_state": state})

    def clear(self, number: int, **options: Any) -> None:
        body = {"dry_run": False, "only_failed": False, "reset_dag_runs": True, "include_downstream": True, **options}
        chosen = {"dag_run_id": self.run, "task_instance_ids": [self.task(number)["id"]]}
        self.airflow.call("POST", f"/dags/{self.dag}/clearTaskInstances", json={**body, **chosen})

    def _call(self, method: str, task: dict[str, Any], path: str, json: Any = None, **params: Any) -> Any:
        where = f"/dags/{self.dag}/dagRuns/{quote(self.run)}/taskInstances/{task['task_id']}{path}"
        place = {"region_id": task["region_id"], "region_index": task["region_index"]}
        return self.airflow.call(method, where, json=json, params={**place, **params})
