"""The progress of a run, read from Airflow and the emulated services."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_scenario.client.workshop.client import STATUS_NAMES
from airflow_provider_scenario.demo.rest import FINAL_RUN_STATES

if TYPE_CHECKING:
    from airflow_provider_scenario.client.scenario.client import ScenarioClient
    from airflow_provider_scenario.client.scenario.schemas import Model
    from airflow_provider_scenario.demo.local_airflow import LocalAirflow


@dataclass(frozen=True, slots=True)
class ModelProgress:
    """One model. ``done`` is the training's progress from 0 to 1, ``seconds`` its duration."""

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
class PublishedFile:
    """One published file; ``state`` is that of its listing."""

    model: str
    name: str
    state: str
    sha256: str


@dataclass(frozen=True, slots=True)
class TaskProgress:
    """One task instance of the run; ``label`` has the map index if there is one."""

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
    models: Sequence[ModelProgress]
    files: Sequence[PublishedFile]
    tasks: Sequence[TaskProgress]

    @property
    def has_ended(self) -> bool:
        return self.state in FINAL_RUN_STATES

    @property
    def succeeded(self) -> bool:
        """The run succeeded with at least one model, all models are trained and all published files are listed."""
        trained = bool(self.models) and all(each.status == "trained" for each in self.models)
        return self.state == "success" and trained and all(each.state == "listed" for each in self.files)

    @property
    def failed_tasks(self) -> list[TaskProgress]:
        return [task for task in self.tasks if task.state == "failed"]


@dataclass(frozen=True, slots=True)
class Run:
    """
    One run of a DAG.

    :param synced_models: returns the models of the emulated AI Creation Workshop.
    :param since: all models that the emulator created after this time belong to the run.
    """

    airflow: LocalAirflow
    scenario: ScenarioClient
    synced_models: Callable[[], list[dict[str, Any]]]
    since: datetime
    dag_id: str
    run_id: str

    def snapshot(self) -> RunSnapshot:
        state = self.airflow.run_state(self.dag_id, self.run_id)  # first: if the run has ended, the rest is final too
        tasks = [_task_progress(task) for task in self.airflow.task_instances(self.dag_id, self.run_id)]
        models = self._models()
        return RunSnapshot(state, models, self._files({model.id for model in models}), tasks)

    def log_of(self, task: TaskProgress) -> str:
        return self.airflow.task_log(self.dag_id, self.run_id, task.task_id, task.map_index)

    def _models(self) -> list[ModelProgress]:
        new = self.scenario.list_models(sort_by="createdAt", sort_direction="asc", created_after=self.since)
        listed = [model.id for model in new]
        if not listed:
            return []
        by_id = {model.id: model for model in self.scenario.get_models(listed)}
        return [self._model_progress(by_id[model_id]) for model_id in listed if model_id in by_id]

    def _files(self, model_ids: set[str]) -> list[PublishedFile]:
        return [
            PublishedFile(synced["name"], file["name"], STATUS_NAMES.get(file["status"], "unknown"), file["hash"])
            for synced in self.synced_models()
            if synced["model_id"] in model_ids
            for file in synced["files"]
        ]

    def _model_progress(self, model: Model) -> ModelProgress:
        progress, job = model.training_progress, self.scenario.get_job(model.job_id) if model.job_id else None
        left = progress.remaining_time_ms if progress else None
        stats = model.training_stats
        started, ended = (stats.started_at, stats.ended_at) if stats else (None, None)
        trained = model.status == "trained"
        return ModelProgress(
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


def _task_progress(task: dict[str, Any]) -> TaskProgress:
    return TaskProgress(task["task_id"], task["map_index"], task["state"] or "waiting")
