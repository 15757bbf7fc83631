"""DAGs with all ways to wait for a training; params of the run define what they train."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from airflow.sdk import DAG, Asset, Param

from airflow_provider_scenario.operators.model import ScenarioAddTrainingImagesOperator, ScenarioCreateModelOperator
from airflow_provider_scenario.operators.training import ScenarioCancelTrainingOperator, ScenarioTrainModelOperator
from airflow_provider_scenario.sensors.training import ScenarioTrainingSensor

IMAGES = [str(path) for path in sorted((Path(__file__).parent / "datasets" / "ink-style").glob("*.jpg"))[:2]]
MODEL = "{{ ti.xcom_pull('create') }}"
PACE = {"poke_interval": 1}


def a_dag(dag_id: str, **default_args: object) -> DAG:
    return DAG(
        dag_id, schedule=None, catchup=False, params={"name": Param("a model")}, default_args={**PACE, **default_args}
    )


def model_with_images() -> ScenarioAddTrainingImagesOperator:
    create = ScenarioCreateModelOperator(task_id="create", name="{{ params.name }}", type="flux.2-dev-lora")
    return ScenarioAddTrainingImagesOperator(task_id="images", model_id=create.output, images=IMAGES)


for mode, deferrable in (("deferred", True), ("blocking", False)):
    with a_dag(f"operator_{mode}"):
        images = model_with_images()
        train = ScenarioTrainModelOperator(
            task_id="train", model_id=MODEL, deferrable=deferrable, retries=0, parameters={"nb_epochs": 1}
        )
        images >> train

    for on_retry in ("resume", "retrain"):
        with a_dag(f"{on_retry}_{mode}"):
            images = model_with_images()
            train = ScenarioTrainModelOperator(
                task_id="train",
                model_id=MODEL,
                deferrable=deferrable,
                on_retry=on_retry,
                execution_timeout=timedelta(seconds=8),
                retries=2,
                retry_delay=timedelta(seconds=1),
            )
            images >> train

    with a_dag(f"sensor_{mode}"):
        images = model_with_images()
        start = ScenarioTrainModelOperator(task_id="start", model_id=MODEL, wait_for_completion=False)
        wait = ScenarioTrainingSensor(
            task_id="wait", model_id=MODEL, deferrable=deferrable, retries=2, retry_delay=timedelta(seconds=1)
        )
        images >> start >> wait

for dag_id, fields in {
    "sensor_quiet": {"do_xcom_push": False},
    "sensor_with_outlet": {"outlets": [Asset("scenario://model/seen")]},
}.items():
    with a_dag(dag_id):
        images = model_with_images()
        start = ScenarioTrainModelOperator(task_id="start", model_id=MODEL, wait_for_completion=False)
        wait = ScenarioTrainingSensor(task_id="wait", model_id=MODEL, **fields)
        images >> start >> wait

with a_dag("cancel"):
    images = model_with_images()
    start = ScenarioTrainModelOperator(task_id="start", model_id=MODEL, wait_for_completion=False)
    cancel = ScenarioCancelTrainingOperator(task_id="cancel", model_id=MODEL)
    again = ScenarioCancelTrainingOperator(task_id="cancel_again", model_id=MODEL)
    images >> start >> cancel >> again

with a_dag("out_of_time"):
    images = model_with_images()
    train = ScenarioTrainModelOperator(
        task_id="train", model_id=MODEL, execution_timeout=timedelta(seconds=6), retries=0
    )
    images >> train

with a_dag("wrong_secret", scenario_conn_id="wrong_secret", retries=3, retry_delay=timedelta(seconds=1)):
    ScenarioCreateModelOperator(task_id="create", name="never", type="flux.2-dev-lora")

with a_dag("mapped"):
    create = ScenarioCreateModelOperator.partial(task_id="create", type="flux.2-dev-lora").expand(
        name=["mapped-a", "mapped-b", "mapped-c"]
    )
    images = ScenarioAddTrainingImagesOperator.partial(task_id="images", images=IMAGES).expand(model_id=create.output)
    train = ScenarioTrainModelOperator.partial(task_id="train").expand(model_id=create.output)
    images >> train
