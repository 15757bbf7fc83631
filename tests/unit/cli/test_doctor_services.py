"""The checks of a connection and its service, against the emulator and against small servers."""

from __future__ import annotations

import re

import pytest

from airflow_provider_scenario.cli.doctor.findings import Finding, run_check
from airflow_provider_scenario.cli.doctor.services import scenario_checks, workshop_checks
from tests.harness.services import same_answer
from tests.unit.conftest import connection, workshop_connection

ALL_OK = dict.fromkeys(["connection", "request budget", "service", "credentials", "project", "clock"], "ok")
WORKSHOP_OK = dict.fromkeys(
    [f"workshop {name}" for name in ("connection", "request budget", "service", "credentials", "clock")], "ok"
)
SECRET = "a-secret-of-this-test"


def checked(checks):
    return {finding.check: finding for finding in run_check(checks.names, checks)}


def statuses(findings):
    return {name: finding.status for name, finding in findings.items()}


@pytest.fixture
def connect(monkeypatch, emulator):
    """Set the connection ``scenario_default``; return its findings."""

    def connect(extra=None, **changes):
        extra = {"project_id": "proj_emulator", **(extra or {})}
        value = connection(**{"host": emulator.url, "extra": extra, **changes})
        monkeypatch.setenv("AIRFLOW_CONN_SCENARIO_DEFAULT", value)
        return checked(scenario_checks("scenario_default"))

    return connect


def test_a_healthy_connection(connect):
    found = connect()
    assert statuses(found) == ALL_OK
    assert found["project"].found == "Project 'Emulator project' (proj_emulator)."
    assert all(not finding.advice for finding in found.values())


def test_without_a_project_id_the_project_of_the_key_is_named(connect):
    found = connect(extra={"project_id": None})
    assert statuses(found) == ALL_OK
    assert "proj_emulator" in found["project"].found


def test_nothing_is_created_or_billed(connect, emulator):
    connect()
    assert emulator.requests() == 1
    assert emulator.ledger()["totals"]["models_created"] == 0


def test_a_wrong_secret(connect):
    found = connect(password=SECRET)
    assert statuses(found) == {**ALL_OK, "credentials": "failed", "project": "not checked"}
    assert "login and password of connection 'scenario_default'" in found["credentials"].found
    assert not any(SECRET in finding.found + finding.advice for finding in found.values())


@pytest.mark.parametrize("status", [401, 403])
def test_a_wrong_secret_with_either_status(connect, emulator, status):
    emulator.set(auth_status=status)
    assert connect(password=SECRET, extra={"project_id": None})["credentials"].status == "failed"


def test_a_wrong_project(connect):
    found = connect(extra={"project_id": "proj_other"})
    assert statuses(found) == {**ALL_OK, "project": "failed"}
    assert "no access to the project 'proj_other'" in found["project"].found


def test_a_missing_connection(engine, monkeypatch):
    monkeypatch.setenv("_AIRFLOW_PROCESS_CONTEXT", "server")
    found = checked(scenario_checks("not_there"))
    assert statuses(found) == {**dict.fromkeys(ALL_OK, "not checked"), "connection": "failed"}
    assert found["connection"].found == "Connection 'not_there' does not exist."
    assert "AIRFLOW_CONN_NOT_THERE" in found["connection"].advice


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"login": ""}, "login (API key) is empty"),
        ({"extra": {"timeout": "soon"}}, "extra 'timeout' is 'soon'"),
        ({"extra": {"verify": "/no/such/bundle"}}, "verify is '/no/such/bundle', which does not exist"),
        ({"host": "ftp://example.org"}, "is not a base URL"),
        ({"host": f"https://user:{SECRET}@example.org"}, "The base URL must hold no credentials"),
    ],
)
def test_a_connection_that_is_not_well_formed(connect, changes, said):
    found = connect(**changes)
    assert statuses(found) == {**dict.fromkeys(ALL_OK, "not checked"), "connection": "failed"}
    assert said in found["connection"].found
    assert SECRET not in found["connection"].found


def test_a_service_that_cannot_be_reached(connect):
    found = connect(host="http://127.0.0.1:9/v1")
    nothing = dict.fromkeys(("credentials", "project", "clock"), "not checked")
    assert statuses(found) == {**ALL_OK, "service": "failed", **nothing}
    assert "Check the network" in found["service"].advice


