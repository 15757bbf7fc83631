from __future__ import annotations

import time
import uuid
from types import SimpleNamespace

import pytest
from airflow.sdk.execution_time import comms

from airflow_provider_scenario.airflow_compat.attempt import Attempt, call_with_timeout, is_ended, is_task_timeout
from airflow_provider_scenario.airflow_compat.exceptions import AirflowTaskTimeout

IDENTITY = {"dag_id": "a_dag", "run_id": "a_run", "task_id": "a_task"}
REGION = uuid.uuid4()


def attempt(**changes):
    return Attempt(**{**IDENTITY, **changes})


def states(**found):
    return comms.TaskStatesResult(task_states={"a_run": found})


class TestIdentity:
    def test_a_plain_task_is_in_no_loop_and_no_region(self, context):
        assert Attempt.of_context(context) == attempt(try_number=1, max_tries=0)

    def test_a_task_without_regions_is_one_of_an_older_airflow(self, context):
        del context["ti"].region_id
        assert Attempt.of_context(context) == attempt()

    def test_a_mapped_task_in_a_loop_has_an_index_a_pass_and_a_region(self, context):
        context["ti"].map_index, context["ti"].region_id = 3, REGION
        context["loop"] = SimpleNamespace(index=2)
        assert Attempt.of_context(context) == attempt(map_index=3, iteration=2, region_id=str(REGION))

    def test_a_trigger_knows_its_task(self):
        trigger = SimpleNamespace(task_instance=SimpleNamespace(**IDENTITY, map_index=None))
        assert Attempt.of_trigger(trigger) == attempt()

    def test_a_trigger_without_a_task_says_so(self):
        with pytest.raises(LookupError):
            Attempt.of_trigger(SimpleNamespace(task_instance=None))


@pytest.mark.parametrize(
    ("try_number", "max_tries", "retries", "is_retry"),
    [
        (1, 2, 2, False),
        (2, 2, 2, True),
        (3, 2, 2, True),
        (4, 5, 2, False),  # cleared after three attempts
        (5, 5, 2, True),
        (1, 0, None, False),
        (2, 1, 0, False),  # cleared, without retries
    ],
)
def test_a_retry_is_told_from_a_clear(try_number, max_tries, retries, is_retry):
    assert attempt(try_number=try_number, max_tries=max_tries).is_retry(retries) is is_retry


class TestState:
    def test_outside_of_airflow_nobody_can_be_asked(self):
        with pytest.raises(LookupError):
            attempt().state()

    @pytest.mark.parametrize("state", ["running", "deferred", "failed", None])
    def test_it_is_what_airflow_says(self, supervisor, state):
        asked = supervisor(GetTaskStates=states(a_task=state))
        assert attempt().state() == state
        (question,) = asked.received
        assert (question.dag_id, question.run_ids, question.task_ids, question.map_index) == (
            "a_dag",
            ["a_run"],
            ["a_task"],
            None,
        )

    def test_a_mapped_task_is_asked_for_by_its_index(self, supervisor):
        asked = supervisor(GetTaskStates=states(a_task_4="running"))
        assert attempt(map_index=4).state() == "running"
        assert asked.received[0].map_index == 4

    def test_a_task_that_airflow_does_not_know_has_none(self, supervisor):
        supervisor(GetTaskStates=comms.TaskStatesResult(task_states={}))
        assert attempt().state() is None


@pytest.mark.since("3.4")
class TestStateInALoop:
    """Airflow tells the state of the latest pass; an earlier one may have been cleared on its own."""

    def state(self, supervisor, *finished, latest):
        rows = comms.TaskBreadcrumbsResult(breadcrumbs=finished)
        supervisor(GetTaskBreadcrumbs=rows, GetTaskStates=states(a_task=latest))
        return attempt(iteration=0, region_id=str(REGION)).state()

    @staticmethod
    def row(state, iteration, region=REGION):
        return {
            "task_id": "a_task",
            "map_index": -1,
            "state": state,
            "operator": "x",
            "duration": 1.0,
            "region_id": str(region),
            "region_index": iteration,
        }

    def test_a_pass_that_is_over_is_found_among_the_finished(self, supervisor):
        assert self.state(supervisor, self.row("failed", 0), latest="running") == "failed"

    def test_the_end_of_another_pass_is_not_ours(self, supervisor):
        assert self.state(supervisor, self.row("success", 1), latest="success") == "running"

    def test_nor_is_that_of_a_pass_that_a_clear_has_replaced(self, supervisor):
        assert self.state(supervisor, self.row("success", 0, uuid.uuid4()), latest="running") == "running"

    @pytest.mark.parametrize("latest", ["running", "deferred", "restarting", None])
    def test_a_pass_that_is_not_over_has_the_state_that_airflow_tells(self, supervisor, latest):
        assert self.state(supervisor, latest=latest) == latest


@pytest.mark.parametrize("state", ["running", "deferred", "queued", "scheduled", "up_for_retry", "up_for_reschedule"])
def test_a_task_that_goes_on_is_not_ended(state):
    assert not is_ended(state)


@pytest.mark.parametrize("state", ["failed", "success", "skipped", "removed", "restarting", None])
def test_a_task_that_somebody_has_ended_is(state):
    assert is_ended(state)


def test_a_time_limit_is_told_by_the_exception_that_is_being_handled():
    assert not is_task_timeout()
    try:
        raise AirflowTaskTimeout
    except AirflowTaskTimeout:
        assert is_task_timeout()


class TestInTime:
    def test_an_answer_is_passed_on(self):
        assert call_with_timeout(lambda: 7, 1) == 7

    def test_so_is_a_problem(self):
        with pytest.raises(ZeroDivisionError):
            call_with_timeout(lambda: 1 / 0, 1)

    def test_a_question_that_hangs_is_given_up(self):
        with pytest.raises(TimeoutError, match=r"no answer within 0\.05 s"):
            call_with_timeout(lambda: time.sleep(2), 0.05)
