"""Nothing is created or paid twice, whatever is killed at whatever point: real processes, checked with the ledger."""

from __future__ import annotations

import time
from typing import Any

import pytest

from airflow_provider_scenario.demo.rest import AirflowError
from tests.harness.waiting import eventually
from tests.system.kill_cells import (
    AROUND_A_REQUEST,
    BEFORE,
    CREATE,
    DEFERRING,
    DESCRIBE,
    DESCRIPTION,
    FINISHING,
    LOST,
    PICTURES,
    RETURNED,
    SECOND_IMAGE,
    TRAIN,
    UNRECORDED,
    WAITING,
    Run,
    begin,
    cell,
    found,
    price_of_one,
    show,
    table,
)

pytestmark = [pytest.mark.full, pytest.mark.alone]

MATRIX = [
    *(cell("create", "", (CREATE, point)) for point in AROUND_A_REQUEST),
    cell("create", "", (DESCRIBE, BEFORE)),
    cell("create", "", (DESCRIBE, LOST)),
    cell("create", "", ("", RETURNED)),
    # These record only their result, so the last two points are those of finishing.
    *(cell("images", "", (SECOND_IMAGE, point)) for point in AROUND_A_REQUEST),
    *(cell("train", "sync", (TRAIN, point), brief=True) for point in AROUND_A_REQUEST),
    cell("train", "sync", (TRAIN, LOST)),
    cell("train", "sync", (TRAIN, WAITING)),
    cell("train", "sync", ("", FINISHING), brief=True),
    cell("train", "sync", ("", RETURNED), brief=True),
    *(cell("train", "deferrable", (TRAIN, point)) for point in AROUND_A_REQUEST),
    cell("train", "deferrable", (TRAIN, LOST), brief=True),
    cell("train", "deferrable", (TRAIN, DEFERRING)),
    # In the other deferrable modes the triggerer ends the task, and no process of the task finishes it.
    cell("train", "resumed", ("", FINISHING), brief=True),
    cell("train", "resumed", ("", RETURNED), brief=True),
    cell("train", "resumed", (TRAIN, LOST), ("", FINISHING)),
    *(cell("lora", "sync", (CREATE, point), brief=True) for point in AROUND_A_REQUEST),
    cell("lora", "sync", (SECOND_IMAGE, LOST), brief=True),
    *(cell("lora", "sync", (TRAIN, point), brief=True) for point in AROUND_A_REQUEST),
    cell("lora", "sync", (TRAIN, UNRECORDED)),
    cell("lora", "sync", (TRAIN, WAITING)),
    cell("lora", "sync", ("", FINISHING), brief=True),
    cell("lora", "sync", (DESCRIBE, BEFORE), brief=True),
    cell("lora", "sync", ("", RETURNED), brief=True),
    *(cell("lora", "deferrable", (CREATE, point)) for point in AROUND_A_REQUEST),
    cell("lora", "deferrable", (SECOND_IMAGE, BEFORE)),
    *(cell("lora", "deferrable", (TRAIN, point)) for point in AROUND_A_REQUEST),
    cell("lora", "deferrable", (TRAIN, LOST), brief=True),
    cell("lora", "deferrable", (TRAIN, DEFERRING)),
    cell("lora", "deferrable", ("", FINISHING), brief=True),
    cell("lora", "deferrable", ("", RETURNED), brief=True),
    cell("lora", "deferrable", (CREATE, LOST), (TRAIN, LOST)),
]
SLOTS = 4  # tasks that this Airflow runs at once
KINDS = [cell(operator, mode) for operator in ("train", "lora") for mode in ("sync", "deferrable")]


def test_a_task_that_is_killed_at_any_point_creates_and_pays_everything_once(airflow, emulator, capsys):
    emulator.set(training_seconds=600, training_seconds_by_model={"brief *": 0.1})
    others = [cell for cell in MATRIX if not cell.holds_worker]
    holding = [cell for cell in MATRIX if cell.holds_worker]
    rows = []
    for cells in [others, *(holding[first : first + SLOTS] for first in range(0, len(holding), SLOTS))]:
        runs = [begin(airflow, emulator, cell) for cell in cells]
        deadline = time.monotonic() + 240  # then one hangs, and the table shows it
        while not all(is_over_or_waits(airflow, run) for run in runs) and time.monotonic() < deadline:
            time.sleep(0.5)
        emulator.advance(900)
        rows += compared(airflow, emulator, runs, timeout=90)
    show(capsys, rows)
    assert not any(row["wrong"] for row in rows), table(rows)


