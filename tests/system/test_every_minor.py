"""
Tests for every minor of Airflow: a run, the pages, retry, clear and kill, and loops (3.4).

If a test clears in one way only, it is the harder one: retrain with kept task state, reattach without it.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

import pytest
from packaging.version import Version

from airflow_provider_scenario.demo.rest import AirflowError
from tests.airflow_versions import AIRFLOW, KEEP_TASK_STATE
from tests.harness.waiting import eventually
from tests.system.loops import Loop

pytestmark = pytest.mark.every_minor

PAGES = ("trainings", "run", "training")
OPERATORS = pytest.mark.parametrize("operator", ["lora", "model"])


def test_a_run_returns_its_result_and_all_three_pages_show_it(airflow, emulator):
    run = airflow.trigger("minor_lora_retrains", {"name": "on every page"})
    assert airflow.wait_for_run("minor_lora_retrains", run) == "success"
    result = airflow.xcom("minor_lora_retrains", run, "train")
    assert (result["status"], result["name"]) == ("trained", "on every page")
    assert result["creative_units_cost"] == emulator.ledger()["totals"]["creative_units_billed"]
    assert emulator.model(result["model_id"])["shortDescription"] == description("Loose ink.", result, emulator)
    where = {"dag_id": "minor_lora_retrains", "run_id": run, "task_id": "train", "map_index": -1}
    for page in PAGES:
        shown = airflow.page(f"/scenario/{page}", **where if page != "trainings" else {})
        assert "on every page" in shown
        assert '<span class="badge trained">' in shown


def description(text: str, result: dict[str, Any], emulator: Any) -> str:
    """Below 3.3 Airflow has no task state for the next attempt, so the marker stays after the author's text."""
    stored = emulator.model(result["model_id"])["shortDescription"]
    return text if Version("3.3") <= AIRFLOW else f"{text} {re.search(r'.airflow .*', stored)[0]}"


def test_the_page_of_a_run_shows_its_mapped_tasks(airflow, emulator):
    run = airflow.trigger("minor_mapped", {"name": "one of two"})
    assert airflow.wait_for_run("minor_mapped", run) == "success"
    shown = airflow.page("/scenario/run", dag_id="minor_mapped", run_id=run)
    assert ["one of two-0" in shown, "one of two-1" in shown] == [True, True]
    page = airflow.page("/scenario/training", dag_id="minor_mapped", run_id=run, task_id="train", map_index=1)
    assert "<h1><bdi>one of two-1</bdi></h1>" in page


@pytest.mark.parametrize(("method", "route"), [("POST", "/models"), ("PUT", "/models/*/train")])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_retry_makes_up_for_a_lost_request(airflow, emulator, method, route, when):
    emulator.fault(kind="close", method=method, route=route, when=when)
    run = airflow.trigger("minor_lora_retrains")
    assert airflow.wait_for_run("minor_lora_retrains", run) == "success"
    assert airflow.task_instance("minor_lora_retrains", run, "train")["try_number"] == 2
    assert emulator.counts() == {"models": 1, "images": 2, "trainings": 1, "canceled": 0}


@pytest.mark.parametrize("keeps", KEEP_TASK_STATE[:1])
@OPERATORS
def test_a_cleared_task_that_reattaches_pays_nothing(airflow, emulator, operator, keeps):
    dag = f"minor_{operator}_reattaches"
    run = airflow.trigger(dag)
    assert airflow.wait_for_run(dag, run) == "success"
    first, billed = airflow.xcom(dag, run, "train"), emulator.ledger()["totals"]["creative_units_billed"]
    clear(airflow, dag, run, "train", keeps)
    assert airflow.wait_for_run(dag, run) == "success"
    assert airflow.xcom(dag, run, "train") == first
    assert emulator.counts()["trainings"] == 1
    assert emulator.ledger()["totals"]["creative_units_billed"] == billed


@pytest.mark.parametrize("keeps", KEEP_TASK_STATE[-1:])
@OPERATORS
def test_a_cleared_task_trains_again(airflow, emulator, operator, keeps):
    dag = f"minor_{operator}_retrains"
    run = airflow.trigger(dag)
    assert airflow.wait_for_run(dag, run) == "success"
    first = airflow.xcom(dag, run, "train")
    clear(airflow, dag, run, "train", keeps)
    assert airflow.wait_for_run(dag, run) == "success"
    assert airflow.xcom(dag, run, "train")["job_id"] != first["job_id"]
    assert statuses(emulator) == {"trained": 2}


