from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_scenario.emulator.server import running_emulator
from tests.witness import Witness

DATASETS = Path(__file__).parents[2] / "example_dags" / "datasets"


@pytest.fixture(scope="session")
def one_emulator() -> Iterator[Witness]:
    with running_emulator(training_seconds=0.6) as emulator:
        yield Witness(emulator.url)


@pytest.fixture
def emulator(one_emulator: Witness, monkeypatch: pytest.MonkeyPatch) -> Witness:
    """A freshly reset emulator; the connection ``scenario_default`` leads to it."""
    one_emulator.reset()
    one_emulator.set(training_seconds=0.6)
    monkeypatch.setenv("AIRFLOW_CONN_SCENARIO_DEFAULT", connection(host=one_emulator.url))
    return one_emulator


def connection(**changes: Any) -> str:
    fields = {"conn_type": "scenario", "login": "demo", "password": "demo", "extra": {"project_id": "proj_emulator"}}
    return json.dumps({**fields, **changes})


class FakeTaskInstance:
    """As much of a task instance as operators touch."""

    def __init__(self) -> None:
        self.xcoms: dict[str, Any] = {}
        self.map_index = -1
        self.start_date = datetime.now(UTC)

    def xcom_push(self, key: str, value: Any) -> None:
        self.xcoms[key] = json.loads(json.dumps(value))

    def xcom_pull(self, *, task_ids: str, key: str, map_indexes: int) -> Any:
        return self.xcoms.get(key)


@pytest.fixture
def context() -> dict[str, Any]:
    return {"ti": FakeTaskInstance()}


@pytest.fixture
def datasets() -> Path:
    return DATASETS
