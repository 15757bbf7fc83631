"""Requests, answers, refusals, and the table of routes."""

from __future__ import annotations

import json
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from math import inf, isfinite
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic_core import from_json

if TYPE_CHECKING:
    from airflow_provider_scenario.emulator.state import State


@dataclass(slots=True)
class Call:
    """One request, and the route that it matches."""

    state: State
    method: str
    template: str
    params: dict[str, str]
    query: dict[str, str]
    raw: bytes
    headers: dict[str, str]
    base: str
    now: float
    path: str
    query_string: str = ""

    def json(self) -> Any:
        return read_json(self.raw)

    def body(self) -> dict[str, Any]:
        """The body as an object. Unknown fields are ignored silently, as by the service."""
        body = self.json()
        if not isinstance(body, dict):
            raise Refusal(400, '"value" must be of type object')
        return body

    def flag(self, name: str) -> bool:
        return self.query.get(name) == "true"


@dataclass(slots=True)
class Answer:
    """What is sent back: JSON, or bytes that are sent unchanged with their ``content_type``."""

    payload: Any
    status: int = 200
    content_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)

    def encoded(self) -> bytes:
        if isinstance(self.payload, bytes):
            return self.payload
        return json.dumps(self.payload, separators=(",", ":")).encode()


class Refusal(Exception):  # noqa: N818 - not an error of the emulator
    """An error of the application: ``{reason, name?, details?}``."""

    def __init__(self, status: int, reason: str, name: str | None = None, details: dict[str, Any] | None = None):
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.name = name
        self.details = details

    def answer(self) -> Answer:
        named = {"name": self.name} if self.name else {}
        detailed = {"details": self.details} if self.details else {}
        trace_id = f"1-{random.getrandbits(32):08x}-{random.getrandbits(96):024x}"
        return Answer({"reason": self.reason, **named, **detailed, "trace_id": trace_id}, self.status)


class GatewayRefusal(Refusal):
    """An error of the gateway in front of the application: ``{message}`` and a header that names it."""

    def __init__(self, status: int, message: str, error_type: str, headers: dict[str, str] | None = None):
        super().__init__(status, message)
        self.headers = {"x-amzn-errortype": error_type, **(headers or {})}

    def answer(self) -> Answer:
        return Answer({"message": self.reason}, self.status, headers=self.headers)


def read_json(raw: bytes) -> Any:
    """
    Parse a body; an empty one is an empty object.

    Also refuses what no client should send and no source describes: NaN, half a surrogate pair (Python's own parser
    accepts both), numbers too large for a double, and nesting of 200 levels.
    """
    try:
        body = from_json(raw or b"{}", allow_inf_nan=False)  # fast: an image is 4 MB of text
    except ValueError:
        body = inf
    if not _is_finite(body):
        raise Refusal(400, "Invalid JSON in the request body")
    return body


def _is_finite(value: Any) -> bool:
    """Whether all numbers fit into a double: ``1e400`` is valid JSON, and the parser makes it infinite."""
    if isinstance(value, dict):
        return all(map(_is_finite, value.values()))
    if isinstance(value, list):
        return all(map(_is_finite, value))
    return not isinstance(value, float) or isfinite(value)


Handler = Callable[[Call], Answer | Awaitable[Answer]]
AnyHandler = TypeVar("AnyHandler", bound=Handler)


@dataclass(frozen=True, slots=True)
class Route:
    template: str
    segments: tuple[str, ...]
    handler: Handler

    def match(self, segments: list[str]) -> dict[str, str] | None:
        """The values of the template's parameters, or None if it does not match. A parameter cannot be empty."""
        params = {}
        for expected, given in zip(self.segments, segments, strict=True):
            if expected[0] == "{":
                if not given:
                    return None
                params[expected[1:-1]] = given
            elif expected != given:
                return None
        return params


class Routes:
    """Routes by method and number of segments; if several match, the first added is used."""

    def __init__(self, *parts: Routes) -> None:
        self._routes: dict[tuple[str, int], list[Route]] = {}
        for part in parts:
            for key, routes in part._routes.items():
                self._routes.setdefault(key, []).extend(routes)

    def serve(self, method: str, template: str) -> Callable[[AnyHandler], AnyHandler]:
        segments = tuple(template.split("/")[1:])

        def add(handler: AnyHandler) -> AnyHandler:
            self._routes.setdefault((method, len(segments)), []).append(Route(template, segments, handler))
            return handler

        return add

    def find(self, method: str, segments: list[str]) -> tuple[Route, dict[str, str]] | None:
        for route in self._routes.get((method, len(segments)), ()):
            params = route.match(segments)
            if params is not None:
                return route, params
        return None
