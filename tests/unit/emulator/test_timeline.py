from __future__ import annotations

from math import inf

import pytest

from airflow_provider_scenario.emulator.settings import Outcome
from airflow_provider_scenario.emulator.timeline import Timeline


@pytest.mark.parametrize(
    ("outcome", "ends_at", "ending"),
    [
        ({}, 200, "success"),
        ({"fail_at": 0.0}, 120, "failure"),
        ({"fail_at": 1.0}, 195, "failure"),
        ({"stall_at": 0.5}, inf, "success"),
        ({"stall_at": 0.2, "fail_at": 0.5}, inf, "failure"),
        ({"stall_at": 0.5, "fail_at": 0.2}, 135, "failure"),
    ],
)
def test_a_training_ends_as_its_outcome_defines(outcome, ends_at, ending):
    timeline = Timeline(100, 100, Outcome(**outcome))
    assert (timeline.ends_at, timeline.final_job_status) == (pytest.approx(ends_at), ending)


def test_a_cancelled_training_ends_at_once():
    timeline = Timeline(100, 100, canceled_at=110)
    assert timeline.job_history(500) == [("queued", 100), ("canceled", 110)]
    assert timeline.at(500) == timeline.at(110)


def test_the_history_of_a_job_is_complete_without_polls():
    assert Timeline(0, 100).job_history(1000) == [
        ("queued", 0),
        ("warming-up", 22),
        ("in-progress", 27),
        ("finalizing", 95),
        ("success", 100),
    ]


def test_progress_and_update_time_never_decrease():
    timeline = Timeline(0, 10)
    moments = [timeline.at(step / 10) for step in range(120)]
    assert [moment.progress for moment in moments] == sorted(moment.progress for moment in moments)
    assert [moment.updated_at for moment in moments] == sorted(moment.updated_at for moment in moments)
