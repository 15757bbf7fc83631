"""Several machines: two workers and two triggerers, of which one each crashes with everything it runs."""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import shutil
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.harness.airflow import AirflowUnderTest
from tests.harness.postgres import own_database
from tests.harness.waiting import eventually

pytestmark = [pytest.mark.full, pytest.mark.alone]

LORAS = int(os.environ.get("CELERY_LORAS", "300"))
WORKERS, SLOTS = ("worker-1", "worker-2"), 4
REDIS = "redis://127.0.0.1:6379/0"
PRELOADED = [
    f"airflow_provider_scenario.{name}" for name in ("operators.training", "triggers.training", "client.scenario")
]

SETTINGS = {
    "core.executor": "CeleryExecutor",
    "dag_processor.min_file_process_interval": "3600",
    "core.parallelism": str(2 * len(WORKERS) * SLOTS),
    "celery.worker_concurrency": str(SLOTS),
    # Imported once per worker instead of once per task.
    "celery.extra_celery_config": json.dumps({"imports": PRELOADED}),
    # The scheduler checks the 300 tasks less often, which leaves the CPU to them.
    "scheduler.scheduler_idle_sleep_time": "1",
    # Running tasks of a crashed worker are retried after this long without a heartbeat …
    "scheduler.task_instance_heartbeat_timeout": "25",
    "scheduler.task_instance_heartbeat_timeout_detection_interval": "5",
    # … and tasks that it had not begun are queued again after this long. The broker would do so after a day.
    "scheduler.task_queued_timeout": "40",
    "scheduler.task_queued_timeout_check_interval": "5",
    # Triggers of a crashed triggerer move to another one after this long without a heartbeat.
    "triggerer.triggerer_health_check_threshold": "10",
}


def test_loras_that_lose_a_worker_and_a_triggerer_midway_are_each_trained_and_paid_once(
    airflow, emulator, datasets, capsys
):
    emulator.set(training_seconds=20)
    begin = time.monotonic()
    run = airflow.trigger("many", {"folder": str(datasets)})
    eventually(lambda: emulator.counts()["trainings"] >= LORAS / 3, seconds=400)
    held = {"held by the triggerer": held_by_first_triggerer(airflow, run)}
    airflow.crash("triggerer")
    airflow.crash(WORKERS[0])
    held["held by the worker"] = unfinished(airflow.home / "parts" / f"{WORKERS[0]}.log")
    state = airflow.wait_for_run("many", run, timeout=900)
    seconds = time.monotonic() - begin

    ledger = emulator.ledger()
    totals, answers = ledger["totals"], ledger["answers"]
    tasks = [task for task in airflow.task_instances("many", run) if task["task_id"] == "train"]
    row = {
        "LoRAs": len(tasks),
        "trained": totals["trainings_trained"],
        "billed": totals["trainings_started"],
        "requests": totals["requests"],
        "429s": answers.get("429", 0),
        "seconds": round(seconds),
        **held,
        "tried again": sum(task["try_number"] > 1 for task in tasks),
    }
    show(capsys, row)

    lost = [task["map_index"] for task in tasks if task["state"] != "success"]
    assert not lost, airflow.task_log("many", run, "train", lost[0])[-3000:]
    assert (state, len(tasks)) == ("success", LORAS)
    assert all(held.values()), "the crashed parts ran nothing, so the test shows nothing"
    results = [airflow.xcom("many", run, "train", map_index=task["map_index"]) for task in tasks]
    assert {result["status"] for result in results} == {"trained"}
    assert sorted(result["name"] for result in results) == sorted(path.name for path in datasets.iterdir())
    theirs = Counter(result["model_id"] for result in results)
    assert Counter(model["model_id"] for model in ledger["models"]) == theirs, (
        "a model without a task, or two of one task"
    )
    assert Counter(training["model_id"] for training in ledger["trainings"]) == theirs
    assert Counter(image["model_id"] for image in ledger["training_images"]) == theirs
    assert (totals["trainings_started"], totals["trainings_trained"]) == (LORAS, LORAS)
    assert sum(result["creative_units_cost"] for result in results) == totals["creative_units_billed"]


@pytest.fixture
def datasets(tmp_path) -> Path:
    """A folder of datasets with one small picture each."""
    for number in range(LORAS):
        dataset = tmp_path / "datasets" / f"tile-{number:03}"
        dataset.mkdir(parents=True)
        Image.new("RGB", (64, 64), (number % 256, number // 256, 120)).save(dataset / "tile.jpg")
        (dataset / "tile.txt").write_text(f"a plain tile, number {number}")
    return tmp_path / "datasets"


@pytest.fixture
def airflow(emulator, tmp_path) -> Iterator[AirflowUnderTest]:
    """Two workers and two triggerers, with a database and queues of their own."""
    dags = tmp_path / "dags"
    dags.mkdir()
    shutil.copy(Path(__file__).parent / "dags" / "many.py", dags)
    key, secret = emulator.auth
    connection = {
        "conn_type": "scenario",
        "login": key,
        "password": secret,
        "host": emulator.url,
        "extra": {"project_id": "proj_emulator", "requests_per_minute": 100_000},
    }
    with (
        own_database() as database,
        own_queues() as queues,
        AirflowUnderTest(
            tmp_path / "home",
            dags,
            connections={"scenario_default": connection},
            config={**SETTINGS, **queues},
            sql_alchemy_conn=database,
        ) as airflow,
    ):
        airflow.add_triggerer()
        for worker in WORKERS:
            airflow.add_worker(worker)
        eventually(lambda: len(alive_triggerers(airflow)) == 2)
        yield airflow


@contextlib.contextmanager
def own_queues() -> Iterator[dict[str, str]]:
    """Settings that make Celery use a unique key prefix in this machine's Redis; delete the keys at the end."""
    import redis  # imported late: noxfile.py does not install it, but collects this file

    prefix = f"airflow-{secrets.token_hex(6)}:"
    with contextlib.closing(redis.Redis.from_url(REDIS)) as server:
        server.ping()
        try:
            yield {"celery.broker_url": REDIS, "celery_broker_transport_options.global_keyprefix": prefix}
        finally:
            for key in server.scan_iter(f"{prefix}*"):
                server.delete(key)


def alive_triggerers(airflow) -> list[int]:
    jobs = airflow.call("GET", "/jobs", params={"job_type": "TriggererJob", "is_alive": True})["jobs"]
    return sorted(job["id"] for job in jobs)


def held_by_first_triggerer(airflow, run) -> int:
    first, _ = alive_triggerers(airflow)
    jobs = [task["triggerer_job"] for task in airflow.task_instances("many", run) if task["state"] == "deferred"]
    return sum(job is not None and job["id"] == first for job in jobs)


def unfinished(log: Path) -> int:
    """How many tasks the worker had received and not finished."""
    text = log.read_text(encoding="utf-8", errors="replace")
    taken = set(re.findall(r"Task execute_workload\[([-0-9a-f]+)\] received", text))
    done = set(re.findall(r"Task execute_workload\[([-0-9a-f]+)\] (?:succeeded|raised|ignored)", text))
    return len(taken - done)


def show(capsys, row: dict[str, Any]) -> None:
    widths = {name: max(len(name), len(str(value))) for name, value in row.items()}
    heads = "  ".join(name.rjust(width) for name, width in widths.items())
    cells = "  ".join(str(row[name]).rjust(width) for name, width in widths.items())
    with capsys.disabled():
        print(f"\n{heads}\n{cells}")  # noqa: T201 - shown even if the test passes
