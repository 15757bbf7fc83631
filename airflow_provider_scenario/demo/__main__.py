"""
Train several LoRAs with a real Airflow, on this machine and for nothing.

    python -m airflow_provider_scenario.demo [--dag train_lora_chain train_and_publish] [--training-seconds 25]

Starts the emulator and Airflow, runs example DAGs one after another, and shows how they go. In a terminal everything
stays up for a look around until Ctrl-C; elsewhere everything is stopped, and the exit code is 0 only if every model is
trained and every file that was published is listed.
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
EXPECTED_TROUBLE = (AirflowError, ProcessDiedError, ScenarioError, requests.RequestException)
TRAINING_LINK = re.compile(r'href="(training\?[^"]+)"')
INTERRUPTED = 128 + signal.SIGINT


def main(arguments: Sequence[str] | None = None) -> int:
    options = _options(arguments)
    console = Console(width=None if sys.stdout.isatty() else 120, highlight=False)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job of a shell inherits it ignored
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _leave)
    with ExitStack() as running:
        try:
            return _demo(options, console, running)
        except KeyboardInterrupt:
            return INTERRUPTED
        except EXPECTED_TROUBLE as error:
            console.print(f"\nThe demo could not go on. {error}", style="red", markup=False)
            return 1
        finally:
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, signal.SIG_IGN)  # a second Ctrl-C must not spoil the tidying up
            with suppress(OSError):
                console.print("Stopping everything …")


def _demo(options: argparse.Namespace, console: Console, running: ExitStack) -> int:
    began = time.monotonic()
    console.print("Starting the emulator and Airflow, in about 15 seconds …")
    files = (options.home / "files").resolve()
    shutil.rmtree(files, ignore_errors=True)  # those of an earlier demo
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
    console.print(f"Airflow is up after {time.monotonic() - began:.0f} s: {_login(airflow)}")
    for dag in options.dag:
        since = datetime.now(UTC)
        run_id = airflow.trigger(dag, run_id=time.strftime("demo-%Y-%m-%d-%H-%M-%S"))
        run = Run(airflow, scenario, emulator.synced_models, since, dag, run_id)
        console.print(f"Run {run_id} of {dag} has started. See its trainings with pictures and cost:")
        console.print(_page(airflow, run), soft_wrap=True)
        seen = _watch(run, console, timeout=options.timeout)
        _report(run, seen, console)
        if not seen.succeeded:
            break
        opened = _open_pages(airflow, run)
        console.print(f"Its pages in Airflow open: all trainings, this run, each training ({opened}).\n", style="green")
    console.print(f"{time.monotonic() - began:.0f} s in all. Airflow: {_login(airflow)}\n")
    if sys.stdout.isatty():
        _stay(console)
    return 0 if seen.succeeded else 1


def _watch(run: Run, console: Console, timeout: float) -> RunSnapshot:
    """Show the run until it is over."""
    deadline = time.monotonic() + timeout
    with LiveScreen(console) if sys.stdout.isatty() else PlainScreen(console) as screen:
        while True:
            seen = run.look()
            screen.show(seen)
            if seen.over:
                return seen
            if time.monotonic() > deadline:
                raise AirflowError(f"The run is still {seen.state} after {timeout:g} s.")
            time.sleep(1)


def _open_pages(airflow: LocalAirflow, run: Run) -> int:
    """
    Open the list of all trainings, the run's page, and each page it leads to; return the number of the latter.

    :raises AirflowError: one of them does not answer with 200, or the run's page shows no training.
    """
    airflow.page("/scenario/trainings")
    shown = airflow.page("/scenario/run", dag_id=run.dag_id, run_id=run.run_id)
    links = {unescape(link) for link in TRAINING_LINK.findall(shown)}
    if not links:
        raise AirflowError(f"The page of run {run.run_id} shows no training.")
    for link in links:
        airflow.page(f"/scenario/{link}")
    return len(links)


def _report(run: Run, seen: RunSnapshot, console: Console) -> None:
    console.print()
    console.print(result_table(seen))
    if seen.files:
        console.print(published_table(seen))
    for task in seen.failed_tasks:
        tail = "\n".join(run.log_of(task).splitlines()[-40:])
        console.print(f"\nTask {task.label} failed. The end of its log:", style="bold red")
        console.print(tail, markup=False, soft_wrap=True)
    if seen.succeeded:
        listed = " Every file is listed." if seen.files else ""
        console.print(f"Every model is trained.{listed}\n", style="green")
    else:
        missing = "not every model is trained, or not every file is listed"
        console.print(f"The run ended as {seen.state}; {missing}.\n", style="bold red")


def _stay(console: Console) -> None:
    console.print("Have a look around: everything stays up until Ctrl-C.")
    try:
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        console.print()


def _login(airflow: LocalAirflow) -> str:
    return f"{airflow.url}  (user {airflow.username}, password {airflow.password})"


def _page(airflow: LocalAirflow, run: Run) -> str:
    """Where the run's trainings are in Airflow's UI."""
    return f"{airflow.url}/dags/{quote(run.dag_id)}/runs/{quote(run.run_id)}/plugin/scenario-run\n"


def _leave(number: int, _: object) -> None:
    raise SystemExit(128 + number)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "python -m airflow_provider_scenario.demo", description="Train LoRAs, for nothing."
    )
    parser.add_argument("--dag", nargs="+", default=DAGS, help=f"which DAGs to run (default: {' '.join(DAGS)})")
    parser.add_argument("--dags", type=Path, default=EXAMPLES, help="folder of the DAGs (default: the examples)")
    parser.add_argument("--home", type=Path, default=Path(".demo"), help="folder for logs and database (%(default)s)")
    parser.add_argument("--training-seconds", type=float, default=25, help="how long a training lasts (%(default)s)")
    parser.add_argument("--timeout", type=float, default=600, help="seconds that a run may take (%(default)s)")
    options = parser.parse_args(arguments)
    if not options.dags.is_dir():
        parser.error(f"--dags: there is no folder {options.dags}")
    return options


if __name__ == "__main__":
    sys.exit(main())
