"""
# Train a batch of LoRAs from a folder of datasets

```
datasets ─ estimate ─ is_expensive ┬ approve ┐
                                   └─────────┴ train [one per dataset] ─ summary
```

1. **datasets** lists the folder. Each folder in it is a dataset: pictures, for each a `.txt` with the same stem as its
   caption, and optionally a `training.yaml` (`concept_prompt: …`, `nb_epochs: 12`) whose values replace the parameters
   in this file. Local paths work, and buckets: `s3://conn_id@bucket/characters`.
2. **estimate** gets the price of all trainings, for free. It reads every dataset: one that cannot be trained stops the
   batch here, before anything is created. Its log has a table of the prices.
3. **approve** waits for a person's approval, only if the price is above `ask_above`: *Required Actions* in the menu, or
   in the task's tab. No worker is held meanwhile. *Reject* skips the trainings without costs.
4. **train** has one mapped task per dataset, with the model's name in the grid. *This step costs creative units.* If
   one fails, the others continue; clear it to train only this one again.
5. **summary** runs when all are trained.

To use it: set up a connection `scenario_default` (type *Scenario*), copy this file, and set the environment variable
`LORA_DATASETS` to the folder of your datasets, a local path or a bucket. A run may choose a `folder` in it, no other.

To limit how many are trained at once, create a pool that also counts deferred tasks, which wait for their training:

    airflow pools set lora_trainings 5 "Parallel trainings of the plan" --include-deferred

and set the environment variable `LORA_POOL` to its name. Without a pool, trainings beyond the plan's
`parallel-training` limit do not fail: they wait deferred for a slot, and send a request from time to time to get it.

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

# A run may read this folder or one in it, and nothing else on the worker's disk or the network.
DATASETS = os.environ.get("LORA_DATASETS", str(Path(__file__).parent / "datasets"))
PARAMETERS = {
    "nb_epochs": 4,
    "sample_prompts": ["a lighthouse in a storm"],
}  # a dataset's training.yaml replaces these

with DAG(
    dag_id="train_lora_batch",
    schedule=None,
    catchup=False,
    doc_md=__doc__,
    tags=["scenario", "example"],
    params={
        "folder": Param(DATASETS, type="string", description="The folder of the datasets, or one in it"),
        "ask_above": Param(10_000, type="number", description="Ask for approval above that many creative units"),
    },
):

    @task
    def datasets(params: dict[str, Any]) -> list[dict[str, Any]]:
        return list_datasets(params["folder"], inside=DATASETS, type="flux.2-dev-lora")

    @task.branch
    def is_expensive(creative_units: float, params: dict[str, Any]) -> str:
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
        retries=2,  # after a crash or a lost response, a retry waits for the same training and does not pay again
        trigger_rule="none_failed_min_one_success",  # approved, or no approval needed
        pool=os.environ.get("LORA_POOL", "default_pool"),
        max_active_tis_per_dag=10,  # of all runs of this DAG; Airflow 3.1 and 3.2 do not count deferred tasks
        outlets=[Asset("scenario://model/batch-lora")],
        poke_interval=3,  # seconds, for the emulator's short trainings. Leave it out for real ones: the default is 30.
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

    is_expensive(estimate.output["creative_units"]) >> [approve, train]
    approve >> train
    summary(train.output)
