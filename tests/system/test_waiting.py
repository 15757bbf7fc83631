"""Success, failure and the end of a task before its training's: deferred and blocking, with the ledger as witness."""

from __future__ import annotations

import socket
import time
from urllib.parse import quote

import pytest
from airflow import __version__ as airflow_version
from packaging.version import Version

from tests.harness.waiting import eventually

MODES = pytest.mark.parametrize("mode", ["deferred", "blocking"])
WORKER_STARTS = "DAG bundles loaded"
TO_RETURN = 1 if Version(airflow_version) >= Version("3.3") else 2  # before, a triggerer could not store a result
ONE_TRAINING = {"models": 1, "images": 2, "trainings": 1, "canceled": 0}


@MODES
@pytest.mark.parametrize(("kind", "task"), [("operator", "train"), ("sensor", "wait")])
def test_a_training_that_succeeds_gives_its_result(airflow, emulator, kind, task, mode):
    dag = f"{kind}_{mode}"
    run = end_once_deferred(airflow, emulator, dag, task) if mode == "deferred" else airflow.trigger(dag)
    assert airflow.wait_for_run(dag, run) == "success"
    result = airflow.xcom(dag, run, task)
    assert emulator.counts() == ONE_TRAINING
    assert result["status"] == "trained"
    assert result["model_id"] == airflow.xcom(dag, run, "create")
    assert result["creative_units_cost"] == emulator.ledger()["totals"]["creative_units_billed"]
    starts = airflow.task_log(dag, run, task).count(WORKER_STARTS)
    assert starts == (TO_RETURN if mode == "deferred" else 1)


@MODES
@pytest.mark.parametrize(("kind", "task"), [("operator", "train"), ("sensor", "wait")])
def test_a_training_that_fails_fails_the_task_with_the_vendors_words(airflow, emulator, kind, task, mode):
    emulator.outcome(model="doomed", fail_at=0.5, error="CUDA out of memory", hint="Use fewer images")
    dag = f"{kind}_{mode}"
    run = airflow.trigger(dag, {"name": "doomed"})
    assert airflow.wait_for_run(dag, run) == "failed"
    assert emulator.counts() == ONE_TRAINING
    training = emulator.ledger()["trainings"][0]
    log = airflow.task_log(dag, run, task)
    for said in ("CUDA out of memory", "Use fewer images", training["model_id"], training["job_id"]):
        assert said in log
    assert airflow.task_instance(dag, run, task)["try_number"] == 1


@MODES
@pytest.mark.parametrize("end", ["failed", "out of time"])
@pytest.mark.parametrize(("on_retry", "trainings"), [("resume", 1), pytest.param("retrain", 3, marks=pytest.mark.full)])
def test_retries_pay_again_only_with_on_retry_retrain(airflow, emulator, mode, end, on_retry, trainings):
    if end == "failed":
        emulator.outcome(fail_at=0.1, times=None)
    else:
        emulator.set(training_seconds=600)
    dag = f"{on_retry}_{mode}"
    run = airflow.trigger(dag)
    assert airflow.wait_for_run(dag, run) == "failed"
    canceled = trainings if end == "out of time" else 0
    assert emulator.counts() == {**ONE_TRAINING, "trainings": trainings, "canceled": canceled}
    assert airflow.task_instance(dag, run, "train")["try_number"] == trainings
    log = airflow.task_log(dag, run, "train")
    assert ("failed: " if end == "failed" else "did not end within execution_timeout=0:00:08.") in log
    assert ("Airflow does not retry the task" in log) == (on_retry == "resume")
    key = "creative_units_total" if trainings > 1 else "creative_units_cost"
    assert airflow.xcom(dag, run, "train", key) == emulator.ledger()["totals"]["creative_units_billed"]


@MODES
def test_killing_the_task_cancels_the_training(airflow, emulator, mode):
    emulator.set(training_seconds=600)
    dag = f"operator_{mode}"
    run = airflow.trigger(dag)
    airflow.wait_for_task(dag, run, "train", ["deferred" if mode == "deferred" else "running"])
    # Wait for a poll: until a triggerer has the trigger, about a second, nothing can cancel the training.
    eventually(lambda: "queued-for-train" in airflow.task_log(dag, run, "train"))
    airflow.mark(dag, run, "train", "failed")
    eventually(lambda: emulator.counts()["canceled"] == 1)
    assert emulator.model(airflow.xcom(dag, run, "create"))["status"] == "training-canceled"


