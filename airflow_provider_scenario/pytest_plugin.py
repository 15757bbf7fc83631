"""
A pytest plugin for tests of your DAGs: the fixture ``scenario_emulator``, see ``docs/guides/test_your_dags.md``.

pytest imports this module in every session of every user who has this provider installed. So it imports nothing but
the standard library and pytest until a test uses the fixture.
"""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from airflow_provider_scenario.emulator.testing import ScenarioEmulator

MARKER = "scenario_emulator"
LONGEST_PAUSE = 0.1
"""Seconds between two polls at most, whatever the DAG's ``poke_interval``."""


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker, for ``--strict-markers`` and ``pytest --markers``."""
    config.addinivalue_line(
        "markers",
        f"{MARKER}(**settings): settings of the emulator of Scenario during the test, such as training_seconds=60",
    )


@pytest.fixture(scope="session")
def scenario_emulator_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ScenarioEmulator]:
    """
    An emulator of Scenario and AI Creation Workshop on a free port, for the whole session.

    Use it in fixtures of the scope ``session``, such as one that starts an Airflow. Tests use ``scenario_emulator``.
    """
    from airflow_provider_scenario.emulator.server import running_emulator

    # A new one for each test would take 0.2 seconds more, most of them to stop it.
    folder = tmp_path_factory.mktemp("scenario_files")
    with running_emulator(files_folder=folder, training_seconds=0, listing_seconds=0) as emulator:
        yield emulator


@pytest.fixture
def scenario_emulator(
    scenario_emulator_server: ScenarioEmulator,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
) -> ScenarioEmulator:
    """
    An emulator of Scenario and AI Creation Workshop, new for each test, and the default connections lead to it.

    The connections ``scenario_default`` and ``ai_creation_workshop_default`` are environment variables, so Airflow
    processes that the test starts have them too. Trainings end at once; the marker ``scenario_emulator`` and
    :meth:`.ScenarioEmulator.set` change that. During the test this process cannot reach the real services.
    """
    emulator = scenario_emulator_server
    emulator.reset()
    _empty(emulator.files_folder)
    if settings := _settings(request.node):
        emulator.set(**settings)
    # Not a MonkeyPatch of our own: where a test changes a variable again, the two would restore it in the wrong order.
    monkeypatch.setenv("AIRFLOW_CONN_SCENARIO_DEFAULT", emulator.connection())
    monkeypatch.setenv("AIRFLOW_CONN_AI_CREATION_WORKSHOP_DEFAULT", emulator.workshop_connection())
    _without_proxy(monkeypatch)
    _stay_on_this_machine(monkeypatch)
    _hurry(monkeypatch, tmp_path_factory)
    return emulator


def _empty(folder: Path | None) -> None:
    for entry in folder.iterdir() if folder else ():
        shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()


def _settings(node: pytest.Item) -> dict[str, Any]:
    """Those of all markers: of the module, the class and the test; the closest to the test wins."""
    settings: dict[str, Any] = {}
    for marker in reversed(list(node.iter_markers(MARKER))):
        if marker.args:
            pytest.fail(f"@pytest.mark.{MARKER} takes only keywords, such as training_seconds=60.", pytrace=False)
        settings |= marker.kwargs
    return settings


def _without_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no proxy of the environment get the requests to the emulator. Clients read the lower-case name first."""
    hosts = [value for name in ("no_proxy", "NO_PROXY") if (value := os.environ.get(name))]
    monkeypatch.setenv("no_proxy", ",".join([*hosts, "127.0.0.1"]))


def _stay_on_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A task with another connection, or one from a secrets backend, must fail instead of paying for a training."""
    from airflow_provider_scenario.client import settings

    monkeypatch.setattr(settings, "only_this_machine", True)


def _hurry(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Poll often, and do not wait because of what an earlier test has sent or was throttled for."""
    from airflow_provider_scenario import pacing
    from airflow_provider_scenario.client import budget

    folder = tmp_path_factory.mktemp("scenario_budget")
    monkeypatch.setattr(pacing, "longest_pause", LONGEST_PAUSE)
    monkeypatch.setattr(budget, "_own_folder", lambda: folder)
