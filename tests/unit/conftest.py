from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import fsspec
import pytest
from moto.server import ThreadedMotoServer
from packaging.version import Version

from airflow_provider_scenario import pacing
from airflow_provider_scenario.emulator.testing import ScenarioEmulator  # noqa: TC001 - as other tests have it
from airflow_provider_scenario.operators.model import ScenarioAddTrainingImagesOperator, ScenarioCreateModelOperator
from airflow_provider_scenario.operators.training import ScenarioTrainModelOperator
from airflow_provider_scenario.watch.cancelling import CancelLimits
from tests.airflow_versions import AIRFLOW, STORES
from tests.harness.task_instance import FakeTaskInstance
from tests.witness import Witness

# What the first imports came with 3.3.
collect_ignore = ["test_retry_policy_below_3_3.py" if Version("3.3") <= AIRFLOW else "test_retry_policy.py"]

DATASETS = Path(__file__).parents[2] / "example_dags" / "datasets"


@pytest.fixture(scope="session")
def files_folder(scenario_emulator_server: ScenarioEmulator) -> Path:
    """What the emulator serves to everybody under ``/files``."""
    assert scenario_emulator_server.files_folder
    return scenario_emulator_server.files_folder


@pytest.fixture(autouse=True)
def _own_budget(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """What one test has used up, or was throttled for, is not taken from the next."""
    folder = tmp_path_factory.mktemp("budget")
    monkeypatch.setattr("airflow_provider_scenario.client.budget._own_folder", lambda: folder)


@pytest.fixture(autouse=True)
def _time_to_cancel(monkeypatch: pytest.MonkeyPatch) -> None:
    """Airflow gives a killed worker five seconds; a test may be kept waiting longer than that for its core."""
    monkeypatch.setattr(
        "airflow_provider_scenario.watch.cancelling.IN_WORKER", CancelLimits(timeout=(30, 30), retry_for=10)
    )


@pytest.fixture
def emulator(scenario_emulator: ScenarioEmulator, monkeypatch: pytest.MonkeyPatch) -> Witness:
    """The plugin's emulator, but trainings and listings take a while, and pauses are those of the code under test."""
    scenario_emulator.set(training_seconds=0.6, listing_seconds=5)
    monkeypatch.setattr(pacing, "longest_pause", math.inf)
    return Witness(scenario_emulator.url)


def connection(**changes: Any) -> str:
    extra = {"project_id": "proj_emulator", "requests_per_minute": 1_000_000}
    fields = {"conn_type": "scenario", "login": "demo", "password": "demo", "extra": extra}
    return json.dumps({**fields, **changes})


def workshop_connection(**changes: Any) -> str:
    extra = {"api_token": "demo", "requests_per_minute": 6000}
    fields = {"conn_type": "ai_creation_workshop", "login": "demo", "password": "demo", "extra": extra}
    return json.dumps({**fields, **changes})


class FakeTaskStateStore:
    """Airflow's: one a task instance, whatever its attempt. On 3.3 it is still there after a clear."""

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


@pytest.fixture(params=STORES)
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


@pytest.fixture(scope="session")
def s3() -> Iterator[Any]:
    """A real S3 protocol server on a free port, and a file system that talks to it."""
    patch = pytest.MonkeyPatch()
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    patch.setenv("AWS_ACCESS_KEY_ID", "key-of-the-tests")
    patch.setenv("AWS_SECRET_ACCESS_KEY", "secret-of-the-tests")
    patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    try:
        yield fsspec.filesystem("s3")
    finally:
        server.stop()
        patch.undo()
        fsspec.get_filesystem_class("s3").clear_instance_cache()


_numbers = itertools.count()


@pytest.fixture
def bucket(s3: Any) -> str:
    name = f"bucket-{next(_numbers)}"
    s3.mkdir(name)
    return name


@pytest.fixture
def train(emulator: Witness, another_task: Callable[..., dict[str, Any]], datasets: Path) -> Callable[..., str]:
    """Train a LoRA and return its id."""
    numbers = itertools.count()

    def train(
        *, name: str = "Ink style", kind: str = "flux.1-lora", description: str | None = None, **parameters: Any
    ) -> str:
        context = {**another_task(run_id=f"run {next(numbers)}"), "task_state_store": None}
        create = ScenarioCreateModelOperator(task_id="create", name=name, type=kind, short_description=description)
        model_id = create.execute(context)
        image = next((datasets / "ink-style").glob("*.jpg"))
        ScenarioAddTrainingImagesOperator(task_id="images", model_id=model_id, images=[image]).execute(context)
        wanted = {"nb_epochs": 3, "sample_prompts": ["a lighthouse"], "concept_prompt": "inkwash", **parameters}
        start = ScenarioTrainModelOperator(
            task_id="train", model_id=model_id, parameters=wanted, wait_for_completion=False
        )
        start.execute(context)
        emulator.advance(900)
        return model_id

    return train
