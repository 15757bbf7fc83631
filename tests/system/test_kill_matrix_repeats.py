"""
The kill matrix for tasks that have run before: in an earlier iteration of a loop, or before they were cleared.

The earlier run has left a model, a training and maybe a task state, which the killed task must not take for its own.
"""

from __future__ import annotations

import time
from typing import Any, NamedTuple

import pytest

from airflow_provider_scenario.demo.rest import FINAL_RUN_STATES
from tests.airflow_versions import KEEP_TASK_STATE
from tests.system.kill_cells import (
    AROUND_A_REQUEST,
    CREATE,
    DEFERRING,
    FINISHING,
    LOST,
    PICTURES,
    RECORDED,
    RETURNED,
    TRAIN,
    UNRECORDED,
    Run,
    begin,
    cell,
    found,
    price_of_one,
    show,
    table,
)
from tests.system.loops import Loop

pytestmark = [pytest.mark.full, pytest.mark.alone]

ITERATIONS = 3

IN_ONE_ITERATION = [
    *(cell("train", "sync", (TRAIN, point), brief=True) for point in AROUND_A_REQUEST),
    cell("train", "deferrable", (TRAIN, LOST), brief=True),
    cell("train", "deferrable", (TRAIN, DEFERRING), brief=True),
    *(cell("lora", "sync", (CREATE, point), brief=True) for point in AROUND_A_REQUEST),
    *(cell("lora", "sync", (TRAIN, point), brief=True) for point in AROUND_A_REQUEST),
    cell("lora", "sync", ("", RETURNED), brief=True),
    cell("lora", "deferrable", (CREATE, LOST), (TRAIN, LOST), brief=True),
    cell("lora", "deferrable", (TRAIN, UNRECORDED), brief=True),
    cell("lora", "deferrable", (TRAIN, DEFERRING), brief=True),
    cell("lora", "deferrable", ("", FINISHING), brief=True),
]

WHEN_CLEARED = {
    "retrain": [
        *(cell("train", "sync", (TRAIN, point), brief=True) for point in AROUND_A_REQUEST),
        cell("train", "deferrable", (TRAIN, LOST), brief=True),
        *(cell("lora", "sync", (CREATE, point), brief=True) for point in (LOST, UNRECORDED, RECORDED)),
        *(cell("lora", "sync", (TRAIN, point), brief=True) for point in AROUND_A_REQUEST),
        cell("lora", "deferrable", (CREATE, LOST), (TRAIN, LOST), brief=True),
        cell("lora", "deferrable", (TRAIN, DEFERRING), brief=True),
    ],
    "reattach": [
        cell("train", "sync", ("", FINISHING), brief=True),
        cell("train", "deferrable", ("", RETURNED), brief=True),
        cell("lora", "sync", ("", FINISHING), brief=True),
        cell("lora", "sync", ("", RETURNED), brief=True),
        cell("lora", "deferrable", ("", FINISHING), brief=True),
    ],
}


@pytest.mark.every_minor
@pytest.mark.since("3.4")
def test_a_task_that_is_killed_in_one_iteration_of_a_loop(airflow, emulator, capsys):
    """Each iteration creates and pays its own training, once."""
    emulator.set(training_seconds=0.1)
    runs = [begin(airflow, emulator, each, "loop") for each in IN_ONE_ITERATION]
    wait_for_all(airflow, runs)
    outcomes = []
    for run in runs:
        loop = Loop(airflow, run.dag, run.run_id, "task")
        state, task = airflow.run_state(run.dag, run.run_id), loop.task(1)
        results = loop.results() if state == "success" else []
        outcomes.append(Outcome(run, state, results, task["try_number"], loop.log(1)))
    conclude(emulator, capsys, outcomes, trainings=ITERATIONS)


