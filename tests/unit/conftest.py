from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
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
        self.dag_id, self.run_id, self.task_id = "a_dag", "a_run", "a_task"
        self.map_index = -1
        self.try_number, self.max_tries = 1, 0
        self.start_date = datetime.now(UTC)

    def xcom_push(self, key: str, value: Any) -> None:
        self.xcoms[key] = json.loads(json.dumps(value))

    def xcom_pull(self, *, task_ids: str, key: str, map_indexes: int) -> Any:
        return self.xcoms.get(key)


class FakeTaskStateStore:
    """Airflow 3.3's: one a task instance, whatever its try, and still there after a clear."""

    def __init__(self) -> None:
        self.kept: dict[str, str] = {}

    def get(self, key: str, default: Any = None) -> Any:
        return json.loads(self.kept[key]) if key in self.kept else default

    def set(self, key: str, value: Any) -> None:
        self.kept[key] = json.dumps(value)


@pytest.fixture
def context() -> dict[str, Any]:
    now = datetime.now(UTC)
    return {
        "ti": FakeTaskInstance(),
        "dag_run": SimpleNamespace(start_date=now, run_after=now),
        "task_state_store": FakeTaskStateStore(),
    }


@pytest.fixture(params=["task state", "no task state"])
def either_way(request: pytest.FixtureRequest, context: dict[str, Any]) -> str:
    """Once as Airflow 3.3 has it, once as 3.1, which keeps nothing from try to try."""
    if request.param == "no task state":
        del context["task_state_store"]
    return str(request.param)


@pytest.fixture
def another_task(context: dict[str, Any]) -> Callable[..., dict[str, Any]]:
    """The context of another task instance of the same run."""

    def make(**identity: Any) -> dict[str, Any]:
        ti = FakeTaskInstance()
        vars(ti).update({"task_id": "another_task", **identity})
        keeps = {"task_state_store": FakeTaskStateStore()} if "task_state_store" in context else {}
        return {**context, "ti": ti, **keeps}

    return make


@pytest.fixture
def datasets() -> Path:
    return DATASETS
