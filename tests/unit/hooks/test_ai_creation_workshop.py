from __future__ import annotations

import logging
from types import SimpleNamespace

import pytest
from airflow.sdk import Connection
from airflow.sdk._shared.secrets_masker import _secrets_masker

from airflow_provider_scenario.client.errors import InvalidInputError
from airflow_provider_scenario.hooks.ai_creation_workshop import AICreationWorkshopHook
from tests.unit.conftest import workshop_connection

TOKEN = {"api_token": "demo"}


@pytest.fixture
def conn(monkeypatch):
    def use(**fields):
        monkeypatch.setenv("AIRFLOW_CONN_AI_CREATION_WORKSHOP_DEFAULT", workshop_connection(**fields))
        return AICreationWorkshopHook()

    return use


def test_the_connection_becomes_settings(conn):
    hook = conn(
        host="http://127.0.0.1:1/",
        login="app_key_1",
        password="app_secret_1",
        extra={
            "api_token": "token_1",
            "api_token_in": "query",
            "timeout": "12.5",
            "verify": "false",
            "requests_per_minute": 30,
        },
    )
    assert hook.settings == {
        "app_key": "app_key_1",
        "app_secret": "app_secret_1",
        "api_token": "token_1",
        "api_token_in": "query",
        "timeout": 12.5,
        "verify": False,
        "requests_per_minute": 30.0,
        "base_url": "http://127.0.0.1:1",
    }


def test_what_is_left_empty_has_a_default(conn):
    hook = conn(extra=TOKEN)
    assert "https://openai.edu-aliyun.com" in repr(hook.client)
    assert hook.settings["api_token_in"] == "body"
    assert hook.settings["requests_per_minute"] == 60


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"login": ""}, r"login \(AppKey\) is empty.*eduplatform-sp\.console\.aliyun\.com"),
        ({"password": ""}, r"password \(AppSecret\) is empty"),
        ({"extra": {}}, "'api_token' is missing"),
        ({"extra": {**TOKEN, "api_token_in": "header"}}, "'api_token_in' is 'header'; give 'body' or 'query'"),
        ({"extra": {**TOKEN, "requests_per_minute": 0}}, "'requests_per_minute' is 0; give requests a minute above 0"),
        ({"extra": {**TOKEN, "timeout": "soon"}}, "'timeout' is 'soon'; give seconds"),
        ({"host": "ftp://example.test"}, r"host 'ftp://example\.test' is not a base URL.*openai\.edu-aliyun\.com"),
    ],
)
def test_a_wrong_connection_is_told_by_field_and_value(conn, fields, said):
    with pytest.raises(InvalidInputError, match=said):
        _ = conn(**fields).settings


def test_key_secret_and_token_are_masked(conn):
    _ = conn(login="app-key-to-mask", password="app-secret-to-mask", extra={"api_token": "token-to-mask"}).settings
    for leak in ("app-key-to-mask", "app-secret-to-mask", "token-to-mask"):
        assert leak not in str(_secrets_masker().redact(f"text with {leak} in it"))


def test_the_test_button_says_that_the_token_is_good_and_until_when(emulator):
    ok, said = AICreationWorkshopHook().test_connection()
    assert ok
    assert "valid until 20" in said


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"password": "not-the-secret"}, "StringToSign"),
        ({"login": "not-the-key"}, "Invalid AppKey"),
        ({"extra": {"api_token": "not-the-token"}}, "no such token"),
        ({"host": "http://127.0.0.1:9"}, "127.0.0.1:9"),
    ],
)
def test_the_test_button_tells_what_is_wrong_and_no_secret(emulator, conn, caplog, fields, said):
    caplog.set_level(logging.DEBUG)
    ok, text = conn(**{"host": emulator.root, **fields}).test_connection()
    assert not ok
    assert said.lower().replace(" ", "") in text.lower().replace(" ", "")
    assert "not-the-" not in text + caplog.text


def test_a_renewed_connection_is_picked_up(emulator, conn):
    hook = conn(host=emulator.root, password="an-old-secret")
    assert not hook.test_connection()[0]
    conn(host=emulator.root)
    assert hook.renew()
    assert hook.test_connection()[0]
    assert not hook.renew()


def test_airflow_itself_knows_the_connection_type():
    connection = Connection(conn_id="x", conn_type="ai_creation_workshop", login="k", password="s")
    assert type(connection.get_hook()) is AICreationWorkshopHook


def test_its_requests_are_counted_apart_from_scenarios(conn, monkeypatch):
    counted = []
    monkeypatch.setattr("airflow_provider_scenario.metrics.stats", lambda: SimpleNamespace(incr=counted.append))
    conn().budget.spend()
    conn().budget.throttled(1)
    assert counted == ["ai_creation_workshop.requests", "ai_creation_workshop.throttled"]
