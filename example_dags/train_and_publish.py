"""
# Train a LoRA, choose an epoch, publish it, wait until it is listed

```
train ─ choose_epoch ─ publish ─ wait_until_listed
```

1. **train** trains a LoRA at Scenario, from its dataset to the trained model. *Only this task costs creative units.*
2. **choose_epoch** returns the epoch to publish. Here it is the last, or the run's parameter `epoch`. Replace it by a
   decision of your own: a person's (`ApprovalOperator`, as in `train_lora_batch`), or a score of the sample pictures.
3. **publish** streams the file of that epoch from Scenario into your storage, hashing on the way, with the sample
   pictures as covers, and syncs the model's metadata to Alibaba Cloud's AI Creation Workshop. The ids are Scenario's,
   so a repeated sync changes nothing.
4. **wait_until_listed** waits, deferred, until the workshop has fetched and listed the file.

The workshop fetches the file later, from the storage. With a bucket, `storage="s3://conn_id@bucket/loras"` is enough:
addresses are signed when they are sent, and Airflow stores no signed address. Here the storage is a folder on this
machine, which the emulator serves under `/files`, as a web server of yours would.

`base_model`: the workshop's documented list ends with SDXL and has no name for a Flux LoRA. The emulator takes
`vxl_1.0`. Ask the vendor which names your application takes. Without the argument, Scenario's own name is sent, with a
warning.

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
        "base_model": Param("vxl_1.0", type="string", description="The workshop's name of the base model"),
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
