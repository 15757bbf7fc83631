"""Many trainings on a service that fails sometimes; a param of the run has the folder of the datasets."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, Param, task

from airflow_provider_scenario.datasets import list_datasets
from airflow_provider_scenario.operators.training import ScenarioTrainLoraOperator

PATIENCE = {"retries": 10, "retry_delay": timedelta(seconds=1), "retry_exponential_backoff": False}

with DAG("soak", schedule=None, catchup=False, params={"folder": Param("", type="string")}, max_active_tasks=500):

    @task
    def datasets(params):
        return list_datasets(params["folder"], type="flux.2-dev-lora")

    ScenarioTrainLoraOperator.partial(
        task_id="train",
        poke_interval=3,
        parameters={"nb_epochs": 1},
        short_description="A plain tile.",
        max_creative_units=1000,
        **PATIENCE,
    ).expand_kwargs(datasets())
