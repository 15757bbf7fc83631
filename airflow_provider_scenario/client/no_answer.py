"""Requests without an answer: the errors of requests and urllib3 in words, and whether a retry may help."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from dataclasses import dataclass

import requests
import urllib3.exceptions

from airflow_provider_scenario.client.http_session import AnswerLimitError, BrokenAnswerError


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """
    Why no answer came.

    :param text: for messages, the part of a sentence that says it.
    :param nothing_sent: whether certainly nothing was sent.
    :param hopeless: whether another try would end the same way.
    :param advice: what to do about it.
    """

    text: str
    nothing_sent: bool = False
    hopeless: bool = False
    advice: str = "Try again later, or check the base URL."


def why_no_answer(problem: Exception, timeout: tuple[float, float]) -> NoAnswer:
    """
    Find out why no answer came.

    :param problem: as requests or urllib3 have raised it.
    :param timeout: seconds that were waited for (connection, answer).
    """
    causes = list(_causes(problem))

    def find(*kinds: type[BaseException]) -> BaseException | None:
        return next((cause for cause in causes if isinstance(cause, kinds)), None)

    if beyond := find(AnswerLimitError):
        return NoAnswer(str(beyond), hopeless=True)
    if find(BrokenAnswerError, urllib3.exceptions.IncompleteRead, urllib3.exceptions.InvalidChunkLength):
        return NoAnswer("the answer broke off")
    if find(urllib3.exceptions.InvalidHeader):
        # A header of the answer. requests raises a ValueError for it, as for requests that it cannot send.
        return NoAnswer("an answer that is not HTTP came")
    if find(ssl.SSLCertVerificationError):
        return NoAnswer(
            "the certificate is not trusted",
            nothing_sent=True,
            hopeless=True,
            advice="Check the base URL, or name the trusted certificates in 'verify'.",
        )
    if any(isinstance(cause, ssl.SSLError) and cause.reason == "WRONG_VERSION_NUMBER" for cause in causes):
        # The first bytes of the answer to the TLS handshake are not TLS.
        return NoAnswer(
            "no connection (the base URL begins with https://, and the server does not speak TLS)",
            nothing_sent=True,
            hopeless=True,
            advice="Check the base URL: a local emulator's begins with http://.",
        )
    if refused := find(urllib3.exceptions.NewConnectionError):
        return NoAnswer(f"no connection ({str(refused).rpartition(': ')[2]})", nothing_sent=True)
    if find(urllib3.exceptions.ConnectTimeoutError, requests.exceptions.ConnectTimeout):
        return NoAnswer(f"no connection within {timeout[0]:g} s", nothing_sent=True)
    if find(requests.exceptions.Timeout, urllib3.exceptions.TimeoutError):
        return NoAnswer(f"no answer came within {timeout[1]:g} s")
    if isinstance(problem, ValueError) or not isinstance(
        problem, requests.exceptions.RequestException | urllib3.exceptions.HTTPError
    ):
        # Raised before anything is sent: a bad address or header, a missing CA bundle.
        return NoAnswer(f"no connection ({problem})", nothing_sent=True, hopeless=True)
    return NoAnswer("the connection broke before an answer came")


def _causes(problem: BaseException) -> Iterator[BaseException]:
    """The exception and those that it wraps: requests and urllib3 keep them in several attributes."""
    pending, found = [problem], set[int]()
    while pending:
        cause = pending.pop(0)
        if id(cause) in found:
            continue
        found.add(id(cause))
        yield cause
        inside = (
            *cause.args,
            getattr(cause, "reason", None),
            getattr(cause, "original_error", None),
            cause.__context__,
        )
        pending.extend(wrapped for wrapped in inside if isinstance(wrapped, BaseException))
