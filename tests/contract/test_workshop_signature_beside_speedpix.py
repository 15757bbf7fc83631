"""
Our signature beside that of the vendor's published client, and that client against our emulator.

``speedpix`` has no model sync. It signs any path and body alike, though, and that is what is compared.
"""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import requests
import speedpix
from speedpix.schema import GatewayResponse

from airflow_provider_scenario.client.transport import Transport
from airflow_provider_scenario.client.workshop.client import WorkshopClient
from airflow_provider_scenario.client.workshop.dialect import WorkshopDialect
from airflow_provider_scenario.client.workshop.signing import DigestAuth
from tests.contract.wire import Recorder, Reply, recorder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_scenario.emulator.server import RunningEmulator

NOON, NONCE = 1_772_366_400.25, "0b0f8d0e-5d9c-4d3f-9a53-6f5d6a0c2f11"
JSON = "application/json; charset=utf-8"
KEY, SECRET, TOKEN = "203700000", "a-secret-of-the-tests", "01j1w6cxqz0000"
SYNC, QUERY_TOKEN = "/scc/spSdModelSync", "/scc/spQueryToken"
SIGNED = (
    *("date", "accept", "content-type", "content-md5", "x-ca-key", "x-ca-nonce", "x-ca-timestamp"),
    *("x-ca-signature", "x-ca-signature-method", "x-ca-signature-headers"),
)
TREE: dict[str, Any] = {
    "modelId": "hero",
    "name": "Ritter – 騎士 „é“ 🐉",
    "modelType": "lora",
    "modelDesc": '<p class="a">\\ / \t\n</p>',
    "sourceType": "internal",
    "isOriginal": True,
    "versions": [
        {
            "modelVersionId": "hero-1",
            "name": "1",
            "baseModel": "v1.5",
            "triggerWords": [],
            "covers": [{"cover": "https://files.test/a.jpg?x=1&y=ü", "coverFile": {"width": 1920, "height": 0.5}}],
            "files": [
                {
                    "name": "hero.safetensors",
                    "aliasName": "hero",
                    "downloadUrl": "https://files.test/hero.safetensors",
                    "hash": "ab" * 32,
                    "sizeKb": 5376404.0390625,
                    "isPrimary": True,
                }
            ],
        }
    ],
}
LEAST = {name: TREE[name] for name in ("modelId", "name", "modelType", "sourceType")}


@pytest.fixture
def wire() -> Iterator[Recorder]:
    with recorder() as wire:
        wire.reply = lambda _: Reply(200, b'{"status": 10, "data": {"status": 5}}')
        yield wire


@pytest.fixture
def vendors(wire: Recorder, monkeypatch: pytest.MonkeyPatch) -> Iterator[speedpix.Client]:
    """The vendor's client, at a given time and with a given nonce."""
    clock = SimpleNamespace(time=lambda: NOON, strftime=time.strftime, gmtime=time.gmtime)
    monkeypatch.setattr("speedpix.client.time", clock)
    monkeypatch.setattr("speedpix.client.uuid", SimpleNamespace(uuid4=lambda: NONCE))
    with speedpix.Client(KEY, SECRET, endpoint=wire.url.removesuffix("/v1")) as client:
        yield client


def ours(wire: Recorder, **settings: Any) -> WorkshopClient:
    """Ours, at the same time and with the same nonce."""

    def dialect(key: str, secret: str) -> WorkshopDialect:
        dialect = WorkshopDialect(key, secret, api_token=TOKEN)
        dialect.auth = DigestAuth(key, secret, clock=lambda: NOON, nonce=lambda: NONCE)
        return dialect

    transport = Transport(wire.url.removesuffix("/v1"), KEY, SECRET, dialect=dialect, max_tries=1)
    return WorkshopClient(transport, api_token=TOKEN, **settings)


def agree(wire: Recorder) -> None:
    """What the two have sent is the same to the last byte, the signature included."""
    (mine, theirs), _ = wire.take()
    assert (mine.method, mine.target) == (theirs.method, theirs.target)
    assert mine.body == theirs.body
    assert {name: mine.headers.get(name) for name in SIGNED} == {name: theirs.headers.get(name) for name in SIGNED}
    assert all(theirs.headers.get(name) for name in SIGNED)


