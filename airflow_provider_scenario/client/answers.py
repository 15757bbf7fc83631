"""Reads the answer to a request: a success becomes an :class:`Answer`, everything else an error."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from airflow_provider_scenario.client.decoding import JsonObject, decode
from airflow_provider_scenario.client.errors import (
    ConflictError,
    Origin,
    ScenarioError,
    ServiceError,
    ThrottledError,
)
from airflow_provider_scenario.client.refusals import Call, is_page, page_advice, reason_in, retry_after, should_retry
from airflow_provider_scenario.client.texts import Scrubber, plain

if TYPE_CHECKING:
    import requests

    from airflow_provider_scenario.client.dialect import Dialect
    from airflow_provider_scenario.client.no_answer import NoAnswer


@dataclass(frozen=True, slots=True)
class Answer:
    """
    An answer that is a success.

    :param status: 2xx, or one of the statuses the caller accepts.
    :param json: the decoded object; empty for a 204.
    :param request: method and path of the request.
    :param trace_id: the gateway's id of the request.
    :param scrub: makes a text of this answer safe to show.
    """

    status: int
    json: JsonObject = field(repr=False)
    request: str = ""
    trace_id: str | None = None
    scrub: Scrubber = field(default=plain, repr=False, compare=False)

    @property
    def origin(self) -> Origin:
        """Where an error comes from that is found in this answer."""
        return {"request": self.request, "status": self.status, "trace_id": self.trace_id, "body": self.json}


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerReader:
    """
    Reads the answers of one service.

    :param dialect: of the service.
    :param base_url: where its requests are sent.
    :param scrub: makes text of the service safe to show.
    :param clock: Unix time in seconds, for a ``Retry-After`` that is a date.
    """

    dialect: Dialect
    base_url: str
    scrub: Scrubber
    clock: Callable[[], float]

    @property
    def host(self) -> str:
        return urlsplit(self.base_url).netloc

    def unanswered(self, call: Call, why: NoAnswer) -> ServiceError:
        """The error for a request without an answer."""
        text = self.scrub(why.text)
        if why.nothing_sent:
            message = f"Could not {call.phrase}: {text} at {self.host}. {self.dialect.no_effect(call)} {why.advice}"
        else:
            message = f"{self._requested(call)}, but {text} from {self.host}. {call.consequence}"
        error = ServiceError(message, maybe_done=call.maybe_done and not why.nothing_sent, request=call.request)
        error.resendable = not why.hopeless and (call.repeatable or why.nothing_sent)
        return error

    def read(self, call: Call, response: requests.Response, content: bytes, accept: Collection[int]) -> Answer:
        """
        Read an answer.

        :param content: the body; of an answer that is not a success, its beginning.
        :param accept: statuses besides 2xx that are a success when the body is a JSON object.
        :raises ScenarioError: the service has refused the request, has failed, or the answer is unreadable.
        """
        status, headers = response.status_code, response.headers
        is_success = 200 <= status < 300
        if not is_success:
            content = self.scrub.masked(content.decode("utf-8", "replace")).encode()
            for name, value in headers.items():
                headers[name] = self.scrub.masked(value)
        body = {} if status == 204 else decode(content)
        origin = Origin(request=call.request, status=status, trace_id=self.dialect.trace_id(headers, body), body=body)
        if (is_success or status in accept) and isinstance(body, dict):
            if refused := self.dialect.refusal_in_success(call, body, origin):
                raise refused
            return Answer(status, body, call.request, origin["trace_id"], self.scrub)
        if is_success:
            raise self._unreadable(call, content, origin, is_page=is_page(headers, body))
        if 300 <= status < 400:
            raise self._redirected(call, headers.get("location", ""), origin)
        raise self._refused(call, response, body)

    def _unreadable(self, call: Call, content: bytes, origin: Origin, *, is_page: bool) -> ServiceError:
        what, advice = "cannot be read: it is not a JSON object", ""
        if is_page:
            what = f"is a web page ({self.scrub(reason_in(origin['body'])) or 'without a title'}), not JSON"
            advice = f" {page_advice(self.base_url, self.dialect.example)}"
        message = f"{self._requested(call)}; the answer {what}. {call.consequence}{advice}"
        error = ServiceError(message, maybe_done=call.maybe_done, **origin)
        # Truncated JSON is retried; a proxy's HTML would only come back.
        error.resendable = call.repeatable and content.startswith(b"{")
        return error

    def _redirected(self, call: Call, target: str, origin: Origin) -> ServiceError:
        return ServiceError(
            f"Could not {call.phrase}: {self.host} redirects to {self.scrub(target) or 'another address'}, and the "
            f"key is not sent there. {self.dialect.no_effect(call)} Check the base URL.",
            maybe_done=False,
            **origin,
        )

    def _refused(self, call: Call, response: requests.Response, body: object) -> ScenarioError:
        now = self.clock()
        error = self.dialect.refusal(call, response, body, now=now)
        error.resendable = _is_resendable(call, response.status_code, should_retry(response.headers), error)
        error.retry_after = retry_after(response.headers, body, now=now)
        return error

    def _requested(self, call: Call) -> str:
        return f"{self.dialect.service} was requested to {call.phrase}"


def _is_resendable(call: Call, status: int, should_retry: bool | None, error: ScenarioError) -> bool:
    """
    Whether the request may be sent again after an answer that is not a success.

    :param should_retry: what the answer's ``x-should-retry`` says. It decides, as in the vendor's client, with two
        exceptions: a call that is not repeatable and a refusal that is certain (a plan ceiling) are never sent again.
    """
    if should_retry is False or error.is_certain:
        return False
    if isinstance(error, ThrottledError):
        return True  # refused before anything was done
    failed = isinstance(error, ServiceError) and (status == 408 or status >= 500)
    return call.repeatable and (should_retry is True or failed or isinstance(error, ConflictError))
