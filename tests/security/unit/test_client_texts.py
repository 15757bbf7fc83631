"""No text of the service shows a secret or a signed address, wherever it goes."""

from __future__ import annotations

import base64
import json
import time
import traceback
from urllib.parse import quote

import pytest
import requests

from airflow_provider_scenario.client.decoding import decode
from airflow_provider_scenario.client.errors import ScenarioError
from airflow_provider_scenario.client.refusals import reason_in
from airflow_provider_scenario.client.scenario.client import ScenarioClient
from airflow_provider_scenario.client.texts import MAX_SERVICE_TEXT, Scrubber, plain
from airflow_provider_scenario.client.workshop.client import WorkshopClient
from airflow_provider_scenario.exceptions import TrainingFailedError
from airflow_provider_scenario.watch.decision import Snapshot, TrainingWatch
from airflow_provider_scenario.watch.polling import fetch_result
from tests.unit.client.conftest import ScenarioTransport, ScriptedService

KEY, SECRET, TOKEN = "api_key+of/the=tests", "secret&of/the+tests=1", "token%of+the/tests"
SIGNED = "https://user:pass-word@cdn.test/a.png?Policy='x'&Signature=signed-part"
PARTS = ("signed-part", "pass-word")


def spellings(secret: str) -> dict[str, str]:
    """Every way in which a service may repeat a secret."""
    quoted = quote(secret, safe="")
    return {
        "raw": secret,
        "percent": quoted,
        "percent, lower case": "".join(part.lower() if at % 2 else part for at, part in enumerate(_split(quoted))),
        "percent, twice": quote(quoted, safe=""),
        "percent, every character": "".join(f"%{ord(char):02x}" for char in secret),
        "JSON": json.dumps(secret).replace("/", "\\/")[1:-1],
        "JSON, every character": "".join(f"\\u{ord(char):04x}" for char in secret),
        "HTML": secret.replace("&", "&#38;").replace("/", "&#x2F;"),
        "base64": base64.b64encode(secret.encode()).decode(),
        "base64, in the middle": base64.b64encode(f"a{secret}bc".encode()).decode(),
        "base64, for addresses": base64.urlsafe_b64encode(f"ab{secret}c".encode()).decode(),
        "basic": base64.b64encode(f"{KEY}:{SECRET}".encode()).decode(),
    }


def _split(quoted: str) -> list[str]:
    parts = [""]
    for at, char in enumerate(quoted):
        if char == "%":
            parts += [quoted[at : at + 3], ""]
        elif at < 1 or "%" not in quoted[max(0, at - 2) : at]:
            parts[-1] += char
    return parts


ECHOES = [
    pytest.param(text, id=f"{name}-{kind}")
    for name in ("key", "secret")
    for kind, text in spellings({"key": KEY, "secret": SECRET}[name]).items()
]


def shows_nothing(text: str) -> bool:
    secrets = [*spellings(KEY).values(), *spellings(SECRET).values(), *PARTS]
    return not any(part in text for part in secrets)


@pytest.fixture
def service() -> ScriptedService:
    return ScriptedService()


@pytest.fixture
def client(service) -> ScenarioClient:
    session = requests.Session()
    session.mount("https://", service)
    return ScenarioClient(ScenarioTransport("https://scenario.test/v1", KEY, SECRET, session=session, max_tries=1))


def model(**fields):
    return {"model": {"id": "model_1", "status": "failed", "jobId": "job_1", **fields}}


@pytest.mark.parametrize("echo", [pytest.param(SIGNED, id="signed"), *ECHOES])
def test_the_reason_of_a_failed_training_shows_no_secret_and_no_signed_address(client, service, echo):
    said = f"cannot load {echo} now"
    service.answers(model(), {"job": {"jobId": "job_1", "metadata": {"error": said, "hint": said}}})
    end = fetch_result(client, "failed", client.get_model("model_1"), "model_1", "job_1")
    with pytest.raises(TrainingFailedError, match=r"cannot load .* now") as failed:
        end.value_or_raise()
    assert shows_nothing("".join(traceback.format_exception(failed.value)) + json.dumps(end.to_event()))


@pytest.mark.parametrize("echo", [pytest.param(SIGNED, id="signed"), *ECHOES])
def test_the_progress_of_a_training_shows_no_secret_and_no_signed_address(client, service, echo):
    progress = {"stage": "running-train", "progress": 0.5, "retryableError": f"cannot load {echo} now"}
    service.answers(model(status="training", trainingProgress=progress))
    watch = TrainingWatch(label="it", deadline=float("inf"), poke_interval=30)
    assert watch.after(Snapshot.of_model(client.get_model("model_1")), 0) is None
    assert "cannot load" in str(watch.log_line)
    assert shows_nothing(str(watch.log_line))


@pytest.mark.parametrize("echo", [pytest.param(SIGNED, id="signed"), *ECHOES])
def test_the_warnings_about_a_dataset_show_no_secret_and_no_signed_address(client, service, echo):
    service.answers({"modelId": "model_1", "assetsWarnings": [{"assetId": "asset_1", "message": [f"bad {echo}"]}]})
    score = client.get_dataset_score("model_1")
    (warning,) = score.assets_warnings
    assert "bad" in warning.message[0]
    assert shows_nothing(warning.message[0])


