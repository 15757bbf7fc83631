"""
Two hundred trainings while one request in ten fails. ``tests/unit/operators/test_soak.py`` does the same in seconds.
"""

from __future__ import annotations

import os
from collections import Counter

import pytest
from PIL import Image

pytestmark = [pytest.mark.full, pytest.mark.alone]

TASKS = int(os.environ.get("SOAK_TASKS", "200"))


@pytest.fixture
def datasets(tmp_path):
    """Name → number of pictures: one or two."""
    sizes = {f"tile-{number:03}": 1 + number % 2 for number in range(TASKS)}
    for number, (name, size) in enumerate(sizes.items()):
        folder = tmp_path / name
        folder.mkdir()
        for picture in range(size):
            Image.new("RGB", (64, 64), (number, picture * 90, 120)).save(folder / f"{picture}.jpg")
            (folder / f"{picture}.txt").write_text(f"a plain tile, number {number}")
    return sizes


def test_trainings_with_many_failing_requests_are_each_created_and_paid_once(
    airflow, emulator, datasets, tmp_path, capsys
):
    airflow.wait_for_dag("soak")
    emulator.fail_at_random(0.1)
    run = airflow.trigger("soak", {"folder": str(tmp_path)})
    state = airflow.wait_for_run("soak", run, timeout=540)
    injected = emulator.calm_down()
    ledger = emulator.ledger()
    totals = ledger["totals"]
    tasks = [task for task in airflow.task_instances("soak", run) if task["task_id"] == "train"]
    with capsys.disabled():
        print(f"\n{TASKS} trainings, one request in ten fails: {report(tasks, injected, totals)}")  # noqa: T201 - shown even if the test passes

    lost = [task["map_index"] for task in tasks if task["state"] != "success"]
    assert not lost, airflow.task_log("soak", run, "train", lost[0])[-3000:]
    assert (state, len(tasks)) == ("success", TASKS)
    # Without faults the test would show nothing.
    assert 0.08 <= sum(injected.values()) / totals["requests"] <= 0.12
    assert all(injected.values())
    assert sum(task["try_number"] - 1 for task in tasks) >= TASKS / 20

    results = [airflow.xcom("soak", run, "train", map_index=task["map_index"]) for task in tasks]
    assert {result["status"] for result in results} == {"trained"}
    assert sorted(result["name"] for result in results) == list(datasets)
    theirs = Counter(result["model_id"] for result in results)
    assert Counter(model["model_id"] for model in ledger["models"]) == theirs, (
        "a model without a task, or two of one task"
    )
    assert Counter(training["model_id"] for training in ledger["trainings"]) == theirs
    assert (totals["trainings_started"], totals["trainings_trained"]) == (TASKS, TASKS)
    assert (totals["trainings_running"], totals["trainings_canceled"], totals["trainings_failed"]) == (0, 0, 0)
    given = Counter(image["model_id"] for image in ledger["training_images"])
    assert {result["name"]: given[result["model_id"]] for result in results} == datasets
    assert sum(result["creative_units_cost"] for result in results) == totals["creative_units_billed"]


def report(tasks, injected, totals):
    counted = {
        "tasks": dict(Counter(str(task["state"]) for task in tasks)),
        "tries": sum(task["try_number"] for task in tasks),
        "requests": totals["requests"],
        "failed": sum(injected.values()),
        **injected,
        **{name: totals[name] for name in totals if name not in ("requests", "quotes")},
    }
    return "".join(f"\n    {name:<26} {number}" for name, number in counted.items())