def test_a_sensor_that_is_killed_does_not_cancel_the_training(airflow, emulator):
    emulator.set(training_seconds=600)
    run = airflow.trigger("sensor_deferred")
    airflow.wait_for_task("sensor_deferred", run, "wait", ["deferred"])
    airflow.mark("sensor_deferred", run, "wait", "failed")
    airflow.wait_for_run("sensor_deferred", run)
    time.sleep(3)
    assert emulator.counts() == ONE_TRAINING


@pytest.mark.every_minor
def test_a_deferred_task_that_times_out_cancels_the_training_and_logs_it(airflow, emulator):
    emulator.set(training_seconds=600)
    run = airflow.trigger("out_of_time")
    assert airflow.wait_for_run("out_of_time", run) == "failed"
    assert emulator.counts() == {**ONE_TRAINING, "canceled": 1}
    assert "was cancelled. Scenario does not promise a refund" in airflow.task_log("out_of_time", run, "train")


def test_cancelling_a_cancelled_training_succeeds(airflow, emulator):
    emulator.set(training_seconds=600)
    run = airflow.trigger("cancel")
    assert airflow.wait_for_run("cancel", run) == "success"
    assert emulator.counts() == {**ONE_TRAINING, "canceled": 1}
    assert airflow.xcom("cancel", run, "cancel")["status"] == "training-canceled"
    assert airflow.xcom("cancel", run, "cancel_again")["status"] == "training-canceled"


def test_a_training_that_a_user_cancels_is_not_paid_again(airflow, emulator):
    emulator.set(training_seconds=600)
    run = airflow.trigger("operator_deferred")
    airflow.wait_for_task("operator_deferred", run, "train", ["deferred"])
    emulator.cancel(airflow.xcom("operator_deferred", run, "create"))
    assert airflow.wait_for_run("operator_deferred", run) == "failed"
    assert emulator.counts() == {**ONE_TRAINING, "canceled": 1}
    assert "was cancelled" in airflow.task_log("operator_deferred", run, "train")


def test_wrong_credentials_fail_at_once_without_retries(airflow, emulator):
    run = airflow.trigger("wrong_secret")
    assert airflow.wait_for_run("wrong_secret", run) == "failed"
    assert airflow.task_instance("wrong_secret", run, "create")["try_number"] == 1
    assert emulator.counts()["models"] == 0


def test_mapped_tasks_train_a_model_each(airflow, emulator):
    run = airflow.trigger("mapped")
    assert airflow.wait_for_run("mapped", run) == "success"
    assert emulator.counts() == {"models": 3, "images": 6, "trainings": 3, "canceled": 0}
    names = [airflow.xcom("mapped", run, "train", map_index=index)["name"] for index in range(3)]
    assert names == ["mapped-a", "mapped-b", "mapped-c"]


@pytest.mark.every_minor
def test_ids_link_and_progress_are_shown_during_the_training(airflow, emulator):
    emulator.set(training_seconds=600)
    run = airflow.trigger("operator_deferred")
    airflow.wait_for_task("operator_deferred", run, "train", ["deferred"])
    model_id = airflow.xcom("operator_deferred", run, "create")
    training = emulator.ledger()["trainings"][0]
    assert airflow.xcom("operator_deferred", run, "train", "model_id") == model_id
    assert airflow.xcom("operator_deferred", run, "train", "job_id") == training["job_id"]
    assert airflow.xcom("operator_deferred", run, "train", "creative_units_cost") == training["creative_units"]
    page = f"https://app.scenario.com/models/{model_id}"
    assert links(airflow, "operator_deferred", run) == {"Scenario model": page}
    emulator.advance(300)
    eventually(lambda: "running-train" in airflow.task_log("operator_deferred", run, "train"))
    emulator.advance(600)
    assert airflow.wait_for_run("operator_deferred", run) == "success"


