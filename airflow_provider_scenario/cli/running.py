"""Runs a command: errors become one message and an exit code, and Airflow is told to read connections."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING

from airflow_provider_scenario.airflow_compat.cli import prepare_command
from airflow_provider_scenario.airflow_compat.exceptions import AirflowException, AirflowNotFoundException
from airflow_provider_scenario.client.errors import ScenarioError

if TYPE_CHECKING:
    from argparse import Namespace

    from airflow_provider_scenario.client.scenario.client import ScenarioClient

FAILED, WRONG_USAGE, INTERRUPTED = 1, 2, 130


class UsageError(Exception):
    """A wrong argument of the command."""


class CommandError(Exception):
    """The command has failed, and the message says why."""


def command(function: Callable[[Namespace], None]) -> Callable[[Namespace], None]:
    """Wrap the function of a command, so that a user sees a message instead of a traceback."""

    @wraps(function)
    def run(options: Namespace) -> None:
        prepare_command()
        # A process that ends at once would leave temporary models behind.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
        try:
            function(options)
            sys.stdout.flush()
        except UsageError as error:
            end(error, WRONG_USAGE)
        except (ScenarioError, CommandError, AirflowException) as error:
            end(error, FAILED)
        except KeyboardInterrupt:
            end("Interrupted.", INTERRUPTED)
        except BrokenPipeError:  # such as `… | head`
            sys.stderr.close()
            sys.exit(FAILED)

    return run


def end(message: object, code: int) -> None:
    """
    Write a message to stderr and end the process.

    :raises SystemExit: always.
    """
    say(f"Error: {message}")
    sys.exit(code)


def say(message: object) -> None:
    """Write a message to stderr, on which nothing depends that reads the output."""
    sys.stderr.write(f"{printable(str(message))}\n")


def printable(text: str) -> str:
    """
    Replace what a terminal would execute, such as escape sequences, and what reverses the direction of text.

    Line breaks stay.
    """
    return "".join(char if char.isprintable() or char == "\n" else " " for char in text)


def scenario_client(conn_id: str) -> ScenarioClient:
    """
    Make a client of a connection.

    :raises ScenarioError: the connection is missing or wrong.
    """
    from airflow_provider_scenario.hooks.scenario import ScenarioHook

    try:
        return ScenarioHook(conn_id).client
    except AirflowNotFoundException as error:
        raise CommandError(
            f"Connection {conn_id!r} cannot be read: {error} Airflow's database or a secrets backend may be down."
        ) from None
