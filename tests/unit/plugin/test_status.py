from __future__ import annotations

import pytest

from airflow_provider_scenario.plugin import values
from airflow_provider_scenario.plugin.status import Batch, TrainingStatus
from airflow_provider_scenario.plugin.trainings import Training
from airflow_provider_scenario.watch.decision import Snapshot


def standing(sight=None, now=100.0, **fields):
    where = {"dag_id": "a_dag", "run_id": "a_run", "task_id": "train"}
    return TrainingStatus(Training(**{**where, **fields}), sight, now)


def seen(status="training", at=100.0, **fields):
    return Snapshot(at=at, status=status, **fields)


@pytest.mark.parametrize(
    ("task", "model", "state"),
    [
        ({"state": None}, None, "waiting"),
        ({"state": "queued"}, None, "waiting"),
        ({"state": "running"}, None, "preparing"),
        ({"state": "running"}, seen("new"), "preparing"),
        ({"state": "deferred"}, seen(stage="queued-for-train"), "queued"),
        ({"state": "deferred"}, seen(stage="running-train"), "training"),
        ({"state": "deferred"}, seen(stage="a-new-stage"), "training"),
        ({"state": "deferred", "job_id": "job"}, None, "training"),
        ({"state": "deferred"}, seen("trained"), "trained"),
        ({"state": "success", "status": "trained"}, None, "trained"),
        ({"state": "success"}, seen(stage="running-train"), "training"),
        ({"state": "success"}, None, "unknown"),
        ({"state": "failed"}, seen("failed"), "failed"),
        ({"state": "failed", "job_id": "job"}, None, "failed"),
        ({"state": "failed"}, seen("training-canceled"), "cancelled"),
        ({"state": "failed"}, seen("new"), "never started"),
        ({"state": "failed"}, None, "never started"),
        ({"state": "skipped"}, None, "never started"),
        ({"state": "failed", "job_id": "job"}, seen(None), "failed"),
    ],
)
def test_task_and_model_together_say_where_it_stands(task, model, state):
    assert standing(model, **task).state == state


def test_what_runs_on_after_its_task_has_failed_still_moves():
    assert standing(seen(), state="failed").moving
    assert not standing(seen("failed"), state="failed").moving


def test_the_time_left_shrinks_while_nobody_asks():
    assert standing(seen(seconds_left=60, at=90), now=100).seconds_left == 50
    assert standing(seen(seconds_left=5, at=90), now=100).seconds_left == 0
    assert standing(seen("trained", seconds_left=5)).seconds_left is None


def test_a_batch_adds_up():
    batch = Batch(
        [
            standing(state="success", status="trained", cost=60.0),
            standing(seen("failed"), state="failed", cost=30.0, job_id="job"),
            standing(seen(progress=0.5, seconds_left=40), state="deferred", cost=100.0),
            standing(state=None),
        ]
    )
    assert batch.counts == {"waiting": 1, "training": 1, "trained": 1, "failed": 1}
    assert (batch.spent, batch.expected, batch.unpriced) == (90.0, 190.0, 1)
    assert batch.progress == (1 + 0 + 0.5 + 0) / 4
    assert (batch.trained, batch.lost) == (1, 1)
    assert batch.seconds_left == 40
    assert batch.unfinished


def test_the_bar_of_a_batch_stays_empty_where_nothing_was_trained():
    nothing = [
        standing(state="failed"),
        standing(state="upstream_failed"),
        standing(seen("failed", progress=0.9), state="failed", job_id="job"),
        standing(seen("training-canceled"), state="failed", job_id="job"),
    ]
    assert Batch(nothing).progress == 0.0
    assert (Batch(nothing).trained, Batch(nothing).lost) == (0, 4)


@pytest.mark.parametrize(
    ("task", "reason", "log_says_why"),
    [
        ({"state": "failed"}, None, True),
        ({"state": "up_for_retry"}, None, False),  # it goes on
        ({"state": "upstream_failed"}, "A task before it has failed.", False),
        ({"state": "skipped"}, "The task was skipped.", False),
        ({"state": "removed"}, "The task is not in the DAG any more.", False),
        ({"state": "success", "status": "trained"}, None, False),
    ],
)
def test_where_nothing_was_trained_the_task_or_its_log_says_why(task, reason, log_says_why):
    assert (standing(**task).reason, standing(**task).log_says_why) == (reason, log_says_why)


def test_the_log_says_why_a_training_is_lost_that_the_task_tries_again():
    assert standing(seen("failed"), state="up_for_retry", job_id="job").log_says_why


@pytest.mark.parametrize(("value", "amount"), [(108, 108.0), (0, 0.0), (-1, None), (True, None), (float("nan"), None)])
def test_no_cost_is_below_zero(value, amount):
    assert values.amount(value) == amount


@pytest.mark.parametrize(
    ("cost", "total", "paid"),
    [(108.0, None, 108.0), (108.0, 324.0, 324.0), (108.0, 0.0, 0.0), (None, None, None)],
)
def test_what_a_task_has_paid_is_that_of_all_its_attempts(cost, total, paid):
    assert standing(state="failed", cost=cost, total=total).training.paid == paid


def test_a_batch_adds_up_all_attempts_and_those_that_are_over_are_spent():
    over = standing(seen("failed"), state="failed", cost=108.0, total=324.0, job_id="job")
    again = standing(seen(progress=0.5), state="deferred", cost=100.0, total=300.0)
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
    assert standing(seen(stage=stage), state="deferred").stage == shown


def test_an_empty_batch_is_no_error():
    batch = Batch([])
    assert (batch.progress, batch.seconds_left, batch.unfinished) == (0.0, None, False)
