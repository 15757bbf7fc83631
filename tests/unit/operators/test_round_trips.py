"""Each XCom and each question to Airflow is a round trip to its API server: none is made for nothing."""

from __future__ import annotations

from unittest.mock import Mock

import pytest
from packaging.version import Version

from airflow_provider_scenario.airflow_compat.attempt import Attempt
from airflow_provider_scenario.operators.training import ScenarioTrainLoraOperator
from tests.airflow_versions import AIRFLOW, TaskDeferred


@pytest.fixture
def pushed(context, monkeypatch):
    """Key and value of each XCom, as often as it is pushed."""
    ti, found = context["ti"], []
    push = ti.xcom_push
    monkeypatch.setattr(ti, "xcom_push", lambda key, value: (found.append((key, value)), push(key, value)))
    return found


def defer_lora(context, datasets):
    operator = ScenarioTrainLoraOperator(
        task_id="lora", name="a", type="flux.2-dev-lora", images=str(datasets / "ink-style")
    )
    operator.pre_execute(context)
    with pytest.raises(TaskDeferred):
        operator.execute(context)
    return operator


def test_no_xcom_is_pushed_again_that_has_not_changed(emulator, context, datasets, pushed):
    defer_lora(context, datasets)
    assert [each for number, each in enumerate(pushed) if each in pushed[:number]] == []


def test_the_link_is_pushed_anew_by_the_next_attempt(emulator, context, datasets, pushed):
    """Airflow clears the XComs of the attempt before; ``dag.test()`` tries again with the same operator."""
    emulator.set(training_seconds=600)
    operator = defer_lora(context, datasets)
    context["ti"].try_number = 2
    with pytest.raises(TaskDeferred):
        operator.execute(context)
    assert [key for key, _ in pushed].count("_link_ScenarioModelLink") == 2


def test_airflow_is_asked_before_the_spend_whether_the_task_was_ended_and_after_the_deferral_at_the_latest(
    emulator, context, datasets, monkeypatch
):
    """Below 3.2 nothing of ours is called after a refused deferral, so it is asked before."""
    asked = Mock(return_value="running")
    monkeypatch.setattr(Attempt, "state", asked)
    defer_lora(context, datasets)
    assert asked.call_count == (1 if Version("3.2") <= AIRFLOW else 2)
