"""
HTTP connections that keep queries out of logs, and limit the time and size of an answer.

urllib3 logs the path and query of every request at the level DEBUG, of a retry at WARNING, and repeats them in its
exceptions. A signed address is as good as a password, and a token may be in a query. A filter on urllib3's logger would
not catch other loggers, and Airflow may configure logging again at any time. Here urllib3 never gets the query: the
adapter withholds it, and the connection adds it when it writes the request line.

Time and size of an answer are limited where bytes are read from the socket. So the limits cover status line, headers
and body, however slowly they arrive and however they are framed.
"""

from __future__ import annotations

import io
import math
import threading
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from http.client import HTTPResponse
from http.cookiejar import DefaultCookiePolicy
from typing import TYPE_CHECKING, Any

import requests
from requests.adapters import HTTPAdapter

if TYPE_CHECKING:
    import socket

_LONGEST_LINE = 65_536
"""Bytes of a line outside the body; the standard library has the same bound for headers."""

LONGEST_ANSWER = 5
"""How many times the timeout for one read a whole answer may take: with the default of 60 s, 5 minutes."""

LARGEST_REFUSAL = 64 * 1024
"""Bytes that are read of an answer that is not a success: the reason is at its beginning."""


class AnswerLimitError(OSError):
    """An answer takes too long or is too large. The text is part of a sentence, for messages."""


class BrokenAnswerError(OSError):
    """An answer ends too early, or is not packed as its headers say."""


_LARGEST_HEAD = 1_000_000
"""Bytes of status line and headers, with those of interim answers."""


@dataclass(frozen=True, slots=True)
class Limits:
    """
    What an answer may take.

    :param seconds: from the end of the request to the end of the answer.
    :param size: bytes that come from the socket.
    :param slowest: bytes a second that give it more time: for files of any size. Default: none do.
    :param until: the moment at which the answer must have ended, on the clock of :func:`time.monotonic`.
    """

    seconds: float = math.inf
    size: float = math.inf
    slowest: float = math.inf
    until: float = math.inf


class _Request(threading.local):
    """The query and the limits of this thread's request: requests and urllib3 have no parameter for them."""

    query = ""
    limits = Limits()


_current = _Request()


@contextmanager
def limited(limits: Limits) -> Iterator[None]:
    """Limit the answers to requests that this thread sends within the block."""
    before, _current.limits = _current.limits, limits
    try:
        yield
    finally:
        _current.limits = before


def new_session(pool_size: int) -> requests.Session:
    """
    Make a session over such connections, which follows no redirect and keeps no cookie.

    :param pool_size: connections to one host that are kept open.
    """
    session = _Session()
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    adapter = _Adapter(pool_connections=1, pool_maxsize=pool_size, max_retries=0)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session


class _Session(requests.Session):
    def get_redirect_target(self, _: requests.Response) -> None:
        """None: otherwise requests reads the whole body of a redirect, even one that it does not follow."""


