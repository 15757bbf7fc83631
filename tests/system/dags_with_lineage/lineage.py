"""DAGs for the test of OpenLineage; params of the run define what they train."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

from airflow.sdk import DAG, Asset, Param

from airflow_provider_scenario.operators.model import ScenarioAddTrainingImagesOperator, ScenarioCreateModelOperator
from airflow_provider_scenario.operators.model_sync import AICreationWorkshopPublishModelOperator
from airflow_provider_scenario.operators.training import ScenarioTrainLoraOperator, ScenarioTrainModelOperator
from airflow_provider_scenario.sensors.training import ScenarioTrainingSensor

DATASET = str(Path(__file__).parent / "datasets" / "ink-style")
PARAMETERS = {"nb_epochs": 1, "wandb_key": "{{ conn.wandb.password }}"}
LORA = {"name": "{{ params.name }}", "type": "flux.2-dev-lora", "images": DATASET, "parameters": PARAMETERS}


def a_dag(dag_id: str) -> DAG:
    waiting = {"poke_interval": 1, "retries": 1, "retry_delay": timedelta(seconds=1)}
    return DAG(dag_id, schedule=None, catchup=False, params={"name": Param("a model")}, default_args=waiting)


with a_dag("lora"):
    ScenarioTrainLoraOperator(task_id="train", max_creative_units=100_000, **LORA)

with a_dag("published"):
    train = ScenarioTrainLoraOperator(task_id="train", outlets=[Asset("scenario://model/knight")], **LORA)
    publish = AICreationWorkshopPublishModelOperator(
        task_id="publish",
        base_model="vxl_1.0",
        scenario_model_id="{{ ti.xcom_pull('train')['model_id'] }}",
        storage=os.environ["LORA_STORAGE"],
        public_url=os.environ["LORA_PUBLIC_URL"],
    )
    train >> publish

with a_dag("silent"):
    ScenarioTrainLoraOperator(task_id="train", **LORA)

with a_dag("steps"):
    create = ScenarioCreateModelOperator(task_id="create", name="{{ params.name }}", type="flux.2-dev-lora")
    images = ScenarioAddTrainingImagesOperator(task_id="images", model_id=create.output, images=DATASET)
    train = ScenarioTrainModelOperator(task_id="train", model_id=create.output, parameters=PARAMETERS)
    wait = ScenarioTrainingSensor(task_id="wait", model_id="{{ ti.xcom_pull('train')['model_id'] }}")
    create >> images >> train >> wait