@pytest.mark.parametrize("status", [302, 400, 403, 404, 429, 500])
@pytest.mark.parametrize("echo", [pytest.param(SIGNED, id="signed"), *ECHOES])
def test_a_refusal_shows_no_secret_and_no_signed_address(client, service, status, echo):
    headers = {"Location": f"https://elsewhere.test/?x={echo}", "x-amzn-requestid": echo}
    service.answers((status, {"reason": f"bad {echo}", "details": {"actionName": echo, "requiredPlan": echo}}, headers))
    with pytest.raises(ScenarioError) as refused:
        client.get_model("model_1")
    assert shows_nothing("".join(traceback.format_exception(refused.value)))


@pytest.mark.parametrize(
    "answer", [(200, {"status": 20, "errMessage": "%s"}), (500, {"errMessage": "%s"}), (403, b"%s")], ids=str
)
@pytest.mark.parametrize("kind", spellings(TOKEN))
@pytest.mark.parametrize("secret", [KEY, SECRET, TOKEN])
def test_a_refusal_of_the_workshop_shows_no_secret(service, answer, kind, secret):
    echo = spellings(secret)[kind]
    status, body = answer
    body = body.replace(b"%s", echo.encode()) if isinstance(body, bytes) else {**body, "errMessage": f"no {echo}"}
    service.answers((status, body, {"X-Ca-Request-Id": echo, "X-Ca-Error-Message": f"Unauthorized {echo}"}))
    session = requests.Session()
    session.mount("https://", service)
    client = WorkshopClient.connect(
        app_key=KEY, app_secret=SECRET, api_token=TOKEN, base_url="https://workshop.test", session=session, max_tries=1
    )
    with pytest.raises(ScenarioError) as refused:
        client.check()
    shown = "".join(traceback.format_exception(refused.value)) + repr(refused.value.body)
    assert not any(spelling in shown for spelling in (echo, secret))


def test_half_a_secret_does_not_stay_where_a_long_text_is_cut():
    scrub = Scrubber([SECRET])
    for spelled in spellings(SECRET).values():
        for length in range(8_000 - len(spelled), 8_001, 3):
            shown = scrub(" " * length + spelled + " " * 100)
            assert len(shown) < 8, (spelled, shown)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("see https://user:p@ss@cdn.test/a.png?Signature=s#t, and", "see https://cdn.test/a.png?… and"),
        (r"https:\/\/u:p@cdn.test\/a?X-Amz-Signature=abc&b='c'&d", r"https:\/\/cdn.test\/a?…"),
        ("s3://bucket/key?X-Amz-Signature=1 is gone", "s3://bucket/key?… is gone"),
        ("//cdn.test/x?Policy=abc", "//cdn.test/x?…"),
        ("/a/path?token=abc", "/a/path?…"),
        ("https%3A%2F%2Fcdn.test%2Fa%3FX-Amz-Signature%3Dabc next", "https%3A%2F%2Fcdn.test%2Fa?… next"),
        ("ftp://user:PASSWORD@host/x", "ftp://host/x"),
        ("Authorization: Basic YWJjZGVmZ2g6aGk=", "Authorization: Basic ***"),
        ("X-Amz-Security-Token: abcdefghij", "X-Amz-Security-Token: ***"),
        ("why? Because a=b", "why? Because a=b"),
        ("Basic authentication failed", "Basic authentication failed"),
        ("see https://docs.test/a/b, it helps", "see https://docs.test/a/b, it helps"),
    ],
)
def test_of_an_address_only_the_place_is_shown(text, shown):
    assert plain(text) == shown


JUNK = [
    *(
        "<",
        "<a",
        "<script",
        "<title",
        "<style>",
        "\\",
        "%25",
        "%3f",
        "https://",
        "://@",
        "?",
        "?a",
        "?=",
        "&#",
        "%",
        "a",
    ),
    *("@", "basic ", "x-amz-", "x-amz-a=", "  ", "\\u00", "api_", "signature=", "\n", ">", '"', "{"),
]


@pytest.mark.parametrize("junk", JUNK)
def test_no_text_takes_long(junk):
    """Measured: below 0.02 s each; it was 44 s for 100,000 times ``<``."""
    text = junk * (10_000_000 // len(junk))
    scrub = Scrubber([KEY, SECRET])
    began = time.thread_time()
    assert len(scrub(text)) <= MAX_SERVICE_TEXT
    assert len(scrub(reason_in({"reason": text}))) <= MAX_SERVICE_TEXT
    scrub.masked(text[:65_536])
    reason_in(decode(text.encode()))
    assert time.thread_time() - began < 2


@pytest.mark.parametrize("secret", ["secret\\0123456789abcdef", "a\\b/c+d=e%f&g\"h'i\\"])
def test_a_secret_with_backslashes_and_quotes_is_masked_in_every_spelling(secret):
    twice = {"JSON, twice": json.dumps(json.dumps(secret)[1:-1])[1:-1], "repr": repr(secret)[1:-1]}
    for kind, spelled in {**spellings(secret), **twice}.items():
        if kind != "basic":
            masked = Scrubber([secret]).masked(f"said {spelled} now")
            assert (kind, spelled[2:-2] in masked) == (kind, False), masked
