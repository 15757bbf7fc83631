from __future__ import annotations

from types import SimpleNamespace

import pytest
from airflow.triggers.base import BaseTrigger, TaskSuccessEvent, TriggerEvent
from packaging.version import Version

from airflow_provider_scenario.airflow_compat import triggers
from airflow_provider_scenario.airflow_compat.triggers import (
    on_kill_means_task_ended,
    success_event,
    triggers_have_on_kill,
    wait_for_worker_exit,
)
from tests.airflow_versions import AIRFLOW


def test_a_triggerer_tells_of_a_kill_from_3_3_on():
    assert triggers_have_on_kill() == (Version("3.3") <= AIRFLOW)
    assert triggers_have_on_kill() == hasattr(BaseTrigger, "on_kill")


def test_it_tells_nothing_else_from_3_4_on():
    import airflow.jobs.triggerer_job_runner  # noqa: F401  as in a triggerer

    assert on_kill_means_task_ended() == (Version("3.4") <= AIRFLOW)


def test_the_event_that_ends_a_task_carries_what_dag_test_resumes_it_with():
    end = success_event(TriggerEvent({"outcome": "trained"}))
    assert isinstance(end, TaskSuccessEvent)
    assert end.payload == {"outcome": "trained"}
    assert str(end.task_instance_state) == "success"


class TestHold:
    @pytest.fixture(autouse=True)
    def quick(self, monkeypatch):
        monkeypatch.setattr(triggers, "REPORT_MARGIN", 0.1)
        monkeypatch.setenv("AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL", "0.2")

    @pytest.fixture
    def held(self, monkeypatch):
        """For how long an event is held back, with the clock at 1000."""
        pauses = []

        async def sleep(seconds):
            pauses.append(seconds)

        async def wait(deferred_at, task_instance="a task"):
            await wait_for_worker_exit(SimpleNamespace(task_instance=task_instance), deferred_at)
            return sum(pauses)

        monkeypatch.setattr(triggers, "asyncio", SimpleNamespace(sleep=sleep))
        monkeypatch.setattr(triggers, "time", SimpleNamespace(time=lambda: 1000.0))
        return wait

    async def test_an_event_right_after_the_deferral_is_held_back(self, held):
        assert await held(1000.0) == pytest.approx(0.3)

    async def test_one_that_comes_later_is_not(self, held):
        assert await held(999.0) == 0

    async def test_nor_is_one_of_which_nobody_knows_when_it_was_deferred(self, held):
        assert await held(None) == 0

    async def test_nor_is_one_in_dag_test(self, held):
        assert await held(1000.0, task_instance=None) == 0
