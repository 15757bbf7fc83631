"""What the demo shows of a run: read from the emulated service and from Airflow, independent of how it is drawn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_scenario.client.workshop.client import STATUS_NAMES

if TYPE_CHECKING:
    from airflow_provider_scenario.client.scenario.client import ScenarioClient
    from airflow_provider_scenario.client.scenario.schemas import Model
    from airflow_provider_scenario.demo.rest import AirflowRest


@dataclass(frozen=True, slots=True)
class ModelSeen:
    """One model. ``done`` is a share from 0 to 1, ``seconds`` its training's duration."""

    id: str
    name: str
    type: str
    status: str
    stage: str
    done: float
    seconds_left: float | None
    epochs: int
    creative_units: float | None
    seconds: float | None


@dataclass(frozen=True, slots=True)
class FileSeen:
    """One file that was published; ``state`` is how far AI Creation Workshop is with it."""

    model: str
    name: str
    state: str
    sha256: str


@dataclass(frozen=True, slots=True)
class TaskSeen:
    """One task of the run; ``label`` carries the map index of a mapped one."""

    task_id: str
    map_index: int
    state: str

    @property
    def label(self) -> str:
        return self.task_id if self.map_index < 0 else f"{self.task_id}[{self.map_index}]"


@dataclass(frozen=True, slots=True)
class RunSnapshot:
    """The run at one moment."""

    state: str
    models: Sequence[ModelSeen]
    files: Sequence[FileSeen]
    tasks: Sequence[TaskSeen]

    @property
    def over(self) -> bool:
        return self.state in ("success", "failed")

    @property
    def succeeded(self) -> bool:
        """The run succeeded, there are models, every one is trained, and every file that was published is listed."""
        trained = bool(self.models) and all(each.status == "trained" for each in self.models)
        return self.state == "success" and trained and all(each.state == "listed" for each in self.files)

    @property
    def failed_tasks(self) -> list[TaskSeen]:
        return [task for task in self.tasks if task.state == "failed"]


@dataclass(frozen=True, slots=True)
class Run:
    """
    One run of a DAG, whose models are all that the emulator has from some time on.

    :param synced_models: what the emulated AI Creation Workshop knows.
    :param since: the time.
    """

    airflow: AirflowRest
    scenario: ScenarioClient
    synced_models: Callable[[], list[dict[str, Any]]]
    since: datetime
    dag_id: str
    run_id: str

    def look(self) -> RunSnapshot:
        state = self.airflow.run_state(self.dag_id, self.run_id)  # first, so that the rest is final when it is
        tasks = [_task_seen(task) for task in self.airflow.task_instances(self.dag_id, self.run_id)]
        models = self._models()
        return RunSnapshot(state, models, self._files({model.id for model in models}), tasks)

    def log_of(self, task: TaskSeen) -> str:
        return self.airflow.task_log(self.dag_id, self.run_id, task.task_id, task.map_index)

    def _models(self) -> list[ModelSeen]:
        new = self.scenario.list_models(sort_by="createdAt", sort_direction="asc", created_after=self.since)
        listed = [model.id for model in new]
        if not listed:
            return []
        by_id = {model.id: model for model in self.scenario.get_models(listed)}
        return [self._model_seen(by_id[model_id]) for model_id in listed if model_id in by_id]

    def _files(self, model_ids: set[str]) -> list[FileSeen]:
        return [
            FileSeen(synced["name"], file["name"], STATUS_NAMES.get(file["status"], "unknown"), file["hash"])
            for synced in self.synced_models()
            if synced["model_id"] in model_ids
            for file in synced["files"]
        ]

    def _model_seen(self, model: Model) -> ModelSeen:
        progress, job = model.training_progress, self.scenario.get_job(model.job_id) if model.job_id else None
        left = progress.remaining_time_ms if progress else None
        stats = model.training_stats
        started, ended = (stats.started_at, stats.ended_at) if stats else (None, None)
        trained = model.status == "trained"
        return ModelSeen(
            id=model.id,
            name=model.name or model.id,
            type=model.type or "",
            status=model.status or "",
            stage=(progress.stage if progress and model.status == "training" else None) or model.status or "",
            done=1.0 if trained else float((progress.progress if progress else None) or 0),
            seconds_left=left / 1000 if left and not trained else None,
            epochs=len(model.epochs),
            creative_units=job.billing.cu_cost if job and job.billing else None,
            seconds=(ended - started).total_seconds() if started and ended else None,
        )


def _task_seen(task: dict[str, Any]) -> TaskSeen:
    return TaskSeen(task["task_id"], task["map_index"], task["state"] or "waiting")
