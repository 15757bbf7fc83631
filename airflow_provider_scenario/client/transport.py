"""
Sends requests to a service: authentication, timeouts, retries, and errors without secrets.

A call is either *repeatable*, sending it twice has the effect of sending it once, or it is not. Only a repeatable call
is sent again after its answer was lost: a training whose answer was lost may be running and billed.
"""

from __future__ import annotations

import itertools
import logging
import random
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

import urllib3.exceptions

from airflow_provider_scenario import __version__
from airflow_provider_scenario.client.answers import Answer, AnswerReader
from airflow_provider_scenario.client.budget import WaitNotice
from airflow_provider_scenario.client.defaults import CONNECT_TIMEOUT, TIMEOUT, TRIES
from airflow_provider_scenario.client.encoding import encoded, query_text
from airflow_provider_scenario.client.errors import (
    ScenarioError,
    ThrottledError,
)
from airflow_provider_scenario.client.http_session import (
    LARGEST_REFUSAL,
    LONGEST_ANSWER,
    Limits,
    beginning_of_body,
    limited,
    new_session,
    whole_body,
)
from airflow_provider_scenario.client.ids import check_id
from airflow_provider_scenario.client.messages import shortened
from airflow_provider_scenario.client.no_answer import why_no_answer
from airflow_provider_scenario.client.refusals import (
    CHECK_FIRST,
    Call,
)
from airflow_provider_scenario.client.retrying import Retrying
from airflow_provider_scenario.client.settings import (
    check_credentials,
    check_verify,
    checked_base_url,
    checked_timeout,
)
from airflow_provider_scenario.client.signed import LARGEST_FILE, SignedAddresses
from airflow_provider_scenario.client.texts import Scrubber

if TYPE_CHECKING:
    import requests

    from airflow_provider_scenario.client.budget import Budget
    from airflow_provider_scenario.client.dialect import Dialect

log = logging.getLogger("airflow_provider_scenario.client")

LARGEST_ANSWER = 32 * 1024 * 1024
"""Bytes of an answer in JSON, unpacked. The largest that is requested, 50 models with 50 images each, has 3 MB."""

_FIELDS = {
    "models": "model_id",
    "training-images": "training_image_id",
    "assets": "asset_id",
    "jobs": "job_id",
    "download": "job_id",
    "projects": "project_id",
    "uploads": "upload_id",
}

Json = Mapping[str, object] | Sequence[object]
Query = Mapping[str, "str | bool | float | datetime | Collection[str] | None"]


def path(*segments: str) -> str:
    r"""
    Join a path in which every id stays one segment: it cannot reach another endpoint.

    :param segments: fixed words and ids, such as ``"models", model_id, "train"``.
    :raises InvalidInputError: an id is empty, ``.``, ``..``, or holds ``/ \\ ? # %``, white space or control
        characters; names the field after the word before it.
    """
    for word, segment in itertools.pairwise(("", *segments)):
        check_id(_FIELDS.get(word, "id"), segment)
    return "/" + "/".join(quote(segment, safe="") for segment in segments)


