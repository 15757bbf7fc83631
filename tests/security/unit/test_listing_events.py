"""The receiver in ``example_dags/listing_events.py``, which anybody can reach: nobody holds it or makes it repeat."""

from __future__ import annotations

import http.client
import importlib.util
import json
import socket
import threading
from pathlib import Path

import pytest

SECRET = "long-and-random"
PATH = f"/{SECRET}".encode()
PATIENCE = 20  # seconds; a guard against hangs, never waited for


@pytest.fixture
def example():
    file = Path(__file__).parents[3] / "example_dags" / "listing_events.py"
    spec = importlib.util.spec_from_file_location("listing_events", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Airflow:
    """Remembers the events that it was sent."""

    def __init__(self):
        self.events = []

    def send_event(self, extra):
        json.dumps(extra, allow_nan=False).encode()
        self.events.append(extra)


@pytest.fixture
def airflow():
    return Airflow()


@pytest.fixture
def start(example, airflow, monkeypatch):
    servers = []

    def start(**limits):
        for name, limit in limits.items():
            monkeypatch.setattr(example, name, limit)
        server = example.serve(airflow, SECRET, 0)
        servers.append(server)
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        return server

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def connect():
    """Opens connections to a server."""
    lines = []

    def connect(server, content=b""):
        line = socket.create_connection(("127.0.0.1", server.server_port), timeout=PATIENCE)
        lines.append(line)
        line.sendall(content)
        return line

    yield connect
    for line in lines:
        line.close()


def post(headers=b"", path=PATH, body=b""):
    return b"POST " + path + b" HTTP/1.1\r\nHost: x\r\n" + headers + b"\r\n" + body


def status(line):
    answer = http.client.HTTPResponse(line)
    answer.begin()
    return answer.status


def ended(line):
    """Whether the other side has hung up; waits for it."""
    try:
        while line.recv(4096):
            pass
    except ConnectionError:
        pass
    return True


@pytest.mark.parametrize(
    ("length", "expected"),
    [
        *(("-1", 400), ("-0", 400), ("+1", 400), ("1.0", 400), ("1e3", 400), ("x", 400), ("", 400), ("1, 1", 400)),
        *(("²", 400), ("0x10", 400), ("1_0", 400)),
        *(("1000001", 413), ("9" * 5000, 413), ("99999999999999999999", 413)),
    ],
)
@pytest.mark.parametrize("path", [PATH, b"/wrong"])
def test_a_length_that_cannot_be_right_is_refused_at_once(start, connect, airflow, path, length, expected):
    line = connect(start(), post(b"Content-Length: " + length.encode() + b"\r\n", path))
    assert status(line) == expected
    assert airflow.events == []


def test_chunks_are_refused(start, connect):
    assert status(connect(start(), post(b"Transfer-Encoding: chunked\r\n"))) == 411


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"POST",
        b"POST / HTTP/1.1\r\nHost: x\r\n",
        post(b"Content-Length: 10\r\n"),
        post(b"Content-Length: 9\r\n", body=b"{"),
    ],
    ids=["nothing", "half a line", "half of the headers", "no body", "half a body"],
)
def test_a_request_that_does_not_arrive_gives_its_thread_back(start, connect, airflow, content):
    server = start(SECONDS=0.2, AT_ONCE=1)
    line = connect(server, content)
    assert ended(line)
    assert server.free.acquire(timeout=PATIENCE)
    server.free.release()
    assert airflow.events == []


@pytest.mark.parametrize("begin", [b"POST / HTTP/1.1\r\nA: ", post(b"Content-Length: 1000000\r\n")])
def test_a_byte_now_and_then_does_not_prolong_it(start, connect, begin):
    server = start(SECONDS=0.5, AT_ONCE=1)
    line = connect(server, begin)
    line.settimeout(0.05)
    for _ in range(PATIENCE * 20):
        try:
            line.sendall(b"x")
            if line.recv(1) == b"":
                break
        except TimeoutError:
            continue  # it still reads
        except ConnectionError:
            break
    else:
        pytest.fail("the connection is held for as long as a byte comes now and then")


def test_connections_beyond_the_limit_get_503_and_no_thread(start, connect, airflow):
    before = threading.active_count()
    server = start(AT_ONCE=3)
    held = [connect(server) for _ in range(3)]
    for _ in range(50):
        assert status(connect(server)) == 503
    assert threading.active_count() <= before + 1 + 3  # the server's own, and one a connection
    for line in held:
        line.close()
    for _ in range(3):
        assert server.free.acquire(timeout=PATIENCE)  # each was given back
    for _ in range(3):
        server.free.release()
    assert status(connect(server, post())) == 204
    assert len(airflow.events) == 1


def test_a_thread_that_cannot_be_started_costs_no_place(start, connect, monkeypatch):
    server = start(AT_ONCE=1)

    def too_many(*_):
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", too_many)
        assert ended(connect(server))
    assert status(connect(server, post())) == 204


@pytest.mark.parametrize(
    "request_",
    [
        *(b"GET /<script> HTTP/1.1\r\n\r\n", b"<script> nonsense\r\n\r\n", b"POST /<script>\r\n\r\n"),
        *(b"POST /<script> HTTP/9.9\r\n\r\n", post(path=b"//[<script>"), post(path=b"/" + b"<script>" * 10_000)),
        post(b"<script>: 1\r\n" * 200),
    ],
    ids=["method", "no HTTP", "old", "new", "no address", "long", "many headers"],
)
def test_what_is_refused_is_not_repeated(start, connect, caplog, capfd, request_):
    line = connect(start())
    try:
        line.sendall(request_)
        answer = b"".join(iter(lambda: line.recv(4096), b""))
    except ConnectionError:
        answer = b""  # it hung up before it had read all
    assert b"script" not in answer
    assert b"Python" not in answer
    assert "script" not in caplog.text + "".join(capfd.readouterr())


@pytest.mark.parametrize(
    "value", ["1e999", "NaN", "-Infinity", '"\\ud800"', '"\\u0000"', '"' + "x" * 1000 + '"', "[1]", "{}", "9" * 4000]
)
def test_a_value_that_airflow_could_not_keep_is_left_out(start, connect, airflow, value):
    body = ('{"modelId": "hero", "status": ' + value + "}").encode()
    line = connect(start(), post(b"Content-Length: %d\r\n" % len(body), body=body))
    assert status(line) == 204
    assert airflow.events == [{"modelId": "hero", "bizType": None, "invokeId": None}]


def test_a_body_that_nests_without_end_is_no_reason_to_send_it_again(start, connect, airflow):
    body = b"[" * 500_000
    line = connect(start(), post(b"Content-Length: %d\r\n" % len(body), body=body))
    assert status(line) == 204
    assert airflow.events == [{"bizType": None, "invokeId": None}]


def test_long_values_in_the_address_are_left_out(start, connect, airflow):
    line = connect(start(), post(path=f"/{SECRET}?bizType={'x' * 1000}&invokeId=i_1".encode()))
    assert status(line) == 204
    assert airflow.events == [{"bizType": None, "invokeId": "i_1"}]
