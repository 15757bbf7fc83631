"""The DAGs for every minor of Airflow; params of the run define what they train."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from airflow.sdk import DAG, Asset, Param, task, task_group

from airflow_provider_scenario.hooks.scenario import ScenarioHook
from airflow_provider_scenario.operators.model import ScenarioAddTrainingImagesOperator, ScenarioCreateModelOperator
from airflow_provider_scenario.operators.training import ScenarioTrainLoraOperator, ScenarioTrainModelOperator

IMAGES = [str(path) for path in sorted((Path(__file__).parent / "datasets" / "ink-style").glob("*.jpg"))[:2]]
TRAINING = {"parameters": {"nb_epochs": 1}}
LORA = {"task_id": "train", "name": "{{ params.name }}", "type": "flux.2-dev-lora", "images": IMAGES, **TRAINING}
DESCRIBED = {"short_description": "Loose ink."}


def a_dag(dag_id: str) -> DAG:
    return DAG(
        dag_id,
        schedule=None,
        catchup=False,
        params={"name": Param("a model", type="string")},
        default_args={"poke_interval": 1, "retries": 2, "retry_delay": timedelta(seconds=1)},
    )


def model_with_images():
    create = ScenarioCreateModelOperator(task_id="create", name="{{ params.name }}", type="flux.2-dev-lora")
    return create, ScenarioAddTrainingImagesOperator(task_id="images", model_id=create.output, images=IMAGES)


def train_model(**fields):
    """The steps of a training as separate tasks."""
    create, images = model_with_images()
    images >> ScenarioTrainModelOperator(task_id="train", model_id=create.output, **TRAINING, **fields)


for kind, fields in {
    "retrains": DESCRIBED,
    "reattaches": {**DESCRIBED, "on_clear": "reattach"},
    "blocks": {"deferrable": False},
    "emits": {"outlets": [Asset("scenario://model/of-every-minor")]},
}.items():
    with a_dag(f"minor_lora_{kind}"):
        ScenarioTrainLoraOperator(**LORA, **fields)
    with a_dag(f"minor_model_{kind}"):
        train_model(**{key: value for key, value in fields.items() if key not in DESCRIBED})


@task
def names(params):
    return [f"{params['name']}-{number}" for number in range(2)]


with a_dag("minor_mapped"):
    mapped = {key: value for key, value in LORA.items() if key != "name"}
    ScenarioTrainLoraOperator.partial(**mapped).expand(name=names())


@task_group
def one_lora(**fields):
    ScenarioTrainLoraOperator(**LORA, **fields)


@task_group
def one_model(**fields):
    train_model(**fields)


@task_group
def two_loras(**fields):
    mapped = {key: value for key, value in LORA.items() if key != "name"}
    ScenarioTrainLoraOperator.partial(**mapped, **fields).expand(name=["{{ params.name }}-0", "{{ params.name }}-1"])


if hasattr(one_lora, "loop"):  # Airflow 3.4
    for what, group in {"lora": one_lora, "model": one_model, "mapped": two_loras}.items():
        for kind, fields in {"retrains": {}, "reattaches": {"on_clear": "reattach"}}.items():
            with a_dag(f"loop_{what}_{kind}"):
                group.override(group_id="body").partial(**fields).loop(max_iterations=3)

    # Since 3.4 a retry policy can let a task run again without using a retry.
    from airflow_provider_scenario.retry_policy import SCENARIO_RETRY_POLICY

    PUT_OFF = {"retries": 0, "retry_delay": timedelta(seconds=1), "retry_policy": SCENARIO_RETRY_POLICY}

    with a_dag("minor_lora_put_off"):
        ScenarioTrainLoraOperator(**LORA, **PUT_OFF)

    with a_dag("minor_own_task_put_off"):
        create, images = model_with_images()

        @task(**PUT_OFF)
        def train(model_id):
            ScenarioHook().client.train(model_id, TRAINING["parameters"])

        images >> train(create.output)
