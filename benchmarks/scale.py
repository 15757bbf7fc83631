"""
How many LoRAs a minute do a few worker slots train, how long does each hold a slot, and how many requests does it send?

Compares in one run: our operator deferred, with ``deferrable=False``, and the usual way: a task for each request and a
sensor in poke mode. A real Airflow (LocalExecutor, PostgreSQL) and the emulator run on this machine.

    python benchmarks/scale.py [--loras 16] [--seconds 15] [--poke-interval 3] [--slots 4]

Trainings of seconds favour tasks that hold a worker: they hold it for hours in real trainings, while a deferred task
holds it as briefly as here. Worker-seconds come from the number of running tasks in the database, read five times a
second. Requests come from the emulator's ledger, without those that send images. Bound for ours, deferred: 6 requests
per LoRA, of the 100 a minute that Scenario allows a project.

Needs PostgreSQL at 127.0.0.1:5432 with a user ``postgres`` without a password. It creates a database and drops it.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg2
import requests
from batch import add_datasets, run

from airflow_provider_scenario.demo.emulator_process import EmulatorProcess
from tests.harness.airflow import AirflowUnderTest
from tests.harness.postgres import own_database

SHAPES = {
    "ours_deferred": "ours, deferred",
    "ours_blocking": "ours, deferrable=False",
    "usual": "usual: tasks and a sensor that pokes",
}
SAMPLE = 0.2
BOUND = 6.0
OF_IMAGES = ("POST /v1/models/{modelId}/training-images", "PUT /v1/assets/{assetId}")


@dataclass(frozen=True)
class Measured:
    """
    :param seconds: from the start of the run to its end.
    :param worker_seconds: how long all tasks together held a worker.
    :param requests: by route, without those that send images.
    """

    seconds: float
    worker_seconds: float
    requests: dict[str, int]
    trained: int


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.strip().partition("\n")[0])
    parser.add_argument("--loras", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=15, help="how long a training lasts")
    parser.add_argument("--poke-interval", type=float, default=3)
    parser.add_argument("--slots", type=int, default=4, help="worker slots")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, own_database() as database:
        found = measure(Path(folder), database, options)
    report(found, options)
    is_held = sum(found["ours_deferred"].requests.values()) <= BOUND * options.loras
    return 0 if is_held and all(measured.trained == options.loras for measured in found.values()) else 1


def measure(folder: Path, database: str, options: argparse.Namespace) -> dict[str, Measured]:
    add_datasets(folder / "datasets", options.loras)
    dags = Path(__file__).parent / "dags"
    with (
        EmulatorProcess(folder / "emulator.log", training_seconds=options.seconds) as emulator,
        AirflowUnderTest(
            folder / "home",
            dags,
            connections={"scenario_default": emulator.connection},
            env={
                "BENCHMARK_POKE_INTERVAL": str(options.poke_interval),
                "PYTHONPATH": f"{Path(__file__).parents[1]}:{dags}",
            },
            sql_alchemy_conn=database,
            parallelism=options.slots,
        ) as airflow,
    ):
        switches = emulator.url.removesuffix("/v1") + "/emulator"
        found = {}
        for dag in SHAPES:
            requests.post(f"{switches}/reset", timeout=10).raise_for_status()
            with counted_worker_seconds(database, dag) as held:
                seconds = run(airflow, dag, {"tasks": options.loras, "folder": str(folder / "datasets")})
            ledger = requests.get(f"{switches}/ledger", timeout=10).json()
            counted = {route: count for route, count in ledger["requests"].items() if route not in OF_IMAGES}
            found[dag] = Measured(seconds, held[0], counted, ledger["totals"]["trainings_trained"])
            print(f"{SHAPES[dag]}: {found[dag]}", file=sys.stderr, flush=True)
    return found


@contextlib.contextmanager
def counted_worker_seconds(database: str, dag: str) -> Iterator[list[float]]:
    """A list with one number, which grows while tasks of the DAG hold workers."""
    held, over = [0.0], threading.Event()

    def count() -> None:
        connection = psycopg2.connect(database.replace("+psycopg2", ""))
        with contextlib.closing(connection), connection.cursor() as cursor:
            connection.autocommit = True
            before = time.monotonic()
            while not over.wait(SAMPLE):
                cursor.execute("SELECT count(*) FROM task_instance WHERE dag_id = %s AND state = 'running'", (dag,))
                now = time.monotonic()
                held[0] += cursor.fetchone()[0] * (now - before)
                before = now

    counting = threading.Thread(target=count)
    counting.start()
    try:
        yield held
    finally:
        over.set()
        counting.join()


def report(found: dict[str, Measured], options: argparse.Namespace) -> None:
    print(f"{options.loras} LoRAs that train for {options.seconds:g} s, {options.slots} worker slots")
    print(f"  {'':<34}{'LoRAs/min':>11}{'times':>8}{'worker-s/LoRA':>15}{'times':>8}{'requests/LoRA':>15}")
    ours = found["ours_deferred"]
    for dag, measured in found.items():
        print(
            f"  {SHAPES[dag]:<34}"
            f"{options.loras / measured.seconds * 60:>11.1f}{ours.seconds / measured.seconds:>8.2f}"
            f"{measured.worker_seconds / options.loras:>15.1f}{measured.worker_seconds / ours.worker_seconds:>8.2f}"
            f"{sum(measured.requests.values()) / options.loras:>15.2f}"
        )


if __name__ == "__main__":
    sys.exit(main())
