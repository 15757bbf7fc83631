"""Pauses between polls, to the second."""

from __future__ import annotations

import pytest

from airflow_provider_scenario.client.errors import ServiceError, ThrottledError
from airflow_provider_scenario.pacing import Pacing


def outage(retry_after: float | None = None) -> ServiceError:
    error = ServiceError("503", maybe_done=False)
    error.retry_after = retry_after
    return error


@pytest.mark.parametrize(
    ("error", "pause"),
    [
        (None, 0.2),
        (ValueError("of the author's"), 0.2),
        (outage(), 0.2),
        (outage(0.1), 0.2),
        (outage(7), 7),
        (outage(400), 300),
        (ThrottledError("slow down", retry_after=None), 0.2),
        (ThrottledError("slow down", retry_after=400), 400),
    ],
)
def test_a_failed_poll_doubles_the_pause_unless_the_service_names_a_longer_one(error, pause):
    assert Pacing(0.1).after_failure(error) == pause


def test_a_backoff_never_shortens_the_authors_interval():
    assert Pacing(900).after_failure(outage()) == 900


def test_the_longest_backoff_can_be_chosen():
    pacing = Pacing(1, max_backoff=5)
    assert [pacing.after_failure(outage(6)) for _ in range(3)] == [5, 5, 5]
    assert [pacing.after_failure() for _ in range(2)] == [5, 5]


def test_an_answer_ends_a_row_of_failures():
    pacing = Pacing(1)
    pacing.after_failure()
    pacing.after_failure()
    assert pacing.failures == 2
    pacing.after_answer()
    assert pacing.failures == 0
    assert pacing.after_failure() == 2


def test_a_training_that_queues_again_is_polled_at_the_first_pace_again():
    pacing = Pacing(10)
    assert [pacing.after_answer(is_queued=True) for _ in range(3)] == [10, 15, 22.5]
    pacing.after_answer()
    assert pacing.after_answer(is_queued=True) == 10


@pytest.mark.parametrize(
    ("seconds_left", "pause"),
    [(None, 30), (0, 30), (5, 10), (10, 10), (11, 11), (29.9, 29.9), (30, 30), (301, 30.1), (2999, 299.9), (9999, 300)],
)
def test_the_pause_follows_the_time_that_is_left(seconds_left, pause):
    assert Pacing(30).after_answer(seconds_left=seconds_left) == pytest.approx(pause)


def test_a_pause_is_ten_intervals_at_most():
    assert Pacing(2).after_answer(seconds_left=10_000) == 20


def test_a_long_queue_reaches_the_longest_pause_after_the_tenth_growth():
    pacing = Pacing(1)
    assert [pacing.after_answer(is_queued=True) for _ in range(12)][-3:] == [10, 10, 10]


def test_a_backoff_doubles_ten_times():
    pacing = Pacing(0.1)
    assert [pacing.after_failure() for _ in range(12)][-4:] == pytest.approx([51.2, 102.4, 102.4, 102.4])
