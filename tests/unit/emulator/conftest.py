from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from PIL import Image

from airflow_provider_scenario.emulator.server import RunningEmulator, running_emulator

TRAINING_SECONDS = 1000.0


class Api:
    """The emulated service as a client meets it, with shortcuts for what a test needs first."""

    def __init__(self, emulator: RunningEmulator) -> None:
        self.emulator = emulator
        self.http = httpx.Client(base_url=emulator.url, auth=("demo", "demo"), timeout=60)

    def call(self, method: str, path: str, body: Any = None, **query: Any) -> httpx.Response:
        return self.http.request(method, path, json=body, params=query)

    def model(self, name: str = "hero", *, images: int = 0, **fields: Any) -> str:
        model_id = self.call("POST", "/models", {"name": name, "type": "flux.2-dev-lora", **fields}).json()["model"][
            "id"
        ]
        for number in range(images):
            self.add_image(model_id, f"{number}.png")
        return model_id

    def add_image(self, model_id: str, name: str = "a.png") -> str:
        answer = self.call("POST", f"/models/{model_id}/training-images", {"data": picture_url(), "name": name})
        return answer.json()["trainingImage"]["id"]

    def asset(self, name: str = "a.png") -> str:
        return self.call("POST", "/assets", {"name": name, "image": encoded(picture())}).json()["asset"]["id"]

    def read(self, model_id: str) -> dict[str, Any]:
        return self.call("GET", f"/models/{model_id}").json()["model"]

    def train(self, model_id: str, **parameters: Any) -> dict[str, Any]:
        answer = self.call("PUT", f"/models/{model_id}/train", {"parameters": parameters})
        assert answer.status_code == 200, answer.text
        return answer.json()

    def trained(self, name: str = "hero", *, type: str = "flux.2-dev-lora", **parameters: Any) -> str:  # noqa: A002
        model_id = self.model(name, images=2, type=type)
        self.train(model_id, **parameters)
        self.advance(1.0)
        return model_id

    def advance(self, share: float) -> None:
        """Let that share of a training's whole duration pass."""
        self.emulator.switch("advance", seconds=share * TRAINING_SECONDS)

    def totals(self) -> dict[str, float]:
        return self.emulator.ledger()["totals"]


def picture(colour: str = "red", side: int = 64, file_format: str = "PNG") -> bytes:
    written = io.BytesIO()
    Image.new("RGB", (side, side), colour).save(written, file_format)
    return written.getvalue()


def encoded(content: bytes) -> str:
    return base64.b64encode(content).decode()


def picture_url(content: bytes | None = None) -> str:
    return "data:image/png;base64," + encoded(content or picture())


@pytest.fixture(scope="session")
def emulator_thread() -> Iterator[RunningEmulator]:
    with running_emulator(training_seconds=TRAINING_SECONDS) as emulator:
        yield emulator


@pytest.fixture
def emulator(emulator_thread: RunningEmulator) -> RunningEmulator:
    emulator_thread.switch("reset")
    return emulator_thread


@pytest.fixture
def api(emulator: RunningEmulator) -> Iterator[Api]:
    api = Api(emulator)
    yield api
    api.http.close()
