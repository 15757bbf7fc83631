"""``python -m airflow_provider_scenario.emulator``: a local Scenario to try DAGs against."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from pathlib import Path
from typing import Any

from airflow_provider_scenario.emulator.callers import Hosts
from airflow_provider_scenario.emulator.server import RunningEmulator, bind, serve
from airflow_provider_scenario.emulator.settings import Settings
from airflow_provider_scenario.emulator.state import State

FILES = Path("~/.cache/scenario-emulator-files")
"""Below the home folder, because another user of this machine could create a known name in ``/tmp`` first."""

DEFAULT = "demo"
"""Default key, secret and token."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m airflow_provider_scenario.emulator", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument(
        "--allowed-host",
        action="append",
        default=[],
        metavar="NAME",
        help="a further host name that clients use for it, such as that of its container; may be repeated",
    )
    parser.add_argument("--port", type=int, default=8321, help="0: any free port (default: %(default)s)")
    parser.add_argument("--training-seconds", type=float, default=5.0, help="how long a training lasts (default: 5)")
    parser.add_argument("--api-key", **_from_environment("API_KEY"))
    parser.add_argument("--api-secret", **_from_environment("API_SECRET"))
    parser.add_argument("--api-token", **_from_environment("API_TOKEN", "of AI Creation Workshop; "))
    parser.add_argument(
        "--files",
        type=Path,
        default=FILES,
        help="folder to serve without credentials under /files, for the workshop to fetch from (default: %(default)s)",
    )
    options = parser.parse_args()
    settings = Settings(training_seconds=options.training_seconds, api_token=options.api_token)
    state = State(settings, options.api_key, options.api_secret, options.files.expanduser())

    def announce(emulator: RunningEmulator) -> None:
        # This line ends up in logs, so it shows the secret only if that is the public default.
        secret = DEFAULT if state.api_secret == DEFAULT else "as given"
        sys.stdout.write(f"Scenario emulator listening on {emulator.url} (key {state.api_key}, secret {secret})\n")
        sys.stdout.flush()

    # uvicorn raises the signal that stopped it again at its end; without handlers the exit code would be a failure.
    for stop in (signal.SIGTERM, signal.SIGINT):
        signal.signal(stop, lambda *_: sys.exit(0))
    try:
        bound = bind(options.host, options.port)
    except OSError as error:
        sys.exit(f"The emulator cannot listen on {options.host}:{options.port}: {error.strerror}")
    hosts = Hosts(bound.getsockname()[0], filter(None, (options.host, *options.allowed_host)))
    if not hosts.only_this_machine:
        sys.stderr.write(
            f"Warning: the emulator listens on {options.host}, so every machine that reaches this one can use it. "
            "Its switches and the folder of --files need no API key.\n"
        )
    try:
        serve(state, bound, hosts, announce)
    except OSError as error:
        sys.exit(f"The emulator cannot serve the folder {options.files}: {error.strerror}")


def _from_environment(name: str, what: str = "") -> dict[str, Any]:
    """An option whose value can come from the environment: other users of this machine can read command lines."""
    variable = f"SCENARIO_EMULATOR_{name}"
    return {
        "default": os.environ.get(variable, DEFAULT),
        "help": f"{what}safer in {variable} (default: demo)",
    }


if __name__ == "__main__":
    main()
