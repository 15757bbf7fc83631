from __future__ import annotations

import subprocess
import sys

import pytest

from airflow_provider_scenario.client.budget import RequestBudget
from airflow_provider_scenario.client.errors import InvalidInputError, ThrottledError
from airflow_provider_scenario.client.scenario.client import ScenarioClient


class Clock:
    def __init__(self, now=1_800_000_000.0):
        self.now = now

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def budget(tmp_path, clock):
    """One request a second."""
    return RequestBudget(60, "here", folder=tmp_path, clock=clock)


def turns(budget, count):
    return [round(budget.turn(), 6) for _ in range(count)]


def test_polls_are_spread_evenly_and_never_a_burst(budget, clock):
    assert turns(budget, 4) == [0, 1, 2, 3]
    clock.now += 100
    assert turns(budget, 3) == [0, 1, 2]


def test_a_little_work_does_not_hold_polls_up(budget):
    for _ in range(30):
        budget.spend()
    assert budget.turn() == 0


def test_polls_give_way_to_work_that_uses_the_budget_up(budget):
    for _ in range(50):
        budget.spend()
    assert turns(budget, 2) == [20, 21]


def test_however_much_work_there_is_polls_come_within_a_minute(budget):
    for _ in range(10_000):
        budget.spend()
    assert budget.turn() == 60


def test_all_who_name_the_same_scope_share_the_budget(tmp_path, clock, budget):
    other = RequestBudget(60, "here", folder=tmp_path, clock=clock)
    elsewhere = RequestBudget(60, "elsewhere", folder=tmp_path, clock=clock)
    assert [budget.turn(), other.turn(), budget.turn(), elsewhere.turn()] == [0, 1, 2, 0]


def test_after_throttling_polls_pause_and_then_keep_a_wider_distance_that_wears_off(budget, clock):
    budget.throttled(7)
    assert turns(budget, 3) == [7, 9, 11]
    clock.now += 60
    assert turns(budget, 2) == [0, 1]


def test_throttling_that_does_not_say_how_long_is_given_five_seconds(budget):
    budget.throttled(None)
    assert budget.turn() == 5


def test_the_distance_has_a_bound_however_often_the_service_throttles(budget):
    for _ in range(20):
        budget.throttled(1)
    assert turns(budget, 3) == [1, 9, 17]


def test_a_turn_is_never_further_than_ten_minutes_away_even_when_the_clock_was_set_back(budget, clock):
    budget.turn()
    clock.now -= 7 * 24 * 3600
    assert budget.turn() == 600


@pytest.mark.parametrize("per_minute", [0, -1, float("nan"), float("inf")])
def test_a_budget_of_nothing_is_refused(per_minute, tmp_path):
    with pytest.raises(InvalidInputError, match="requests_per_minute must be a number above 0, such as 80, not"):
        RequestBudget(per_minute, "here", folder=tmp_path)


def test_a_file_that_is_a_link_is_not_followed(budget, tmp_path):
    budget.spend()
    (file,) = tmp_path.iterdir()
    file.unlink()
    file.symlink_to(tmp_path / "of another user")
    with pytest.raises(OSError, match="Too many levels of symbolic links"):
        budget.spend()


def test_the_file_tells_neither_key_nor_project(tmp_path):
    RequestBudget(60, "https://host proj_secret api_key", folder=tmp_path).spend()
    (file,) = tmp_path.iterdir()
    assert len(file.name) == 32
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.stat().st_size == 32


def test_many_processes_lose_no_request(tmp_path):
    """A thousandth of a second each: 400 of them are 0.4 s, however they interleave."""
    script = """
import sys
from pathlib import Path
from airflow_provider_scenario.client.budget import RequestBudget
budget = RequestBudget(60_000, "here", folder=Path(sys.argv[1]), clock=lambda: 1_800_000_000.0)
for _ in range(100):
    budget.turn()
"""
    workers = [subprocess.Popen([sys.executable, "-c", script, str(tmp_path)]) for _ in range(4)]
    assert [worker.wait(60) for worker in workers] == [0] * 4
    here = RequestBudget(60_000, "here", folder=tmp_path, clock=lambda: 1_800_000_000.0)
    assert here.turn() == pytest.approx(0.4, abs=0.0005)


def test_a_client_counts_every_try_and_tells_of_throttling(emulator, tmp_path, clock):
    events = []
    budget = RequestBudget(60, "here", folder=tmp_path, observe=events.append, clock=clock)
    emulator.fault(kind="429", route="/**", times=1)
    with ScenarioClient.connect(
        api_key="demo", api_secret="demo", base_url=emulator.url, max_tries=1, budget=budget
    ) as client:
        with pytest.raises(ThrottledError):
            list(client.list_projects())
        list(client.list_projects())
    assert events == ["requests", "throttled", "requests"]
    assert budget.turn() >= 5
