"""At the level DEBUG, with whatever goes wrong, no log holds a signed address or the workshop's token."""

from __future__ import annotations

import contextlib
import http.client
import logging
import traceback
from urllib.parse import quote

import pytest

from airflow_provider_scenario.client.errors import ScenarioError
from airflow_provider_scenario.client.scenario.client import ScenarioClient
from airflow_provider_scenario.client.scenario.schemas import Download, Upload
from airflow_provider_scenario.client.workshop.client import WorkshopClient
from tests.security.hostile import hostile
from tests.security.hostile import http as answer
from tests.security.unit.test_client_texts import spellings
from tests.unit.client.conftest import ScenarioTransport

KEY, SECRET, TOKEN = "key-to-keep-1", "secret/to+keep=1", "token/of+the=user"
QUERY = "?Policy='x'&Signature=signed-part%2F1&Key-Pair-Id=K"

TROUBLE = {
    "success": lambda: [answer(200, b"{}")],
    "refused": lambda: [answer(403, b"<Error>AccessDenied</Error>")],
    "failed": lambda: [answer(503, b"busy")],
    "redirect": lambda: [answer(302, b"", f"Location: /elsewhere{QUERY}")],
    "broken": lambda: [b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"],
    "nothing": list,
    "no HTTP": lambda: [b"what do you want\r\n\r\n"],
    "odd headers": lambda: [b"HTTP/1.1 200 OK\r\n: x\r\nno header\r\nContent-Length: 2\r\n\r\n{}"],
}


@pytest.fixture
def everything(caplog, capfd, monkeypatch):
    """All that is logged and printed, at the level DEBUG and with http.client's own printing switched on."""
    caplog.set_level(logging.DEBUG)
    for name in ("urllib3", "urllib3.connectionpool", "urllib3.util.retry", "urllib3.connection", "requests"):
        caplog.set_level(logging.DEBUG, logger=name)
        monkeypatch.setattr(logging.getLogger(name), "disabled", False)
    monkeypatch.setattr(http.client.HTTPConnection, "debuglevel", 1)
    errors = []

    class Everything:
        def trying(self, call):
            try:
                call()
            except ScenarioError as error:
                errors.append("".join(traceback.format_exception(error)))

        def text(self):
            out, err = capfd.readouterr()
            return "\n".join([caplog.text, *(record.getMessage() for record in caplog.records), out, err, *errors])

    return Everything()


def assert_nothing_in(text, *secrets):
    assert "signed-part" not in text
    assert "Signature=" not in text
    for secret in secrets:
        for kind, spelling in spellings(secret).items():
            assert spelling not in text, kind


@contextlib.contextmanager
def scenario(**options):
    transport = ScenarioTransport("http://127.0.0.1:9", KEY, SECRET, sleep=lambda _: None, **options)
    with ScenarioClient(transport) as client:
        yield client


@pytest.mark.parametrize("trouble", TROUBLE)
def test_no_log_holds_the_signed_address_of_an_upload(everything, trouble):
    with hostile(TROUBLE[trouble]) as server, scenario() as client:
        upload = Upload.model_validate({"id": "up_1", "parts": [{"number": 1, "url": f"{server.root}/part{QUERY}"}]})
        everything.trying(lambda: client.put_part(upload, 1, b"content"))
        assert f"PUT /part{QUERY} ".encode() in server.requests[0].replace(b"%27", b"'")
        text = everything.text()
    assert "/part" in text or trouble in ("nothing", "no HTTP")
    assert_nothing_in(text, KEY, SECRET)


@pytest.mark.parametrize("trouble", TROUBLE)
def test_no_log_holds_the_signed_address_of_a_download(everything, trouble):
    with hostile(TROUBLE[trouble]) as server, scenario() as client:
        download = Download.model_validate({"jobId": "job_1", "downloadUrl": f"{server.root}/file{QUERY}"})
        everything.trying(lambda: list(client.fetch_download(download)))
        assert f"GET /file{QUERY} ".encode() in server.requests[0].replace(b"%27", b"'")
        text = everything.text()
    assert_nothing_in(text, KEY, SECRET)


@pytest.mark.parametrize("trouble", TROUBLE)
def test_no_log_holds_the_workshops_token_in_a_query(everything, trouble):
    with (
        hostile(TROUBLE[trouble]) as server,
        WorkshopClient.connect(
            app_key=KEY, app_secret=SECRET, api_token=TOKEN, api_token_in="query", base_url=server.root, max_tries=1
        ) as client,
    ):
        tree = {"modelId": "m", "name": "n", "modelType": "lora", "sourceType": "internal"}
        everything.trying(lambda: client.sync_model(tree))
        assert quote(TOKEN, safe="").encode() in server.requests[0]
        text = everything.text()
    assert_nothing_in(text, KEY, SECRET, TOKEN)


def test_no_log_holds_a_signed_address_of_an_unreachable_host(everything):
    with scenario() as client:
        for host in ("http://127.0.0.1:9", "http://host.invalid", "https://127.0.0.1:9"):
            download = Download.model_validate({"jobId": "job_1", "downloadUrl": f"{host}/file{QUERY}"})
            everything.trying(lambda download=download: list(client.fetch_download(download)))
    text = everything.text()
    assert "Starting new HTTP connection" in text
    assert_nothing_in(text)


def test_no_log_holds_a_signed_address_that_goes_through_a_proxy(everything, monkeypatch):
    with hostile(TROUBLE["success"]) as proxy, scenario() as client:
        monkeypatch.setenv("http_proxy", proxy.root)
        download = Download.model_validate({"jobId": "job_1", "downloadUrl": f"http://cdn.test/file{QUERY}"})
        assert list(client.fetch_download(download)) == [b"{}"]
        assert f"GET http://cdn.test/file{QUERY} ".encode() in proxy.requests[0].replace(b"%27", b"'")
    assert_nothing_in(everything.text())


def test_a_retry_of_urllib3_sends_the_query_and_does_not_log_it(everything):
    answers = iter([[], [answer(200, b"{}")]])
    with hostile(lambda: next(answers)) as server, scenario() as client:
        adapter = client._transport._session.get_adapter(server.root)
        adapter.max_retries = type(adapter.max_retries)(1)
        download = Download.model_validate({"jobId": "job_1", "downloadUrl": f"{server.root}/file{QUERY}"})
        assert list(client.fetch_download(download)) == [b"{}"]
        assert [QUERY.encode() in request.replace(b"%27", b"'") for request in server.requests] == [True, True]
    text = everything.text()
    assert "Retrying" in text
    assert_nothing_in(text)


@pytest.mark.parametrize(
    "address",
    [f"ftp://user:pass-word@cdn.test/a{QUERY}", f"s3://bucket/a{QUERY}", f"http://[::1/a{QUERY}", "http://:9"],
)
def test_an_address_that_is_not_http_is_not_used_and_not_shown(everything, address):
    with scenario() as client:
        upload = Upload.model_validate({"id": "up_1", "parts": [{"number": 1, "url": address}]})
        everything.trying(lambda: client.put_part(upload, 1, b"content"))
        download = Download.model_validate({"jobId": "job_1", "downloadUrl": address})
        everything.trying(lambda: list(client.fetch_download(download)))
    text = everything.text()
    assert text.count("the service gave an address that is not an http(s) one") == 2
    assert "pass-word" not in text
    assert_nothing_in(text)
