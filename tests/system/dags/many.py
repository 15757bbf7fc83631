"""One LoRA for each dataset in a folder, which is a param of the run."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, Param, task

from airflow_provider_scenario.datasets import list_datasets
from airflow_provider_scenario.operators.training import ScenarioTrainLoraOperator

with DAG("many", schedule=None, catchup=False, params={"folder": Param("", type="string")}, max_active_tasks=1000):

    @task
    def datasets(params):
        return list_datasets(params["folder"], type="flux.2-dev-lora")

    ScenarioTrainLoraOperator.partial(
        task_id="train", poke_interval=5, parameters={"nb_epochs": 1}, retries=3, retry_delay=timedelta(seconds=1)
    ).expand_kwargs(datasets())
