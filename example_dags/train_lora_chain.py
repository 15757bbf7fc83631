"""
# Train several LoRAs and combine them

A style LoRA and a character LoRA are trained in parallel. Both tasks wait deferred, so they hold no worker for hours.
When both are trained, a composition of the two is created and trained; then it gets a description and one of its sample
pictures as its thumbnail.

```
style:     create ─ images ─ train ┐
                                   ├ composition: create ─ train ─ update
character: create ─ images ─ train ┘
```

Both LoRAs are of type `flux.1-lora`: a `flux.1-composition` takes LoRAs of its own family.

Worth copying:

* `create.output` is the id of a new model; `train` returns a dict that describes the trained model.
* A failed training fails its task, so the composition does not start.
* `execution_timeout` also counts while the task is deferred; when it is over, the training at Scenario is cancelled.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from airflow.sdk import DAG, TaskGroup

from airflow_provider_scenario.operators.model import (
    ScenarioAddTrainingImagesOperator,
    ScenarioCreateModelOperator,
    ScenarioUpdateModelOperator,
)
from airflow_provider_scenario.operators.training import ScenarioTrainModelOperator

DATASETS = Path(__file__).parent / "datasets"
RUN = "{{ dag_run.run_after.strftime('%Y-%m-%d %H:%M') }}"


def train_lora(group_id: str, *, name: str, dataset: str, preset: str, concept_prompt: str, samples: list[str]):
    """Create and train one LoRA; return the task whose result describes the trained model."""
    with TaskGroup(group_id):
        create = ScenarioCreateModelOperator(task_id="create", name=f"{name} {RUN}", type="flux.1-lora")
        images = ScenarioAddTrainingImagesOperator(
            task_id="images", model_id=create.output, images=str(DATASETS / dataset), preset=preset
        )
        train = ScenarioTrainModelOperator(
            task_id="train",
            model_id=create.output,
            parameters={"concept_prompt": concept_prompt, "nb_epochs": 4, "sample_prompts": samples},
            execution_timeout=timedelta(hours=8),
        )
        create >> images >> train
    return train


with DAG(
    dag_id="train_lora_chain",
    schedule=None,
    catchup=False,
    doc_md=__doc__,
    tags=["scenario", "example"],
    default_args={
        # After a crash or a lost response, a retry waits for the same training and does not pay again.
        "retries": 2,
        # Seconds between two polls, for the emulator's short trainings. Leave it out for real ones: the default is 30.
        "poke_interval": 3,
    },
):
    style = train_lora(
        "style",
        name="ink-style",
        dataset="ink-style",
        preset="style",
        concept_prompt="inkwash style",
        samples=["inkwash style, a lighthouse in a storm"],
    )
    character = train_lora(
        "character",
        name="hero-character",
        dataset="hero-character",
        preset="subject",
        concept_prompt="pip the robot",
        samples=["pip the robot waving"],
    )

    with TaskGroup("composition"):
        create = ScenarioCreateModelOperator(
            task_id="create",
            name=f"hero in ink {RUN}",
            type="flux.1-composition",
            concepts=[
                {"model_id": "{{ ti.xcom_pull('style.train')['model_id'] }}", "scale": 0.9},
                {"model_id": "{{ ti.xcom_pull('character.train')['model_id'] }}", "scale": 1.0},
            ],
        )
        train = ScenarioTrainModelOperator(task_id="train", model_id=create.output)
        update = ScenarioUpdateModelOperator(
            task_id="update",
            model_id=create.output,
            short_description="The hero, drawn in ink: {{ ti.xcom_pull('style.create') }} and "
            "{{ ti.xcom_pull('character.create') }} combined by {{ run_id }}.",
            thumbnail="{{ ti.xcom_pull('composition.train')['epochs'][-1]['asset_ids'][0] }}",
        )
        create >> train >> update

    [style, character] >> create
