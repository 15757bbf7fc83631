"""Commands in this process, as Airflow calls them: parsed by argparse, with what they print."""

from __future__ import annotations

import argparse
import logging
import signal
from collections.abc import Callable, Iterator

import pytest

from airflow_provider_scenario.airflow_compat.cli import add_commands
from airflow_provider_scenario.cli.definition import COMMANDS
from tests.harness.commands import Ran
from tests.unit.plugin.conftest import empty_database, engine

__all__ = ["empty_database", "engine"]


@pytest.fixture(autouse=True)
def _as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Undo what a command changes in its process."""
    monkeypatch.setenv("_AIRFLOW_PROCESS_CONTEXT", "")
    monkeypatch.delenv("_AIRFLOW_PROCESS_CONTEXT")
    before = signal.getsignal(signal.SIGTERM)
    loggers = [logging.getLogger(name) for name in (None, *logging.root.manager.loggerDict)]
    handlers = {handler for logger in loggers for handler in logger.handlers}
    streams = {handler: handler.stream for handler in handlers if isinstance(handler, logging.StreamHandler)}
    yield
    signal.signal(signal.SIGTERM, before)
    for handler, stream in streams.items():
        handler.setStream(stream)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    """Run a command with these arguments."""

    def run(*arguments: str) -> Ran:
        parser = argparse.ArgumentParser(prog="test")
        add_commands(parser, COMMANDS)
        capsys.readouterr()
        code = 0
        try:
            options = parser.parse_args(arguments)
            options.func(options)
        except SystemExit as end:
            code = end.code or 0
        return Ran(code, *capsys.readouterr())

    return run