@pytest.mark.since("3.3")
@pytest.mark.parametrize("keeps", KEEP_TASK_STATE[:1])  # if the state is kept, 3.4 behaves like 3.3
@pytest.mark.parametrize(("on_clear", "trainings"), [("retrain", 2), ("reattach", 1)])
def test_a_task_that_is_killed_after_it_was_cleared(airflow, emulator, capsys, on_clear, trainings, keeps):
    emulator.set(training_seconds=0.1)
    runs = [begin(airflow, emulator, each, on_clear, unharmed=1) for each in WHEN_CLEARED[on_clear]]
    wait_for_all(airflow, runs)
    before = [airflow.xcom(run.dag, run.run_id, "task") for run in runs]
    for run in runs:
        airflow.clear(run.dag, run.run_id, "task", **({} if keeps is None else {"keep_task_state": keeps}))
    wait_for_all(airflow, runs)
    outcomes = []
    for run, first in zip(runs, before, strict=True):
        state, task = airflow.run_state(run.dag, run.run_id), airflow.task_instance(run.dag, run.run_id, "task")
        results = [first, airflow.xcom(run.dag, run.run_id, "task")] if state == "success" else []
        log = airflow.task_log(run.dag, run.run_id, "task")
        outcomes.append(Outcome(run, state, results, task["try_number"] - 1, log))
    conclude(emulator, capsys, outcomes, trainings=trainings)


class Outcome(NamedTuple):
    """
    The outcome of a run.

    :param results: of each iteration, or of the attempts before and after the clear.
    :param tries: attempts of the killed task, without the one that was cleared.
    :param log: of its last attempt.
    """

    run: Run
    state: str
    results: list[dict[str, Any]]
    tries: int
    log: str


def wait_for_all(airflow, runs: list[Run], timeout: float = 480) -> None:
    """Wait until all have ended; the table shows a run that hangs."""
    deadline = time.monotonic() + timeout
    while any(airflow.run_state(run.dag, run.run_id) not in FINAL_RUN_STATES for run in runs):
        if time.monotonic() > deadline:
            return
        time.sleep(1)


def conclude(emulator, capsys, outcomes: list[Outcome], *, trainings: int) -> None:
    """Compare each with the ledger; ``wrong`` of a row lists what differs."""
    price, ledger = price_of_one(emulator), emulator.ledger()
    rows = [compare(ledger, price, outcome, trainings) for outcome in outcomes]
    show(capsys, rows)
    assert not any(row["wrong"] for row in rows), table(rows)


def compare(ledger: dict[str, Any], price: float, outcome: Outcome, paid: int) -> dict[str, Any]:
    run, cell = outcome.run, outcome.run.cell
    models = [model["model_id"] for model in ledger["models"] if model["name"] == run.name]
    images = sum(image["model_id"] in models for image in ledger["training_images"])
    trainings = [training for training in ledger["trainings"] if training["model_name"] == run.name]
    returned = {result["model_id"] for result in outcome.results}
    actual = {
        "tries": outcome.tries,
        "end": outcome.state,
        "models": len(models),
        "images": images,
        "trainings": len(trainings),
        "billed": sum(training["creative_units"] for training in trainings),
        "orphans": len(set(models) - returned) + sum(training["status"] != "trained" for training in trainings),
        "found": found(outcome.log),
    }
    made = paid if cell.operator == "lora" else 1
    expected = {
        "tries": len(cell.kills) + 1,
        "end": "success",
        "models": made,
        "images": made * len(PICTURES),
        "trainings": paid,
        "billed": paid * price,
        "orphans": 0,
        "found": cell.expected_found,
    }
    wrong = [name for name, value in expected.items() if actual[name] != value]
    reported = {(result["job_id"], result["status"], result["creative_units_cost"]) for result in outcome.results}
    if reported != {(training["job_id"], "trained", price) for training in trainings} or not returned <= set(models):
        wrong.append("results")
    return {
        "operator": cell.operator,
        "mode": cell.mode,
        "killed": cell.killed,
        **actual,
        "wrong": ", ".join(wrong),
    }
