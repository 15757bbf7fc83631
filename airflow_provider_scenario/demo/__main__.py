"""
Train several LoRAs with a real Airflow, on this machine and for nothing.

    python -m airflow_provider_scenario.demo [--dag train_lora_chain] [--home .demo] [--training-seconds 25]

Starts the emulator and Airflow, runs one of the example DAGs, and shows how it goes. In a terminal everything stays up
for a look around until Ctrl-C; elsewhere everything is stopped, and the exit code is 0 only if every model is trained.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import requests
from rich.console import Console

from airflow_provider_scenario.client.errors import ScenarioError
from airflow_provider_scenario.demo.emulator_process import EmulatorProcess
from airflow_provider_scenario.demo.local_airflow import LocalAirflow
from airflow_provider_scenario.demo.processes import ProcessDiedError
from airflow_provider_scenario.demo.progress import Run, Seen
from airflow_provider_scenario.demo.rest import AirflowError
from airflow_provider_scenario.demo.screen import LiveScreen, PlainScreen, result_table

if TYPE_CHECKING:
    from collections.abc import Sequence

EXAMPLES = Path(__file__).resolve().parents[2] / "example_dags"
EXPECTED_TROUBLE = (AirflowError, ProcessDiedError, ScenarioError, requests.RequestException)
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
    log = options.home / "emulator.log"
    emulator = running.enter_context(EmulatorProcess(log, training_seconds=options.training_seconds))
    scenario = running.enter_context(emulator.client())
    airflow = running.enter_context(
        LocalAirflow(options.home / "airflow", options.dags, connections={"scenario_default": emulator.connection})
    )
    console.print(f"Airflow is up after {time.monotonic() - began:.0f} s: {_login(airflow)}")
    run = Run(
        airflow, scenario, options.dag, airflow.trigger(options.dag, run_id=time.strftime("demo-%Y-%m-%d-%H-%M-%S"))
    )
    console.print(f"Run {run.run_id} of {options.dag} has started.\n")
    seen = _watch(run, console, timeout=options.timeout)
    _report(run, seen, console)
    console.print(f"{time.monotonic() - began:.0f} s in all. Airflow: {_login(airflow)}\n")
    if sys.stdout.isatty():
        _stay(console)
    return 0 if seen.succeeded else 1


def _watch(run: Run, console: Console, timeout: float) -> Seen:
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


def _report(run: Run, seen: Seen, console: Console) -> None:
    console.print()
    console.print(result_table(seen))
    for task in seen.failed_tasks:
        tail = "\n".join(run.log_of(task).splitlines()[-40:])
        console.print(f"\nTask {task.label} failed. The end of its log:", style="bold red")
        console.print(tail, markup=False, soft_wrap=True)
    if seen.succeeded:
        console.print("Every model is trained.", style="green", end=" ")
    else:
        console.print(f"The run ended as {seen.state}; not every model is trained.", style="bold red", end=" ")


def _stay(console: Console) -> None:
    console.print("Have a look around: everything stays up until Ctrl-C.")
    try:
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        console.print()


def _login(airflow: LocalAirflow) -> str:
    return f"{airflow.url}  (user {airflow.username}, password {airflow.password})"


def _leave(number: int, _: object) -> None:
    raise SystemExit(128 + number)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "python -m airflow_provider_scenario.demo", description="Train LoRAs, for nothing."
    )
    parser.add_argument("--dag", default="train_lora_chain", help="which DAG to run (default: %(default)s)")
    parser.add_argument("--dags", type=Path, default=EXAMPLES, help="folder of the DAGs (default: the examples)")
    parser.add_argument("--home", type=Path, default=Path(".demo"), help="folder for logs and database (%(default)s)")
    parser.add_argument("--training-seconds", type=float, default=25, help="how long a training lasts (%(default)s)")
    parser.add_argument("--timeout", type=float, default=600, help="seconds that the run may take (%(default)s)")
    options = parser.parse_args(arguments)
    if not options.dags.is_dir():
        parser.error(f"--dags: there is no folder {options.dags}")
    return options


if __name__ == "__main__":
    sys.exit(main())
