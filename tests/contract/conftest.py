from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from airflow_provider_scenario.emulator.server import RunningEmulator, running_emulator

if TYPE_CHECKING:
    from collections.abc import Iterator

TRAINING_SECONDS = 1000.0


@pytest.fixture(scope="session")
def emulator_thread() -> Iterator[RunningEmulator]:
    with running_emulator(training_seconds=TRAINING_SECONDS) as emulator:
        yield emulator


@pytest.fixture
def emulator(emulator_thread: RunningEmulator) -> RunningEmulator:
    """A freshly reset emulator whose trainings last 1000 s, which ``switch("advance", seconds=…)`` lets pass."""
    emulator_thread.switch("reset")
    return emulator_thread
