"""
# Train LoRAs on many machines: CeleryExecutor, KubernetesExecutor

```
datasets ─ train [one a dataset]
```

A LoRA holds a worker twice, for seconds: to upload its pictures and start the training, and to store the result. In
between, for hours, a triggerer waits for it together with all the others. So a few workers train hundreds of LoRAs, and
what this file asks of the executor is meant for those short starts only.

* **CeleryExecutor**: a queue keeps the starts apart from work that holds a worker for hours and would let them wait:
  `airflow celery worker --queues scenario` on one machine or more, and `LORA_QUEUE=scenario` in the environment.
* **KubernetesExecutor**: every start is a pod. It uploads pictures and computes nothing, so it asks for little:
  `pod_override` below. A pod that is evicted costs a retry; the training goes on.
* **Any executor**: a pool says how many trainings run at once, wherever they were started, if it is told to count those
  that wait: `airflow pools set scenario 5 "trainings" --include-deferred`, and `LORA_POOL=scenario` in the environment.

`retries` are for machines that die: the next try finds the model and the training of the one before, and pays nothing.

To use it: set up a connection `scenario_default` (type *Scenario*), copy this file, and say where your datasets are: as
`LORA_DATASETS` in the environment, a bucket such as `s3://conn_id@bucket/characters`, since every worker must reach it.
Who triggers it may choose a `folder` in there, no other. As it stands, it runs anywhere.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from airflow.providers.common.compat.sdk import conf
from airflow.sdk import DAG, Param, task

from airflow_provider_scenario.datasets import list_datasets
from airflow_provider_scenario.operators.training import ScenarioTrainLoraOperator

# Who triggers the DAG may choose this folder or one in it, and nothing else of the worker's disk or the network.
DATASETS = os.environ.get("LORA_DATASETS", str(Path(__file__).parent / "datasets"))


def pod_override() -> dict[str, Any]:
    """A small pod, where the KubernetesExecutor runs tasks; elsewhere its package need not be installed."""
    if "KubernetesExecutor" not in conf.get("core", "executor"):
        return {}
    from kubernetes.client import models as k8s

    small = k8s.V1ResourceRequirements(requests={"cpu": "250m", "memory": "512Mi"}, limits={"memory": "1Gi"})
    return {"pod_override": k8s.V1Pod(spec=k8s.V1PodSpec(containers=[k8s.V1Container(name="base", resources=small)]))}


with DAG(
    dag_id="train_loras_on_many_machines",
    schedule=None,
    catchup=False,
    doc_md=__doc__,
    tags=["scenario", "example"],
    params={"folder": Param(DATASETS, type="string", description="The folder of the datasets, or one in it")},
    max_active_tasks=1000,  # of this DAG at once; the pool and the number of workers are the limits that count
):

    @task
    def datasets(params: dict[str, Any]) -> list[dict[str, Any]]:
        return list_datasets(params["folder"], inside=DATASETS, type="flux.2-dev-lora")

    ScenarioTrainLoraOperator.partial(
        task_id="train",
        parameters={"nb_epochs": 4, "sample_prompts": ["a lighthouse in a storm"]},
        retries=3,
        queue=os.environ.get("LORA_QUEUE", conf.get("operators", "default_queue")),
        pool=os.environ.get("LORA_POOL", "default_pool"),
        executor_config=pod_override(),
        poke_interval=3,  # seconds; for the emulator's short trainings. Leave out for real ones: 30 is the default.
    ).expand_kwargs(datasets())
