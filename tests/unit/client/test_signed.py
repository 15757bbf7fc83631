"""Files at signed addresses as the page fetches them: over https only, from no other host, until a deadline."""

from __future__ import annotations

import logging
import threading
import time

import pytest

from airflow_provider_scenario.client.errors import ServiceError
from airflow_provider_scenario.client.http_session import new_session
from airflow_provider_scenario.client.signed import SignedAddresses
from tests.security.hostile import hostile, http

QUERY = "?Signature=signed-part"


def addresses(**options: object) -> SignedAddresses:
    return SignedAddresses(session=new_session(1), timeout=(5.0, 5.0), **{"largest": 1000, **options})


def test_a_file_is_fetched_from_a_host_that_may_be_reached_over_http(caplog):
    caplog.set_level(logging.DEBUG)
    with hostile(lambda: [http(200, b"picture")]) as server:
        signed = addresses(http_hosts={"127.0.0.1"}, deadline=5.0)
        assert b"".join(signed.get(f"{server.root}/file{QUERY}", action="fetch a picture")) == b"picture"
    assert "signed-part" not in caplog.text


@pytest.mark.parametrize("address", ["http://10.0.0.1/admin", "http://127.0.0.1:9/", "http://localhost/"])
def test_another_host_is_not_reached_over_http(address):
    signed = addresses(http_hosts={"scenario.test"})
    with pytest.raises(ServiceError, match="not an https one") as caught:
        list(signed.get(address + QUERY, action="fetch a picture"))
    assert "signed-part" not in str(caught.value)
    assert not caught.value.resendable


def test_a_host_that_parsers_read_differently_is_not_reached():
    with hostile(lambda: [http(200, b"secret of our network")]) as server:
        signed = addresses(http_hosts={"scenario.test"})
        with pytest.raises(ServiceError, match="not an https one"):
            list(signed.get(f"{server.root}\\@scenario.test/file", action="fetch a picture"))


def test_a_redirect_is_not_followed():
    redirect = http(302, b"", "Location: http://127.0.0.1:9/admin")
    with hostile(lambda: [redirect]) as server, pytest.raises(ServiceError, match="storage answered 302") as caught:
        list(addresses().get(f"{server.root}/file", action="fetch a picture"))
    assert (caught.value.status, caught.value.resendable) == (302, False)


def test_a_file_that_is_too_large_is_not_read_to_its_end():
    with (
        hostile(lambda: [http(200, b"x" * 1001)]) as server,
        pytest.raises(ServiceError, match="larger than the limit"),
    ):
        list(addresses().get(f"{server.root}/file", action="fetch a picture"))


def test_a_file_that_comes_byte_by_byte_is_read_until_the_deadline_only():
    over = threading.Event()

    def dripping():
        yield b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"
        while not over.wait(0.02):
            yield b"x"

    with hostile(dripping) as server:
        start = time.monotonic()
        with pytest.raises(ServiceError, match=r"within|broke"):
            list(addresses(deadline=0.3).get(f"{server.root}/file", action="fetch a picture"))
        over.set()
        assert time.monotonic() - start < 3
