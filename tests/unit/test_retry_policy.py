from __future__ import annotations

from datetime import timedelta

import pytest
from airflow.sdk import BaseOperator, RetryAction

from airflow_provider_scenario.client.errors import (
    AuthenticationError,
    InvalidInputError,
    PlanCeilingError,
    ServiceError,
    ThrottledError,
)
from airflow_provider_scenario.operators.training import ScenarioTrainModelOperator
from airflow_provider_scenario.retry_policy import SCENARIO_RETRY_POLICY, ScenarioRetryPolicy

RUN_AGAIN = getattr(RetryAction, "RESCHEDULE", RetryAction.RETRY)


def decide(error, task=None):
    context = {"task": task} if task else None
    return SCENARIO_RETRY_POLICY.evaluate(error, try_number=1, max_tries=3, context=context)


@pytest.mark.parametrize(
    "error",
    [
        AuthenticationError("no"),
        InvalidInputError("no"),
        PlanCeilingError("no", action="train-model", limit=0, used=0),
        PlanCeilingError("no", action="parallel-training", limit=0, used=0),
    ],
)
def test_what_is_permanent_is_not_tried_again(error):
    decision = decide(error)
    assert decision.action == RetryAction.FAIL
    assert type(error).__name__ in decision.reason


@pytest.mark.parametrize(
    ("error", "pause", "reason"),
    [
        (
            ThrottledError("slow down", retry_after=42.5),
            timedelta(seconds=42.5),
            "Scenario asks to wait 42.5 s.",
        ),
        (ThrottledError("slow down", retry_after=None), None, "Scenario is throttling."),
        (
            PlanCeilingError("full", action="parallel-training", limit=2, used=2),
            None,
            "All training slots of the plan are taken.",
        ),
    ],
)
def test_what_waiting_cures_is_run_again_and_uses_no_retry_where_airflow_can_do_that(error, pause, reason):
    decision = decide(error)
    assert (decision.action, decision.retry_delay, decision.reason) == (RUN_AGAIN, pause, reason)
    assert getattr(decision, "reschedule_timeout", timedelta(hours=12)) == timedelta(hours=12)


@pytest.mark.parametrize("error", [ServiceError("502", maybe_done=False), KeyError("of the author's")])
def test_all_else_is_as_the_task_says(error):
    assert decide(error).action == RetryAction.DEFAULT


def test_a_lost_answer_is_tried_again_only_by_who_looks_first():
    lost = ServiceError("no answer", maybe_done=True)
    assert decide(lost, ScenarioTrainModelOperator(task_id="train", model_id="model_1")).action == RetryAction.DEFAULT
    for task in (BaseOperator(task_id="an_authors_own"), None):
        decision = decide(lost, task)
        assert decision.action == RetryAction.FAIL
        assert "may pay twice" in decision.reason


def test_the_cause_of_another_error_counts():
    error = RuntimeError("my task failed")
    error.__cause__ = ThrottledError("slow down", retry_after=7)
    assert decide(error).retry_delay == timedelta(seconds=7)


def test_the_error_that_was_handled_when_another_one_came_up_counts():
    error = RuntimeError("my clean-up failed")
    error.__context__ = ThrottledError("slow down", retry_after=7)
    assert decide(error).retry_delay == timedelta(seconds=7)


def test_an_error_that_was_dealt_with_does_not():
    error = RuntimeError("my task failed")
    error.__context__, error.__suppress_context__ = AuthenticationError("no"), True
    assert decide(error).action == RetryAction.DEFAULT


def test_errors_that_go_in_circles_are_no_trap():
    first, second = RuntimeError("a"), RuntimeError("b")
    first.__cause__, second.__cause__ = second, first
    assert decide(first).action == RetryAction.DEFAULT


def test_it_comes_back_from_a_serialised_dag():
    policy = ScenarioRetryPolicy(timedelta(minutes=5))
    assert ScenarioRetryPolicy.deserialize(policy.serialize()).reschedule_timeout == timedelta(minutes=5)


def test_no_time_at_all_is_an_error():
    with pytest.raises(ValueError, match="reschedule_timeout is 0:00:00; give a timedelta above 0"):
        ScenarioRetryPolicy(timedelta(0))
