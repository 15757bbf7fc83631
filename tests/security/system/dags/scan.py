"""Whatever has to do with a secret: trainings that wait, fail and are tried again, uploads, publishing both ways."""

from __future__ import annotations

import os
from datetime import timedelta

from airflow.sdk import DAG, Param

from airflow_provider_scenario.operators.cost import ScenarioEstimateTrainingCostOperator
from airflow_provider_scenario.operators.model import ScenarioCreateModelOperator
from airflow_provider_scenario.operators.model_sync import AICreationWorkshopPublishModelOperator
from airflow_provider_scenario.operators.training import ScenarioTrainLoraOperator
from airflow_provider_scenario.sensors.model_sync import AICreationWorkshopModelListingSensor

WANDB = {"parameters": {"nb_epochs": 1, "sample_prompts": ["a boat"], "wandb_key": "{{ var.value.scan }}"}}
LORA = {"task_id": "train", "type": "flux.1-lora", "images": os.environ["SCAN_DATASET"], **WANDB}


def a_dag(dag_id: str, **options: object) -> DAG:
    return DAG(
        dag_id,
        schedule=None,
        params={"name": Param("a model", type="string")},
        default_args={"poke_interval": 1, "retries": 1, "retry_delay": timedelta(seconds=1)},
        **options,
    )


with a_dag("scan_publish"):
    train = ScenarioTrainLoraOperator(**LORA, name="{{ params.name }}")
    before = train
    for place in ("body", "query"):
        publish = AICreationWorkshopPublishModelOperator(
            task_id=f"publish_{place}",
            scenario_model_id="{{ ti.xcom_pull('train')['model_id'] }}",
            storage=os.environ["LORA_STORAGE"],
            public_url=os.environ["LORA_PUBLIC_URL"],
            base_model="vxl_1.0",
            ai_creation_workshop_conn_id=f"workshop_{place}",
        )
        before >> publish
        before = publish
    publish >> AICreationWorkshopModelListingSensor(
        task_id="wait", model=publish.output["model"], ai_creation_workshop_conn_id="workshop_query"
    )

with a_dag("scan_mapped"):
    ScenarioTrainLoraOperator.partial(**LORA).expand(name=["mapped"])

for mode, deferrable in (("deferred", True), ("blocking", False)):
    with a_dag(f"scan_{mode}"):
        ScenarioTrainLoraOperator(**LORA, name="{{ params.name }}", deferrable=deferrable, retries=0)

with a_dag("scan_cost", render_template_as_native_obj=True):
    ScenarioEstimateTrainingCostOperator(task_id="cost", trainings=[{"type": "flux.1-lora", "images": 9, **WANDB}])

with a_dag("scan_misspelt"):
    misspelt = {"WANDB_API_KEY": "{{ var.value.scan }}"}
    ScenarioTrainLoraOperator(**{**LORA, "parameters": misspelt}, name="never")

with a_dag("scan_wrong_secret"):
    ScenarioCreateModelOperator(task_id="create", name="never", type="flux.1-lora", scenario_conn_id="wrong_secret")