@pytest.mark.parametrize("fault", [{"kind": "status", "status": 503}, {"kind": "garbage", "garbage": "html"}])
def test_a_service_that_fails(connect, emulator, fault):
    emulator.fault(route="/projects/*", **fault)
    found = connect()
    nothing = dict.fromkeys(("credentials", "project"), "not checked")
    assert statuses(found) == {**ALL_OK, "service": "failed", **nothing}


def test_a_service_that_throttles(connect, emulator):
    emulator.fault(kind="429", route="/projects/*", times=None)
    found = connect()
    nothing = dict.fromkeys(("credentials", "project"), "not checked")
    assert statuses(found) == {**ALL_OK, "service": "warning", **nothing}


@pytest.mark.parametrize(
    ("ahead", "said"), [(300, "30. s behind the service's"), (-300, "(299|30.) s ahead of the service's")]
)
def test_a_clock_that_is_wrong(connect, ahead, said):
    with same_answer(clock_ahead=ahead) as url:
        found = connect(host=f"{url}/v1")
    assert statuses(found) == {**ALL_OK, "clock": "failed"}
    assert re.search(said, found["clock"].found)


def test_a_clock_that_is_wrong_is_found_though_the_credentials_are_refused(connect):
    with same_answer(clock_ahead=300, status=403, body={"message": "no"}) as url:
        assert statuses(connect(host=f"{url}/v1")) == {
            **ALL_OK,
            "credentials": "failed",
            "project": "not checked",
            "clock": "failed",
        }


def test_a_few_seconds_do_not_matter(connect):
    with same_answer(clock_ahead=20) as url:
        assert connect(host=f"{url}/v1")["clock"].status == "ok"


def test_the_date_of_a_cached_answer_does_not_count(connect):
    with same_answer(clock_ahead=-3600, headers=[("Age", "3600")]) as url:
        assert connect(host=f"{url}/v1")["clock"].status == "not checked"


@pytest.mark.parametrize(("budget", "status"), [(5, "warning"), (80, "ok"), (100, "ok"), (500, "warning")])
def test_the_request_budget(connect, budget, status):
    assert statuses(connect(extra={"requests_per_minute": budget})) == {**ALL_OK, "request budget": status}


class TestWorkshop:
    def test_a_healthy_connection(self, emulator):
        assert statuses(checked(workshop_checks("ai_creation_workshop_default"))) == WORKSHOP_OK

    @pytest.mark.parametrize("wrong", [{"password": SECRET}, {"extra": {"api_token": SECRET}}])
    def test_wrong_credentials(self, emulator, monkeypatch, wrong):
        value = workshop_connection(host=emulator.root, **wrong)
        monkeypatch.setenv("AIRFLOW_CONN_AI_CREATION_WORKSHOP_DEFAULT", value)
        found = checked(workshop_checks("ai_creation_workshop_default"))
        assert statuses(found) == {**WORKSHOP_OK, "workshop credentials": "failed"}
        assert not any(SECRET in finding.found + finding.advice for finding in found.values())

    def test_a_clock_that_is_wrong(self, emulator):
        emulator.set(gateway_clock_skew=120)
        found = checked(workshop_checks("ai_creation_workshop_default"))
        assert statuses(found) == {**WORKSHOP_OK, "workshop clock": "failed"}

    def test_a_service_that_cannot_be_reached(self, emulator, monkeypatch):
        value = workshop_connection(host="http://127.0.0.1:9")
        monkeypatch.setenv("AIRFLOW_CONN_AI_CREATION_WORKSHOP_DEFAULT", value)
        nothing = dict.fromkeys(("workshop credentials", "workshop clock"), "not checked")
        found = checked(workshop_checks("ai_creation_workshop_default"))
        assert statuses(found) == {**WORKSHOP_OK, "workshop service": "failed", **nothing}


def test_a_check_that_raises_has_failed_and_the_others_are_not_checked():
    def check():
        yield Finding("one", "ok", "")
        raise ZeroDivisionError("a bug")

    found = list(run_check(("one", "two", "three"), check))
    assert [(finding.check, finding.status) for finding in found] == [
        ("one", "ok"),
        ("two", "failed"),
        ("three", "not checked"),
    ]
    assert "ZeroDivisionError: a bug" in found[1].found
