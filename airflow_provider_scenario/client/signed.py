"""
Sends and fetches files at signed addresses, such as those of a storage, without our key.

A signed address is as good as a password: it appears in no message and in no log, whatever level is logged (see
:mod:`.http_session`). No redirect is followed, since it could lead to a host that the service has not named.
"""

from __future__ import annotations

import time
from collections.abc import Container, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import urllib3.exceptions
from urllib3.util import parse_url

from airflow_provider_scenario.client.decoding import decode
from airflow_provider_scenario.client.errors import ServiceError
from airflow_provider_scenario.client.http_session import (
    LARGEST_REFUSAL,
    LONGEST_ANSWER,
    AnswerLimitError,
    Limits,
    beginning_of_body,
    limited,
    too_large,
    unpacked,
)
from airflow_provider_scenario.client.no_answer import why_no_answer
from airflow_provider_scenario.client.refusals import Call, reason_in
from airflow_provider_scenario.client.texts import Scrubber, is_http, plain

if TYPE_CHECKING:
    import requests

BLOCK = 1024 * 1024
"""Bytes of a file that are in memory at once."""

LARGEST_FILE = 100 * 1000**3
"""Bytes of a file that is fetched. A LoRA has up to a few GB, a whole model with all its epochs up to some 50."""

SLOWEST_FILE = 20_000.0
"""Bytes a second below which a file that is fetched takes too long, once the time for an answer is over."""

_LONGEST_HOST = 255


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedAddresses:
    """
    Sends files to signed addresses and fetches files from them. Each call is one try. Safe to use in several threads.

    :param session: as :func:`.new_session` makes it.
    :param timeout: seconds to wait for (connection, next bytes of the answer).
    :param verify: check the server's certificate, or the path of a file or folder of trusted ones. Default: True.
    :param user_agent: how the client names itself.
    :param largest: bytes of a file that is fetched.
    :param deadline: seconds from the start of the connection to the last byte. Default: a file may take as long as it
        comes faster than 20 kB/s.
    :param http_hosts: the only hosts that are reached over http; all others need https. The service names the
        addresses, and could otherwise reach servers inside our network that answer everyone. Default: all hosts.
    :param scrub: makes a text of the storage safe to show.
    """

    session: requests.Session
    timeout: tuple[float, float]
    largest: int
    verify: bool | str = True
    user_agent: str = "airflow-provider-scenario"
    deadline: float | None = None
    http_hosts: Container[str | None] | None = None
    scrub: Scrubber = field(default=plain, repr=False)

    def put(self, address: str, content: bytes, *, action: str) -> None:
        """
        Send a file.

        :param address: as the service gave it.
        :param action: for messages, an infinitive without 'to', such as ``send part 1 of upload up_1``.
        :raises ServiceError: the storage refuses it, cannot be reached or does not answer; ``resendable`` where
            another try may help.
        """
        call = Call(action, "PUT to a signed address", repeatable=True)
        with self._response(call, "PUT", address, content):
            pass

    def get(self, address: str, *, action: str) -> Iterator[bytes]:
        """
        Fetch a file of any size, block by block.

        :param address: as the service gave it.
        :param action: as for :meth:`put`.
        :raises ServiceError: the storage refuses it or cannot be reached, or the file breaks off, after some blocks.
            ``status`` is the storage's, such as 403 for an address that has expired.
        """
        call = Call(action, "GET from a signed address", repeatable=True, reads=True)
        with self._response(call, "GET", address) as response:
            try:
                if (response.raw.length_remaining or 0) > self.largest:  # do not read what is going to be refused
                    raise AnswerLimitError(too_large(self.largest))
                yield from unpacked(response, self.largest, BLOCK)
            except (OSError, urllib3.exceptions.HTTPError) as problem:
                why = why_no_answer(problem, self.timeout)
            else:
                return
        raise self._failure(call, address, why.text)

    def _response(self, call: Call, method: str, address: str, content: bytes | None = None) -> requests.Response:
        """Send one request. Errors of requests are not passed on: they hold the address with its signature."""
        if wrong := self._wrong_with(address):
            raise self._failure(call, address, wrong)
        beginning = b""
        try:
            with limited(self._limits()):
                response = self.session.request(
                    method,
                    address,
                    data=content,
                    headers={"User-Agent": self.user_agent, "Accept-Encoding": "identity"},
                    auth=_without_key,
                    timeout=self.timeout,
                    verify=self.verify,
                    allow_redirects=False,
                    stream=True,
                )
            if method == "PUT" or not 200 <= response.status_code < 300:
                with response:
                    beginning = beginning_of_body(response, LARGEST_REFUSAL)
        except (OSError, urllib3.exceptions.HTTPError) as problem:
            why = why_no_answer(problem, self.timeout)
        else:
            status = response.status_code
            if 200 <= status < 300:
                return response
            text = f"the storage answered {status} ({reason_in(decode(beginning))})"
            raise self._failure(call, address, text, status=status, resendable=status in (408, 429) or status >= 500)
        raise self._failure(call, address, why.text, resendable=not why.hopeless)

    def _wrong_with(self, address: str) -> str | None:
        if not is_http(address):
            return "the service gave an address that is not an http(s) one"
        if self.http_hosts is not None:
            parts = urlsplit(address)
            if parts.scheme != "https" and (parts.hostname not in self.http_hosts or parts.hostname != _host(address)):
                return "the service gave an address that is not an https one"
        return None

    def _limits(self) -> Limits:
        size = 2 * self.largest  # twice: chunk headers count too
        if self.deadline is not None:
            return Limits(seconds=self.deadline, size=size, until=time.monotonic() + self.deadline)
        return Limits(seconds=self.timeout[1] * LONGEST_ANSWER, size=size, slowest=SLOWEST_FILE)

    def _failure(
        self, call: Call, address: str, text: str, *, status: int | None = None, resendable: bool = False
    ) -> ServiceError:
        where = f" at {urlsplit(address).netloc.rpartition('@')[2][:_LONGEST_HOST]}" if is_http(address) else ""
        message = f"Could not {call.phrase}: {self.scrub(text)}{where}. {call.consequence}"
        error = ServiceError(message, maybe_done=False, request=call.request, status=status)
        error.resendable = resendable
        return error


def _without_key(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Given to requests as ``auth``: with None it would take a key from a ``.netrc`` file."""
    return request


def _host(address: str) -> str | None:
    r"""Return the host that urllib3 connects to: for ``http://a\@b`` it is another one than ``urlsplit`` finds."""
    try:
        host = parse_url(address).host
    except urllib3.exceptions.LocationParseError:
        return None
    return host.strip("[]").lower() if host else None
