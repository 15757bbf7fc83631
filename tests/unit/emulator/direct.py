"""The emulator called in this thread, without a socket: thousands of requests take seconds."""

from __future__ import annotations

import asyncio
import base64
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from airflow_provider_scenario.emulator.app import create_app
from airflow_provider_scenario.emulator.settings import Settings
from airflow_provider_scenario.emulator.state import State

from .conftest import TRAINING_SECONDS

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
WAV = b"RIFF\x24\x00\x00\x00WAVEfmt "
AUTHORIZATION = b"Basic " + base64.b64encode(b"demo:demo")


@dataclass(frozen=True, slots=True)
class Got:
    status: int
    content: bytes

    def json(self) -> Any:
        """As JSON has it: NaN and Infinity, which Python would read, are no numbers there."""
        return json.loads(self.content, parse_constant=_no_number)


class Direct:
    """An emulator of its own. An error of the emulator itself reaches the test as an exception, not as a 500."""

    def __init__(self, **settings: Any) -> None:
        self.state = State(Settings(**{"training_seconds": TRAINING_SECONDS, **settings}))
        self._app = create_app(self.state)

    def call(self, method: str, path: str, body: Any = None, query: Any = ()) -> Got:
        """
        :param path: from the root on, not encoded.
        :param body: JSON, or bytes that go out as they are.
        :param query: pairs, of which several may have the same name.
        """
        raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        return asyncio.run(self._call(method, path, raw, urlencode(query, errors="surrogatepass")))

    def v1(self, method: str, path: str, body: Any = None, query: Any = ()) -> Got:
        return self.call(method, f"/v1{path}", body, query)

    def switch(self, name: str, **payload: Any) -> Any:
        got = self.call("POST", f"/emulator/{name}", payload)
        assert got.status == 200, got
        return got.json()

    def advance(self, share: float) -> None:
        """Let that share of a training's whole duration pass."""
        self.switch("advance", seconds=share * TRAINING_SECONDS)

    def model(self, **fields: Any) -> str:
        return self.v1("POST", "/models", {"name": "hero", "type": "flux.1-lora", **fields}).json()["model"]["id"]

    def add_image(self, model_id: str, content: bytes = PNG, kind: str = "image/png") -> str:
        data = f"data:{kind};base64,{base64.b64encode(content).decode()}"
        got = self.v1("POST", f"/models/{model_id}/training-images", {"data": data, "name": "a.png"})
        return got.json()["trainingImage"]["id"]

    def train(self, model_id: str, **parameters: Any) -> dict[str, Any]:
        got = self.v1("PUT", f"/models/{model_id}/train", {"parameters": parameters})
        assert got.status == 200, got
        return got.json()

    def read(self, model_id: str) -> dict[str, Any]:
        return self.v1("GET", f"/models/{model_id}").json()["model"]

    def job(self, job_id: str) -> dict[str, Any]:
        return self.v1("GET", f"/jobs/{job_id}").json()["job"]

    async def _call(self, method: str, path: str, raw: bytes, query: str) -> Got:
        sent: list[dict[str, Any]] = []
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": quote(path, safe="/", errors="surrogatepass").encode(),
            "root_path": "",
            "query_string": query.encode(),
            "headers": [
                (b"host", b"localhost"),
                (b"authorization", AUTHORIZATION),
                (b"content-type", b"application/json"),
            ],
        }

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": raw, "more_body": False}

        async def send(message: Any) -> None:
            sent.append(message)

        await self._app(scope, receive, send)
        return Got(sent[0]["status"], b"".join(message.get("body", b"") for message in sent[1:]))


def _no_number(constant: str) -> float:
    raise ValueError(constant)
