"""Triggers and deferred tasks that an earlier version of this provider has stored in Airflow's database still run."""

from __future__ import annotations

import importlib
import json
from pathlib import Path

import pytest
from airflow.triggers.base import TaskSuccessEvent

from airflow_provider_scenario.operators.training import ScenarioTrainModelOperator
from tests.unit.publishing.conftest import tree

ROWS = json.loads((Path(__file__).parent / "rows_before_0_2.json").read_text(encoding="utf-8"))
TRAINING, SLOT, LISTING = ROWS


def revived(row, **filled):
    """As a triggerer makes a trigger of its row; ``filled`` are the ids that stand for others in the file."""
    module, _, name = row["classpath"].rpartition(".")
    kwargs = {key: filled.get(key, value) for key, value in row["kwargs"].items()}
    return getattr(importlib.import_module(module), name)(**kwargs)


@pytest.fixture
def model_id(emulator, train):
    return train()


@pytest.fixture
def untrained(emulator, another_task, datasets):
    from airflow_provider_scenario.operators.model import ScenarioAddTrainingImagesOperator as Images
    from airflow_provider_scenario.operators.model import ScenarioCreateModelOperator as Create

    context = another_task()
    made = Create(task_id="create", name="ink", type="flux.2-dev-lora").execute(context)
    images = [next((datasets / "ink-style").glob("*.jpg"))]
    Images(task_id="images", model_id=made, images=images).execute(context)
    return made


async def test_a_training_that_was_waited_for_ends_its_task_with_the_result(emulator, model_id, stored):
    job_id = emulator.model(model_id)["jobId"]
    pushed = {"job_id": job_id, "creative_units_cost": 60.0}
    event = await anext(revived(TRAINING, model_id=model_id, job_id=job_id, told=pushed).run())
    assert isinstance(event, TaskSuccessEvent)
    assert (stored["return_value"]["model_id"], stored["return_value"]["status"]) == (model_id, "trained")


async def test_a_slot_that_was_waited_for_starts_one_training_and_ends_the_task(emulator, untrained, stored):
    emulator.set(training_seconds=0.3)
    event = await anext(revived(SLOT, model_id=untrained).run())
    assert isinstance(event, TaskSuccessEvent)
    assert stored["return_value"]["model_id"] == untrained
    assert stored["job_id"] == emulator.ledger()["trainings"][-1]["job_id"]
    assert emulator.counts()["trainings"] == 1


async def test_a_listing_that_was_waited_for_ends_its_task_with_the_result(emulator, stored):
    emulator.set(fetch_files=False, listing_seconds=0)
    event = await anext(revived(LISTING, model=tree()).run())
    assert isinstance(event, TaskSuccessEvent)
    assert stored["return_value"]["state"] == "listed"


@pytest.mark.parametrize("row", ROWS, ids=[row["classpath"].rpartition(".")[2] for row in ROWS])
def test_it_is_stored_under_todays_names_from_then_on(row):
    path, kwargs = revived(row).serialize()
    assert path == row["classpath"]
    assert not {"told", "returns", "ends_task"} & kwargs.keys()
    assert (kwargs["end_from_trigger"], kwargs["do_xcom_push"]) == (True, True)


def test_a_deferred_task_goes_on_with_what_it_had_kept(emulator, context, model_id):
    from airflow_provider_scenario.watch.result import TrainingResult

    operator = ScenarioTrainModelOperator(task_id="train", model_id=model_id)
    event = TrainingResult(outcome="trained", model_id=model_id, job_id="job_1").to_event()
    next_kwargs = {"told": {"job_id": "job_1", "creative_units_cost": 60.0}, "adopted_at": None}
    result = operator.execute_complete(context, event, **next_kwargs)
    assert (result["model_id"], result["creative_units_cost"]) == (model_id, 60.0)
    assert "job_id" not in context["ti"].xcoms  # it is there already
