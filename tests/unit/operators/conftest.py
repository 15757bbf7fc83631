from __future__ import annotations

import pytest

from airflow_provider_scenario.operators.model import ScenarioAddTrainingImagesOperator, ScenarioCreateModelOperator
from airflow_provider_scenario.operators.training import ScenarioTrainLoraOperator, ScenarioTrainModelOperator


@pytest.fixture
def pictures(datasets):
    return [str(path) for path in sorted((datasets / "ink-style").glob("*.jpg"))[:2]]


@pytest.fixture
def model_id(emulator, another_task, pictures):
    """A model that is ready to be trained, made by other tasks."""
    other = another_task()
    made = ScenarioCreateModelOperator(task_id="create", name="ink", type="flux.2-dev-lora").execute(other)
    ScenarioAddTrainingImagesOperator(task_id="images", model_id=made, images=pictures).execute(other)
    return made


@pytest.fixture(params=["train model", "train lora"])
def either_operator(request, model_id, pictures):
    """Either of the two operators that pay."""
    common = {"task_id": "train", "deferrable": False, "poke_interval": 0.05, "retries": 1}

    def make(**fields):
        if request.param == "train model":
            return ScenarioTrainModelOperator(**{**common, "model_id": model_id, **fields})
        lora = {"name": "lora", "type": "flux.2-dev-lora", "images": pictures}
        return ScenarioTrainLoraOperator(**{**common, **lora, **fields})

    return make