def test_tasks_that_create_models_of_the_same_name_at_once_use_their_own(airflow, emulator):
    run = airflow.trigger("kill_namesakes", {"kills": [[f"answered {CREATE}"]]})
    assert airflow.wait_for_run("kill_namesakes", run) == "success"
    tries = [airflow.task_instance("kill_namesakes", run, "task", index)["try_number"] for index in range(5)]
    taken = {airflow.xcom("kill_namesakes", run, "task", map_index=index) for index in range(5)}
    made = {model["model_id"] for model in emulator.ledger()["models"]}
    assert (tries, len(made), taken) == ([2] * 5, 5, made)


@pytest.mark.parametrize("part", ["scheduler", "triggerer", "api-server"])
def test_killing_a_part_of_airflow_costs_and_cancels_nothing(airflow, emulator, another_triggerer, part, capsys):
    emulator.set(training_seconds=600)
    waiting = [begin(airflow, emulator, kind) for kind in KINDS]
    eventually(lambda: emulator.counts()["trainings"] == len(waiting))
    for run in waiting:
        if run.cell.mode == "deferrable":
            eventually(lambda run=run: "queued-for-train" in airflow.task_log(run.dag, run.run_id, "task"))
    if part == "triggerer":
        another_triggerer()  # it has no trigger yet
    starting = [begin(airflow, emulator, kind) for kind in KINDS]
    names = {run.name for run in starting if run.cell.operator == "lora"}
    eventually(lambda: names & {model["name"] for model in emulator.ledger()["models"]})

    airflow.kill(part)
    if part != "triggerer":  # the other triggerer must do
        airflow.restart(part)
    emulator.set(training_seconds=3)
    emulator.advance(900)
    rows = compared(airflow, emulator, waiting + starting, timeout=150)
    for number, row in enumerate(rows):
        row["killed"] = f"{part}: {'waiting' if number < len(waiting) else 'starting'}"
    show(capsys, rows)
    assert not any(row["wrong"] for row in rows), table(rows)


def test_a_triggerer_killed_before_the_response_to_a_start_leaves_one_training(airflow, emulator, capsys):
    """If no slot of the plan is free, the trigger starts the training."""
    emulator.set(training_seconds=600, parallel_training=1)
    first = begin(airflow, emulator, cell("train", "deferrable"))
    eventually(lambda: emulator.counts()["trainings"] == 1)
    second = begin(airflow, emulator, cell("train", "deferrable"))
    airflow.wait_for_task(second.dag, second.run_id, "task", ["deferred"])
    eventually(lambda: "Waiting for a slot" in airflow.task_log(second.dag, second.run_id, "task"))
    emulator.fault(kind="hang", when="after", method="PUT", route=f"/{TRAIN.partition('/')[2]}", times=None, seconds=5)
    emulator.advance(900)
    eventually(lambda: emulator.counts()["trainings"] == 2)
    airflow.kill("triggerer")
    emulator.clear_faults()
    airflow.restart("triggerer")
    emulator.advance(900)
    rows = compared(airflow, emulator, [first, second], timeout=180)
    rows[1]["killed"] = "triggerer: acted, answer lost"
    show(capsys, rows)
    assert not any(row["wrong"] for row in rows), table(rows)
    assert found(log_of(airflow, second, 1)) == "running"  # otherwise it was not killed in between


@pytest.fixture
def another_triggerer(airflow):
    """Adds a second triggerer; at the end the first one runs alone again."""

    def add() -> None:
        airflow.add_triggerer()
        eventually(lambda: len(alive_triggerers(airflow)) == 2)

    yield add
    if "triggerer-2" in airflow.parts:
        airflow.parts.pop("triggerer-2").stop()
        airflow.restart("triggerer")


