"""Two clients on one wire: a server that writes down what reaches it, calls told by name, readings compared."""

from __future__ import annotations

import http.client
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from operator import attrgetter
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

import scenario_sdk

from airflow_provider_scenario.client.schema import Schema

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping


@dataclass(frozen=True, slots=True)
class Sent:
    """
    A request as it came over the wire; equal if the service must take it for the same.

    :param path: not decoded.
    :param query: the ``name=value`` pairs, not decoded. Their order says nothing, so they are sorted.
    :param content_type: of the body; None where there is none.
    """

    method: str
    path: str
    query: tuple[str, ...]
    body: bytes
    content_type: str | None
    accept: str | None
    authorization: str | None
    target: str = field(compare=False, repr=False)
    headers: dict[str, str] = field(compare=False, repr=False)


class Reply(NamedTuple):
    """:param status: 0 hangs up without an answer."""

    status: int
    body: bytes
    headers: Mapping[str, str] = MappingProxyType({})


class Recorder:
    """
    :param url: base URL of the API it pretends to be.
    :param sent: what has come so far.
    :param reply: makes the answer.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.sent: list[Sent] = []
        self.replies: list[Reply] = []
        self.reply: Callable[[Sent], Reply] = lambda _: Reply(500, b"{}")

    def take(self) -> tuple[list[Sent], list[Reply]]:
        """What was asked and answered since the last time."""
        taken = self.sent, self.replies
        self.sent, self.replies = [], []
        return taken

    def receive(self, sent: Sent) -> Reply:
        self.sent.append(sent)
        self.replies.append(self.reply(sent))
        return self.replies[-1]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    recorder: Recorder

    def handle_one_request(self) -> None:
        self.raw_requestline = self.rfile.readline(65537)
        if not self.raw_requestline or not self.parse_request():
            self.close_connection = True
            return
        headers = {name.lower(): value for name, value in self.headers.items()}
        body = self.rfile.read(int(headers.get("content-length", 0)))
        parts = urlsplit(self.path)
        reply = self.recorder.receive(
            Sent(
                method=self.command,
                path=parts.path,
                query=tuple(sorted(filter(None, parts.query.split("&")))),
                body=body,
                content_type=headers.get("content-type") if body else None,
                accept=headers.get("accept"),
                authorization=headers.get("authorization"),
                target=self.path,
                headers=headers,
            )
        )
        if not reply.status:
            self.close_connection = True
            return
        self.send_response(reply.status)
        for name, value in {"Content-Type": "application/json", **reply.headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        self.wfile.write(reply.body)

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def recorder() -> Iterator[Recorder]:
    handler = type("Handler", (_Handler,), {})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    handler.recorder = Recorder(f"http://127.0.0.1:{server.server_port}/v1")
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield handler.recorder
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


def forward_to(address: str) -> Callable[[Sent], Reply]:
    """Answer with what the service at ``address`` answers."""

    def reply(sent: Sent) -> Reply:
        connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=60)
        try:
            connection.request(sent.method, sent.target, sent.body or None, sent.headers)
            answer = connection.getresponse()
            return Reply(answer.status, answer.read())
        finally:
            connection.close()

    return reply


def repeat(replies: list[Reply]) -> Callable[[Sent], Reply]:
    """Answer with these, one after the other."""
    left = iter(replies)
    return lambda _: next(left, Reply(599, b'{"reason": "The other client has not asked this often"}'))


class Call:
    """
    A call of a client's method, told by name, so that a table of them can be asked what is in it.

    :param name: such as ``get_model`` of our client, or ``models.retrieve`` of the vendor's.
    """

    def __init__(self, name: str, /, *args: Any, **kwargs: Any) -> None:
        self.name, self.args, self.kwargs = name, args, kwargs

    def __repr__(self) -> str:
        return f"{self.name}({','.join(self.kwargs)})"

    def on(self, client: Any, **more: Any) -> Any:
        """What the call returns. Lists are read to their end, and then they are lists."""
        answer = attrgetter(self.name)(client)(*self.args, **self.kwargs, **more)
        if hasattr(answer, "get_next_page"):
            return list(_rows(answer))
        return list(answer) if hasattr(answer, "__next__") else answer


def _rows(page: Any) -> Iterator[Any]:
    """Of all pages: by itself the vendor's client stops at the first that is empty."""
    yield from page._get_page_items()
    while page.next_pagination_token:
        page = page.get_next_page()
        yield from page._get_page_items()


def api_names(schema: Any) -> dict[str, str]:
    """The API's name of each field, and what the field is called here: the vendor's client has ``class_``, too."""
    return {info.alias or name: name for name, info in schema.model_fields.items()}


def differences(ours: Any, vendors: Any, where: str = "") -> list[str]:
    """What was read differently, field by field, of all that our schemas type."""
    if isinstance(ours, list) and isinstance(vendors, list):
        if len(ours) != len(vendors):
            return [f"{where}: {len(ours)} and {len(vendors)} of them"]
        pairs = enumerate(zip(ours, vendors, strict=True))
        return [found for number, (mine, theirs) in pairs for found in differences(mine, theirs, f"{where}[{number}]")]
    if isinstance(ours, Schema) and isinstance(vendors, scenario_sdk.BaseModel):
        theirs = api_names(type(vendors))
        return [
            found
            for api_name, name in api_names(type(ours)).items()
            for found in _field_differences(
                getattr(ours, name),
                getattr(vendors, theirs.get(api_name, ""), None),
                type(ours).model_fields[name].get_default(call_default_factory=True),
                f"{where}.{name}",
            )
        ]
    if isinstance(ours, dict) and isinstance(vendors, scenario_sdk.BaseModel):
        vendors = vendors.to_dict()
    if isinstance(ours, datetime):
        vendors = _moment(vendors)
    return [] if ours == vendors else [f"{where}: {ours!r} and {vendors!r}"]


def _field_differences(ours: Any, vendors: Any, default: Any, where: str) -> list[str]:
    """What is absent is None to the vendor's client, and to ours the default."""
    if vendors is None:
        return [] if ours == default else [f"{where}: {ours!r} and nothing"]
    return differences(ours, vendors, where)


def _moment(value: Any) -> Any:
    """The vendor's client leaves dates as they came: text, or milliseconds since 1970."""
    return datetime.fromisoformat(value) if isinstance(value, str) else datetime.fromtimestamp(value / 1000, UTC)
