"""The receiver in ``example_dags/listing_events.py``, as far as it goes without an Airflow."""

from __future__ import annotations

import importlib.util
import threading
from pathlib import Path

import pytest
import requests

SECRET = "long-and-random"


@pytest.fixture(scope="module")
def example():
    file = Path(__file__).parents[2] / "example_dags" / "listing_events.py"
    spec = importlib.util.spec_from_file_location("listing_events", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def receiver(example):
    """Its address. The Airflow that it tells is not there."""
    server = example.serve(example.Airflow("http://127.0.0.1:9", "admin", "secret"), SECRET, 0)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_while_airflow_is_down_the_workshop_is_asked_to_try_again(receiver):
    assert requests.post(f"{receiver}/{SECRET}?bizType=x", json={"modelId": "hero"}, timeout=60).status_code == 502


@pytest.mark.parametrize("path", ["", "/", "/long-and", f"/{SECRET}/more", "/%2e"])
def test_who_does_not_know_the_secret_is_told_nothing(receiver, path):
    assert requests.post(f"{receiver}{path}", json={"modelId": "hero"}, timeout=60).status_code == 404


def test_without_a_secret_it_does_not_start(example):
    with pytest.raises(ValueError, match="EVENT_SECRET is empty"):
        example.serve(None, "", 0)


@pytest.mark.parametrize(
    ("content", "kept"),
    [
        (b'{"modelId": "hero", "status": 10, "apiToken": "t"}', {"modelId": "hero", "status": 10}),
        (b"", {}),
        (b"[1]", {}),
        (b"\xff no JSON", {}),
    ],
)
def test_neither_token_nor_signature_is_kept(example, content, kept):
    query = {"bizType": "listing", "invokeId": "i_1", "apiToken": "encrypted", "sign": "s", "nonce": "n"}
    assert example.recognised(query, content) == {**kept, "bizType": "listing", "invokeId": "i_1"}