@pytest.mark.parametrize("keeps", KEEP_TASK_STATE)
@OPERATORS
def test_a_task_that_is_cleared_while_it_waits_ends_with_one_training(airflow, emulator, operator, keeps):
    emulator.set(training_seconds=600)
    dag = f"minor_{operator}_retrains"
    run = airflow.trigger(dag)
    wait_for_poll(airflow, dag, run)
    emulator.set(training_seconds=3)
    clear(airflow, dag, run, "train", keeps)
    eventually(lambda: airflow.task_instance(dag, run, "train")["try_number"] == 2)
    eventually(lambda: is_over(airflow, dag, run) or has_polled(airflow, dag, run))
    emulator.advance(900)
    assert airflow.wait_for_run(dag, run) == "success"
    # Two outcomes are right: the next attempt waits for the training of the earlier one, or for a new one.
    assert statuses(emulator) in ({"training-canceled": 1, "trained": 1}, {"trained": 1})


@pytest.mark.parametrize("mode", ["retrains", "blocks"])
def test_a_task_that_is_marked_while_it_waits_cancels_its_training(airflow, emulator, mode):
    emulator.set(training_seconds=600)
    dag = f"minor_lora_{mode}"
    run = airflow.trigger(dag)
    wait_for_poll(airflow, dag, run)
    airflow.mark(dag, run, "train", "failed")
    eventually(lambda: statuses(emulator) == {"training-canceled": 1})


def test_a_restarted_triggerer_cancels_nothing(airflow, emulator):
    emulator.set(training_seconds=600)
    run = airflow.trigger("minor_lora_retrains")
    wait_for_poll(airflow, "minor_lora_retrains", run)
    airflow.restart("triggerer")
    emulator.advance(900)
    assert airflow.wait_for_run("minor_lora_retrains", run) == "success"
    assert statuses(emulator) == {"trained": 1}


def test_the_result_of_a_training_that_ends_at_once_is_not_lost(airflow, emulator):
    emulator.set(training_seconds=0.1)
    run = airflow.trigger("minor_lora_emits")
    assert airflow.wait_for_run("minor_lora_emits", run) == "success"
    assert airflow.task_instance("minor_lora_emits", run, "train")["try_number"] == 1


@pytest.mark.since("3.4")
class TestRunsAgainWithoutUsingARetry:
    """The tasks have no retries, but ``SCENARIO_RETRY_POLICY``."""

    def test_a_users_own_task_for_which_no_training_slot_is_free(self, airflow, emulator):
        emulator.set(training_seconds=600, parallel_training=1)
        other = airflow.trigger("minor_lora_retrains")
        eventually(lambda: emulator.counts()["trainings"] == 1)
        run = airflow.trigger("minor_own_task_put_off")
        airflow.wait_for_task("minor_own_task_put_off", run, "train", ["up_for_reschedule"])
        emulator.advance(900)
        assert airflow.wait_for_run("minor_own_task_put_off", run) == "success"
        assert airflow.task_instance("minor_own_task_put_off", run, "train")["try_number"] == 1
        assert emulator.counts()["trainings"] == 2
        assert airflow.wait_for_run("minor_lora_retrains", other) == "success"

    def test_an_operator_that_is_throttled(self, airflow, emulator):
        for method, route in (("POST", "/models"), ("PUT", "/models/*/train")):
            emulator.fault(kind="429", method=method, route=route, times=4)  # the number of requests of one attempt
        run = airflow.trigger("minor_lora_put_off")
        assert airflow.wait_for_run("minor_lora_put_off", run) == "success"
        assert airflow.task_instance("minor_lora_put_off", run, "train")["try_number"] == 1
        assert emulator.counts() == {"models": 1, "images": 2, "trainings": 1, "canceled": 0}


