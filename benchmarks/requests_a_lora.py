"""
How many requests does a LoRA take of the 100 a minute that Scenario allows a project, beside its images?

One run, side by side: our operator deferred, and the usual shape of ``benchmarks/dags/scale.py``: a task for each
request and a sensor that pokes. A real Airflow (LocalExecutor, PostgreSQL) and the emulator, all on this machine; the
emulator's ledger counts. Bound for ours: 6, with every look at the training in it.

    python benchmarks/requests_a_lora.py [--loras 16] [--seconds 15] [--poke-interval 3] [--slots 4]

Needs PostgreSQL at 127.0.0.1:5432 with a user ``postgres`` without password, and makes and drops a database of its own.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import requests
from batch import add_datasets, run

from airflow_provider_scenario.demo.emulator_process import EmulatorProcess
from airflow_provider_scenario.demo.local_airflow import LocalAirflow
from airflow_provider_scenario.demo.postgres import own_database

BOUND = 6.0
SHAPES = {"ours_deferred": "ours, deferred", "usual": "usual: tasks and a poking sensor"}
OF_IMAGES = ("POST /v1/models/{modelId}/training-images", "PUT /v1/assets/{assetId}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.strip().partition("\n")[0])
    parser.add_argument("--loras", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=15, help="how long a training lasts")
    parser.add_argument("--poke-interval", type=float, default=3)
    parser.add_argument("--slots", type=int, default=4, help="tasks that hold a worker at once")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, own_database() as database:
        found = measure(Path(folder), database, options)
    return report(found, options)


def measure(folder: Path, database: str, options: argparse.Namespace) -> dict[str, dict[str, dict[str, float]]]:
    """What the emulator's ledger says of each shape."""
    add_datasets(folder / "datasets", options.loras)
    dags = Path(__file__).parent / "dags"
    with (
        EmulatorProcess(folder / "emulator.log", training_seconds=options.seconds) as emulator,
        LocalAirflow(
            folder / "home",
            dags,
            connections={"scenario_default": emulator.connection},
            env={"BENCHMARK_POKE_INTERVAL": str(options.poke_interval), "PYTHONPATH": str(dags)},
            sql_alchemy_conn=database,
            parallelism=options.slots,
        ) as airflow,
    ):
        switches = emulator.url.removesuffix("/v1") + "/emulator"
        found = {}
        for dag in SHAPES:
            requests.post(f"{switches}/reset", timeout=10).raise_for_status()
            run(airflow, dag, {"tasks": options.loras, "folder": str(folder / "datasets")})
            found[dag] = requests.get(f"{switches}/ledger", timeout=10).json()
    return found


def report(found: dict[str, dict[str, dict[str, float]]], options: argparse.Namespace) -> int:
    print(
        f"{options.loras} LoRAs that train for {options.seconds:g} s, {options.slots} worker slots: "
        "requests a LoRA beside its images"
    )
    totals = {}
    for dag, ledger in found.items():
        asked = {route: count / options.loras for route, count in ledger["requests"].items() if route not in OF_IMAGES}
        totals[dag] = sum(asked.values())
        print(f"  {SHAPES[dag]}: {totals[dag]:.2f}")
        for route, count in asked.items():
            print(f"    {count:6.2f}  {route}")
    print(f"  bound for ours {BOUND:g}")
    done = all(ledger["totals"]["trainings_trained"] == options.loras for ledger in found.values())
    return 0 if done and totals["ours_deferred"] <= BOUND else 1


if __name__ == "__main__":
    sys.exit(main())
