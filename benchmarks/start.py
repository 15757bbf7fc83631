"""
For how long does a worker start hold its slot: one that trains a LoRA, against one that only defers?

Training means here: read the dataset, create the model, upload two pictures, check, quote, start, defer. A real
Airflow (LocalExecutor, PostgreSQL) and the emulator share this machine's cores. Both kinds in turn, several rounds, in
one run; the first round is not counted. Bound: half a second.

    python benchmarks/start.py [--starts 20] [--rounds 5] [--slots 4]

Seconds are the supervisor's own (``duration`` of "Workload finished" in the scheduler's log), from the fork to the end
of the process. Often the supervisor misses that end and holds the slot for ``[workers] min_heartbeat_interval`` longer;
that is Airflow's and happens to both, so it is counted and taken off. With as many slots as here starts wait for each
other's cores; ``--slots 1`` shows them alone. CPU depends far less on what else the machine does.

Needs PostgreSQL at 127.0.0.1:5432 with a user ``postgres`` without password, and makes and drops a database of its own.
"""

from __future__ import annotations

import argparse
import re
import statistics
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from batch import add_datasets

from airflow_provider_scenario.demo.emulator_process import EmulatorProcess
from tests.harness.airflow import AirflowUnderTest
from tests.harness.postgres import own_database

BOUND_SECONDS = 0.5
HEARTBEAT_INTERVAL = 5
"""Seconds for which the supervisor holds a slot longer when it misses the end; a start must not take that long."""

SECONDS = 20
"""How long a training or a deferral lasts; the triggerer ends both, so that no other worker starts."""

DEFERRED = re.compile(r"Workload finished.*?\bduration=([\d.]+).*?\bfinal_state=deferred")
COLOUR = re.compile(r"\x1b\[[\d;]*m")


@dataclass
class Starts:
    """
    :param seconds: of each start.
    :param missed: of how many the supervisor has missed the end.
    :param cpu: of each round, seconds of CPU of a start, by who has used it.
    """

    seconds: list[float] = field(default_factory=list)
    missed: int = 0
    cpu: list[dict[str, float]] = field(default_factory=list)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.strip().partition("\n")[0])
    parser.add_argument("--starts", type=int, default=20, help="of each kind, in a round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--slots", type=int, default=4, help="worker processes at once")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, own_database() as database:
        return report(measure(Path(folder), database, options), options)


def measure(folder: Path, database: str, options: argparse.Namespace) -> dict[str, Starts]:
    add_datasets(folder / "datasets", options.starts)
    dags = Path(__file__).parent / "dags"
    env = {
        "BENCHMARK_SECONDS": str(SECONDS),
        "BENCHMARK_STARTS": str(options.starts),
        "BENCHMARK_FOLDER": str(folder / "datasets"),
        "PYTHONPATH": f"{Path(__file__).parents[1]}:{dags}",
    }
    # All of a round at once, without a wait for the budget.
    extra = {"project_id": "proj_emulator", "requests_per_minute": 1_000_000}
    with (
        EmulatorProcess(folder / "emulator.log", training_seconds=SECONDS) as emulator,
        AirflowUnderTest(
            folder / "home",
            dags,
            connections={"scenario_default": {**emulator.connection, "extra": extra}},
            config={"workers.min_heartbeat_interval": str(HEARTBEAT_INTERVAL)},
            env=env,
            sql_alchemy_conn=database,
            parallelism=options.slots,
        ) as airflow,
    ):
        found = {"start_defer": Starts(), "start_train": Starts()}
        for number in range(options.rounds + 1):
            for dag, starts in found.items():
                run_round(airflow, dag, options.starts, starts if number else Starts())
    return found


def run_round(airflow: AirflowUnderTest, dag: str, count: int, starts: Starts) -> None:
    log = airflow.home / "parts" / "scheduler.log"
    begin, before = log.stat().st_size, cpu_seconds(airflow)
    airflow.trigger(dag, {})
    deadline = time.monotonic() + 60 * count
    while len(seconds := durations(log, begin)) < count:
        if time.monotonic() > deadline:
            raise SystemExit(f"{dag}: {len(seconds)} of {count} starts are over:\n{airflow.parts['scheduler'].tail()}")
        time.sleep(0.2)
    used = cpu_seconds(airflow)
    starts.seconds += [each - HEARTBEAT_INTERVAL if each >= HEARTBEAT_INTERVAL else each for each in seconds]
    starts.missed += sum(each >= HEARTBEAT_INTERVAL for each in seconds)
    starts.cpu.append({who: (used[who] - before[who]) / count for who in used})


def durations(log: Path, begin: int) -> list[float]:
    """Of the starts that have ended deferred, as the log says since that byte."""
    with log.open("rb") as file:
        file.seek(begin)
        text = COLOUR.sub("", file.read().decode(errors="replace"))
    return [float(seconds) for seconds in DEFERRED.findall(text)]


def cpu_seconds(airflow: AirflowUnderTest) -> Counter[str]:
    """By who has used them; tasks count when they have ended, as children of the worker that supervises them."""
    used: Counter[str] = Counter()
    for worker in psutil.Process(airflow.parts["scheduler"].pid).children():
        times = worker.cpu_times()
        used["supervisor"] += times.user + times.system
        used["task"] += times.children_user + times.children_system
    api_server = psutil.Process(airflow.parts["api-server"].pid)
    for process in [api_server, *api_server.children(recursive=True)]:
        used["API server"] += sum(process.cpu_times()[:2])
    return used


def report(found: dict[str, Starts], options: argparse.Namespace) -> int:
    print(f"{options.rounds} rounds of {options.starts} worker starts of each kind, {options.slots} slots; medians")
    who = ("task", "supervisor", "API server")
    heads = "".join(f"{head:>12}" for head in ("seconds", "quartiles", *who, "end missed"))
    print(f"  {'':<12}{heads}   (CPU in ms)")
    for dag, starts in found.items():
        low, middle, high = statistics.quantiles(starts.seconds, n=4)
        cells = [f"{middle:.2f}", f"{low:.2f}-{high:.2f}"]
        cells += [f"{statistics.median(cpu[each] for cpu in starts.cpu) * 1000:.0f}" for each in who]
        print(f"  {dag:<12}" + "".join(f"{cell:>12}" for cell in (*cells, starts.missed)))
    mine, theirs = (statistics.median(found[dag].seconds) for dag in ("start_train", "start_defer"))
    held = mine <= BOUND_SECONDS
    print(
        f"  training holds a slot for {mine:.2f} s, {mine / theirs:.1f} times as long as deferring alone; "
        f"bound {BOUND_SECONDS:g} s: {'held' if held else 'MISSED'}"
    )
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