@pytest.mark.since("3.4")
class TestLoops:
    """Airflow 3.4 can repeat a group of tasks; all iterations have the same DAG, run, task and map index."""

    @pytest.mark.parametrize(
        ("method", "route", "when"), [("POST", "/models", "before"), ("PUT", "/models/*/train", "after")]
    )
    def test_a_retry_makes_up_for_a_lost_request_of_one_iteration(self, airflow, emulator, method, route, when):
        emulator.fault(kind="close", method=method, route=route, when=when, skip=1)
        loop = Loop.begin(airflow, "loop_lora_retrains")
        assert loop.end() == "success"
        assert len({result["model_id"] for result in loop.results()}) == 3
        assert [result["status"] for result in loop.results()] == ["trained"] * 3
        assert emulator.counts() == {"models": 3, "images": 6, "trainings": 3, "canceled": 0}

    def test_mapped_tasks_train_one_model_each_in_each_iteration(self, airflow, emulator):
        emulator.fault(kind="close", method="POST", route="/models", when="after", skip=3)
        loop = Loop.begin(airflow, "loop_mapped_retrains")
        assert loop.end() == "success"
        assert len({result["model_id"] for result in loop.results()}) == 6
        assert emulator.counts() == {"models": 6, "images": 12, "trainings": 6, "canceled": 0}

    def test_a_restarted_triggerer_cancels_nothing(self, airflow, emulator):
        emulator.set(training_seconds=600)
        loop = Loop.begin(airflow, "loop_lora_retrains")
        loop.wait_for_iteration(1, emulator)
        airflow.restart("triggerer")
        emulator.set(training_seconds=3)
        emulator.advance(900)
        assert loop.end() == "success"
        assert statuses(emulator) == {"trained": 3}

    @pytest.mark.parametrize(("kind", "paid", "keeps"), [("retrains", 2, True), ("reattaches", 0, False)])
    def test_clearing_an_iteration_and_the_later_ones(self, airflow, emulator, kind, paid, keeps):
        loop = Loop.begin(airflow, f"loop_lora_{kind}")
        assert loop.end() == "success"
        before = loop.results()
        loop.clear(1, keep_task_state=keeps, include_later_loop_iterations=True)
        assert loop.end() == "success"
        assert emulator.counts()["trainings"] == 3 + paid
        after = loop.results()
        assert [old == new for old, new in zip(before, after, strict=True)] == [True, not paid, not paid]

    @pytest.mark.parametrize(("kind", "paid", "keeps"), [("retrains", 1, True), ("reattaches", 0, False)])
    def test_clearing_one_iteration_leaves_the_others(self, airflow, emulator, kind, paid, keeps):
        loop = Loop.begin(airflow, f"loop_lora_{kind}")
        assert loop.end() == "success"
        before = loop.results()
        loop.clear(0, keep_task_state=keeps, include_later_loop_iterations=False)
        assert loop.end() == "success"
        assert emulator.counts()["trainings"] == 3 + paid
        assert [old == new for old, new in zip(before, loop.results(), strict=True)] == [not paid, True, True]

    def test_an_iteration_that_runs_again_before_later_ones_can_be_killed_alone(self, airflow, emulator):
        """Airflow reports only the state of the latest iteration, which has succeeded."""
        loop = Loop.begin(airflow, "loop_lora_retrains")
        assert loop.end() == "success"
        emulator.set(training_seconds=600)
        loop.clear(0, include_later_loop_iterations=False)
        eventually(lambda: statuses(emulator) == {"trained": 3, "training": 1})
        loop.wait_for_poll(0)
        loop.mark(0, "failed")
        eventually(lambda: statuses(emulator) == {"trained": 3, "training-canceled": 1})

    def test_each_iteration_has_its_own_page(self, airflow, emulator):
        loop = Loop.begin(airflow, "loop_lora_retrains")
        assert loop.end() == "success"
        shown = airflow.page("/scenario/run", dag_id=loop.dag, run_id=loop.run)
        assert [f"body.train, iteration {number}" in shown for number in range(3)] == [True] * 3
        for number, result in enumerate(loop.results()):
            place = {"task_id": "body.train", "map_index": -1, **loop.place(number)}
            page = airflow.page("/scenario/training", dag_id=loop.dag, run_id=loop.run, **place)
            assert result["model_id"] in page


def clear(airflow: Any, dag: str, run: str, task: str, keeps: bool | None) -> None:
    airflow.clear(dag, run, task, **({} if keeps is None else {"keep_task_state": keeps}))


def statuses(emulator: Any) -> dict[str, int]:
    return dict(Counter(training["status"] for training in emulator.ledger()["trainings"]))


def wait_for_poll(airflow: Any, dag: str, run: str) -> None:
    """Wait until a process or trigger has polled the training: then it can also cancel it."""
    airflow.wait_for_task(dag, run, "train", ["running", "deferred"])
    eventually(lambda: has_polled(airflow, dag, run))


def has_polled(airflow: Any, dag: str, run: str) -> bool:
    try:
        return "queued-for-train" in airflow.task_log(dag, run, "train")
    except AirflowError:  # between two attempts
        return False


def is_over(airflow: Any, dag: str, run: str) -> bool:
    return airflow.task_instance(dag, run, "train")["state"] in ("success", "failed")
