"""Batches of LoRAs, one mapped task per dataset: approval, plan ceilings, a bad dataset, and the DAG of an asset."""

from __future__ import annotations

import shutil
import time
from datetime import datetime
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.harness.waiting import eventually

PICTURES = Path(__file__).parents[2] / "example_dags" / "datasets" / "isometric-props"
WORKER_STARTS = "DAG bundles loaded"


@pytest.fixture
def folder(tmp_path):
    """Three datasets of two pictures each."""
    for name in ("crates", "lantern", "tower"):
        add_dataset(tmp_path / name)
    return tmp_path


@pytest.fixture(autouse=True)
def no_import_errors(airflow):
    yield
    assert airflow.import_errors() == []


def test_a_batch_below_the_threshold_needs_no_approval_and_publishes_each_lora(airflow, emulator, folder):
    run = airflow.trigger("train_lora_batch", {"folder": str(folder), "ask_above": 1_000_000})
    assert airflow.wait_for_run("train_lora_batch", run) == "success"

    assert trainings(emulator) == ["crates", "lantern", "tower"]
    assert airflow.task_instance("train_lora_batch", run, "approve")["state"] == "skipped"
    assert grid(airflow, "train_lora_batch", run) == {"crates": "success", "lantern": "success", "tower": "success"}
    billed = emulator.ledger()["totals"]["creative_units_billed"]
    assert airflow.xcom("train_lora_batch", run, "estimate", "creative_units") == billed
    summary = airflow.xcom("train_lora_batch", run, "summary")
    assert summary["creative_units_total"] == billed
    assert set(summary["models"]) == {"crates", "lantern", "tower"}

    eventually(lambda: all("published" in emulator.model(model)["tags"] for model in summary["models"].values()))
    for name, model_id in summary["models"].items():
        model = emulator.model(model_id)
        said = emulator.get(f"models/{model_id}/description")["description"]["value"]
        assert said.startswith(f"# {name}\n\nA `flux.2-dev-lora`, trained in 4 epochs for ")
        assert model["thumbnail"]["assetId"] == model["epochs"][-1]["assets"][0]["assetId"]
    eventually(lambda: is_published(airflow, summary["models"].values()))


@pytest.mark.every_minor
def test_a_batch_above_the_threshold_waits_for_approval(airflow, emulator, folder):
    run = airflow.trigger("train_lora_batch", {"folder": str(folder), "ask_above": 0})
    # Airflow 3.3 has the state awaiting_input; in earlier versions the task is deferred.
    airflow.wait_for_task("train_lora_batch", run, "approve", ["awaiting_input", "deferred"])
    price = airflow.xcom("train_lora_batch", run, "estimate", "creative_units")
    question = approval_details(airflow, run)
    assert question["subject"] == f"Train 3 LoRAs for {price:g} creative units?"
    assert "| lantern | flux.2-dev-lora | 2 |" in question["body"]
    assert trainings(emulator) == []

    answer(airflow, run, "Approve")
    assert airflow.wait_for_run("train_lora_batch", run) == "success"
    assert trainings(emulator) == ["crates", "lantern", "tower"]
    assert emulator.ledger()["totals"]["creative_units_billed"] == price
    models = airflow.xcom("train_lora_batch", run, "summary")["models"].values()
    eventually(lambda: is_published(airflow, models))


def test_a_batch_that_a_person_rejects_costs_nothing(airflow, emulator, folder):
    run = airflow.trigger("train_lora_batch", {"folder": str(folder), "ask_above": 0})
    airflow.wait_for_task("train_lora_batch", run, "approve", ["awaiting_input", "deferred"])
    answer(airflow, run, "Reject")
    assert airflow.wait_for_run("train_lora_batch", run) == "success"
    assert trainings(emulator) == []
    assert {state(airflow, "train_lora_batch", run, task) for task in ("train", "summary")} == {"skipped"}


def test_one_bad_dataset_fails_its_own_task_and_no_other(airflow, emulator, folder):
    shutil.rmtree(folder / "tower")
    (folder / "empty").mkdir()
    (folder / "lantern" / "stray.txt").write_text("a caption of no picture")
    add_dataset(folder / "well")
    run = airflow.trigger("batch", {"folder": str(folder)})
    assert airflow.wait_for_run("batch", run) == "failed"
    assert trainings(emulator) == ["crates", "well"]
    assert emulator.counts()["models"] == 2
    # In the order of their names: crates, empty, lantern, well.
    states = [airflow.task_instance("batch", run, "train", index)["state"] for index in range(4)]
    assert states == ["success", "failed", "failed", "success"]
    assert f"Dataset '{folder}/empty'" in airflow.task_log("batch", run, "train", 1)
    assert "stray.txt" in airflow.task_log("batch", run, "train", 2)


@pytest.mark.every_minor
def test_errors_that_a_retry_cannot_fix_use_no_retry_and_keep_the_name_of_the_task(airflow, emulator, folder):
    trainings = [
        {"name": "misspelt", "images": str(folder / "tower"), "threads": 0},
        {"name": "no connection", "images": str(folder / "tower")},
        {"images": str(folder / "tower")},
    ]
    run = airflow.trigger("batch_with_retries", {"trainings": trainings})
    assert airflow.wait_for_run("batch_with_retries", run) == "failed"
    tasks = [airflow.task_instance("batch_with_retries", run, "train", index) for index in range(3)]
    assert [(task["state"], task["try_number"]) for task in tasks] == [("failed", 1)] * 3
    assert [task["rendered_map_index"] for task in tasks[:2]] == ["misspelt", "no connection"]
    logs = [airflow.task_log("batch_with_retries", run, "train", index) for index in range(3)]
    assert "threads is 0; give a whole number from 1 to 32." in logs[0]
    assert "Connection 'nobody' does not exist. Nothing was sent." in logs[1]
    assert "missing keyword argument 'name'" in logs[2]
    assert emulator.counts()["models"] == 0


