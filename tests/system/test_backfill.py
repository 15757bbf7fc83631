"""Airflow's own backfill of ten days of datasets, four times; the ledger shows which trainings each of them paid."""

from __future__ import annotations

import json
import shutil
import time
from collections import Counter
from pathlib import Path
from urllib.parse import quote

import pytest

pytestmark = pytest.mark.full

PICTURES = Path(__file__).parents[2] / "example_dags" / "datasets" / "isometric-props"
DAG = "backfill_lora_batches"
DAYS = [f"2026-01-{day:02}" for day in range(1, 11)]
DATASETS = {
    "2026-01-01": ["crates"],
    "2026-01-02": ["crates", "lantern"],
    "2026-01-04": ["tower"],
    "2026-01-05": ["crates", "doomed", "lantern"],
    "2026-01-08": ["well"],
    "2026-01-10": ["crates"],
}
SAME = {"crates 2026-01-10": "crates 2026-01-01"}  # the same dataset on two days
ONCE = Counter({f"{name} {day}" for day, names in DATASETS.items() for name in names} - SAME.keys())
DOOMED = Counter({"doomed 2026-01-05": 1})


@pytest.fixture
def root(tmp_path):
    for day, names in DATASETS.items():
        for name in names:
            folder = tmp_path / day / name
            folder.mkdir(parents=True)
            for picture in sorted(PICTURES.glob("*.jpg"))[:2]:
                shutil.copy(picture, folder)
                caption = f"{name} {day}"
                (folder / f"{picture.stem}.txt").write_text(SAME.get(caption, caption))
    (tmp_path / "2026-01-07").mkdir()  # a day whose folder is empty
    return tmp_path


def test_a_backfill_trains_each_dataset_once_and_then_only_what_failed(airflow, emulator, root):
    emulator.set(training_seconds=1)
    emulator.outcome(model="doomed*", fail_at=0.5, error="CUDA out of memory", times=1)
    unpause(airflow)

    backfill(airflow, root)
    assert trained(emulator) == ONCE  # a training that fails is not paid again by the task's retries
    states = {day: state for day, (_, state) in runs(airflow).items()}
    assert states == {day: "failed" if day == "2026-01-05" else "success" for day in DAYS}
    for day in set(DAYS) - set(DATASETS):
        run, _ = runs(airflow)[day]
        assert airflow.task_instance(DAG, run, "datasets")["state"] == "skipped"
        assert why_skipped(airflow, run) == f"Nothing to train: there are no datasets in {root}/{day}."

    backfill(airflow, root)
    assert trained(emulator) == ONCE

    backfill(airflow, root, "--reprocess-behavior", "failed")
    assert trained(emulator) == ONCE + DOOMED
    assert {state for _, state in runs(airflow).values()} == {"success"}
    run, _ = runs(airflow)["2026-01-05"]
    assert "is trained already: 'crates 2026-01-05'" in airflow.task_log(DAG, run, "train", 0)

    backfill(airflow, root, "--reprocess-behavior", "completed")
    assert trained(emulator) == ONCE + DOOMED
    assert {state for _, state in runs(airflow).values()} == {"success"}
    assert emulator.counts()["canceled"] == 0


def unpause(airflow):
    """Unpause the DAG and wait for the run of yesterday that this starts: it has no datasets and is skipped."""
    airflow.wait_for_dag(DAG)
    airflow.call("PATCH", f"/dags/{DAG}", json={"is_paused": False})
    deadline = time.monotonic() + 60
    while not (found := airflow.call("GET", f"/dags/{DAG}/dagRuns")["dag_runs"]) or found[0]["state"] != "success":
        assert time.monotonic() < deadline, f"yesterday's run did not end: {found}"
        time.sleep(0.5)


def backfill(airflow, root, *options: str, patience: float = 480) -> None:
    """Create a backfill as a user does, and wait until all of its runs have ended."""
    airflow.wait_for_dag(DAG)
    conf = json.dumps({"root": str(root)})
    dates = ("--from-date", DAYS[0], "--to-date", DAYS[-1])
    airflow.cli("backfill", "create", "--dag-id", DAG, *dates, "--dag-run-conf", conf, *options)
    deadline = time.monotonic() + patience
    # Airflow checks twice a minute whether a backfill has ended, and allows no other one of the DAG before.
    while any(each["completed_at"] is None for each in backfills(airflow)):
        assert time.monotonic() < deadline, runs(airflow)
        time.sleep(1)


def backfills(airflow) -> list[dict]:
    return airflow.call("GET", "/backfills", params={"dag_id": DAG})["backfills"]


def runs(airflow) -> dict[str, tuple[str, str]]:
    """Day → id and state of its run."""
    found = airflow.call("GET", f"/dags/{DAG}/dagRuns", params={"limit": 100})["dag_runs"]
    return {
        run["logical_date"][:10]: (run["dag_run_id"], run["state"]) for run in found if run["logical_date"][:10] in DAYS
    }


def why_skipped(airflow, run) -> str:
    """The reason in the log event 'Skipping task.'."""
    path = f"/dags/{DAG}/dagRuns/{quote(run)}/taskInstances/datasets/logs/1"
    events = airflow.call("GET", path, params={"full_content": True})["content"]
    return next(event["reason"] for event in events if event["event"] == "Skipping task.")


def trained(emulator) -> Counter[str]:
    """How often a training of each dataset was started and billed."""
    names = [training["model_name"] for training in emulator.ledger()["trainings"]]
    return Counter(SAME.get(name, name) for name in names)