def compared(airflow, emulator, runs: list[Run], timeout: float) -> list[dict[str, Any]]:
    """Wait for all, then compare each with the ledger; ``wrong`` of a row lists what differs."""
    deadline = time.monotonic() + timeout
    states = [state_in_the_end(airflow, run, deadline) for run in runs]
    price = price_of_one(emulator)
    ledger = emulator.ledger()
    return [compare(airflow, emulator, ledger, price, run, state) for run, state in zip(runs, states, strict=True)]


def compare(airflow, emulator, ledger, price: float, run: Run, state: str) -> dict[str, Any]:
    models = [model["model_id"] for model in ledger["models"] if model["name"] == run.name]
    images = {image["name"]: image["image_id"] for image in ledger["training_images"] if image["model_id"] in models}
    added = sum(image["model_id"] in models for image in ledger["training_images"])
    trainings = [training for training in ledger["trainings"] if training["model_name"] == run.name]
    model_id, result = xcom(airflow, run, "model_id"), xcom(airflow, run, "return_value")
    pays = run.cell.operator in ("train", "lora")
    actual = {
        "end": state,
        "models": len(models),
        "images": added,
        "trainings": len(trainings),
        "billed": sum(training["creative_units"] for training in trainings),
        "orphans": len(set(models) - {model_id}) + sum(training["status"] != "trained" for training in trainings),
    }
    required = {
        "end": "success",
        "models": 1,
        "images": 0 if run.cell.operator == "create" else len(PICTURES),
        "trainings": 1 if pays else 0,
        "billed": price if pays else 0,
        "orphans": 0,
    }
    tried = airflow.task_instance(run.dag, run.run_id, "task")["try_number"]
    wrong = [name for name, value in required.items() if actual[name] != value]
    left = found(log_of(airflow, run, tried)) if pays and tried > 1 else ""
    if run.cell.kills:  # otherwise the cell does not define the number of attempts
        wrong += ["tries"] if tried != len(run.cell.kills) + 1 else []
        wrong += ["found"] if pays and left != run.cell.expected_found else []
    if pays:
        returned = {name: (result or {}).get(name) for name in ("model_id", "job_id", "status", "creative_units_cost")}
        job_id = trainings[0]["job_id"] if trainings else None
        expected = {"model_id": model_id, "job_id": job_id, "status": "trained", "creative_units_cost": price}
    else:
        returned = result
        expected = model_id if run.cell.operator == "create" else [images.get(picture.name) for picture in PICTURES]
    if returned != expected or model_id not in models:
        wrong.append("result")
    if run.model_id is None and model_id and emulator.model(model_id)["shortDescription"] != DESCRIPTION:
        wrong.append("description")
    return {
        "operator": run.cell.operator,
        "mode": run.cell.mode,
        "killed": run.cell.killed,
        "tries": tried,
        **actual,
        "found": left,
        "wrong": ", ".join(wrong),
    }


def log_of(airflow, run: Run, tried: int) -> str:
    return airflow.task_log(run.dag, run.run_id, "task", try_number=tried)


def is_over_or_waits(airflow, run: Run) -> bool:
    """Whether the run has ended or waits for the end of a training."""
    task = airflow.task_instance(run.dag, run.run_id, "task")
    if task["state"] in ("deferred", "success", "failed"):
        return True
    if not run.cell.holds_worker or task["state"] != "running" or task["try_number"] <= len(run.cell.kills):
        return False
    log = airflow.task_log(run.dag, run.run_id, "task")
    return "runs already, as" in log or "has started as" in log


def state_in_the_end(airflow, run: Run, deadline: float) -> str:
    try:
        return airflow.wait_for_run(run.dag, run.run_id, timeout=max(1.0, deadline - time.monotonic()))
    except AirflowError as error:  # a run that hangs must not hide the others
        return str(error).rpartition(": ")[2]


def xcom(airflow, run: Run, key: str) -> Any:
    try:
        return airflow.xcom(run.dag, run.run_id, "task", key)
    except AirflowError:
        return None


def alive_triggerers(airflow) -> list[dict[str, Any]]:
    return airflow.call("GET", "/jobs", params={"job_type": "TriggererJob", "is_alive": True})["jobs"]
