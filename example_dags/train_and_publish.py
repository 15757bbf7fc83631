"""
# Train a LoRA, choose an epoch, publish it, wait until it is listed

```
train ─ choose_epoch ─ publish ─ wait_until_listed
```

1. **train** trains a LoRA at Scenario, from its dataset to the trained model. *This is what costs creative units.*
2. **choose_epoch** says which checkpoint is published. Here it is the last, or the one that the run was told. This is
   the place for a judgement of your own: a person's (`ApprovalOperator`, as in `train_lora_batch`), or a score of the
   sample pictures.
3. **publish** streams the file of that epoch from Scenario into your storage, hashing on the way, with the sample
   pictures as covers, and syncs the model's metadata to Alibaba Cloud's AI Creation Workshop. The ids are Scenario's:
   the same again changes nothing.
4. **wait_until_listed** waits, deferred, until the workshop has fetched and listed the file.

The workshop fetches the file later, so it must lie where it can be fetched. With a bucket that is all there is to say:
`storage="s3://conn_id@bucket/loras"`; addresses are then signed when they are sent, and Airflow keeps no signed
address. Here it is a folder on this machine, which the emulator serves under `/files`, as a web server of yours would.

`base_model`: the workshop's documented list ends with SDXL and has no word for a Flux LoRA. `vxl_1.0` is what the
emulator takes. Ask what your application takes; or leave it out, which sends Scenario's own word and warns.

To use it: set up the connections `scenario_default` and `ai_creation_workshop_default`, copy this file, set `storage`.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, Param, task

from airflow_provider_scenario.operators.model_sync import AICreationWorkshopPublishModelOperator
from airflow_provider_scenario.operators.training import ScenarioTrainLoraOperator
from airflow_provider_scenario.sensors.model_sync import AICreationWorkshopModelListingSensor

DATASETS = Path(__file__).parent / "datasets"
STORAGE = os.environ.get("LORA_STORAGE", str(Path("~/.cache/scenario-emulator-files").expanduser()))
PUBLIC_URL = os.environ.get("LORA_PUBLIC_URL", "http://127.0.0.1:8321/files")  # for a bucket: None

with DAG(
    dag_id="train_and_publish",
    schedule=None,
    catchup=False,
    doc_md=__doc__,
    tags=["scenario", "example"],
    params={
        "epoch": Param("last", type="string", description="Which epoch is published, such as 000003"),
        "base_model": Param("vxl_1.0", type="string", description="What the workshop calls the base model"),
    },
    # After a crash or a lost answer, a retry waits for the same training and pays nothing again.
    default_args={"retries": 2},
):

    @task
    def choose_epoch(trained: dict[str, Any], params: dict[str, Any]) -> str:
        epochs = [epoch["epoch"] for epoch in trained["epochs"]]
        return epochs[-1] if params["epoch"] == "last" else params["epoch"]

    train = ScenarioTrainLoraOperator(
        task_id="train",
        name="ink-style {{ dag_run.run_after.strftime('%Y-%m-%d %H:%M') }}",
        type="flux.1-lora",
        images=str(DATASETS / "ink-style"),
        short_description="Loose ink drawings.",
        parameters={
            "concept_prompt": "inkwash style",
            "nb_epochs": 4,
            "sample_prompts": ["inkwash style, a lighthouse in a storm"],  # one picture an epoch: its cover
        },
        poke_interval=3,  # seconds; for the emulator's short trainings. Leave out for real ones: 30 is the default.
    )

    publish = AICreationWorkshopPublishModelOperator(
        task_id="publish",
        scenario_model_id="{{ ti.xcom_pull('train')['model_id'] }}",
        epoch=choose_epoch(train.output),
        storage=STORAGE,
        public_url=PUBLIC_URL,
        base_model="{{ params.base_model }}",
    )

    wait_until_listed = AICreationWorkshopModelListingSensor(
        task_id="wait_until_listed",
        model=publish.output["model"],
        poke_interval=3,  # seconds; for the emulator. Leave out for the real one: 300 is the default.
    )

    publish >> wait_until_listed
