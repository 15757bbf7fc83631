"""The gateway in front of every route: it reads the request, applies faults, and sends the answer or refusal."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from email.utils import formatdate
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote

from airflow_provider_scenario.emulator.lifecycle import settle
from airflow_provider_scenario.emulator.routing import Answer, Call, GatewayRefusal, Refusal, Route, Routes

if TYPE_CHECKING:
    from airflow_provider_scenario.emulator.settings import Fault
    from airflow_provider_scenario.emulator.state import State

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Check = Callable[[Call], None]

UNKNOWN_FIELD = "emulatorUnknownField"
GARBAGE = {
    "html": (b"<html><body><h1>502 Bad Gateway</h1></body></html>", "text/html"),
    "text": (b"upstream connect error or disconnect/reset before headers", "application/json"),
    "empty": (b"", "application/json"),
}


class Gateway:
    """
    An ASGI app that serves routes under a prefix.

    :param check: raises a refusal for a request without access.
    :param largest_body: bytes; a larger request gets the AWS gateway's 413.
    """

    def __init__(self, state: State, prefix: str, routes: Routes, check: Check, largest_body: int) -> None:
        self._state = state
        self._prefix = prefix
        self._routes = routes
        self._check = check
        self._largest_body = largest_body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        raw = await self._read(receive)
        call, route = self._route(scope, raw)
        self._state.ledger.requests[f"{call.method} {self._prefix}{call.template}"] += 1
        fault = self._state.faults.pick(call.method, self._spellings(call), lambda: subjects(call))
        if fault is None:
            return await self._reply(send, await self._answer(call, route, raw))
        return await self._apply_fault(fault, call, route, raw, scope, send)

    def _route(self, scope: Scope, raw: bytes | None) -> tuple[Call, Route | None]:
        # The undecoded path: an encoded slash belongs to its segment and must not lead to another route.
        path = scope["raw_path"].decode("latin-1")
        segments = [unquote(segment) for segment in path.removeprefix(self._prefix).split("/")[1:]]
        inside = path.startswith(f"{self._prefix}/")
        found = self._routes.find(scope["method"], segments) if inside else None
        route, params = found or (None, {})
        headers = {key.decode("latin-1"): value.decode("latin-1") for key, value in scope["headers"]}
        call = Call(
            state=self._state,
            method=scope["method"],
            template=route.template if route else "/(no such route)",
            params=params,
            query=dict(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)),
            raw=raw or b"",
            headers=headers,
            base=f"{scope['scheme']}://{headers.get('host', 'localhost')}",
            now=self._state.now(),
            path=path,
            query_string=scope["query_string"].decode("latin-1"),
        )
        return call, route

    def _spellings(self, call: Call) -> Iterable[str]:
        return call.template, f"{self._prefix}{call.template}", call.path.removeprefix(self._prefix), call.path

    async def _answer(self, call: Call, route: Route | None, raw: bytes | None) -> Answer:
        try:
            if raw is None:
                raise self.too_large()
            if route is None:
                raise self.no_route()
            call.now = self._state.now()
            self._check(call)
            settle(self._state, call.now)
            answer = route.handler(call)
            return self._finished(answer if isinstance(answer, Answer) else await answer)
        except Refusal as refusal:
            return self._finished(refusal.answer())

    def _finished(self, answer: Answer) -> Answer:
        if self._state.settings.unknown_fields and self._prefix == "/v1":
            answer.payload = with_unknown_fields(answer.payload)
        return answer

    async def _apply_fault(
        self, fault: Fault, call: Call, route: Route | None, raw: bytes | None, scope: Scope, send: Send
    ) -> None:
        if fault.kind == "slow" and fault.when == "before":
            await asyncio.sleep(fault.seconds)
        acted = fault.kind == "slow" or fault.when == "after"
        answer = await self._answer(call, route, raw) if acted else Answer({})
        match fault.kind:
            case "slow":
                if fault.when == "after":
                    await asyncio.sleep(fault.seconds)
                await self._reply(send, answer)
            case "hang" | "close":
                if fault.kind == "hang":
                    await asyncio.sleep(fault.seconds)
                await hang_up(scope)
            case "garbage":
                whole = answer.encoded()
                content, content_type = GARBAGE.get(fault.garbage, (whole[: len(whole) // 2], "application/json"))
                await self._reply(send, Answer(content, 200, content_type))
            case "429":
                retry_after = {} if fault.retry_after is None else {"retry-after": f"{fault.retry_after:g}"}
                body = {"message": "Too Many Requests"} if fault.body is None else fault.body
                await self._reply(send, Answer(body, 429, headers={**fault.headers, **retry_after}))
            case "status":
                body = {"reason": "Injected by the emulator"} if fault.body is None else fault.body
                await self._reply(send, Answer(body, fault.status, headers=fault.headers))

    def too_large(self) -> Refusal:
        return GatewayRefusal(413, "Request Too Long", "RequestTooLargeException")

    def no_route(self) -> Refusal:
        # The service answers so to GET /models/{id}/training-images too, a route that it does not have.
        return GatewayRefusal(403, "Missing Authentication Token", "MissingAuthenticationTokenException")

    def own_headers(self) -> dict[str, str]:
        """Headers that this gateway adds to every answer."""
        return {"x-amzn-requestid": request_id().decode()}

    def clock(self) -> float:
        """Unix time for the ``Date`` header."""
        return time.time()

    async def _read(self, receive: Receive) -> bytes | None:
        """The body, or None if it is too large; read to its end even then, or the client never gets the answer."""
        message = await receive()
        chunks = [message.get("body", b"")]
        size = len(chunks[0])
        while message.get("more_body", False):
            message = await receive()
            size += len(message.get("body", b""))
            if size <= self._largest_body:
                chunks.append(message.get("body", b""))
        return b"".join(chunks) if size <= self._largest_body else None

    async def _reply(self, send: Send, answer: Answer) -> None:
        self._state.ledger.answers[answer.status] += 1
        content = answer.encoded()
        headers = [
            (b"content-type", answer.content_type.encode()),
            (b"content-length", str(len(content)).encode()),
            (b"date", formatdate(self.clock(), usegmt=True).encode()),
            *((name.encode(), value.encode()) for name, value in (self.own_headers() | answer.headers).items()),
        ]
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": content})


def request_id() -> bytes:
    digits = f"{random.getrandbits(128):032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}".encode()


async def hang_up(scope: Scope) -> None:
    """Drop the connection without an answer."""
    drop = scope.get("extensions", {}).get("emulator.hang_up")
    if drop is None:
        raise ConnectionResetError("A fault of the emulator drops this connection")
    drop()
    await asyncio.sleep(0.01)


def with_unknown_fields(value: Any) -> Any:
    """Add a field to every object; a number where all values are numbers, such as prices by action."""
    if isinstance(value, list):
        return [with_unknown_fields(item) for item in value]
    if not isinstance(value, dict):
        return value
    numbers = bool(value) and all(type(item) in (int, float) for item in value.values())
    inside = {name: with_unknown_fields(item) for name, item in value.items()}
    return {**inside, UNKNOWN_FIELD: 0 if numbers else {"since": "some day"}}


def subjects(call: Call) -> list[str]:
    """The ids and names of the models in a request."""
    ids = [call.params["modelId"]] if "modelId" in call.params else []
    job = call.state.jobs.get(call.params.get("jobId", ""))
    if job is not None and job.model_id is not None:
        ids.append(job.model_id)
    found: list[str] = []
    if call.raw and not ids:
        try:
            body = json.loads(call.raw)
        except (ValueError, RecursionError):
            body = None
        if isinstance(body, dict):
            named = body.get("modelIds")
            ids += [item for item in named if isinstance(item, str)] if isinstance(named, list) else []
            found += [body[field] for field in ("name", "modelId") if isinstance(body.get(field), str)]
    for model_id in ids:
        found.append(model_id)
        model = call.state.models.get(model_id)
        if model is not None and model.name:
            found.append(model.name)
    return found
