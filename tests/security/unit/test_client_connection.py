"""What is checked of a connection before a key is sent anywhere."""

from __future__ import annotations

import json
import logging

import pytest

from airflow_provider_scenario.client.errors import InvalidInputError
from airflow_provider_scenario.client.scenario.client import ScenarioClient
from airflow_provider_scenario.hooks import base
from airflow_provider_scenario.hooks.ai_creation_workshop import AICreationWorkshopHook
from airflow_provider_scenario.hooks.scenario import ScenarioHook

HOOKS = {"scenario": ScenarioHook, "ai_creation_workshop": AICreationWorkshopHook}


@pytest.fixture(params=HOOKS)
def connect(request, monkeypatch):
    monkeypatch.setattr(base, "_warned", set())

    def make(host):
        extra = {"api_token": "token-of-tests"}
        fields = {"conn_type": request.param, "login": "key-of-tests", "password": "secret-of-tests", "host": host}
        monkeypatch.setenv("AIRFLOW_CONN_UNDER_TEST", json.dumps({**fields, "extra": extra}))
        return HOOKS[request.param]("under_test")

    return make


@pytest.mark.parametrize(
    "host",
    [
        "ftp://user:PASS-WORD@host.test/v1",
        "http://user:PASS-WORD@[::1?",
        "https://user:PASS-WORD@",
        "https://user:PASS-WORD@host.test:99999999",
        "user:PASS-WORD@host.test:x",
        "HTTPX://user:PASS-WORD@host.test",
        "https://user:PASS-WORD@host.test/v1",
        "https://host.test/v1?token=PASS-WORD",
    ],
)
def test_a_password_in_the_host_is_not_shown(connect, host):
    hook = connect(host)
    with pytest.raises(InvalidInputError) as refused:
        hook.connect()
    assert "PASS-WORD" not in str(refused.value)
    assert "PASS-WORD" not in "".join(map(str, hook.test_connection()))


@pytest.mark.parametrize("host", ["http://[::1?", "http://[::1", "http://a:b", "http://", "http:///v1", "http://a:0"])
def test_a_host_that_is_not_an_address_is_refused_by_name(connect, host):
    with pytest.raises(InvalidInputError, match="base URL"):
        connect(host).connect()
    with pytest.raises(InvalidInputError, match="base URL"):
        ScenarioClient.connect(api_key="key", api_secret="secret", base_url=host)


def warnings_of(caplog):
    return [record.getMessage() for record in caplog.records if "unencrypted" in record.getMessage()]


@pytest.mark.parametrize(
    "host", ["http://other.test/v1", "HTTP://other.test/v1", "http://192.168.0.2/v1", "http://127.evil.test"]
)
def test_a_key_that_travels_unencrypted_to_another_machine_is_warned_of_once(connect, caplog, host):
    caplog.set_level(logging.WARNING)
    for _ in range(3):
        hook = connect(host)
        hook.connect()
        hook.renew()
    (warning,) = warnings_of(caplog)
    assert "under_test" in warning


@pytest.mark.parametrize(
    "host",
    ["https://other.test/v1", "", "http://localhost:8080/v1", "http://127.0.0.1:1", "http://[::1]:1", "other.test"],
)
def test_no_warning_for_a_host_on_this_machine(connect, caplog, host):
    caplog.set_level(logging.WARNING)
    connect(host).connect()
    assert not warnings_of(caplog)
