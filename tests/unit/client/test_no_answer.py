"""Why a request got no answer: whether anything was sent, and whether another try may help."""

from __future__ import annotations

import ssl
from dataclasses import astuple
from types import SimpleNamespace

import pytest
import requests
import urllib3.exceptions as urllib3_errors

from airflow_provider_scenario.client.http_session import AnswerLimitError, BrokenAnswerError
from airflow_provider_scenario.client.no_answer import NoAnswer, why_no_answer

POOL = None  # only for texts of urllib3
LATER = "Try again later, or check the base URL."


def tls_error(reason: str) -> ssl.SSLError:
    error = ssl.SSLError(1, f"[SSL: {reason}] (_ssl.c:1006)")
    error.reason = reason
    return error


def wrapped(cause: Exception) -> requests.exceptions.ConnectionError:
    """As requests raises what urllib3 has given up on."""
    return requests.exceptions.ConnectionError(urllib3_errors.MaxRetryError(POOL, "/x", reason=cause))


@pytest.mark.parametrize("wrap", [wrapped, lambda cause: cause], ids=["wrapped", "itself"])
@pytest.mark.parametrize(
    ("cause", "why"),
    [
        (AnswerLimitError("the answer took over 300 s"), ("the answer took over 300 s", False, True, LATER)),
        (BrokenAnswerError("ends early"), ("the answer broke off", False, False, LATER)),
        (urllib3_errors.IncompleteRead(1, 2), ("the answer broke off", False, False, LATER)),
        (
            urllib3_errors.InvalidChunkLength(SimpleNamespace(tell=lambda: 1, length_remaining=2), b"x"),
            ("the answer broke off", False, False, LATER),
        ),
        (urllib3_errors.InvalidHeader("Content-Length"), ("an answer that is not HTTP came", False, False, LATER)),
        (
            ssl.SSLCertVerificationError("self-signed"),
            (
                "the certificate is not trusted",
                True,
                True,
                "Check the base URL, or name the trusted certificates in 'verify'.",
            ),
        ),
        (
            tls_error("WRONG_VERSION_NUMBER"),
            (
                "no connection (the base URL begins with https://, and the server does not speak TLS)",
                True,
                True,
                "Check the base URL: a local emulator's begins with http://.",
            ),
        ),
        (
            urllib3_errors.NewConnectionError(POOL, "Failed: [Errno 111] Connection refused"),
            ("no connection ([Errno 111] Connection refused)", True, False, LATER),
        ),
        (urllib3_errors.ConnectTimeoutError(POOL, "x"), ("no connection within 2.5 s", True, False, LATER)),
        (urllib3_errors.ReadTimeoutError(POOL, "/x", "x"), ("no answer came within 60 s", False, False, LATER)),
    ],
)
def test_each_cause_says_what_was_sent_and_whether_another_try_may_help(cause, why, wrap):
    assert astuple(why_no_answer(wrap(cause), (2.5, 60.0))) == why


@pytest.mark.parametrize(
    "problem",
    [
        requests.exceptions.ConnectionError("reset by peer"),
        urllib3_errors.ProtocolError("Connection aborted.", ConnectionResetError(104, "reset by peer")),
        wrapped(tls_error("TLSV1_ALERT_INTERNAL_ERROR")),
    ],
)
def test_a_connection_that_breaks_leaves_open_whether_the_request_arrived(problem):
    assert why_no_answer(problem, (2.5, 60.0)) == NoAnswer("the connection broke before an answer came")


@pytest.mark.parametrize(
    "problem",
    [requests.exceptions.InvalidHeader("bad header"), OSError("bad header"), ValueError("bad header")],
)
def test_what_cannot_be_sent_was_not_sent_and_never_will_be(problem):
    assert why_no_answer(problem, (2.5, 60.0)) == NoAnswer(
        "no connection (bad header)", nothing_sent=True, hopeless=True
    )


def test_the_timeouts_of_requests_itself_are_told_apart():
    assert why_no_answer(requests.exceptions.ConnectTimeout(), (2.5, 60.0)).nothing_sent
    assert why_no_answer(requests.exceptions.ReadTimeout(), (2.5, 60.0)) == NoAnswer("no answer came within 60 s")


def test_a_cause_is_found_behind_an_original_error_and_a_context():
    outer, inner = requests.exceptions.RequestException("outer"), BrokenAnswerError("ends early")
    outer.original_error = requests.exceptions.RequestException("between")
    outer.original_error.__context__ = inner
    assert why_no_answer(outer, (2.5, 60.0)).text == "the answer broke off"


def test_a_cause_is_found_behind_one_that_is_wrapped_twice():
    twice = requests.exceptions.RequestException("twice")
    problem = urllib3_errors.HTTPError(twice, twice, BrokenAnswerError("ends early"))
    assert why_no_answer(problem, (2.5, 60.0)).text == "the answer broke off"


def test_errors_that_wrap_each_other_in_a_circle_are_no_trap():
    first, second = requests.exceptions.RequestException("a"), requests.exceptions.RequestException("b")
    first.__context__, second.__context__ = second, first
    assert why_no_answer(first, (2.5, 60.0)).text == "the connection broke before an answer came"
