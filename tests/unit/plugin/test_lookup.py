from __future__ import annotations

import json
import os
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from airflow_provider_scenario.plugin.connection import READ_CONNECTION_EVERY
from airflow_provider_scenario.plugin.lookup import ScenarioLookup
from airflow_provider_scenario.plugin.page_requests import AFTER_TROUBLE, POLL_INTERVAL
from tests.harness.waiting import SURELY
from tests.unit.conftest import connection


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def line(emulator, clock):
    with ThreadPoolExecutor(4) as threads:
        yield ScenarioLookup("scenario_default", threads, clock=clock)


@pytest.fixture
def asked(emulator):
    """How many requests a piece of code makes."""

    def asked(action) -> int:
        before = emulator.requests()
        action()
        return emulator.requests() - before

    return asked


def test_many_are_asked_for_together_and_not_again_at_once(line, asked, scenario, clock):
    jobs = {scenario.create_model(name=str(number), type="flux.2-dev-lora").id: None for number in range(120)}
    look = lambda: line.snapshots(jobs, max_wait=SURELY)  # noqa: E731
    assert asked(look) == 3
    assert {sight.name for sight in look().values()} == {str(number) for number in range(120)}
    assert asked(look) == 0
    clock.now += POLL_INTERVAL + 1
    assert asked(look) == 3


def test_the_more_are_watched_the_less_often_they_are_asked_for(line, asked, scenario, clock):
    jobs = dict.fromkeys(f"model_{number}" for number in range(500))
    requests = 0
    for _ in range(60):
        clock.now += 1
        requests += asked(lambda: line.snapshots(jobs, max_wait=SURELY))
    assert 30 <= requests <= 50  # of the 100 a minute that a project has


def test_where_the_connection_allows_less_the_page_asks_less(line, asked, clock, emulator, monkeypatch):
    connection = json.loads(os.environ["AIRFLOW_CONN_SCENARIO_DEFAULT"])
    connection["extra"]["requests_per_minute"] = 20
    monkeypatch.setenv("AIRFLOW_CONN_SCENARIO_DEFAULT", json.dumps(connection))
    jobs = dict.fromkeys(f"model_{number}" for number in range(200))
    look = lambda: line.snapshots(jobs, max_wait=SURELY)  # noqa: E731
    look()  # it learns of the connection
    clock.now += 60
    assert asked(look) == 4
    clock.now += 23
    assert asked(look) == 0  # 4 requests, each 6 seconds of half of 20 a minute
    clock.now += 2
    assert asked(look) == 4


def test_many_open_tasks_share_the_same_budget(line, asked, train, clock, emulator):
    emulator.set(training_seconds=10_000)
    trainings = [train(images=1) for _ in range(10)]
    requests = 0
    for _ in range(60):
        clock.now += 1
        for made in trainings:
            requests += asked(lambda made=made: line.details(made["model_id"], made["job_id"], max_wait=SURELY))
            requests += asked(lambda made=made: line.snapshots({made["model_id"]: made["job_id"]}, max_wait=SURELY))
    assert 30 <= requests <= 100  # each is read at least twice; the first look asks for the score, too


def test_several_viewers_cost_no_more_than_one(line, asked, train):
    made = train()
    viewers = [
        threading.Thread(target=line.snapshots, args=({made["model_id"]: made["job_id"]},), kwargs={"max_wait": SURELY})
        for _ in range(10)
    ]

    def all_look():
        for viewer in viewers:
            viewer.start()
        for viewer in viewers:
            viewer.join()

    assert asked(all_look) == 1


def test_the_end_of_an_earlier_training_of_the_same_model_is_not_the_end(line, asked, train, clock, emulator):
    made = train()
    emulator.advance(200)
    line.snapshots({made["model_id"]: made["job_id"]}, max_wait=SURELY)
    clock.now += POLL_INTERVAL + 1
    assert asked(lambda: line.snapshots({made["model_id"]: made["job_id"]}, max_wait=SURELY)) == 0
    assert asked(lambda: line.snapshots({made["model_id"]: "another_job"}, max_wait=SURELY)) == 1


def test_after_trouble_it_pauses_then_mends_itself(line, asked, train, clock, emulator):
    made = train()
    jobs = {made["model_id"]: made["job_id"]}
    line.snapshots(jobs, max_wait=SURELY)
    emulator.fault(kind="status", status=503, times=None)
    clock.now += POLL_INTERVAL + 1
    sights = line.snapshots(jobs, max_wait=SURELY)
    assert sights[made["model_id"]].at < clock.now
    assert line.trouble.since == clock.now
    clock.now += POLL_INTERVAL + 1
    assert asked(lambda: line.snapshots(jobs, max_wait=SURELY)) == 0
    emulator.clear_faults()
    clock.now += AFTER_TROUBLE
    assert line.snapshots(jobs, max_wait=SURELY)[made["model_id"]].at == clock.now
    assert line.trouble is None


def test_a_slow_service_holds_nobody_up(line, train, emulator):
    made = train()
    emulator.fault(kind="slow", seconds=3, times=None)
    assert line.snapshots({made["model_id"]: None}, max_wait=0.05) == {}
    assert line.is_polling


def test_another_key_is_picked_up_and_what_the_old_one_saw_forgotten(line, train, emulator, clock, monkeypatch):
    made = train()
    jobs = {made["model_id"]: made["job_id"]}
    line.snapshots(jobs, max_wait=SURELY)
    monkeypatch.setenv("AIRFLOW_CONN_SCENARIO_DEFAULT", connection(host=emulator.url, password="wrong-secret"))
    clock.now += READ_CONNECTION_EVERY + 1
    assert line.snapshots(jobs, max_wait=SURELY) == {}
    assert "refused" in line.trouble.text or "credentials" in line.trouble.text
    assert "wrong-secret" not in line.trouble.text


def test_a_model_that_is_gone_is_told_apart_from_one_that_was_not_asked_for(line, train, scenario):
    made = train()
    scenario.delete_model(made["model_id"])
    assert line.snapshots({made["model_id"]: None}, max_wait=SURELY)[made["model_id"]].status is None
    assert line.details(made["model_id"], None, max_wait=SURELY) is None
    assert line.trouble is None
