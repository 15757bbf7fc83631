from __future__ import annotations

import pytest

from airflow_provider_scenario.operators.model import ScenarioAddTrainingImagesOperator, ScenarioCreateModelOperator
from airflow_provider_scenario.operators.training import ScenarioTrainModelOperator


@pytest.fixture
def training(emulator, context, datasets):
    """A training that takes ten minutes."""
    emulator.set(training_seconds=600)
    model_id = ScenarioCreateModelOperator(task_id="create", name="ink", type="flux.2-dev-lora").execute(context)
    image = next((datasets / "ink-style").glob("*.jpg"))
    ScenarioAddTrainingImagesOperator(task_id="images", model_id=model_id, images=[image]).execute(context)
    train = ScenarioTrainModelOperator(task_id="t", model_id=model_id, wait_for_completion=False)
    return {"model_id": model_id, "job_id": train.execute(context)["job_id"]}
