"""The page as the API server serves it: Airflow's own models in a database, its own login, the emulator behind it."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow import settings
from airflow.api_fastapi import app as airflow_app
from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager
from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
from airflow.models import import_all_models
from airflow.models.base import Base
from airflow.models.dag import DagModel
from airflow.models.dagbundle import DagBundleModel
from airflow.models.dagrun import DagRun
from airflow.models.renderedtifields import RenderedTaskInstanceFields
from airflow.models.taskinstance import TaskInstance
from airflow.models.xcom import XComModel
from fastapi import FastAPI
from fastapi.testclient import TestClient
from packaging.version import Version
from sqlalchemy import create_engine, event, insert
from sqlalchemy.orm import scoped_session, sessionmaker

from airflow_provider_scenario.client.scenario.client import ScenarioClient
from airflow_provider_scenario.plugin import lookup, pictures
from airflow_provider_scenario.plugin.app import create_app
from airflow_provider_scenario.provenance import SEALED, Claim, Place
from tests.airflow_versions import AIRFLOW
from tests.witness import Witness  # noqa: TC001 - as other tests have it

LINK = "https://app.scenario.com/models/"
CLOSED = "a_closed_dag"
LIMITS = {"max_active_tasks": 1, "max_consecutive_failed_dag_runs": 0, "has_task_concurrency_limits": False}


class Guarded(SimpleAuthManager):
    """As Airflow's simple one, but only admins may see one of the DAGs."""

    def is_authorized_dag(self, *, method: Any, user: Any, access_entity: Any = None, details: Any = None) -> bool:
        if details and details.id == CLOSED and user.role != "admin":
            return False
        return super().is_authorized_dag(method=method, user=user, access_entity=access_entity, details=details)


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made once: Airflow has many tables."""
    file = tmp_path_factory.mktemp("database") / "airflow.db"
    engine = create_engine(f"sqlite:///{file}")
    import_all_models()
    Base.metadata.create_all(engine)
    engine.dispose()
    return file


@pytest.fixture
def engine(empty_database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    shutil.copy(empty_database, tmp_path / "airflow.db")
    engine = create_engine(f"sqlite:///{tmp_path}/airflow.db")
    maker = sessionmaker(bind=engine, autocommit=False, autoflush=False, expire_on_commit=False)
    monkeypatch.setattr(settings, "engine", engine)
    monkeypatch.setattr(settings, "NonScopedSession", maker)
    monkeypatch.setattr(settings, "Session", scoped_session(maker))
    yield engine
    engine.dispose()


class Database:
    """Puts in what Airflow's other processes would."""

    def __init__(self, engine: Any) -> None:
        self._engine = engine
        self._runs: dict[tuple[str, str], int] = {}
        self._regions: dict[tuple[str, str, str], uuid.UUID] = {}
        self._put(DagBundleModel, name="bundle")
        self.began = datetime.now(UTC) - timedelta(hours=1)

    def _put(self, model: Any, **values: Any) -> None:
        with self._engine.begin() as connection:
            connection.execute(insert(model.__table__).values(**values))

    def _run(self, dag_id: str, run_id: str) -> int:
        if (dag_id, run_id) not in self._runs:
            if dag_id not in {dag for dag, _ in self._runs}:
                self._put(DagModel, dag_id=dag_id, bundle_name="bundle", is_stale=False, **LIMITS)
            self._runs[dag_id, run_id] = len(self._runs) + 1
            self._put(
                DagRun,
                id=self._runs[dag_id, run_id],
                dag_id=dag_id,
                run_id=run_id,
                run_type="manual",
                run_after=self.began,
                start_date=self.began,
                state="running",
            )
        return self._runs[dag_id, run_id]

    def task(
        self,
        dag_id: str = "a_dag",
        run_id: str = "a_run",
        task_id: str = "train",
        map_index: int = -1,
        *,
        operator: str = "ScenarioTrainModelOperator",
        operator_name: str | None = None,
        state: str | None = "deferred",
        fields: dict[str, Any] | None = None,
        iteration: int | None = None,
        before_3_4: bool = False,
        sealed: bool = True,
        **xcoms: Any,
    ) -> dict[str, Any]:
        """
        Put in a task instance with its rendered fields and XComs; returns what leads to it.

        :param operator: the class.
        :param operator_name: its attribute ``custom_operator_name``. Default: the class, as Airflow has it too.
        :param iteration: of a loop, on Airflow 3.4.
        :param sealed: whether a worker has sealed which model is the task's own.
        :param before_3_4: leave fields and XComs where an upgrade to 3.4 leaves those from before.
        """
        run, address = self._run(dag_id, run_id), {"dag_id": dag_id, "run_id": run_id, "task_id": task_id}
        address["map_index"] = map_index
        id_ = TaskInstance.__table__.c.id.type.python_type(str(uuid.uuid4()))  # text below Airflow 3.2
        if isinstance(xcoms.get("model_id"), str):
            if sealed and SEALED not in xcoms:
                claim = Claim(model_id=xcoms["model_id"], job_id=xcoms.get("job_id"), is_ours="Sensor" not in operator)
                place = Place(dag_id, run_id, task_id, map_index, iteration)
                xcoms[SEALED] = claim.sealed(place, "demo")
            xcoms["_link_ScenarioModelLink"] = LINK + xcoms["model_id"]
        self._put(
            TaskInstance,
            id=id_,
            operator=operator,
            custom_operator_name=operator_name or operator,
            state=state,
            try_number=1,
            start_date=self.began if state else None,
            pool="default_pool",
            pool_slots=1,
            **self._place(address, iteration),
            **({"span_status": "not_started"} if Version("3.4") > AIRFLOW else {}),
        )
        if Version("3.4") <= AIRFLOW and not before_3_4:
            self._put_by_task_instance(id_, fields, xcoms)
            return {**address, **self._region(dag_id, run_id, task_id, iteration)}
        rendered_model, xcom_model = RenderedTaskInstanceFields, XComModel
        if before_3_4:
            from airflow.models.renderedtifields import LegacyRenderedTaskInstanceFields as rendered_model
            from airflow.models.taskinstance import LegacyTaskDataOwner
            from airflow.models.xcom import XComModelV1 as xcom_model

            self._put(LegacyTaskDataOwner, task_instance_id=id_, **address)
        if fields:
            self._put(rendered_model, rendered_fields=fields, **address)
        for key, value in xcoms.items():
            self._put(xcom_model, dag_run_id=run, key=key, value=value, timestamp=datetime.now(UTC), **address)
        return address

    def _put_by_task_instance(self, id_: Any, fields: dict[str, Any] | None, xcoms: dict[str, Any]) -> None:
        from airflow.models.xcom import XComModelV2

        if fields:
            self._put(RenderedTaskInstanceFields, id=uuid.uuid4(), task_instance_id=id_, rendered_fields=fields)
        for key, value in xcoms.items():
            values = {"id": uuid.uuid4(), "key": key, "value": value, "timestamp": datetime.now(UTC)}
            self._put(XComModelV2, task_instance_id=id_, **values)

    def _place(self, address: dict[str, Any], iteration: int | None) -> dict[str, Any]:
        if Version("3.4") > AIRFLOW:
            return address
        place = {**address, "region_index": address["map_index"] if iteration is None else iteration}
        del place["map_index"]
        region = self._region(address["dag_id"], address["run_id"], address["task_id"], iteration).get("region_id")
        return {**place, **({"region_id": uuid.UUID(region)} if region else {})}

    def _region(self, dag_id: str, run_id: str, task_id: str, iteration: int | None) -> dict[str, Any]:
        """The loop that the task is in; made at its first use."""
        if iteration is None:
            return {}
        if (dag_id, run_id, task_id) not in self._regions:
            from airflow.models.dynamic_region import DynamicRegion

            id_ = self._regions[dag_id, run_id, task_id] = uuid.uuid4()
            place = {"dag_id": dag_id, "run_id": run_id, "node_id": f"loop of {task_id}"}
            self._put(DynamicRegion, id=id_, family_root_id=id_, path=b"", created_at=self.began, **place)
        return {"region_id": str(self._regions[dag_id, run_id, task_id]), "region_index": iteration}


