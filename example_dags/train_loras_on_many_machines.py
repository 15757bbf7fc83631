"""
# Train LoRAs on many machines: CeleryExecutor, KubernetesExecutor

```
datasets ─ train [one per dataset]
```

Each LoRA needs a worker twice, for seconds: to upload its pictures and start the training, and to store the result. In
between, for hours, a triggerer waits for all trainings together. So a few workers train hundreds of LoRAs, and the
executor settings in this file are for these short starts only.

* **CeleryExecutor**: use a queue of its own, so that the starts do not wait behind tasks that run for hours:
  `airflow celery worker --queues scenario` on one or more machines, and `LORA_QUEUE=scenario` in the environment.
* **KubernetesExecutor**: every start is a pod. It uploads pictures and computes nothing, so it needs few resources: see
  `pod_override` below. If a pod is evicted, the training continues and a retry waits for it.
* **Any executor**: a pool that also counts deferred tasks limits how many trainings run at once:
  `airflow pools set scenario 5 "trainings" --include-deferred`, and `LORA_POOL=scenario` in the environment.

`retries` are for machines that fail: the next attempt finds the model and training of the earlier one, and does not pay
again.

To use it: set up a connection `scenario_default` (type *Scenario*), copy this file, and set the environment variable
`LORA_DATASETS` to a bucket with your datasets, such as `s3://conn_id@bucket/characters`: every worker must reach it. A
run may choose a `folder` in it, no other. Unchanged, this file runs with every executor.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from airflow.providers.common.compat.sdk import conf
from airflow.sdk import DAG, Param, task

from airflow_provider_scenario.datasets import list_datasets
from airflow_provider_scenario.operators.training import ScenarioTrainLoraOperator

# A run may read this folder or one in it, and nothing else on the worker's disk or the network.
DATASETS = os.environ.get("LORA_DATASETS", str(Path(__file__).parent / "datasets"))


def pod_override() -> dict[str, Any]:
    """A small pod for the KubernetesExecutor; with other executors its package is not needed."""
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
    max_active_tasks=1000,  # not a limit here: the pool and the number of workers are
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
        poke_interval=3,  # seconds, for the emulator's short trainings. Leave it out for real ones: the default is 30.
    ).expand_kwargs(datasets())
