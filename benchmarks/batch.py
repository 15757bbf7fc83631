"""
How long does a batch of 100 LoRAs take, compared with 100 mapped tasks that only defer once for the same time?

A real Airflow (LocalExecutor, PostgreSQL) and the emulator share the cores of this machine. So the difference is the
work of our tasks and of the emulator for them: create, upload, start, poll, fetch the result, store XComs. Both kinds
run in turn, after a small warm-up batch of each. Bound: at most 1.1 times as long.

    python benchmarks/batch.py [--loras 100] [--seconds 30] [--poke-interval 3] [--rounds 1] [--parallelism 4]

Needs PostgreSQL at 127.0.0.1:5432 with a user ``postgres`` without a password. It creates a database and drops it.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from datetime import datetime
from pathlib import Path
from urllib.parse import quote

import requests
from PIL import Image

from airflow_provider_scenario.demo.emulator_process import EmulatorProcess
from tests.harness.airflow import AirflowUnderTest
from tests.harness.postgres import own_database

BOUND = 1.1
PICTURES = 2


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.strip().partition("\n")[0])
    parser.add_argument("--loras", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=30, help="duration of a training or a deferral")
    parser.add_argument("--poke-interval", type=float, default=3)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--parallelism", type=int, default=4, help="worker processes at once")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, own_database() as database:
        return measure(Path(folder), database, options)


def measure(folder: Path, database: str, options: argparse.Namespace) -> int:
    add_datasets(folder / "datasets", options.loras)
    dags = Path(__file__).parent / "dags"
    env = {
        "BENCHMARK_SECONDS": str(options.seconds),
        "BENCHMARK_POKE_INTERVAL": str(options.poke_interval),
        "PYTHONPATH": f"{Path(__file__).parents[1]}:{dags}",
    }
    with (
        EmulatorProcess(folder / "emulator.log", training_seconds=options.seconds) as emulator,
        AirflowUnderTest(
            folder / "home",
            dags,
            connections={"scenario_default": emulator.connection},
            env=env,
            sql_alchemy_conn=database,
            parallelism=options.parallelism,
        ) as airflow,
    ):
        switches = emulator.url.removesuffix("/v1") + "/emulator"
        conf = {"tasks": options.loras, "folder": str(folder / "datasets")}
        times: dict[str, list[float]] = {"defer_once": [], "train_loras": []}
        for dag in times:
            run(airflow, dag, {**conf, "tasks": 2})
        for _ in range(options.rounds):
            for dag, taken in times.items():
                requests.post(f"{switches}/reset", timeout=10).raise_for_status()
                taken.append(run(airflow, dag, conf))
        totals = requests.get(f"{switches}/ledger", timeout=10).json()["totals"]
    return report(times, totals, options)


def report(times: dict[str, list[float]], totals: dict[str, float], options: argparse.Namespace) -> int:
    print(f"{options.loras} tasks, each waiting {options.seconds:g} s, {options.parallelism} workers: wall time")
    for dag, taken in times.items():
        print(f"  {dag:<12} {statistics.median(taken):7.1f} s   ({', '.join(f'{each:.1f}' for each in taken)})")
    ratio = statistics.median(times["train_loras"]) / statistics.median(times["defer_once"])
    print(f"  ratio        {ratio:7.2f}     (bound {BOUND})")
    print(
        f"  trained {totals['trainings_trained']:g} of {options.loras}, started {totals['trainings_started']:g}, "
        f"{totals['training_images_added']:g} images, {totals['requests']:g} requests"
    )
    done = totals["trainings_trained"] == totals["trainings_started"] == options.loras
    return 0 if done and ratio <= BOUND else 1


def run(airflow: AirflowUnderTest, dag: str, conf: dict[str, object]) -> float:
    """Seconds from the start of the run to its end, as Airflow has stored them."""
    run_id = airflow.trigger(dag, conf)
    state = airflow.wait_for_run(dag, run_id, timeout=1800)
    if state != "success":
        raise SystemExit(f"{dag}: {state}")
    dag_run = airflow.call("GET", f"/dags/{dag}/dagRuns/{quote(run_id)}")
    return (datetime.fromisoformat(dag_run["end_date"]) - datetime.fromisoformat(dag_run["start_date"])).total_seconds()


def add_datasets(folder: Path, count: int) -> None:
    for number in range(count):
        dataset = folder / f"lora-{number:03}"
        dataset.mkdir(parents=True)
        for picture in range(PICTURES):
            Image.new("RGB", (64, 64), (number * 2 % 256, picture * 90, 120)).save(dataset / f"{picture}.jpg")
            (dataset / f"{picture}.txt").write_text(f"a plain tile, number {number}")


if __name__ == "__main__":
    sys.exit(main())
