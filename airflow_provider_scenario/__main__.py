"""``python -m airflow_provider_scenario …``: the commands of ``airflow scenario …``, on every minor of Airflow."""

from __future__ import annotations

import argparse

from airflow_provider_scenario.airflow_compat.cli import add_commands
from airflow_provider_scenario.cli.definition import COMMANDS


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m airflow_provider_scenario", description="Train image models on Scenario."
    )
    add_commands(parser, COMMANDS)
    options = parser.parse_args()
    options.func(options)


if __name__ == "__main__":
    main()
