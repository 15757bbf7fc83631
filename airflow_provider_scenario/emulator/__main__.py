"""``python -m airflow_provider_scenario.emulator``: a local Scenario to try DAGs against."""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path

from airflow_provider_scenario.emulator.callers import Hosts
from airflow_provider_scenario.emulator.options import DEFAULT, options
from airflow_provider_scenario.emulator.server import RunningEmulator, bind, serve
from airflow_provider_scenario.emulator.settings import Settings
from airflow_provider_scenario.emulator.state import State


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m airflow_provider_scenario.emulator", description=__doc__)
    for flag, option in options().items():
        parser.add_argument(flag, **option)
    run(parser.parse_args())


def run(given: argparse.Namespace) -> None:
    """
    Serve until a signal comes.

    :param given: the values of :func:`.options.options`.
    """
    settings = Settings(training_seconds=given.training_seconds, api_token=given.api_token)
    state = State(settings, given.api_key, given.api_secret, Path(given.files).expanduser())

    def announce(emulator: RunningEmulator) -> None:
        # This line ends up in logs, so it shows the secret only if that is the public default.
        secret = DEFAULT if state.api_secret == DEFAULT else "as given"
        sys.stdout.write(f"Scenario emulator listening on {emulator.url} (key {state.api_key}, secret {secret})\n")
        sys.stdout.flush()

    # uvicorn raises the signal that stopped it again at its end; without handlers the exit code would be a failure.
    for stop in (signal.SIGTERM, signal.SIGINT):
        signal.signal(stop, lambda *_: sys.exit(0))
    try:
        bound = bind(given.host, given.port)
    except OSError as error:
        sys.exit(f"The emulator cannot listen on {given.host}:{given.port}: {error.strerror}")
    hosts = Hosts(bound.getsockname()[0], filter(None, (given.host, *given.allowed_host)))
    if not hosts.only_this_machine:
        sys.stderr.write(
            f"Warning: the emulator listens on {given.host}, so every machine that reaches this one can use it. "
            "Its switches and the folder of --files need no API key.\n"
        )
    try:
        serve(state, bound, hosts, announce)
    except OSError as error:
        sys.exit(f"The emulator cannot serve the folder {given.files}: {error.strerror}")


if __name__ == "__main__":
    main()
