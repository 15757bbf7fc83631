"""
# Train one LoRA, step by step

The four steps of a training as four tasks, so that you can retry or replace each of them:

1. **create_model** creates an empty model. Free.
2. **add_images** uploads ten pictures of `datasets/ink-style` with their captions, from `.txt` files. Free.
3. **start_training** starts the training and ends. *This step costs creative units.*
4. **wait_for_training** waits deferred for one to three hours without a worker. It fails if the training fails.

`ScenarioTrainModelOperator` can also wait itself (see `train_lora_chain`). Use a separate sensor if other tasks shall
run meanwhile, or if another DAG has started the training.

To use it: set up a connection `scenario_default` (type *Scenario*), copy this file, set `images` to your own folder.
"""

from __future__ import annotations

from pathlib import Path

from airflow.sdk import DAG

from airflow_provider_scenario.operators.model import ScenarioAddTrainingImagesOperator, ScenarioCreateModelOperator
from airflow_provider_scenario.operators.training import ScenarioTrainModelOperator
from airflow_provider_scenario.sensors.training import ScenarioTrainingSensor

DATASETS = Path(__file__).parent / "datasets"

with DAG(
    dag_id="train_one_lora",
    schedule=None,
    catchup=False,
    doc_md=__doc__,
    tags=["scenario", "example"],
    # After a crash or a lost response, a retry waits for the same training and does not pay again.
    default_args={"retries": 2},
):
    create_model = ScenarioCreateModelOperator(
        task_id="create_model",
        name="ink-style {{ dag_run.run_after.strftime('%Y-%m-%d %H:%M') }}",
        type="flux.2-dev-lora",
        short_description="Loose ink drawings; created by the DAG train_one_lora.",
    )

    add_images = ScenarioAddTrainingImagesOperator(
        task_id="add_images",
        model_id=create_model.output,
        images=str(DATASETS / "ink-style"),
        preset="style",
    )

    start_training = ScenarioTrainModelOperator(
        task_id="start_training",
        model_id=create_model.output,
        parameters={
            "concept_prompt": "inkwash style",
            "nb_epochs": 4,
            # One picture of each prompt after each epoch. Without sample prompts only the last epoch is kept.
            "sample_prompts": ["inkwash style, a lighthouse in a storm", "inkwash style, two cats on a roof"],
        },
        wait_for_completion=False,
    )

    wait_for_training = ScenarioTrainingSensor(
        task_id="wait_for_training",
        model_id=create_model.output,
        job_id="{{ ti.xcom_pull('start_training')['job_id'] }}",
        poke_interval=5,  # seconds, for the emulator's short trainings. Leave it out for real ones: the default is 30.
    )

    create_model >> add_images >> start_training >> wait_for_training
