"""What is sent again, beside the vendor's own client: for a repeatable call both decide the same."""

from __future__ import annotations

from http import HTTPStatus

import httpx
import pytest
import requests
from scenario_sdk import Scenario

from airflow_provider_scenario.client.errors import ScenarioError
from tests.unit.client.conftest import KEY, SECRET, ScenarioTransport, ScriptedService


def is_sent_again_by_us(status: int, headers: dict[str, str], *, repeatable: bool) -> bool:
    service, session = ScriptedService(), requests.Session()
    session.mount("https://", service)
    service.answers((status, {}, headers))
    transport = ScenarioTransport("https://scenario.test/v1", KEY, SECRET, session=session, sleep=lambda _: None)
    with pytest.raises(ScenarioError):
        transport.request("PUT", "/things", action="do a thing", repeatable=repeatable)
    return len(service.sent) > 1


STATUSES = [status.value for status in HTTPStatus if status >= 400]


@pytest.mark.parametrize("header", [None, "true", "false", "perhaps"])
def test_a_repeatable_call_is_sent_again_where_the_vendors_client_does(header):
    headers = {} if header is None else {"x-should-retry": header}
    with Scenario(api_key=KEY, api_secret=SECRET) as vendor:
        theirs = {status: vendor._should_retry(httpx.Response(status, headers=headers)) for status in STATUSES}
    assert {status: is_sent_again_by_us(status, headers, repeatable=True) for status in STATUSES} == theirs


@pytest.mark.parametrize("header", [None, "true", "false", "perhaps"])
def test_a_paid_call_is_sent_again_only_where_it_was_throttled_before_anything_was_done(header):
    headers = {} if header is None else {"x-should-retry": header}
    again = {status for status in STATUSES if is_sent_again_by_us(status, headers, repeatable=False)}
    assert again == (set() if header == "false" else {429})
