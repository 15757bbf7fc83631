"""DAGs of one task each, whose process dies where the run says; what they make is said when they are triggered."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from airflow.sdk import DAG, Asset, Param, task_group
from kill_points import die_as_planned

from airflow_provider_scenario.operators.model import ScenarioAddTrainingImagesOperator, ScenarioCreateModelOperator
from airflow_provider_scenario.operators.training import ScenarioTrainLoraOperator, ScenarioTrainModelOperator

IMAGES = [str(path) for path in sorted((Path(__file__).parent / "datasets" / "ink-style").glob("*.jpg"))[:3]]
NEW = {"name": "{{ params.name }}", "type": "flux.2-dev-lora", "short_description": "Model of a task that is killed"}
GIVEN = {"model_id": "{{ params.model_id }}"}
TRAINING = {"parameters": {"nb_epochs": 1}, "poke_interval": 1}
MODES = {
    "sync": {"deferrable": False},
    "deferrable": {"deferrable": True},
    "resumed": {"deferrable": True, "outlets": [Asset("scenario://model/killed")]},
}


def a_dag(dag_id: str) -> DAG:
    return DAG(
        dag_id,
        schedule=None,
        catchup=False,
        max_active_runs=100,
        max_active_tasks=100,
        params={
            "name": Param("", type="string"),
            "model_id": Param("", type="string"),
            "kills": Param([], type="array"),
        },
        default_args={"retries": 2, "retry_delay": timedelta(seconds=1), "pre_execute": die_as_planned},
    )


with a_dag("kill_create"):
    ScenarioCreateModelOperator(task_id="task", **NEW)

with a_dag("kill_images"):
    ScenarioAddTrainingImagesOperator(task_id="task", **GIVEN, images=IMAGES)

for mode, deferrable in MODES.items():
    with a_dag(f"kill_train_{mode}"):
        ScenarioTrainModelOperator(task_id="task", **GIVEN, **TRAINING, **deferrable)

    with a_dag(f"kill_lora_{mode}"):
        ScenarioTrainLoraOperator(task_id="task", **NEW, **TRAINING, **deferrable, images=IMAGES)

for mode in ("sync", "deferrable"):
    # A person clears them once they have succeeded.
    for on_clear in ("retrain", "reattach"):
        arguments = {**TRAINING, **MODES[mode], "on_clear": on_clear}
        with a_dag(f"kill_train_{mode}_{on_clear}"):
            ScenarioTrainModelOperator(task_id="task", **GIVEN, **arguments)

        with a_dag(f"kill_lora_{mode}_{on_clear}"):
            ScenarioTrainLoraOperator(task_id="task", **NEW, **arguments, images=IMAGES)

with a_dag("kill_namesakes"):
    ScenarioCreateModelOperator.partial(task_id="task", name="namesake").expand(type=["flux.2-dev-lora"] * 5)


@task_group
def train(**arguments):
    ScenarioTrainModelOperator(task_id="task", **GIVEN, **TRAINING, **arguments)


@task_group
def lora(**arguments):
    ScenarioTrainLoraOperator(task_id="task", **NEW, **TRAINING, **arguments, images=IMAGES)


if hasattr(train, "loop"):  # Airflow 3.4
    for operator, group in {"train": train, "lora": lora}.items():
        for mode in ("sync", "deferrable"):
            with a_dag(f"kill_{operator}_{mode}_loop"):
                group.override(group_id="body").partial(**MODES[mode]).loop(max_iterations=3)
