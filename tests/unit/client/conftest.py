"""A service that answers from a script, and a client that talks to it without a network and without waiting."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import requests
from requests.adapters import BaseAdapter
from requests.structures import CaseInsensitiveDict
from urllib3 import HTTPResponse

from airflow_provider_scenario.client.scenario.client import ScenarioClient
from airflow_provider_scenario.client.scenario.dialect import ScenarioDialect
from airflow_provider_scenario.client.scenario.schemas import Model
from airflow_provider_scenario.client.transport import Transport

ScenarioTransport = partial(Transport, dialect=ScenarioDialect)

NOW = 1_800_000_000.0
READY = Model(id="model_1", status="new", type="flux.2-dev-lora", trainingImagesNumber=10)
"""A model that can be trained, as a caller has just read it."""
KEY, SECRET = "api_key_of_the_tests", "secret_of_the_tests"


@dataclass
class Sent:
    """A request as it would have gone over the wire."""

    method: str
    path: str
    query: dict[str, str]
    body: Any
    headers: dict[str, str]
    kwargs: dict[str, Any] = field(repr=False)


class ScriptedService(BaseAdapter):
    """Answers with ``script``, one entry a request, the last one for ever. An exception is raised instead."""

    def __init__(self) -> None:
        super().__init__()
        self.script: list[Any] = [{}]
        self.sent: list[Sent] = []

    def answers(self, *script: Any) -> None:
        self.script = list(script)

    def send(self, request: requests.PreparedRequest, *_: Any, **kwargs: Any) -> requests.Response:
        parts = urlsplit(str(request.url))
        body = json.loads(request.body) if request.body else None
        query = dict(parse_qsl(parts.query))
        self.sent.append(Sent(str(request.method), parts.path, query, body, dict(request.headers), kwargs))
        answer = self.script[min(len(self.sent), len(self.script)) - 1]
        if isinstance(answer, Exception):
            answer.request = request  # type: ignore[attr-defined]
            raise answer
        status, body, headers = reply(answer)
        response = requests.Response()
        response.status_code = status
        response.headers = CaseInsensitiveDict(headers)
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        response.raw = HTTPResponse(io.BytesIO(content), headers=headers, status=status, preload_content=False)
        response.url = str(request.url)
        response.request = request
        return response

    def close(self) -> None:
        pass


def reply(answer: Any) -> tuple[int, Any, dict[str, str]]:
    """``body``, ``(status, body)`` or ``(status, body, headers)``."""
    if not isinstance(answer, tuple):
        return 200, answer, {}
    return (*answer, {})[:3]  # type: ignore[return-value]


@pytest.fixture
def service() -> ScriptedService:
    return ScriptedService()


@pytest.fixture
def slept() -> list[float]:
    return []


@pytest.fixture
def transport(service: ScriptedService, slept: list[float]) -> Transport:
    session = requests.Session()
    session.mount("https://", service)
    return ScenarioTransport(
        "https://scenario.test/v1",
        KEY,
        SECRET,
        project_id="proj_1",
        session=session,
        sleep=slept.append,
        clock=lambda: NOW,
        jitter=lambda: 0.0,
    )


@pytest.fixture
def client(transport: Transport) -> ScenarioClient:
    return ScenarioClient(transport)
