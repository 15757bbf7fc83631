"""Airflow's command line: the classes that define commands, and what a command needs before it runs."""

from __future__ import annotations

import logging
import os
import sys
from argparse import ArgumentParser
from collections.abc import Iterable
from typing import Any

from airflow.cli.cli_config import ActionCommand, Arg, GroupCommand, lazy_load_command

__all__ = ["ActionCommand", "Arg", "GroupCommand", "add_commands", "argument", "lazy_load_command", "prepare_command"]

# Relies on these four (3.1), from which each provider's commands are made. Airflow reads ``cli`` of the provider's info
# from 3.2 on. On 3.1 ``python -m airflow_provider_scenario`` has the same commands.


def argument(*flags: str, **options: Any) -> Arg:
    """
    Make an argument of a command.

    :param options: as for ``ArgumentParser.add_argument``.
    """
    return Arg(flags, **options)  # type: ignore[no-untyped-call]


def add_commands(parser: ArgumentParser, commands: Iterable[ActionCommand | GroupCommand]) -> None:
    """
    Add commands to a parser of our own, which sets ``func`` as Airflow's does.

    Relies on the fields of ``ActionCommand`` and ``GroupCommand`` and on ``Arg.add_to_parser`` (3.1).
    """
    subparsers = parser.add_subparsers(metavar="COMMAND", required=True)
    for command in commands:
        sub = subparsers.add_parser(
            command.name,
            help=command.help,
            description=command.description or command.help,
            epilog=command.epilog,
            formatter_class=parser.formatter_class,
        )
        if isinstance(command, GroupCommand):
            add_commands(sub, command.subcommands)
            continue
        for argument in command.args:
            argument.add_to_parser(sub)
        sub.set_defaults(func=command.func)


def prepare_command() -> None:
    """
    Let this process read connections from Airflow's database, and write logs to stderr.

    Relies on ``_AIRFLOW_PROCESS_CONTEXT`` (3.1), which Airflow's own ``connections`` commands set: without it, a
    connection is searched for only in the environment and in secrets backends. Airflow itself moves logs to stderr from
    3.3 on.
    """
    os.environ["_AIRFLOW_PROCESS_CONTEXT"] = "server"
    names = [None, *logging.root.manager.loggerDict]
    for handler in {handler for name in names for handler in logging.getLogger(name).handlers}:
        if isinstance(handler, logging.StreamHandler) and handler.stream is sys.stdout:
            handler.setStream(sys.stderr)
