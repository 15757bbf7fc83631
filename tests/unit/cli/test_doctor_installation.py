"""The checks of this Airflow: its database as its own models make it, the API server as a small server."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.jobs.job import Job
from airflow.models.pool import Pool
from airflow.sdk import DAG
from airflow.utils.session import create_session
from packaging.requirements import Requirement
from packaging.version import Version

from airflow_provider_scenario.airflow_compat.installation import _pool_of, _tasks
from airflow_provider_scenario.cli.doctor import installation
from airflow_provider_scenario.cli.doctor.installation import can_train
from airflow_provider_scenario.operators.cost import ScenarioEstimateTrainingCostOperator
from airflow_provider_scenario.operators.model import ScenarioCreateModelOperator
from airflow_provider_scenario.operators.training import ScenarioTrainLoraOperator, ScenarioTrainModelOperator
from airflow_provider_scenario.sensors.training import ScenarioTrainingSensor
from tests.harness.services import same_answer

try:
    from airflow.serialization.serialized_objects import DagSerialization
except ImportError:  # Airflow 3.1
    from airflow.serialization.serialized_objects import SerializedDAG as DagSerialization

ROOT = Path(__file__).parents[3]
POOL = {"slots": 5, "description": ""}


class TestVersion:
    @pytest.mark.parametrize(
        ("version", "status"),
        [
            ("3.1.1", "failed"),
            ("2.11.0", "failed"),
            ("3.1.2", "ok"),
            ("3.4.0b2", "ok"),
            ("3.4.1", "ok"),
            ("3.5.0", "warning"),
        ],
    )
    def test_which_versions_are_supported(self, monkeypatch, version, status):
        monkeypatch.setattr(installation, "airflow_version", lambda: version)
        (finding,) = installation.check_version()
        assert (finding.status, version in finding.found) == (status, True)

    def test_this_one_is(self):
        (finding,) = installation.check_version()
        assert finding.status == "ok"

    def test_the_limits_are_those_of_the_package_and_of_its_tests(self):
        import tomllib

        dependencies = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
        airflow = next(Requirement(each) for each in dependencies if each.startswith("apache-airflow>"))
        assert str(airflow.specifier) == f">={installation.LOWEST}"
        minors = [Version(path.stem.removeprefix("constraints-")) for path in ROOT.glob(".ci/constraints-*.txt")]
        assert max(minors) == Version(installation.NEWEST_TESTED)


class TestPlugin:
    def test_it_is_loaded(self):
        (finding,) = installation.check_plugin()
        assert (finding.check, finding.status) == ("plugin", "ok")

    def test_it_is_not_loaded(self, monkeypatch):
        plugins = installation.loaded_plugins()
        monkeypatch.setattr(
            installation, "loaded_plugins", lambda: type(plugins)(names=frozenset({"another"}), errors={})
        )
        (finding,) = installation.check_plugin()
        assert finding.status == "failed"
        assert "has not loaded the plugin" in finding.found

    def test_it_cannot_be_imported(self, monkeypatch):
        plugins = installation.loaded_plugins()
        errors = {"airflow_provider_scenario.plugin.airflow_plugin": "No module named 'starlette'"}
        monkeypatch.setattr(installation, "loaded_plugins", lambda: type(plugins)(names=frozenset(), errors=errors))
        (finding,) = installation.check_plugin()
        assert finding.status == "failed"
        assert "No module named 'starlette'" in finding.found


def database(*pools):
    return {finding.check: finding for finding in installation.check_database(pools)}


def add_triggerer(*, ago=0.0, state="running"):
    with create_session() as session:
        job = Job(job_type="TriggererJob", state=state)
        job.latest_heartbeat = datetime.now(UTC) - timedelta(seconds=ago)
        job.hostname = "host-1"
        session.add(job)


def add_pool(name, *, include_deferred, slots=5):
    with create_session() as session:
        pool: Any = Pool()
        pool.pool, pool.slots, pool.include_deferred = name, slots, include_deferred
        session.add(pool)


@pytest.mark.usefixtures("engine")
class TestDatabase:
    def test_a_triggerer_that_is_alive(self):
        add_triggerer()
        found = database()
        assert {name: finding.status for name, finding in found.items()} == {
            "database": "ok",
            "triggerer": "ok",
            "pools": "ok",
        }
        assert "1 alive (host-1), with room for 1000 triggers; 0 wait now." in found["triggerer"].found

    def test_none_has_ever_run(self):
        assert database()["triggerer"].status == "failed"
        assert "none has ever run" in database()["triggerer"].found

    @pytest.mark.parametrize("dead", [{"ago": 600}, {"ago": 600, "state": "success"}])
    def test_none_is_alive(self, dead):
        add_triggerer(**dead)
        finding = database()["triggerer"]
        assert finding.status == "failed"
        assert "the last heartbeat was 60" in finding.found

    def test_no_room_is_left(self, monkeypatch):
        add_triggerer()
        from airflow_provider_scenario.airflow_compat.installation import Triggerers

        full = Triggerers(hosts=["a", "b"], last_heartbeat=None, triggers=4, capacity=2)
        monkeypatch.setattr(installation, "triggerers", lambda _: full)
        assert database()["triggerer"].status == "warning"

    @pytest.mark.parametrize(
        ("pool", "status"), [("counts", "ok"), ("misses", "failed"), ("default_pool", "warning"), ("none", "failed")]
    )
    def test_pools(self, pool, status):
        add_pool("counts", include_deferred=True)
        add_pool("misses", include_deferred=False)
        add_pool("default_pool", include_deferred=False)
        finding = database(pool)["pools"]
        assert finding.status == status
        assert repr(pool) in finding.found

    def test_the_worst_pool_decides_and_all_are_named(self):
        add_pool("counts", include_deferred=True)
        add_pool("misses", include_deferred=False, slots=1)
        finding = database("counts", "misses")["pools"]
        assert finding.status == "failed"
        assert "'counts'" in finding.found
        assert "more trainings than its 1 slot run at once" in finding.found
        assert finding.advice == "`airflow pools set misses 1 'trainings' --include-deferred`"


def test_a_database_without_tables(engine):
    from sqlalchemy import text

    with engine.begin() as connection:
        connection.execute(text("DROP TABLE job"))
    found = database()
    assert {name: finding.status for name, finding in found.items()} == {
        "database": "failed",
        "triggerer": "not checked",
        "pools": "not checked",
    }
    assert "no such table: job" in found["database"].found


def test_the_pools_of_serialized_tasks():
    start = datetime(2026, 1, 1, tzinfo=UTC)
    with DAG("d", start_date=start, schedule=None, default_args={"pool": "of_the_dag"}) as dag:
        ScenarioTrainModelOperator(task_id="own", model_id="m", pool="one")
        ScenarioTrainLoraOperator.partial(task_id="mapped", type="flux.1-lora", pool="two").expand(
            name=["a"], images=["b"]
        )
        ScenarioTrainModelOperator(task_id="default", model_id="m", pool="default_pool")
        ScenarioTrainModelOperator(task_id="inherited", model_id="m")
        ScenarioTrainingSensor(task_id="sensor", model_id="m", pool="three")
        ScenarioCreateModelOperator(task_id="create", name="m", type="flux.1-lora", pool="four")
        ScenarioEstimateTrainingCostOperator(task_id="estimate", trainings=[], pool="four")
    tasks = {task["task_id"]: task for task in _tasks(DagSerialization.to_dict(dag))}
    assert {name: _pool_of(task) for name, task in tasks.items() if can_train(task)} == {
        "own": "one",
        "mapped": "two",
        "default": "default_pool",
        "inherited": "of_the_dag",
    }


@pytest.mark.parametrize("data", [None, "text", {}, {"dag": None}, {"dag": {"tasks": 5}}, {"dag": {"tasks": [1, {}]}}])
def test_a_dag_that_cannot_be_read_has_no_tasks(data):
    assert list(_tasks(data)) == []


class TestPage:
    @pytest.mark.parametrize(
        ("status", "content_type", "expected"),
        [
            (401, "text/html", "ok"),
            (403, "text/html", "ok"),
            (302, "text/html", "ok"),
            (200, "image/svg+xml", "ok"),
            (200, "text/html", "failed"),  # the start page of Airflow's UI
            (404, "text/html", "failed"),
            (500, "text/html", "failed"),
        ],
    )
    def test_what_answers(self, monkeypatch, status, content_type, expected):
        with same_answer(status=status, content_type=content_type) as url:
            monkeypatch.setenv("AIRFLOW__API__BASE_URL", f"{url}/below/")
            (finding,) = installation.check_page()
        assert finding.status == expected
        assert f"{url}/below/scenario/trainings" in finding.found

    def test_nothing_answers(self, monkeypatch):
        monkeypatch.setenv("AIRFLOW__API__BASE_URL", "http://127.0.0.1:9")
        (finding,) = installation.check_page()
        assert finding.status == "failed"

    def test_a_guessed_address_is_only_a_warning(self, monkeypatch):
        for option in ("API__BASE_URL", "CORE__EXECUTION_API_SERVER_URL"):
            monkeypatch.delenv(f"AIRFLOW__{option}", raising=False)
        monkeypatch.setenv("AIRFLOW__API__PORT", "9")
        (finding,) = installation.check_page()
        assert finding.status == "warning"
        assert "[api] base_url is not set" in finding.found
