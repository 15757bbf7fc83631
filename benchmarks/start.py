"""
How long does the start of a LoRA hold a worker slot, compared with a task that only defers?

The start reads the dataset, creates the model, uploads two pictures, checks, quotes, starts the training and defers. A
real Airflow (LocalExecutor, PostgreSQL) and the emulator share this machine's cores. Both kinds run in turn, in several
rounds; the first is not counted. Bound: half a second.

    python benchmarks/start.py [--starts 20] [--rounds 5] [--slots 4]

The supervisor measures the seconds (``duration`` of "Workload finished" in the scheduler's log), from the fork to the
end of the process. Often the supervisor misses that end and holds the slot for ``[workers] min_heartbeat_interval``
longer. Airflow does so for both kinds, so this time is counted and subtracted. With four slots the starts compete for
two cores; ``--slots 1`` measures them alone. CPU time depends far less on other load.

Needs PostgreSQL at 127.0.0.1:5432 with a user ``postgres`` without a password. It creates a database and drops it.
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
"""Seconds that the supervisor holds a slot after an end that it has missed. A start must take less."""

SECONDS = 20
"""Duration of a training or a deferral. The triggerer ends the task, so no second worker start follows."""

DEFERRED = re.compile(r"Workload finished.*?\bduration=([\d.]+).*?\bfinal_state=deferred")
COLOUR = re.compile(r"\x1b\[[\d;]*m")


@dataclass
class Starts:
    """
    :param seconds: duration of each start.
    :param missed: number of starts whose end the supervisor has missed.
    :param cpu: for each round, seconds of CPU per start, by process.
    """

    seconds: list[float] = field(default_factory=list)
    missed: int = 0
    cpu: list[dict[str, float]] = field(default_factory=list)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.strip().partition("\n")[0])
    parser.add_argument("--starts", type=int, default=20, help="starts of each kind in a round")
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
    # All starts of a round at once, without waiting for the request budget.
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
    starts.cpu.append({process: (used[process] - before[process]) / count for process in used})


def durations(log: Path, begin: int) -> list[float]:
    """Durations of starts that ended deferred, from the log after byte ``begin``."""
    with log.open("rb") as file:
        file.seek(begin)
        text = COLOUR.sub("", file.read().decode(errors="replace"))
    return [float(seconds) for seconds in DEFERRED.findall(text)]


def cpu_seconds(airflow: AirflowUnderTest) -> Counter[str]:
    """Seconds of CPU by process. Tasks count once they have ended, as children of their supervisor."""
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
    processes = ("task", "supervisor", "API server")
    heads = "".join(f"{head:>12}" for head in ("seconds", "quartiles", *processes, "end missed"))
    print(f"  {'':<12}{heads}   (CPU in ms)")
    for dag, starts in found.items():
        low, middle, high = statistics.quantiles(starts.seconds, n=4)
        cells = [f"{middle:.2f}", f"{low:.2f}-{high:.2f}"]
        cells += [f"{statistics.median(cpu[each] for cpu in starts.cpu) * 1000:.0f}" for each in processes]
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
