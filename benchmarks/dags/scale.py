"""
The DAGs of ``benchmarks/scale.py``: our operator, deferred and not, and the usual way without it.

The usual way, written with ``requests``, is a task for each request and a sensor that holds its worker.
"""

from __future__ import annotations

import base64
import os
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, PokeReturnValue, task, task_group

from airflow_provider_scenario.datasets import list_datasets
from airflow_provider_scenario.operators.training import ScenarioTrainLoraOperator

POKE_INTERVAL = float(os.environ.get("BENCHMARK_POKE_INTERVAL", "3"))
TYPE, PARAMETERS = "flux.2-dev-lora", {"nbEpochs": 1}


@task
def datasets(dag_run: Any) -> list[dict[str, Any]]:
    return list_datasets(dag_run.conf["folder"], type=TYPE)[: dag_run.conf["tasks"]]


for dag_id, deferrable in (("ours_deferred", True), ("ours_blocking", False)):
    with DAG(dag_id, schedule=None, catchup=False, max_active_tasks=1000):
        ScenarioTrainLoraOperator.partial(
            task_id="train", deferrable=deferrable, poke_interval=POKE_INTERVAL, parameters=PARAMETERS
        ).expand_kwargs(datasets())


def send(method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    import requests
    from airflow.sdk import Connection

    connection = Connection.get("scenario_default")
    auth = (connection.login or "", connection.password or "")
    answer = requests.request(method, f"{connection.host}/{path}", json=body, auth=auth, timeout=60)
    answer.raise_for_status()
    return answer.json()


@task
def create(dataset: dict[str, Any]) -> str:
    return send("POST", "models", {"name": dataset["name"], "type": TYPE})["model"]["id"]


@task
def upload(dataset: dict[str, Any], model_id: str) -> None:
    for picture in sorted(Path(dataset["images"]).glob("*.jpg")):
        content = f"data:image/jpeg;base64,{base64.b64encode(picture.read_bytes()).decode()}"
        image = {"data": content, "name": picture.name, "description": picture.with_suffix(".txt").read_text()}
        send("POST", f"models/{model_id}/training-images", image)


@task
def start(model_id: str) -> None:
    send("PUT", f"models/{model_id}/train", {"parameters": PARAMETERS})


@task.sensor(mode="poke", poke_interval=POKE_INTERVAL, timeout=3600)
def trained(model_id: str) -> PokeReturnValue:
    model = send("GET", f"models/{model_id}")["model"]
    return PokeReturnValue(model["status"] == "trained", xcom_value=model["id"])


with DAG("usual", schedule=None, catchup=False, max_active_tasks=1000):

    @task_group
    def lora(dataset: dict[str, Any]) -> None:
        model_id = create(dataset)
        upload(dataset, model_id) >> start(model_id) >> trained(model_id)

    lora.expand(dataset=datasets())