@pytest.fixture
def database(engine: Any) -> Database:
    return Database(engine)


@contextmanager
def statements(engine: Any) -> Iterator[list[str]]:
    """The SQL that is sent meanwhile."""
    sent: list[str] = []

    def keep(_: Any, __: Any, statement: str, *___: Any) -> None:
        sent.append(statement)

    event.listen(engine, "before_cursor_execute", keep)
    yield sent
    event.remove(engine, "before_cursor_execute", keep)


@pytest.fixture
def log_in(
    engine: Any, emulator: Witness, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Callable[[str | None], TestClient]]:
    """A browser of a user with this role; without a role, of a user who is not logged in."""
    monkeypatch.setenv("AIRFLOW__API_AUTH__JWT_SECRET", "a-secret-for-tests" * 5)
    monkeypatch.setenv("AIRFLOW__API__SECRET_KEY", "another-secret-for-tests")
    monkeypatch.setenv("AIRFLOW__CORE__AUTH_MANAGER", "tests.unit.plugin.conftest.Guarded")
    monkeypatch.setenv("AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE", str(tmp_path / "passwords.json"))
    for module in (lookup, pictures):  # what is shown must not depend on how busy the machine is
        monkeypatch.setattr(module, "PATIENCE", 60.0)
    airflow_app.purge_cached_app()
    airflow_app.init_auth_manager()
    outside = FastAPI()
    outside.mount("/scenario", create_app())

    def log_in(role: str | None = "admin") -> TestClient:
        browser = TestClient(outside, base_url="http://testserver/scenario", follow_redirects=False)
        if role:
            user = SimpleAuthManagerUser(username=f"the {role}", role=role)
            browser.cookies.set("_token", airflow_app.get_auth_manager().generate_jwt(user))
        return browser

    yield log_in
    airflow_app.purge_cached_app()


@pytest.fixture
def admin(log_in: Callable[[str | None], TestClient]) -> TestClient:
    return log_in("admin")


def page_state(browser: TestClient) -> Any:
    """What the page that a browser looks at has in its memory."""
    return browser.app.routes[-1].app.state


@pytest.fixture
def impatient(admin: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page has read its connection, and waits but a moment for Scenario."""
    page_state(admin).lookups["scenario_default"].client()
    monkeypatch.setattr(lookup, "PATIENCE", 0.1)


@pytest.fixture
def scenario(emulator: Witness) -> Iterator[ScenarioClient]:
    with ScenarioClient.connect(
        api_key="demo", api_secret="demo", base_url=emulator.url, project_id="proj_emulator"
    ) as client:
        yield client


@pytest.fixture
def train(scenario: ScenarioClient, datasets: Path, emulator: Witness) -> Callable[..., dict[str, str]]:
    """Let a training of 100 seconds run at the emulator; returns its model id and job id."""
    emulator.set(training_seconds=100)

    def train(
        name: str = "hero", model_type: str = "flux.1-lora", images: int = 2, **parameters: Any
    ) -> dict[str, str]:
        model = scenario.create_model(name=name, type=model_type)
        for file in sorted((datasets / "hero-character").glob("*.jpg"))[:images]:
            scenario.add_training_image(model.id, name=file.name, data=file.read_bytes())
        job = scenario.train(model.id, parameters).job
        return {"model_id": model.id, "job_id": job.job_id}

    return train
