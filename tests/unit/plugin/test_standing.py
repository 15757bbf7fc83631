from __future__ import annotations

import pytest

from airflow_provider_scenario.plugin.lookup import Sight
from airflow_provider_scenario.plugin.standing import Batch, Standing
from airflow_provider_scenario.plugin.trainings import Training


def standing(sight=None, now=100.0, **fields):
    where = {"dag_id": "a_dag", "run_id": "a_run", "task_id": "train"}
    return Standing(Training(**{**where, **fields}), sight, now)


def seen(status="training", at=100.0, **fields):
    return Sight(at=at, status=status, **fields)


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
        ({"state": "failed"}, seen("new"), "not started"),
        ({"state": "failed"}, None, "not started"),
        ({"state": "skipped"}, None, "not started"),
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
    assert batch.progress == (1 + 1 + 0.5 + 0) / 4
    assert batch.seconds_left == 40
    assert batch.unfinished


def test_an_empty_batch_is_no_error():
    batch = Batch([])
    assert (batch.progress, batch.seconds_left, batch.unfinished) == (0.0, None, False)