def test_trainings_beyond_the_plans_limit_wait_for_a_slot(airflow, emulator, folder):
    emulator.set(parallel_training=1, training_seconds=2)
    run = airflow.trigger("batch", {"folder": str(folder)})
    assert airflow.wait_for_run("batch", run) == "success"
    assert trainings(emulator) == ["crates", "lantern", "tower"]
    assert at_once(emulator) == 1
    starts = [airflow.task_log("batch", run, "train", index).count(WORKER_STARTS) for index in range(3)]
    assert starts == [1, 1, 1]
    for index in range(3):
        result = airflow.xcom("batch", run, "train", map_index=index)
        assert airflow.xcom("batch", run, "train", "creative_units_cost", index) == result["creative_units_cost"] > 0


def test_a_pool_of_one_that_counts_deferred_tasks_trains_one_at_a_time(airflow, emulator, folder):
    airflow.cli("pools", "set", "one_lora", "1", "one at a time", "--include-deferred")
    shutil.rmtree(folder / "tower")
    run = airflow.trigger("batch_in_a_pool", {"folder": str(folder)})
    assert airflow.wait_for_run("batch_in_a_pool", run) == "success"
    assert trainings(emulator) == ["crates", "lantern"]
    assert at_once(emulator) == 1


def test_a_training_above_the_price_limit_is_not_started(airflow, emulator, folder):
    run = airflow.trigger("batch_too_dear", {"folder": str(folder)})
    assert airflow.wait_for_run("batch_too_dear", run) == "failed"
    assert trainings(emulator) == []
    assert emulator.ledger()["totals"]["creative_units_billed"] == 0
    log = airflow.task_log("batch_too_dear", run, "train", 0)
    price = emulator.ledger()["totals"]["quotes"]
    assert price == 3
    assert "creative units; max_creative_units is 1. Nothing was started or billed." in log


def test_killing_one_of_a_batch_cancels_its_training_and_no_other(airflow, emulator, folder):
    emulator.set(training_seconds=600)
    run = airflow.trigger("batch", {"folder": str(folder)})
    for index in range(3):
        airflow.wait_for_task("batch", run, "train", ["deferred"], map_index=index)
        # Wait for a poll: until a triggerer has the trigger, nothing can cancel the training.
        eventually(lambda index=index: "queued-for-train" in airflow.task_log("batch", run, "train", index))
    airflow.mark("batch", run, "train", "failed", map_index=1)
    eventually(lambda: emulator.counts()["canceled"] == 1)
    emulator.advance(900)
    assert airflow.wait_for_run("batch", run) == "failed"
    ended = {training["model_name"]: training["status"] for training in emulator.ledger()["trainings"]}
    assert ended == {"crates": "trained", "lantern": "training-canceled", "tower": "trained"}


def add_dataset(folder: Path, pictures: int = 2) -> None:
    folder.mkdir(parents=True)
    for picture in sorted(PICTURES.glob("*.jpg"))[:pictures]:
        shutil.copy(picture, folder)
        shutil.copy(picture.with_suffix(".txt"), folder)


def trainings(emulator) -> list[str]:
    """The model names of all trainings that were started."""
    return sorted(training["model_name"] for training in emulator.ledger()["trainings"])


def at_once(emulator) -> int:
    """The largest number of trainings that ran at the same time."""
    moments = []
    for training in emulator.ledger()["trainings"]:
        moments.append((datetime.fromisoformat(training["started_at"]), 1))
        moments.append((datetime.fromisoformat(training["ended_at"]), -1))
    running, most = 0, 0
    for _, change in sorted(moments):
        running += change
        most = max(most, running)
    return most


def grid(airflow, dag, run) -> dict[str, str]:
    """The mapped task in the grid: name → state."""
    tasks = [task for task in airflow.task_instances(dag, run) if task["task_id"] == "train"]
    return {task["rendered_map_index"]: task["state"] for task in tasks}


def state(airflow, dag, run, task_id) -> str:
    (found,) = {task["state"] for task in airflow.task_instances(dag, run) if task["task_id"] == task_id}
    return found


def approval_details(airflow, run):
    return airflow.call("GET", f"{approval(run)}/hitlDetails")


def answer(airflow, run, option: str) -> None:
    time.sleep(2)  # Airflow 3.3.2 fails a task that is answered before its scheduler knows that it waits
    airflow.call("PATCH", f"{approval(run)}/hitlDetails", json={"chosen_options": [option]})


def approval(run) -> str:
    return f"/dags/train_lora_batch/dagRuns/{quote(run)}/taskInstances/approve/-1"


def is_published(airflow, models) -> bool:
    """
    Whether each model of this batch was published, and none failed.

    Airflow may leave an event of an earlier batch to the asset's next run. The reset between two tests has removed its
    model, so other models are ignored here.
    """
    dag = "publish_on_new_lora"
    states: dict[str, set[str]] = {model: set() for model in models}
    for run in airflow.call("GET", f"/dags/{dag}/dagRuns")["dag_runs"]:
        for task in airflow.task_instances(dag, run["dag_run_id"]):
            if task["task_id"] == "publish" and task["rendered_map_index"] in states:
                states[task["rendered_map_index"]].add(task["state"])
    assert not any("failed" in found or "upstream_failed" in found for found in states.values())
    return all(found == {"success"} for found in states.values())