@pytest.mark.parametrize("tree", [TREE, LEAST], ids=["full", "least"])
def test_a_sync_with_the_token_in_the_body_is_signed_as_the_vendors_client_signs_it(wire, vendors, tree):
    ours(wire).sync_model(tree)
    vendors.post(SYNC, json={"apiToken": TOKEN, **tree})
    agree(wire)


@pytest.mark.parametrize("tree", [TREE, LEAST], ids=["full", "least"])
def test_a_sync_with_the_token_in_the_query_is_signed_as_the_vendors_client_signs_it(wire, vendors, tree):
    ours(wire, api_token_in="query").sync_model(tree, session={"role_id": "r-1", "session_mode": 20})
    vendors.post(f"{SYNC}?apiToken={TOKEN}&roleId=r-1&sessionMode=20", json=tree)
    agree(wire)


def test_the_question_about_a_token_is_signed_as_the_vendors_client_signs_it(wire, vendors):
    wire.reply = lambda _: Reply(200, b'{"status": 10, "data": {}}')
    ours(wire).check()
    vendors.post(QUERY_TOKEN, json={"apiToken": TOKEN})
    agree(wire)


# The vendor's client against our emulator, with its own time and its own nonces


@pytest.fixture
def emulated(emulator: RunningEmulator) -> Iterator[speedpix.Client]:
    emulator.switch("settings", fetch_files=False)
    with speedpix.Client("demo", "demo", endpoint=emulator.address) as client:
        yield client


def test_the_vendors_client_passes_the_emulators_gateway_and_reads_its_envelope(emulated):
    answer = emulated.post(QUERY_TOKEN, json={"apiToken": "demo"})
    read = GatewayResponse.from_dict(answer.json())
    assert (read.status, read.err_code, read.sub_err_code) == (10, None, None)
    assert read.api_invoke_id == answer.json()["apiInvokeId"]
    assert answer.json()["data"]["apiToken"] == "demo"


def test_the_vendors_client_reads_a_refusal_of_the_emulator(emulated):
    read = GatewayResponse.from_dict(emulated.post(QUERY_TOKEN, json={"apiToken": "other"}).json())
    assert (read.status, read.sub_err_code, read.sub_err_message) == (
        20,
        "EMULATOR_TOKEN_UNKNOWN",
        "There is no such token",
    )


def test_a_repeated_query_name_is_signed_by_us_as_the_emulator_checks_it(emulator: RunningEmulator) -> None:
    emulator.switch("settings", fetch_files=False, api_token_in="query")
    address = f"{emulator.address}{SYNC}?sessionMode=20&apiToken=demo&sessionMode=10&apiToken=other"
    headers = {"Accept": JSON, "Content-Type": JSON}
    answer = requests.post(address, json=LEAST, headers=headers, auth=DigestAuth("demo", "demo"), timeout=60)
    assert (answer.status_code, answer.headers.get("x-ca-error-message")) == (200, None)
    assert answer.json()["status"] == 10


async def test_the_vendors_other_client_passes_too(emulated):
    async with emulated:
        answer = await emulated.async_post(QUERY_TOKEN, json={"apiToken": "demo"})
    assert answer.json()["status"] == 10


def test_a_wrong_secret_of_the_vendors_client_does_not_pass(emulator):
    client = speedpix.Client("demo", "wrong", endpoint=emulator.address)
    with client, pytest.raises(httpx.HTTPStatusError) as caught:
        client.post(QUERY_TOKEN, json={"apiToken": "demo"})
    assert caught.value.response.headers["x-ca-error-message"].startswith("Invalid Signature, Server StringToSign:")


@pytest.mark.parametrize("place", ["body", "query"])
def test_what_the_vendors_client_has_synced_is_the_same_to_ours(emulator, emulated, place):
    emulator.switch("settings", api_token_in=place)
    path, beside = (f"{SYNC}?apiToken=demo", {}) if place == "query" else (SYNC, {"apiToken": "demo"})
    theirs = emulated.post(path, json={**beside, **TREE}).json()["data"]
    settings = {"app_key": "demo", "app_secret": "demo", "api_token": "demo", "api_token_in": place}
    with WorkshopClient.connect(base_url=emulator.address, **settings) as client:
        mine = client.sync_model(TREE)
    assert (mine.model_id, mine.model_version_id, mine.model_file_id, mine.status) == tuple(theirs.values())
    [model] = emulator.ledger()["synced_models"]
    assert (model["syncs"], model["changes"], len(model["files"])) == (2, 1, 1)
