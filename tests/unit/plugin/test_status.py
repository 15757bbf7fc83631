from __future__ import annotations

import pytest

from airflow_provider_scenario.plugin import values
from airflow_provider_scenario.plugin.status import Batch, TrainingStatus
from airflow_provider_scenario.plugin.trainings import Training
from airflow_provider_scenario.watch.decision import Snapshot


def status_of(snapshot=None, now=100.0, **fields):
    where = {"dag_id": "a_dag", "run_id": "a_run", "task_id": "train"}
    return TrainingStatus(Training(**{**where, **fields}), snapshot, now)


def snapshot(status="training", at=100.0, **fields):
    return Snapshot(at=at, status=status, **fields)


@pytest.mark.parametrize(
    ("task", "model", "state"),
    [
        ({"state": None}, None, "waiting"),
        ({"state": "queued"}, None, "waiting"),
        ({"state": "running"}, None, "preparing"),
        ({"state": "running"}, snapshot("new"), "preparing"),
        ({"state": "deferred"}, snapshot(stage="queued-for-train"), "queued"),
        ({"state": "deferred"}, snapshot(stage="running-train"), "training"),
        ({"state": "deferred"}, snapshot(stage="a-new-stage"), "training"),
        ({"state": "deferred", "job_id": "job"}, None, "training"),
        ({"state": "deferred"}, snapshot("trained"), "trained"),
        ({"state": "success", "status": "trained"}, None, "trained"),
        ({"state": "success"}, snapshot(stage="running-train"), "training"),
        ({"state": "success"}, None, "unknown"),
        ({"state": "failed"}, snapshot("failed"), "failed"),
        ({"state": "failed", "job_id": "job"}, None, "failed"),
        ({"state": "failed"}, snapshot("training-canceled"), "cancelled"),
        ({"state": "failed"}, snapshot("new"), "never started"),
        ({"state": "failed"}, None, "never started"),
        ({"state": "skipped"}, None, "skipped"),
        ({"state": "removed"}, None, "skipped"),
        ({"state": "skipped"}, snapshot("new"), "skipped"),
        ({"state": "upstream_failed"}, None, "never started"),
        ({"state": "failed", "job_id": "job"}, snapshot(None), "failed"),
    ],
)
def test_task_and_model_together_say_where_it_stands(task, model, state):
    assert status_of(model, **task).state == state


def test_what_runs_on_after_its_task_has_failed_still_moves():
    assert status_of(snapshot(), state="failed").may_change
    assert not status_of(snapshot("failed"), state="failed").may_change


def test_the_time_left_shrinks_while_nobody_asks():
    assert status_of(snapshot(seconds_left=60, at=90), now=100).seconds_left == 50
    assert status_of(snapshot(seconds_left=5, at=90), now=100).seconds_left == 0
    assert status_of(snapshot("trained", seconds_left=5)).seconds_left is None


def test_a_batch_adds_up():
    batch = Batch(
        [
            status_of(state="success", status="trained", cost=60.0),
            status_of(snapshot("failed"), state="failed", cost=30.0, job_id="job"),
            status_of(snapshot(progress=0.5, seconds_left=40), state="deferred", cost=100.0),
            status_of(state=None),
        ]
    )
    assert batch.counts == {"waiting": 1, "training": 1, "trained": 1, "failed": 1}
    assert (batch.spent, batch.expected, batch.unpriced) == (90.0, 190.0, 1)
    assert batch.progress == (1 + 0 + 0.5 + 0) / 4
    assert (batch.trained, batch.without_model) == (1, 1)
    assert batch.seconds_left == 40
    assert batch.needs_refresh


def test_the_bar_of_a_batch_stays_empty_where_nothing_was_trained():
    nothing = [
        status_of(state="failed"),
        status_of(state="upstream_failed"),
        status_of(snapshot("failed", progress=0.9), state="failed", job_id="job"),
        status_of(snapshot("training-canceled"), state="failed", job_id="job"),
    ]
    assert Batch(nothing).progress == 0.0
    assert (Batch(nothing).trained, Batch(nothing).without_model) == (0, 4)


@pytest.mark.parametrize(
    ("task", "reason", "reason_is_in_log"),
    [
        ({"state": "failed"}, None, True),
        ({"state": "up_for_retry"}, None, False),  # the task continues
        ({"state": "upstream_failed"}, "A task before it has failed.", False),
        ({"state": "skipped"}, "The task was skipped.", False),
        ({"state": "removed"}, "The task is not in the DAG any more.", False),
        ({"state": "success", "status": "trained"}, None, False),
    ],
)
def test_where_nothing_was_trained_the_task_or_its_reason_is_in_log(task, reason, reason_is_in_log):
    assert (status_of(**task).reason, status_of(**task).reason_is_in_log) == (reason, reason_is_in_log)


def test_the_reason_is_in_log_a_training_is_lost_that_the_task_tries_again():
    assert status_of(snapshot("failed"), state="up_for_retry", job_id="job").reason_is_in_log


@pytest.mark.parametrize(("value", "amount"), [(108, 108.0), (0, 0.0), (-1, None), (True, None), (float("nan"), None)])
def test_no_cost_is_below_zero(value, amount):
    assert values.amount(value) == amount


@pytest.mark.parametrize(
    ("cost", "total", "billed"),
    [(108.0, None, 108.0), (108.0, 324.0, 324.0), (108.0, 0.0, 0.0), (None, None, None)],
)
def test_what_a_task_has_paid_is_that_of_all_its_attempts(cost, total, billed):
    assert status_of(state="failed", cost=cost, total=total).training.billed == billed


def test_a_batch_adds_up_all_attempts_and_those_that_are_over_are_spent():
    over = status_of(snapshot("failed"), state="failed", cost=108.0, total=324.0, job_id="job")
    again = status_of(snapshot(progress=0.5), state="deferred", cost=100.0, total=300.0)
    assert (Batch([over, again]).spent, Batch([over, again]).expected) == (324.0 + 200.0, 624.0)


@pytest.mark.parametrize(
    ("stage", "shown"),
    [
        ("running-train", None),
        ("starting-train", "starting"),
        ("queued-for-train", None),
        ("a-new-stage", "a-new-stage"),
    ],
)
def test_the_stage_is_shown_in_plain_words_where_it_says_more_than_the_state(stage, shown):
    assert status_of(snapshot(stage=stage), state="deferred").stage == shown


def test_a_skipped_task_counts_neither_as_planned_nor_as_ended_without_a_model():
    batch = Batch(
        [status_of(state="success", status="trained"), status_of(state="skipped"), status_of(state="removed")]
    )
    assert (batch.planned, batch.trained, batch.without_model, batch.progress) == (1, 1, 0, 1.0)
    assert Batch([status_of(state="skipped")]).progress == 0.0


def test_an_empty_batch_is_no_error():
    batch = Batch([])
    assert (batch.progress, batch.seconds_left, batch.needs_refresh) == (0.0, None, False)
