"""
# Train a batch of LoRAs: a folder of datasets in, trained LoRAs out

```
datasets ─ estimate ─ is_it_dear ┬ approve ┐
                                 └─────────┴ train [one a dataset] ─ summary
```

1. **datasets** lists the folder. Each folder in it is a dataset: pictures, a `.txt` of the same stem beside each as its
   caption and, where a dataset wants something of its own, a `training.yaml` (`concept_prompt: …`, `nb_epochs: 12`),
   which counts before the parameters in here. Local paths work, and buckets: `s3://conn_id@bucket/characters`.
2. **estimate** asks Scenario what all of it would cost, for free, and reads every dataset for that: one that cannot be
   trained stops the batch here, before anything is created. A table is in its log.
3. **approve** asks a person, but only when the sum is above `ask_above`: *Required Actions* in the menu, or the tab of
   that name at the task. Until somebody answers nothing runs and nothing is held. *Reject* skips the rest, for nothing.
4. **train** is one mapped task a dataset, under the model's name in the grid. *This is what costs creative units.* One
   that fails fails alone: clear that one, and it is trained again, and no other.
5. **summary** runs when all are trained.

To use it: set up a connection `scenario_default` (type *Scenario*), copy this file, and say where your datasets are: as
`LORA_DATASETS` in the environment, a local path or a bucket. Who triggers it may choose a `folder` in there, no other.

How many train at once: give them a pool, which counts waiting trainings too only if it is told to:

    airflow pools set lora_trainings 5 "Trainings at a time, as many as the plan allows" --include-deferred

and put its name into the environment as `LORA_POOL`, or in here. Where more are started than the plan's
`parallel-training` allows, the rest wait deferred for a slot instead of failing; a pool spares them the asking.

Each trained LoRA is an event of the asset `scenario://model/batch-lora`, with its id, cost and epochs. The DAG
`publish_on_new_lora` is scheduled on it.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import DAG, Asset, Param, task

from airflow_provider_scenario.datasets import list_datasets
from airflow_provider_scenario.operators.cost import ScenarioEstimateTrainingCostOperator
from airflow_provider_scenario.operators.training import ScenarioTrainLoraOperator

log = logging.getLogger(__name__)

# Who triggers the DAG may choose this folder or one in it, and nothing else of the worker's disk or the network.
DATASETS = os.environ.get("LORA_DATASETS", str(Path(__file__).parent / "datasets"))
PARAMETERS = {
    "nb_epochs": 4,
    "sample_prompts": ["a lighthouse in a storm"],
}  # a dataset's training.yaml counts before them

with DAG(
    dag_id="train_lora_batch",
    schedule=None,
    catchup=False,
    doc_md=__doc__,
    tags=["scenario", "example"],
    params={
        "folder": Param(DATASETS, type="string", description="The folder of the datasets, or one in it"),
        "ask_above": Param(10_000, type="number", description="Ask a person above that many creative units"),
    },
):

    @task
    def datasets(params: dict[str, Any]) -> list[dict[str, Any]]:
        return list_datasets(params["folder"], inside=DATASETS, type="flux.2-dev-lora")

    @task.branch
    def is_it_dear(creative_units: float, params: dict[str, Any]) -> str:
        return "approve" if creative_units > params["ask_above"] else "train"

    found = datasets()
    estimate = ScenarioEstimateTrainingCostOperator(task_id="estimate", trainings=found, parameters=PARAMETERS)

    approve = ApprovalOperator(
        task_id="approve",
        subject="Train {{ ti.xcom_pull('estimate')['trainings'] | length }} LoRAs for "
        "{{ '%g' % ti.xcom_pull('estimate')['creative_units'] }} creative units?",
        body="""
| LoRA | type | images | creative units |
| --- | --- | ---: | ---: |
{% for lora in ti.xcom_pull('estimate')['trainings'] -%}
| {{ lora.name }} | {{ lora.type }} | {{ lora.images }} | {{ '%g' % lora.creative_units }} |
{% endfor %}
""",
    )

    train = ScenarioTrainLoraOperator.partial(
        task_id="train",
        parameters=PARAMETERS,
        retries=2,  # after a crash or a lost answer, a retry waits for the same training and pays nothing again
        trigger_rule="none_failed_min_one_success",  # approved, or cheap enough not to ask
        pool=os.environ.get("LORA_POOL", "default_pool"),
        max_active_tis_per_dag=10,  # over all runs of this DAG; Airflow 3.1 and 3.2 count only those that hold a worker
        outlets=[Asset("scenario://model/batch-lora")],
        poke_interval=3,  # seconds; for the emulator's short trainings. Leave out for real ones: 30 is the default.
    ).expand_kwargs(found)

    @task
    def summary(trained: list[dict[str, Any]]) -> dict[str, Any]:
        loras = list(trained)
        for lora in loras:
            log.info("%s: %s, %g creative units", lora["name"], lora["model_id"], lora["creative_units_total"])
        return {
            "models": {lora["name"]: lora["model_id"] for lora in loras},
            "creative_units_total": sum(lora["creative_units_total"] for lora in loras),
        }

    is_it_dear(estimate.output["creative_units"]) >> [approve, train]
    approve >> train
    summary(train.output)
