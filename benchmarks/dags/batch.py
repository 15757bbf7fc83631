"""The DAGs of ``benchmarks/batch.py``: a batch of LoRAs, and the same number of tasks that only defer once."""

from __future__ import annotations

import os
from typing import Any

from airflow.sdk import DAG, BaseOperator, task
from sleep_trigger import Sleep

from airflow_provider_scenario.datasets import list_datasets
from airflow_provider_scenario.operators.training import ScenarioTrainLoraOperator

SECONDS = float(os.environ.get("BENCHMARK_SECONDS", "30"))
POKE_INTERVAL = float(os.environ.get("BENCHMARK_POKE_INTERVAL", "3"))


class DeferOnce(BaseOperator):
    """Only defers once."""

    def __init__(self, *, number: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.number = number

    def execute(self, context: Any) -> None:  # noqa: ARG002
        self.defer(trigger=Sleep(SECONDS), method_name="execute_complete")

    def execute_complete(self, context: Any, event: Any) -> str:  # noqa: ARG002
        return event


with DAG("defer_once", schedule=None, catchup=False, max_active_tasks=1000):

    @task
    def numbers(dag_run: Any) -> list[dict[str, int]]:
        return [{"number": number} for number in range(dag_run.conf["tasks"])]

    DeferOnce.partial(task_id="sleep").expand_kwargs(numbers())

with DAG("train_loras", schedule=None, catchup=False, max_active_tasks=1000):

    @task
    def datasets(dag_run: Any) -> list[dict[str, Any]]:
        return list_datasets(dag_run.conf["folder"], type="flux.2-dev-lora")[: dag_run.conf["tasks"]]

    ScenarioTrainLoraOperator.partial(
        task_id="train", poke_interval=POKE_INTERVAL, parameters={"nb_epochs": 1}
    ).expand_kwargs(datasets())
