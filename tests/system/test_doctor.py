"""``airflow scenario doctor`` against a healthy Airflow and against unhealthy ones."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest
from packaging.version import Version

from tests.airflow_versions import AIRFLOW
from tests.harness.airflow import AirflowUnderTest
from tests.harness.commands import Commands, commands
from tests.harness.services import same_answer
from tests.harness.waiting import eventually

pytestmark = pytest.mark.every_minor

HEALTHY = dict.fromkeys(
    [
        "Airflow version",
        "plugin",
        "connection",
        "request budget",
        "service",
        "credentials",
        "project",
        "clock",
        "database",
        "triggerer",
        "pools",
        "page",
    ],
    "ok",
)
NO_REQUEST = dict.fromkeys(["request budget", "service", "credentials", "project", "clock"], "not checked")
NO_ANSWER = dict.fromkeys(["credentials", "project", "clock"], "not checked")
WRONG_SECRET = "wrong-secret-in-no-output"

DAG = """
from airflow.sdk import DAG

from airflow_provider_scenario.operators.training import ScenarioTrainModelOperator

with DAG("trains_in_a_pool", schedule=None):
    ScenarioTrainModelOperator(task_id="train", model_id="model_1", pool="trainings")
"""


@pytest.fixture(scope="module")
def airflow(emulator_process, connection, tmp_path_factory) -> Iterator[AirflowUnderTest]:
    """An Airflow of its own: it needs one DAG only, and loses its triggerer and its API server."""
    folder = tmp_path_factory.mktemp("doctor")
    (folder / "dags").mkdir()
    (folder / "dags" / "trains.py").write_text(DAG)
    extra = {**connection["extra"], "requests_per_minute": 80}
    with AirflowUnderTest(
        folder / "home",
        folder / "dags",
        connections={"scenario_default": {**connection, "extra": extra}},
        config={"dag_processor.min_file_process_interval": "3600"},
    ) as airflow:
        pool = {"name": "trainings", "slots": 5, "include_deferred": True}
        airflow.call("POST", "/pools", json=pool)
        eventually(lambda: airflow.call("GET", "/dags")["total_entries"] == 1, "the DAG is serialized")
        yield airflow


@pytest.fixture(scope="module")
def shell(airflow) -> Iterator[Commands]:
    with commands(airflow.env) as shell:
        yield shell


@pytest.fixture
def doctor(shell, emulator):
    """Run the doctor; return exit code and check → status."""

    def doctor(*arguments, **changes):
        ran = shell.run("doctor", "-o", "json", *arguments, env=changes)
        assert "Traceback" not in ran.err
        assert WRONG_SECRET not in ran.out + ran.err
        return ran.code, {row["check"]: row["status"] for row in ran.json}

    return doctor


@pytest.fixture
def changed(airflow):
    """The connection ``scenario_default`` with changes, as an environment variable."""
    original = json.loads(airflow.env["AIRFLOW_CONN_SCENARIO_DEFAULT"])

    def changed(extra=None, **fields):
        value = {**original, **fields, "extra": {**original["extra"], **(extra or {})}}
        return {"AIRFLOW_CONN_SCENARIO_DEFAULT": json.dumps(value)}

    return changed


def test_healthy_and_as_a_process_of_its_own(airflow, emulator):
    """The table is read by people; the exit code, which ``cli`` checks, by scripts."""
    out = airflow.cli("scenario", "doctor") if Version("3.2") <= AIRFLOW else own_process(airflow, "doctor")
    rows = [[cell.strip() for cell in line.split("|")] for line in out.splitlines()]
    assert {row[0]: row[1] for row in rows if row[0] in HEALTHY} == HEALTHY
    assert "1 alive" in out
    assert "Pool 'trainings' counts deferred tasks (5 slots)." in re.sub(r"\s+", " ", out)


def own_process(airflow, *arguments):
    """Run ``python -m airflow_provider_scenario``, which works on every minor."""
    command = [sys.executable, "-m", "airflow_provider_scenario", *arguments]
    return subprocess.run(command, env=airflow.env, check=True, capture_output=True, text=True, timeout=240).stdout


def test_healthy(doctor):
    assert doctor() == (0, HEALTHY)


def test_wrong_secret(doctor, changed):
    expected = {**HEALTHY, "credentials": "failed", "project": "not checked"}
    assert doctor(**changed(password=WRONG_SECRET)) == (1, expected)


def test_wrong_project(doctor, changed):
    assert doctor(**changed(extra={"project_id": "proj_other"})) == (1, {**HEALTHY, "project": "failed"})


def test_missing_connection(doctor):
    assert doctor("--conn-id", "not_there") == (1, {**HEALTHY, **NO_REQUEST, "connection": "failed"})


def test_malformed_connection(doctor, changed):
    expected = {**HEALTHY, **NO_REQUEST, "connection": "failed"}
    assert doctor(**changed(extra={"timeout": "soon"})) == (1, expected)


def test_service_unreachable(doctor, changed):
    assert doctor(**changed(host="http://127.0.0.1:9/v1")) == (1, {**HEALTHY, **NO_ANSWER, "service": "failed"})


def test_wrong_clock(doctor, changed):
    with same_answer(clock_ahead=300) as url:
        assert doctor(**changed(host=f"{url}/v1")) == (1, {**HEALTHY, "clock": "failed"})


def test_pool_that_does_not_count_deferred_tasks(doctor, airflow):
    change = {"name": "trainings", "slots": 5, "description": "", "include_deferred": False}
    airflow.call("PATCH", "/pools/trainings", json=change)
    try:
        assert doctor() == (1, {**HEALTHY, "pools": "failed"})
    finally:
        airflow.call("PATCH", "/pools/trainings", json={**change, "include_deferred": True})


def test_default_pool_is_a_warning(doctor):
    assert doctor("--pool", "default_pool") == (0, {**HEALTHY, "pools": "warning"})


def test_no_triggerer_and_then_no_page_either(doctor, airflow):
    """Last, because nothing starts them again."""
    stop(airflow, "triggerer")
    assert doctor() == (1, {**HEALTHY, "triggerer": "failed"})
    stop(airflow, "api-server")
    assert doctor() == (1, {**HEALTHY, "triggerer": "failed", "page": "failed"})


def stop(airflow, part):
    process = airflow.parts[part]
    process.kill(signal.SIGTERM)
    eventually(lambda: process.exit_code is not None, f"{part} has ended")
