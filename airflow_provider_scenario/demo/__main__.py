"""
Train several LoRAs with a real Airflow, on this machine and without costs.

    python -m airflow_provider_scenario.demo [--dag train_lora_chain train_and_publish] [--training-seconds 25]

Starts the emulator and Airflow, runs example DAGs one after another, and shows their progress. In a terminal everything
keeps running until Ctrl-C; elsewhere everything is stopped at the end, and the exit code is 0 only if every model is
trained and every published file is listed.
"""

from __future__ import annotations

import argparse
import re
import shutil
import signal
import sys
import time
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from html import unescape
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import requests
from rich.console import Console

from airflow_provider_scenario.client.errors import ScenarioError
from airflow_provider_scenario.demo.emulator_process import EmulatorProcess
from airflow_provider_scenario.demo.local_airflow import LocalAirflow
from airflow_provider_scenario.demo.processes import ProcessDiedError
from airflow_provider_scenario.demo.progress import Run, RunSnapshot
from airflow_provider_scenario.demo.rest import AirflowError
from airflow_provider_scenario.demo.screen import LiveScreen, PlainScreen, published_table, result_table

if TYPE_CHECKING:
    from collections.abc import Sequence

DAGS = ("train_lora_chain", "train_and_publish")
EXAMPLES = Path(__file__).resolve().parents[2] / "example_dags"
EXPECTED_ERRORS = (AirflowError, ProcessDiedError, ScenarioError, requests.RequestException)
TRAINING_LINK = re.compile(r'href="(training\?[^"]+)"')
INTERRUPTED = 128 + signal.SIGINT


def main(arguments: Sequence[str] | None = None) -> int:
    options = _options(arguments)
    console = Console(width=None if sys.stdout.isatty() else 120, highlight=False)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell starts background jobs with SIGINT ignored
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _exit)
    with ExitStack() as running:
        try:
            return _demo(options, console, running)
        except KeyboardInterrupt:
            return INTERRUPTED
        except EXPECTED_ERRORS as error:
            console.print(f"\nThe demo stops because of an error. {error}", style="red", markup=False)
            return 1
        finally:
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, signal.SIG_IGN)  # a second Ctrl-C must not interrupt the clean-up
            with suppress(OSError):
                console.print("Stopping everything …")


def _demo(options: argparse.Namespace, console: Console, running: ExitStack) -> int:
    started = time.monotonic()
    console.print("Starting the emulator and Airflow, in about 15 seconds …")
    files = (options.home / "files").resolve()
    shutil.rmtree(files, ignore_errors=True)  # of an earlier demo
    emulator = running.enter_context(
        EmulatorProcess(options.home / "emulator.log", training_seconds=options.training_seconds, files=files)
    )
    scenario = running.enter_context(emulator.client())
    airflow = running.enter_context(
        LocalAirflow(
            options.home / "airflow",
            options.dags,
            connections={
                "scenario_default": emulator.connection,
                "ai_creation_workshop_default": emulator.workshop_connection,
            },
            env={"LORA_STORAGE": str(files), "LORA_PUBLIC_URL": f"{emulator.root}/files"},
        )
    )
    console.print(f"Airflow runs after {time.monotonic() - started:.0f} s: {_login(airflow)}")
    for dag in options.dag:
        since = datetime.now(UTC)
        run_id = airflow.trigger(dag, run_id=time.strftime("demo-%Y-%m-%d-%H-%M-%S"))
        run = Run(airflow, scenario, emulator.synced_models, since, dag, run_id)
        console.print(f"Run {run_id} of {dag} has started. This page shows its trainings with pictures and cost:")
        console.print(_page(airflow, run), soft_wrap=True)
        snapshot = _watch(run, console, timeout=options.timeout)
        _report(run, snapshot, console)
        if not snapshot.succeeded:
            break
        opened = _open_pages(airflow, run)
        console.print(f"Its pages in Airflow open: all trainings, this run, each training ({opened}).\n", style="green")
    console.print(f"{time.monotonic() - started:.0f} s in all. Airflow: {_login(airflow)}\n")
    if sys.stdout.isatty():
        _stay(console)
    return 0 if snapshot.succeeded else 1


def _watch(run: Run, console: Console, timeout: float) -> RunSnapshot:
    """Show the run until it has ended."""
    deadline = time.monotonic() + timeout
    with LiveScreen(console) if sys.stdout.isatty() else PlainScreen(console) as screen:
        while True:
            snapshot = run.snapshot()
            screen.show(snapshot)
            if snapshot.has_ended:
                return snapshot
            if time.monotonic() > deadline:
                raise AirflowError(f"The run is still {snapshot.state} after {timeout:g} s.")
            time.sleep(1)


def _open_pages(airflow: LocalAirflow, run: Run) -> int:
    """
    Open the list of all trainings, the run's page, and the page of each of its trainings; return their number.

    :raises AirflowError: a page cannot be opened, or the run's page shows no training.
    """
    airflow.page("/scenario/trainings")
    page = airflow.page("/scenario/run", dag_id=run.dag_id, run_id=run.run_id)
    links = {unescape(link) for link in TRAINING_LINK.findall(page)}
    if not links:
        raise AirflowError(f"The page of run {run.run_id} shows no training.")
    for link in links:
        airflow.page(f"/scenario/{link}")
    return len(links)


def _report(run: Run, snapshot: RunSnapshot, console: Console) -> None:
    console.print()
    console.print(result_table(snapshot))
    if snapshot.files:
        console.print(published_table(snapshot))
    for task in snapshot.failed_tasks:
        tail = "\n".join(run.log_of(task).splitlines()[-40:])
        console.print(f"\nTask {task.label} failed. The end of its log:", style="bold red")
        console.print(tail, markup=False, soft_wrap=True)
    if snapshot.succeeded:
        listed = " Every file is listed." if snapshot.files else ""
        console.print(f"Every model is trained.{listed}\n", style="green")
    else:
        missing = "not every model is trained, or not every file is listed"
        console.print(f"The run ended as {snapshot.state}; {missing}.\n", style="bold red")


def _stay(console: Console) -> None:
    console.print("Airflow and the emulator keep running until Ctrl-C.")
    try:
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        console.print()


def _login(airflow: LocalAirflow) -> str:
    return f"{airflow.url}  (user {airflow.username}, password {airflow.password})"


def _page(airflow: LocalAirflow, run: Run) -> str:
    """The address of the run's trainings in Airflow's UI."""
    return f"{airflow.url}/dags/{quote(run.dag_id)}/runs/{quote(run.run_id)}/plugin/scenario-run\n"


def _exit(number: int, _: object) -> None:
    raise SystemExit(128 + number)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "python -m airflow_provider_scenario.demo", description="Train LoRAs without costs."
    )
    parser.add_argument("--dag", nargs="+", default=DAGS, help=f"which DAGs to run (default: {' '.join(DAGS)})")
    parser.add_argument("--dags", type=Path, default=EXAMPLES, help="folder of the DAGs (default: the examples)")
    parser.add_argument("--home", type=Path, default=Path(".demo"), help="folder for logs and database (%(default)s)")
    parser.add_argument("--training-seconds", type=float, default=25, help="how long a training lasts (%(default)s)")
    parser.add_argument(
        "--timeout", type=float, default=600, help="the longest duration of a run, in seconds (%(default)s)"
    )
    options = parser.parse_args(arguments)
    if not options.dags.is_dir():
        parser.error(f"--dags: {options.dags} is not a folder")
    return options


if __name__ == "__main__":
    sys.exit(main())
