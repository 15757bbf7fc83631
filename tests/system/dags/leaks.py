"""One task a DAG that is ended in some way while it waits for a training; ``params`` say what it trains."""

from __future__ import annotations

import time
from datetime import timedelta
from pathlib import Path

from airflow.sdk import DAG, Param, task_group

from airflow_provider_scenario.attempts import training_attempt
from airflow_provider_scenario.operators.training import ScenarioTrainLoraOperator, ScenarioTrainModelOperator
from airflow_provider_scenario.sensors.training import ScenarioTrainingSensor

# Airflow's own deferral time-out comes ten minutes after ours: nobody waits for that in a test.
training_attempt.GRACE = timedelta(seconds=4)

IMAGES = [str(path) for path in sorted((Path(__file__).parent / "datasets" / "ink-style").glob("*.jpg"))[:2]]
MODEL = "{{ params.model_id }}"
NAME = "{{ params.name }}"
TRAINING = {"parameters": {"nb_epochs": 1}}
LORA = {"type": "flux.2-dev-lora", "images": IMAGES, **TRAINING}


def train(**arguments):
    ScenarioTrainModelOperator(task_id="task", model_id=MODEL, **TRAINING, **arguments)


class DefersLate(ScenarioTrainModelOperator):
    """Defers only after somebody has ended it, and after it has asked Airflow for the last time."""

    def defer(self, **arguments):
        attempt = self.kill_handler.attempt
        self.log.info("Deferring")
        while attempt.state() == "running":
            time.sleep(0.2)
        super().defer(**arguments)


def late(**arguments):
    DefersLate(task_id="task", model_id=MODEL, **TRAINING, **arguments)


def lora(**arguments):
    ScenarioTrainLoraOperator(task_id="task", name=NAME, **LORA, **arguments)


def mapped(**arguments):
    names = [f"{NAME}-0", f"{NAME}-1"]
    ScenarioTrainLoraOperator.partial(task_id="task", **LORA, **arguments).expand(name=names)


def sensor(**arguments):
    ScenarioTrainingSensor(task_id="task", model_id=MODEL, **arguments)


# What the DAGs differ in → the tasks that come so.
VARIANTS = {
    "plain": ({}, [train, lora, mapped, sensor]),
    "keeps": ({"cancel_on_kill": False}, [train]),
    "cancels": ({"cancel_on_kill": True}, [sensor]),
    "own_timeout": ({"timeout": 8}, [train, lora, sensor]),
    "execution_timeout": ({"execution_timeout": timedelta(seconds=10)}, [train]),
    "dagrun_timeout": ({}, [train]),
    "reattaches": ({"on_clear": "reattach"}, [train, lora]),
    "retries": ({"retries": 2}, [train, lora]),
    "defers": ({}, [late]),
}


def a_dag(dag_id, **arguments):
    return DAG(
        dag_id,
        schedule=None,
        catchup=False,
        params={"name": Param("a model"), "model_id": Param("model_of_nobody")},
        default_args={"poke_interval": 1, "retries": 0, "retry_delay": timedelta(seconds=1)},
        **arguments,
    )


MODES = {"deferred": True, "blocking": False}

for variant, (arguments, tasks) in VARIANTS.items():
    # Airflow counts from the start of the run: the training must have begun by then on a slow machine.
    limit = {"dagrun_timeout": timedelta(seconds=25)} if variant == "dagrun_timeout" else {}
    for task in tasks:
        for mode, deferrable in MODES.items():
            with a_dag(f"leak_{task.__name__}_{mode}_{variant}", **limit):
                task(deferrable=deferrable, **arguments)

if hasattr(task_group(train), "loop"):  # Airflow 3.4
    for task in (train, lora):
        for mode, deferrable in MODES.items():
            with a_dag(f"leak_{task.__name__}_{mode}_loop"):
                task_group(task).override(group_id="body").partial(deferrable=deferrable).loop(max_iterations=3)
