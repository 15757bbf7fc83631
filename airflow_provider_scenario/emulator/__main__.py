"""``python -m airflow_provider_scenario.emulator``: a local Scenario to try DAGs against."""

from __future__ import annotations

import argparse
import signal
import sys

from airflow_provider_scenario.emulator.server import RunningEmulator, serve
from airflow_provider_scenario.emulator.settings import Settings
from airflow_provider_scenario.emulator.state import State


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m airflow_provider_scenario.emulator", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8321, help="0 takes a free one (default: %(default)s)")
    parser.add_argument("--training-seconds", type=float, default=5.0, help="how long a training lasts (default: 5)")
    parser.add_argument("--api-key", default="demo")
    parser.add_argument("--api-secret", default="demo")
    parser.add_argument("--api-token", default="demo", help="of AI Creation Workshop (default: demo)")
    parser.add_argument(
        "--files",
        default=Settings().files_folder,
        help="folder that is served under /files, for the workshop to fetch from (default: %(default)s)",
    )
    options = parser.parse_args()
    settings = Settings(
        training_seconds=options.training_seconds, api_token=options.api_token, files_folder=options.files
    )
    state = State(settings, options.api_key, options.api_secret)

    def announce(emulator: RunningEmulator) -> None:
        key = f"key {state.api_key}, secret {state.api_secret}"
        sys.stdout.write(f"Scenario emulator listening on {emulator.url} ({key})\n")
        sys.stdout.flush()

    # uvicorn raises the signal that stopped it once more when it is done; being stopped is no failure.
    for stop in (signal.SIGTERM, signal.SIGINT):
        signal.signal(stop, lambda *_: sys.exit(0))
    try:
        serve(state, options.host, options.port, announce)
    except OSError as error:
        sys.exit(f"The emulator cannot listen on {options.host}:{options.port}: {error.strerror}")


if __name__ == "__main__":
    main()
