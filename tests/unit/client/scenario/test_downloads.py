"""Files fetched from signed addresses, from a server that can also stop in the middle."""

from __future__ import annotations

import threading
import traceback
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from airflow_provider_scenario.client.errors import ServiceError
from airflow_provider_scenario.client.scenario.client import ScenarioClient
from airflow_provider_scenario.client.scenario.schemas import Asset, Download
from airflow_provider_scenario.client.signed import BLOCK

QUERY = "?Expires=1&Signature=a-secret-signature"
CONTENT = bytes(range(256)) * 10_000


class Storage(ThreadingHTTPServer):
    """Serves ``CONTENT``, or less than it has promised, or an error; keeps the headers of each request."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.received = []
        self.go_on = threading.Event()

    @property
    def host(self):
        return f"127.0.0.1:{self.server_port}"

    def download(self, path):
        url = f"http://{self.host}/{path}{QUERY}"
        return Download.model_validate({"jobId": "job_1", "jobStatus": "success", "downloadUrl": url})


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.received.append(dict(self.headers))
        path = self.path.partition("?")[0]
        status = {"/expired": 403, "/busy": 503, "/elsewhere": 302}.get(path, 200)
        content = CONTENT if status == 200 else b"<Error><Code>AccessDenied</Code></Error>"
        self.send_response(status)
        if path == "/elsewhere":
            self.send_header("location", f"http://{self.server.host}/whole{QUERY}")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        if path == "/half":
            self.wfile.write(content[: len(content) // 2])
        elif path == "/in-two":
            self.wfile.write(content[:BLOCK])
            self.wfile.flush()
            self.server.go_on.wait(10)
            self.wfile.write(content[BLOCK:])
        else:
            self.wfile.write(content)

    def log_message(self, *_):
        pass


@pytest.fixture
def storage(tmp_path, monkeypatch):
    with Storage() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        netrc = tmp_path / "netrc"
        netrc.write_text(f"machine {server.host.partition(':')[0]} login other password else\n")
        monkeypatch.setenv("NETRC", str(netrc))
        yield server
        server.shutdown()


@pytest.fixture
def client():
    with ScenarioClient.connect(
        api_key="key-to-keep", api_secret="secret-to-keep", base_url="http://127.0.0.1:9"
    ) as it:
        yield it


def test_a_file_comes_whole_and_in_blocks(client, storage):
    blocks = list(client.fetch_download(storage.download("whole")))
    assert b"".join(blocks) == CONTENT
    assert {len(block) for block in blocks[:-1]} == {BLOCK}


def test_the_first_block_is_there_before_the_last_one_is_sent(client, storage):
    blocks = client.fetch_download(storage.download("in-two"))
    first = next(blocks)
    storage.go_on.set()
    assert first + b"".join(blocks) == CONTENT


def test_neither_the_key_nor_a_login_of_the_machine_goes_with_it(client, storage):
    list(client.fetch_download(storage.download("whole")))
    (headers,) = storage.received
    assert not {"authorization", "cookie"} & {name.lower() for name in headers}


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("half", "broke off"),
        ("expired", "answered 403 .*AccessDenied"),
        ("busy", "answered 503"),
        ("elsewhere", "answered 302"),
    ],
)
def test_a_message_has_the_host_and_not_the_signature(client, storage, path, said):
    with pytest.raises(ServiceError, match=said) as caught:
        list(client.fetch_download(storage.download(path)))
    assert "fetch download job_1" in str(caught.value)
    assert storage.host in str(caught.value)
    assert not caught.value.permanent
    shown = "".join(traceback.format_exception(caught.value))
    assert "secret" not in shown


def test_the_message_about_an_unreachable_storage_is_without_the_signature(client):
    asset = Asset.model_validate({"id": "asset_1", "url": f"http://127.0.0.1:9/a.jpg{QUERY}"})
    with pytest.raises(ServiceError, match="fetch asset asset_1: no connection") as caught:
        list(client.fetch_asset(asset))
    assert "secret" not in "".join(traceback.format_exception(caught.value))


def test_a_download_without_an_address_is_an_error(client):
    with pytest.raises(ServiceError, match="no address"):
        client.fetch_download(Download.model_validate({"jobId": "job_1", "jobStatus": "in-progress"}))
