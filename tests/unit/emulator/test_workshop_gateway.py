from __future__ import annotations

import time
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

import pytest

from tests.unit.emulator.workshop_api import JSON, TREE, WorkshopApi

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_scenario.emulator.server import RunningEmulator


@pytest.fixture
def api(emulator: RunningEmulator) -> Iterator[WorkshopApi]:
    api = WorkshopApi(emulator)
    yield api
    api.http.close()


def ask(api: WorkshopApi, body=None, **changes):
    return api.call("/scc/spQueryToken", {"apiToken": "demo"} if body is None else body, **changes)


def refusal(answer):
    assert answer.content == b""
    return answer.status_code, answer.headers["x-ca-error-message"]


@pytest.mark.parametrize("changes", [{}, {"content_md5": None}, {"date": None}, {"accept": "*/*"}])
def test_a_signed_request_passes_with_or_without_a_digest_of_the_body(api, changes):
    assert ask(api, **changes).json()["status"] == 10


def test_only_the_named_headers_are_signed(api):
    assert ask(api, sign=("x-ca-key",)).json()["status"] == 10
    assert ask(api, sign=("x-ca-key", "x-ca-stage"), x_ca_stage="RELEASE").json()["status"] == 10


def test_a_wrong_secret_gets_the_gateways_string_to_sign_without_line_breaks(api):
    now = str(int(time.time() * 1000))
    answer = ask(api, secret="wrong", x_ca_nonce="n-1", x_ca_timestamp=now, date="now", content_md5=None)
    signed = (
        f"Invalid Signature, Server StringToSign:`POST{JSON}{JSON}nowx-ca-key:demox-ca-nonce:n-1x-ca-signature-method:"
        f"HmacSHA256x-ca-timestamp:{now}/scc/spQueryToken`"
    )
    assert refusal(answer) == (400, signed)


def test_a_rotated_secret_refuses_the_old_one(api):
    api.set(api_secret="new")
    assert refusal(ask(api))[1].startswith("Invalid Signature")
    assert ask(api, secret="new").json()["status"] == 10


@pytest.mark.parametrize(
    ("changes", "refused"),
    [
        ({"x_ca_key": "other"}, (400, "Invalid AppKey")),
        ({"x_ca_key": None}, (400, "Invalid AppKey")),
        ({"signature": None}, (404, "Empty Signature")),
        ({"content_md5": "b3RoZXI="}, (400, "Invalid Content-MD5")),
        ({"x_ca_timestamp": "yesterday"}, (400, "Invalid Timestamp")),
    ],
)
def test_the_gateway_refuses_in_a_header(api, changes, refused):
    assert refusal(ask(api, **changes)) == refused


@pytest.mark.parametrize("minutes", [-16, 16])
def test_a_clock_that_is_off_by_more_than_15_minutes_is_refused(api, minutes):
    timestamp = str(int((time.time() + minutes * 60) * 1000))
    assert refusal(ask(api, x_ca_timestamp=timestamp)) == (400, "Timestamp Expired")


def test_a_signature_of_another_query_is_refused_and_values_are_signed_decoded_and_in_order(api):
    assert refusal(ask(api, query="a=1", signed_query="a=2"))[1].startswith("Invalid Signature")
    assert refusal(ask(api, query="a=1", signed_query=""))[1].startswith("Invalid Signature")
    assert ask(api, query="b=%2B&a=%C3%BC&c", signed_query="a=ü&b=+&c").json()["status"] == 10


def test_the_first_value_of_a_repeated_name_is_signed_and_counts(api):
    query = "apiToken=demo&apiToken=other&b=2&b=1"
    assert ask(api, query=query, signed_query="apiToken=demo&b=2").json()["status"] == 10
    for signed in ("apiToken=other&b=1", "apiToken=demo&apiToken=other&b=1&b=2", query):
        assert refusal(ask(api, query=query, signed_query=signed))[1].startswith("Invalid Signature")
    api.set(api_token_in="query")
    tree = {name: TREE[name] for name in ("modelId", "name", "modelType", "sourceType")}
    answer = api.call("/scc/spSdModelSync", tree, query=query, signed_query="apiToken=demo&b=2")
    assert answer.json()["status"] == 10


def test_a_nonce_can_be_used_once_in_15_minutes(api):
    assert ask(api, x_ca_nonce="one").json()["status"] == 10
    assert refusal(ask(api, x_ca_nonce="one")) == (400, "Nonce Used")
    # A fast-forward of trainings does not forget it, nor does it make honest clocks wrong.
    api.emulator.switch("advance", seconds=16 * 60)
    assert refusal(ask(api, x_ca_nonce="one")) == (400, "Nonce Used")
    assert ask(api).json()["status"] == 10


def test_a_nonce_of_a_refused_request_is_not_used_up(api):
    assert refusal(ask(api, x_ca_nonce="two", secret="wrong"))[1].startswith("Invalid Signature")
    assert ask(api, x_ca_nonce="two").json()["status"] == 10


@pytest.mark.parametrize("minutes", [-20, 20])
def test_a_clock_that_is_off_shows_in_the_date_of_the_answer(api, minutes):
    api.set(gateway_clock_skew=minutes * 60)
    answer = ask(api)
    assert refusal(answer) == (400, "Timestamp Expired")
    ahead = parsedate_to_datetime(answer.headers["date"]).timestamp() - time.time()
    assert ahead == pytest.approx(minutes * 60, abs=60)
    assert len(answer.headers.get_list("date")) == 1


def test_the_gateway_throttles_with_a_403(api):
    api.set(workshop_requests_per_minute=2)
    assert [ask(api).status_code for _ in range(3)] == [200, 200, 403]
    assert refusal(ask(api)) == (403, "Throttled by APP Flow Control")
    api.emulator.switch("advance", seconds=60)
    assert ask(api).status_code == 200


def test_an_unknown_route_is_an_invalid_url_and_every_answer_has_a_request_id(api):
    first, second = api.call("/scc/spSdModelUnsync", {}), api.http.get("/scc/spSdModelSync")
    assert refusal(first) == refusal(second) == (400, "Invalid Url")
    assert first.headers["x-ca-request-id"] != second.headers["x-ca-request-id"]
    assert "x-amzn-requestid" not in first.headers


def test_a_body_beyond_6_mb_is_refused(api):
    assert refusal(ask(api, b"x" * (6 * 1024 * 1024 + 1)))[0] == 413


def test_faults_apply_to_the_workshop_too(api):
    api.emulator.switch("faults", kind="status", status=503, route="/scc/spQueryToken")
    api.emulator.switch("faults", kind="status", status=200, body={"status": 20, "errCode": "BUSY"})
    assert ask(api).status_code == 503
    assert (ask(api).status_code, ask(api).json()["status"]) == (200, 10)
