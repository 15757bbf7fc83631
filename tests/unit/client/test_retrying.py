"""Sending again: after which errors, how often, after which pause. No test sleeps."""

from __future__ import annotations

import subprocess
import sys

import pytest

from airflow_provider_scenario.client.errors import ServiceError, ThrottledError
from airflow_provider_scenario.client.retrying import Retrying, backoff


def failure(*, resendable: bool = True, retry_after: float | None = None) -> ServiceError:
    error = ServiceError("no answer", maybe_done=False)
    error.resendable, error.retry_after = resendable, retry_after
    return error


class Script:
    """Raises or returns one entry a call, the last one for ever."""

    def __init__(self, *entries: object) -> None:
        self.entries, self.calls = entries, 0

    def __call__(self) -> object:
        self.calls += 1
        entry = self.entries[min(self.calls, len(self.entries)) - 1]
        if isinstance(entry, BaseException):
            raise entry
        return entry


@pytest.mark.parametrize(
    ("entries", "pauses"),
    [
        (("answer",), []),
        ((failure(), "answer"), [0.5]),
        ((failure(), failure(), failure(), "answer"), [0.5, 1.0, 2.0]),
        ((failure(retry_after=7.0), failure(), "answer"), [7.0, 1.0]),
        ((failure(retry_after=60.0), "answer"), [60.0]),
    ],
)
def test_it_calls_again_until_there_is_an_answer(entries, pauses):
    slept = []
    retrying = Retrying(sleep=slept.append, jitter=lambda: 0.0)
    assert retrying(Script(*entries)) == "answer"
    assert slept == pauses


@pytest.mark.parametrize(
    ("error", "calls"),
    [
        (failure(), 4),
        (failure(resendable=False), 1),
        (failure(retry_after=60.1), 1),
        (ValueError("not an error of the service"), 1),
        (KeyboardInterrupt(), 1),
    ],
)
def test_it_raises_the_error_itself_when_it_gives_up(error, calls):
    script = Script(error)
    with pytest.raises(type(error)) as caught:
        Retrying(sleep=lambda _: None)(script)
    assert (caught.value, script.calls) == (error, calls)
    assert caught.value.__context__ is None


def test_jitter_shortens_a_pause_by_a_quarter_and_lengthens_a_retry_after_by_half_a_second():
    slept = []
    retrying = Retrying(sleep=slept.append, jitter=lambda: 1.0)
    retrying(Script(failure(), failure(retry_after=7.0), "answer"))
    assert slept == [0.375, 7.5]


def test_a_turn_that_is_further_away_lengthens_the_pause_and_is_taken_for_further_tries_only():
    taken, slept = [], []

    def turn(error: Exception) -> float:
        taken.append(error)
        return 30.0

    error = ThrottledError("too many", retry_after=None)
    with pytest.raises(ThrottledError):
        Retrying(tries=3, may_retry=lambda _: True, turn=turn, sleep=slept.append)(Script(error))
    assert (slept, taken) == ([30.0, 30.0], [error, error])


@pytest.mark.parametrize("tries", [1, 0, -1])
def test_one_try_is_the_least(tries):
    script = Script(failure())
    with pytest.raises(ServiceError):
        Retrying(tries=tries, sleep=lambda _: None)(script)
    assert script.calls == 1


def test_each_pause_is_announced():
    announced, error = [], failure()
    Retrying(on_retry=lambda *arguments: announced.append(arguments), sleep=lambda _: None, jitter=lambda: 0.0)(
        Script(error, "answer")
    )
    assert announced == [(error, 0.5)]


@pytest.mark.parametrize(("failures", "seconds"), [(1, 0.5), (2, 1.0), (5, 8.0), (10_000, 8.0)])
def test_a_pause_doubles_up_to_its_bound(failures, seconds):
    assert backoff(failures) == seconds


def test_importing_it_does_not_import_tenacity():
    script = "import sys, airflow_provider_scenario.client.retrying; assert 'tenacity' not in sys.modules"
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)