class _Adapter(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        _make_quiet(self.poolmanager)

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        return _make_quiet(super().proxy_manager_for(*args, **kwargs))

    def request_url(self, *args: Any, **kwargs: Any) -> str:
        """The address for urllib3, without the query."""
        url, mark, query = super().request_url(*args, **kwargs).partition("?")
        _current.query = mark + query
        return url

    def send(self, *args: Any, **kwargs: Any) -> requests.Response:
        try:
            return super().send(*args, **kwargs)
        finally:
            _current.query = ""


def _make_quiet(manager: Any) -> Any:
    """Replace the pools; urllib3 documents ``pool_classes_by_scheme`` for this."""
    manager.pool_classes_by_scheme = {
        scheme: _quiet_pool(pool) for scheme, pool in manager.pool_classes_by_scheme.items()
    }
    return manager


@cache
def _quiet_pool(pool: Any) -> Any:
    """The same kind of pool (plain, TLS, SOCKS proxy), with connections that log no query."""
    if issubclass(pool.ConnectionCls, _Connection):
        return pool
    connection = type(f"Quiet{pool.ConnectionCls.__name__}", (_Connection, pool.ConnectionCls), {})
    return type(f"Quiet{pool.__name__}", (pool,), {"ConnectionCls": connection})


class _Connection:
    """Adds the query to the request line, and reads answers within limits."""

    debuglevel = 0  # otherwise http.client prints whole requests when this is switched on for all connections

    def putrequest(self, method: str, url: str, *args: Any, **kwargs: Any) -> Any:
        return super().putrequest(method, url + _current.query, *args, **kwargs)  # type: ignore[misc]

    class response_class(HTTPResponse):  # noqa: N801 - http.client's name
        def __init__(self, sock: Any, *args: Any, **kwargs: Any) -> None:
            self._file = _LimitedFile(sock, _current.limits)
            super().__init__(self._file, *args, **kwargs)  # type: ignore[arg-type]

        def begin(self) -> None:
            """Read status line and headers. Interim answers count too: there may be any number of them."""
            self._file.size = _LARGEST_HEAD
            super().begin()
            self._file.size = _current.limits.size


class _Reader(io.BufferedReader):
    """Refuses to read without a bound: old versions of urllib3 do for lines, and for a chunk of length -1."""

    def readline(self, size: int | None = -1) -> bytes:
        return super().readline(_LONGEST_LINE if size is None or size < 0 else size)

    def read(self, size: int | None = -1) -> bytes:
        if size is None or size < 0:
            raise OSError("an answer is not read without a limit")
        return super().read(size)


class _LimitedFile(io.RawIOBase):
    """Reads from a socket within limits. http.client's response gets it instead of the socket."""

    def __init__(self, sock: socket.socket, limits: Limits) -> None:
        self._sock, self._limits = sock, limits
        self.size = limits.size
        self._file: Any = sock.makefile("rb", buffering=0)
        self._patience = self._timeout = sock.gettimeout() or math.inf
        self._began, self._received = time.monotonic(), 0

    def makefile(self, _: str) -> io.BufferedReader:
        return _Reader(self)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self._left()
        if left <= 0:
            raise self._too_slow()
        if self._timeout != (timeout := min(left, self._patience)):
            self._sock.settimeout(timeout)
            self._timeout = timeout
        try:
            count: int | None = self._file.readinto(buffer)
        except TimeoutError:
            if self._left() <= 0:
                raise self._too_slow() from None
            raise
        self._received += count or 0
        if self._received > self.size:
            raise AnswerLimitError(too_large(self.size))
        return count

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()

    def _left(self) -> float:
        more = self._received / self._limits.slowest
        return min(self._began + self._limits.seconds + more, self._limits.until) - time.monotonic()

    def _too_slow(self) -> AnswerLimitError:
        return AnswerLimitError(f"no whole answer came within {self._limits.seconds:.0f} s")


def too_large(size: float) -> str:
    """Part of a sentence, for messages."""
    return f"an answer larger than the limit of {size / 1e6:,.3g} MB came"


def unpacked(response: requests.Response, limit: int, block: int = 64 * 1024) -> Iterator[bytes]:
    """
    Read the body block by block.

    requests and urllib3 would unpack a small block to any number of bytes, and a body that is packed many times over.
    Only gzip is unpacked here; no other packing was requested.

    :raises AnswerLimitError: it is larger than the limit.
    :raises BrokenAnswerError: it is not packed as its headers say.
    """
    packed = response.headers.get("content-encoding", "").strip().lower() in ("gzip", "x-gzip")
    pieces: Iterator[bytes] = response.raw.stream(block, decode_content=False)
    size = 0
    for content in _gunzipped(pieces, block) if packed else pieces:
        size += len(content)
        if size > limit:
            raise AnswerLimitError(too_large(limit))
        yield content


def _gunzipped(pieces: Iterator[bytes], block: int) -> Iterator[bytes]:
    unpacker = zlib.decompressobj(zlib.MAX_WBITS | 16)
    try:
        for piece in pieces:
            waiting = piece
            while waiting:
                yield unpacker.decompress(waiting, block)
                waiting = unpacker.unconsumed_tail
    except zlib.error as problem:
        raise BrokenAnswerError("not packed with gzip") from problem
    if not unpacker.eof:
        raise BrokenAnswerError("ends too early")


def whole_body(response: requests.Response, limit: int) -> bytes:
    """
    Read the whole body.

    :raises AnswerLimitError, BrokenAnswerError: as for :func:`unpacked`.
    """
    return b"".join(unpacked(response, limit))


def beginning_of_body(response: requests.Response, limit: int) -> bytes:
    """Read at most so many bytes; the connection is not used again if there are more."""
    parts, size = list[bytes](), 0
    for part in unpacked(response, limit + 64 * 1024, block=16 * 1024):
        parts.append(part)
        size += len(part)
        if size >= limit:
            break
    return b"".join(parts)[:limit]
