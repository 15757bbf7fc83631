from __future__ import annotations

import time
from types import SimpleNamespace

import pytest
from airflow.triggers.base import BaseTrigger, TaskSuccessEvent, TriggerEvent
from packaging.version import Version

from airflow_provider_scenario.airflow_compat import triggers
from airflow_provider_scenario.airflow_compat.triggers import (
    has_on_kill,
    on_kill_is_certain,
    success_event,
    wait_until_worker_has_gone,
)
from tests.airflow_versions import AIRFLOW


def test_a_triggerer_tells_of_a_kill_from_3_3_on():
    assert has_on_kill() == (Version("3.3") <= AIRFLOW)
    assert has_on_kill() == hasattr(BaseTrigger, "on_kill")


def test_it_tells_nothing_else_from_3_4_on():
    import airflow.jobs.triggerer_job_runner  # noqa: F401  as in a triggerer

    assert on_kill_is_certain() == (Version("3.4") <= AIRFLOW)


def test_the_event_that_ends_a_task_carries_what_dag_test_resumes_it_with():
    end = success_event(TriggerEvent({"outcome": "trained"}))
    assert isinstance(end, TaskSuccessEvent)
    assert end.payload == {"outcome": "trained"}
    assert str(end.task_instance_state) == "success"


class TestHold:
    @pytest.fixture(autouse=True)
    def quick(self, monkeypatch):
        monkeypatch.setattr(triggers, "MARGIN", 0.1)
        monkeypatch.setenv("AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL", "0.2")

    async def took(self, deferred_at, task_instance="a task"):
        began = time.monotonic()
        await wait_until_worker_has_gone(SimpleNamespace(task_instance=task_instance), deferred_at)
        return time.monotonic() - began

    async def test_an_event_right_after_the_deferral_is_held_back(self):
        assert 0.2 < await self.took(time.time()) < 5

    async def test_one_that_comes_later_is_not(self):
        assert await self.took(time.time() - 1) < 0.1

    async def test_nor_is_one_of_which_nobody_knows_when_it_was_deferred(self):
        assert await self.took(None) < 0.1

    async def test_nor_is_one_in_dag_test(self):
        assert await self.took(time.time(), task_instance=None) < 0.1