class Transport:
    """
    Sends requests to one service with one key, over pooled connections. Safe to use from several threads.

    :param base_url: such as ``https://api.cloud.scenario.com/v1``; http or https, without credentials or query.
    :param api_key: names the caller.
    :param api_secret: authenticates the caller. Neither appears in a message, a repr or a chained exception.
    :param dialect: makes of key and secret what differs between the services.
    :param project_id: sent as ``projectId`` with every call; default: the project of the key.
    :param timeout: seconds to wait for (connection, answer); one number is the second. Default: 5 and 60, as the
        vendor's client.
    :param verify: check the server's certificate, or the path of a file or folder of trusted ones. Default: True.
    :param user_agent: how the client names itself.
    :param pool_size: connections that are kept open. Default: 10.
    :param max_tries: how often a call is sent at most. Default: 4.
    :param session: used instead of a new one; the caller closes it.
    :param budget: counts the requests, and spreads those that follow a throttled one. Default: none.
    :param sleep: waits some seconds between tries.
    :param clock: Unix time in seconds, to read a ``Retry-After`` that is a date.
    :param jitter: a number from 0 to 1, for each pause.
    :raises InvalidInputError: for a base URL, key, timeout or certificate path that cannot work.
    """

    def __init__(
        self,
        base_url: str,
        api_key: str,
        api_secret: str,
        *,
        dialect: Callable[[str, str], Dialect],
        project_id: str | None = None,
        timeout: tuple[float, float] | float = (CONNECT_TIMEOUT, TIMEOUT),
        verify: bool | str = True,
        user_agent: str = f"airflow-provider-scenario/{__version__}",
        pool_size: int = 10,
        max_tries: int = TRIES,
        session: requests.Session | None = None,
        budget: Budget | None = None,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.time,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        check_credentials(api_key, api_secret)
        check_verify(verify)
        self._dialect = dialect(api_key, api_secret)
        self.base_url = checked_base_url(base_url, self._dialect.example)
        self.project_id = project_id or None
        self.timeout = checked_timeout(timeout)
        self._verify = verify
        self._budget = budget
        self._notice = WaitNotice(log.info)
        self._until_answered = Retrying(
            tries=max_tries, turn=self._turn_after, on_retry=self._log_retry, sleep=sleep, jitter=jitter
        )
        scrub = Scrubber(self._dialect.secrets)
        self._answers = AnswerReader(dialect=self._dialect, base_url=self.base_url, scrub=scrub, clock=clock)
        # Without this, requests would accept packings that are not unpacked within a limit here.
        self._headers = {"User-Agent": user_agent, "Accept": self._dialect.media_type, "Accept-Encoding": "gzip"}
        # Twice the size: chunk headers count too.
        self._limits = Limits(seconds=self.timeout[1] * LONGEST_ANSWER, size=2 * LARGEST_ANSWER)
        self._owns_session = session is None
        self._session = session or new_session(pool_size)
        self._signed = SignedAddresses(
            session=self._session,
            timeout=self.timeout,
            verify=verify,
            largest=LARGEST_FILE,
            user_agent=user_agent,
            scrub=scrub,
        )

    def __repr__(self) -> str:
        return f"Transport({self.base_url!r}, project_id={self.project_id!r})"

    def close(self) -> None:
        """Close the pooled connections, unless the session was passed in."""
        if self._owns_session:
            self._session.close()

    def request(
        self,
        method: str,
        path: str,
        *,
        action: str,
        repeatable: bool,
        query: Query | None = None,
        json: Json | None = None,
        content: bytes | None = None,
        accept: Collection[int] = (),
        if_lost: str | None = None,
        in_project: bool = True,
    ) -> Answer:
        """
        Send one request, again where that is safe and may help, and return its answer.

        :param method: the HTTP method.
        :param path: as ``path`` joins it.
        :param action: for messages, an infinitive without 'to', such as ``train model model_8Xk``.
        :param repeatable: whether sending it twice has the effect of sending it once. If not, it is sent again only
            when certainly nothing was sent (no connection) or the service refused it before acting (throttling).
            ``x-should-retry`` in the answer cannot extend that.
        :param query: None and empty values are left out, lists are joined by commas.
        :param json: the body; none is sent by default.
        :param content: the body as JSON text, instead of ``json``: for files, whose copies cost megabytes each.
        :param accept: statuses besides 2xx that are an answer when their body is a JSON object.
        :param if_lost: for messages: what may have happened when the answer to a call that is not repeatable is lost.
        :param in_project: whether ``projectId`` goes with it.
        :raises AuthenticationError, NotFoundError, RequestRefusedError, PlanCeilingError: refused, nothing was done.
        :raises ThrottledError: still throttled after the last try, or ``Retry-After`` is above 60 s.
        :raises ServiceError: the service failed, cannot be reached, or its answer was lost or cannot be read;
            ``maybe_done`` where the call is not repeatable and may have been carried out.
        :raises InvalidInputError: the body cannot be JSON.
        """
        # Both may contain an id or a name of any length.
        phrase, request = shortened(action, 300), shortened(f"{method} {path}", 300)
        call = Call(
            phrase,
            request,
            repeatable,
            reads=method == "GET",
            if_lost=if_lost or CHECK_FIRST,
            base_url=self.base_url,
        )
        address = self._address(path, query, in_project=in_project)
        content = encoded(json) if json is not None else content
        return self._until_answered(lambda: self._send_within_budget(call, method, address, content, accept))

    def put_signed(self, address: str, content: bytes, *, action: str) -> None:
        """Send a file to a signed address, again where that may help: see :meth:`.SignedAddresses.put`."""
        self._until_answered(lambda: self._signed.put(address, content, action=action))

    def get_signed(self, address: str, *, action: str) -> Iterator[bytes]:
        """Fetch a file from a signed address. Each call is one try: see :meth:`.SignedAddresses.get`."""
        return self._signed.get(address, action=action)

    def _log_retry(self, error: ScenarioError, seconds: float) -> None:
        reason = "takes no more requests now (429)" if isinstance(error, ThrottledError) else "has failed"
        self._notice(seconds, f"{self._dialect.service} {reason}; the request is sent again then")

    def _turn_after(self, error: ScenarioError) -> float:
        """Seconds to wait for a place in the request budget: after throttling, all tasks of this machine share it."""
        return self._budget.turn() if self._budget and isinstance(error, ThrottledError) else 0.0

    def _address(self, path: str, query: Query | None, *, in_project: bool) -> str:
        pairs = {name: query_text(name, value) for name, value in (query or {}).items()}
        if in_project and self.project_id:
            pairs["projectId"] = query_text("project_id", self.project_id)
        text = urlencode({name: value for name, value in pairs.items() if value})
        return f"{self.base_url}{path}" + (f"?{text}" if text else "")

    def _send_within_budget(
        self, call: Call, method: str, address: str, content: bytes | None, accept: Collection[int]
    ) -> Answer:
        if self._budget is None:
            return self._send(call, method, address, content, accept)
        self._budget.spend()
        try:
            return self._send(call, method, address, content, accept)
        except ThrottledError as error:
            self._budget.throttled(error.retry_after)
            raise

    def _send(self, call: Call, method: str, address: str, content: bytes | None, accept: Collection[int]) -> Answer:
        """Send it once. Errors of requests are not passed on: they hold the request with its Authorization header."""
        try:
            with (
                limited(self._limits),
                self._session.request(
                    method,
                    address,
                    data=content,
                    headers=self._headers | ({"Content-Type": self._dialect.media_type} if content is not None else {}),
                    auth=self._dialect.auth,
                    timeout=self.timeout,
                    verify=self._verify,
                    allow_redirects=False,
                    stream=True,
                ) as response,
            ):
                is_answer = 200 <= response.status_code < 300 or response.status_code in accept
                body = (
                    whole_body(response, LARGEST_ANSWER) if is_answer else beginning_of_body(response, LARGEST_REFUSAL)
                )
        except (OSError, urllib3.exceptions.HTTPError) as problem:
            why = why_no_answer(problem, self.timeout)
        else:
            return self._answers.read(call, response, body, accept)
        raise self._answers.unanswered(call, why)
