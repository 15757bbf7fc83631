from __future__ import annotations

import base64
import hashlib
import hmac
import uuid

import pytest
import requests

from airflow_provider_scenario.client.workshop.signing import DigestAuth, string_to_sign

NOON = 1_772_366_400.25  # 2026-03-01 12:00:00.250 UTC
JSON = "application/json; charset=utf-8"
BODY = '{"name":"英雄"}'.encode()


def prepared(url="https://workshop.test/scc/x", body: bytes | str | None = BODY, **auth):
    auth = {"clock": lambda: NOON, "nonce": lambda: "n-1", **auth}
    headers = {"Accept": JSON, "Content-Type": JSON}
    return requests.Request("POST", url, headers=headers, data=body, auth=DigestAuth("key", "secret", **auth)).prepare()


def test_a_request_carries_what_the_gateway_asks_for():
    headers = prepared().headers
    assert {
        name: value for name, value in headers.items() if name.lower() not in ("content-length", "x-ca-signature")
    } == {
        "Accept": JSON,
        "Content-Type": JSON,
        "date": "Sun, 01 Mar 2026 12:00:00 GMT+00:00",
        "content-md5": base64.b64encode(hashlib.md5(BODY).digest()).decode(),
        "x-ca-key": "key",
        "x-ca-nonce": "n-1",
        "x-ca-timestamp": "1772366400250",
        "x-ca-signature-method": "HmacSHA256",
        "x-ca-signature-headers": "x-ca-timestamp,x-ca-key,x-ca-nonce,x-ca-signature-method",
    }


def test_signed_is_line_by_line_what_the_gateway_documents():
    digest = base64.b64encode(hashlib.md5(BODY).digest()).decode()
    lines = [
        *("POST", JSON, digest, JSON, "Sun, 01 Mar 2026 12:00:00 GMT+00:00"),
        *("x-ca-key:key", "x-ca-nonce:n-1", "x-ca-signature-method:HmacSHA256", "x-ca-timestamp:1772366400250"),
        "/scc/x",
    ]
    expected = hmac.digest(b"secret", "\n".join(lines).encode(), "sha256")
    assert base64.b64decode(prepared().headers["x-ca-signature"]) == expected


def test_a_request_without_a_body_has_an_empty_line_for_its_digest():
    request = prepared(body=None)
    assert "content-md5" not in request.headers
    assert string_to_sign("POST", request.headers, "/scc/x").split("\n")[:3] == ["POST", JSON, ""]


@pytest.mark.parametrize(
    ("query", "signed"),
    [
        ("", "/scc/x"),
        ("?b=2&a=1", "/scc/x?a=1&b=2"),
        ("?token=a%2Bb%26c&z=%E8%8B%B1", "/scc/x?token=a+b&c&z=英"),
        ("?empty=&a=1", "/scc/x?a=1&empty"),
        # help.aliyun.com, API Gateway, digest authentication: of a name with several values the first is signed.
        ("?b=2&a=z&a=1&b=1", "/scc/x?a=z&b=2"),
        ("?a=&a=1", "/scc/x?a"),
    ],
)
def test_the_query_is_signed_decoded_and_in_order(query, signed):
    request = prepared(f"https://workshop.test/scc/x{query}")
    assert string_to_sign("POST", request.headers, request.path_url).split("\n")[-1] == signed
    assert (
        prepared("https://workshop.test/scc/x?other=1").headers["x-ca-signature"] != request.headers["x-ca-signature"]
    )


def test_a_folder_in_the_base_url_is_signed_as_it_is_sent():
    request = prepared("https://proxy.test/workshop/scc/x")
    assert string_to_sign("POST", request.headers, request.path_url).endswith("\n/workshop/scc/x")


def test_text_is_signed_as_the_bytes_it_becomes():
    assert prepared(body=BODY.decode()).headers["content-md5"] == prepared().headers["content-md5"]


@pytest.mark.parametrize("change", [{"body": b"{}"}, {"clock": lambda: NOON + 1}, {"nonce": lambda: "n-2"}])
def test_another_body_time_or_nonce_is_another_signature(change):
    assert prepared(**change).headers["x-ca-signature"] != prepared().headers["x-ca-signature"]


def test_every_request_has_a_nonce_of_its_own():
    auth = DigestAuth("key", "secret")
    nonces = {requests.Request("POST", "https://x.test", auth=auth).prepare().headers["x-ca-nonce"] for _ in range(50)}
    assert len(nonces) == 50
    assert all(str(uuid.UUID(nonce)) == nonce for nonce in nonces)
