"""Batches of LoRAs, one mapped task per dataset; a param of the run has the folder."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, Param, task

from airflow_provider_scenario.datasets import list_datasets
from airflow_provider_scenario.operators.training import ScenarioTrainLoraOperator

PACE = {"poke_interval": 1, "retries": 0, "parameters": {"nb_epochs": 1}}
CASES = {
    "batch": {},
    "batch_too_dear": {"max_creative_units": 1},
    "batch_in_a_pool": {"pool": "one_lora"},
}

for dag_id, arguments in CASES.items():
    with DAG(dag_id, schedule=None, catchup=False, params={"folder": Param("", type="string")}):

        @task
        def datasets(params):
            return list_datasets(params["folder"], type="flux.2-dev-lora")

        ScenarioTrainLoraOperator.partial(task_id="train", **PACE, **arguments).expand_kwargs(datasets())

with DAG("batch_of_another_task", schedule=None, catchup=False, params={"trainings": Param([], type="array")}):

    @task
    def trainings(params):
        return params["trainings"]

    ScenarioTrainLoraOperator.partial(task_id="train", type="flux.2-dev-lora", **PACE).expand_kwargs(trainings())

with DAG("batch_with_retries", schedule=None, catchup=False, params={"trainings": Param([], type="array")}):

    @task
    def wrong_trainings(params):
        return params["trainings"]

    mapped = {**PACE, "retries": 2, "retry_delay": timedelta(seconds=1), "scenario_conn_id": "nobody"}
    ScenarioTrainLoraOperator.partial(task_id="train", type="flux.2-dev-lora", **mapped).expand_kwargs(
        wrong_trainings()
    )