def test_the_link_is_shown_while_a_worker_is_held(airflow, emulator):
    emulator.set(training_seconds=600)
    run = airflow.trigger("operator_blocking")
    eventually(lambda: emulator.counts()["trainings"] == 1)
    model_id = airflow.xcom("operator_blocking", run, "create")
    eventually(
        lambda: (
            links(airflow, "operator_blocking", run)
            == {"Scenario model": f"https://app.scenario.com/models/{model_id}"}
        )
    )
    emulator.advance(900)
    assert airflow.wait_for_run("operator_blocking", run) == "success"


def test_a_restarted_triggerer_continues_to_wait_and_cancels_nothing(airflow, emulator):
    emulator.set(training_seconds=600)
    run = airflow.trigger("operator_deferred")
    airflow.wait_for_task("operator_deferred", run, "train", ["deferred"])
    airflow.restart("triggerer")
    airflow.restart("triggerer")
    emulator.advance(900)
    assert airflow.wait_for_run("operator_deferred", run) == "success"
    assert emulator.counts() == ONE_TRAINING


def test_without_a_triggerer_the_log_has_a_warning_and_nothing_is_lost(airflow, emulator):
    airflow.kill("triggerer")
    eventually(lambda: airflow.health()["triggerer"]["status"] != "healthy", seconds=30)
    run = airflow.trigger("operator_deferred")
    airflow.wait_for_task("operator_deferred", run, "train", ["deferred"])
    assert "No triggerer is alive" in airflow.task_log("operator_deferred", run, "train")
    airflow.restart("triggerer")
    assert airflow.wait_for_run("operator_deferred", run) == "success"
    assert emulator.counts() == ONE_TRAINING


def test_a_deferred_training_is_polled_less_often_while_its_end_is_far(airflow, emulator):
    emulator.set(training_seconds=600)
    run = airflow.trigger("operator_deferred")
    airflow.wait_for_task("operator_deferred", run, "train", ["deferred"])
    eventually(lambda: "min left" in airflow.task_log("operator_deferred", run, "train"))
    before = emulator.requests()
    time.sleep(12)
    # poke_interval is 1 s in these DAGs; with ten minutes left a pause lasts ten intervals.
    assert 1 <= emulator.requests() - before <= 2
    emulator.advance(900)
    assert airflow.wait_for_run("operator_deferred", run) == "success"


@pytest.mark.every_minor
@pytest.mark.parametrize(("dag", "starts"), [("sensor_quiet", 1), ("sensor_with_outlet", 2)])
def test_success_starts_a_worker_again_only_if_it_has_work(airflow, emulator, dag, starts):
    run = end_once_deferred(airflow, emulator, dag, "wait")
    assert airflow.wait_for_run(dag, run) == "success"
    assert airflow.task_log(dag, run, "wait").count(WORKER_STARTS) == starts


def end_once_deferred(airflow, emulator, dag, task):
    """Start a run whose training ends only after the task has deferred, however slow the machine is."""
    emulator.set(training_seconds=60)
    run = airflow.trigger(dag)
    airflow.wait_for_task(dag, run, task, ["deferred"])
    emulator.advance(60)
    return run


def links(airflow, dag, run):
    return airflow.call("GET", f"/dags/{dag}/dagRuns/{quote(run)}/taskInstances/train/links")["extra_links"]


@pytest.mark.every_minor
@MODES
def test_statsd_gets_polls_requests_and_the_delay_of_the_end(airflow, emulator, statistics, mode):
    ends = statistics.timers["airflow.scenario.end_noticed_after"]
    waiting = statistics.gauges[f"airflow.scenario.trainings_waiting.{socket.gethostname()}"]
    before, earlier_ends, earlier_waiting = statistics.counters.copy(), len(ends), len(waiting)
    run = airflow.trigger(f"operator_{mode}")
    assert airflow.wait_for_run(f"operator_{mode}", run) == "success"
    counted = statistics.counters - before
    assert counted["airflow.scenario.requests"] == emulator.requests()
    assert 1 <= counted["airflow.scenario.polls"] < counted["airflow.scenario.requests"]
    (after,) = ends[earlier_ends:]
    assert 0 <= after < 60_000  # milliseconds
    assert waiting[earlier_waiting:] == ([1, 0] if mode == "deferred" else [])
