"""
Many ``airflow scenario …`` commands in one process: importing Airflow takes four seconds of CPU each time.

``python -m tests.harness.commands`` reads a command a line from stdin, as JSON, and writes what it did.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple
from unittest.mock import patch

from packaging.version import Version

HAS_OWN_COMMANDS = (3, 2)
"""The first minor of Airflow that adds the commands of providers to its own."""


class Ran(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Commands:
    """A process that runs commands."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def run(self, *arguments: str, env: Mapping[str, str] | None = None) -> Ran:
        """
        Run ``airflow scenario`` with these arguments.

        :param env: changes of the environment for this command.
        """
        self._process.stdin.write(json.dumps({"arguments": arguments, "env": dict(env or {})}) + "\n")
        self._process.stdin.flush()
        return Ran(**json.loads(self._process.stdout.readline()))


@contextlib.contextmanager
def commands(env: Mapping[str, str]) -> Iterator[Commands]:
    """Start the process with this environment; end it at the end."""
    command = [sys.executable, "-m", "tests.harness.commands"]
    with subprocess.Popen(command, env=dict(env), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield Commands(process)
        process.stdin.close()


def main() -> None:
    answers = sys.stdout
    for line in sys.stdin:
        given = json.loads(line)
        out, err, code = io.StringIO(), io.StringIO(), 0
        with (
            patch.dict(os.environ, given["env"]),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            try:
                _run(given["arguments"])
            except SystemExit as end:
                code = end.code or 0
        answers.write(json.dumps({"code": code, "out": out.getvalue(), "err": err.getvalue()}) + "\n")
        answers.flush()


def _run(arguments: list[str]) -> None:
    import airflow

    if Version(airflow.__version__).release[:2] >= HAS_OWN_COMMANDS:
        from airflow.__main__ import main as airflow_main

        sys.argv = ["airflow", "scenario", *arguments]
        airflow_main()
    else:
        from airflow_provider_scenario.__main__ import main as own_main

        sys.argv = ["airflow_provider_scenario", *arguments]
        own_main()


if __name__ == "__main__":
    main()
