"""Whatever a service answers, however large, slow or odd: a typed error, in bounded time and memory."""

from __future__ import annotations

import gzip
import itertools
import json
import threading
import time
import tracemalloc
import zlib
from functools import cache

import pytest

from airflow_provider_scenario.client import transport as transport_module
from airflow_provider_scenario.client.decoding import DEEPEST_ANSWER, decode
from airflow_provider_scenario.client.errors import ScenarioError, ServiceError
from airflow_provider_scenario.client.scenario.client import ScenarioClient
from airflow_provider_scenario.client.scenario.schemas import Download
from airflow_provider_scenario.client.signed import BLOCK
from airflow_provider_scenario.client.transport import LARGEST_ANSWER
from tests.security.hostile import hostile, http
from tests.unit.client.conftest import READY, ScenarioTransport

MB = 1_000_000


@cache
def bomb(size: int, times: int = 1) -> bytes:
    """Bytes that unpack to ``size`` zeros in a JSON text."""
    packer = zlib.compressobj(9, wbits=zlib.MAX_WBITS | 16)
    block = b"0" * MB
    packed = b"".join(
        [packer.compress(b'{"a":"'), *(packer.compress(block) for _ in range(size // MB)), packer.flush()]
    )
    for _ in range(times - 1):
        packed = gzip.compress(packed)
    return packed


def client_of(root: str, timeout: float = 30.0, **options) -> ScenarioClient:
    return ScenarioClient(
        ScenarioTransport(
            f"{root}/v1", "key-of-tests", "secret-of-tests", timeout=timeout, sleep=lambda _: None, **options
        )
    )


def endless(head: bytes, block: bytes):
    return lambda: itertools.chain([head], itertools.repeat(block))


def file_at(root: str) -> Download:
    return Download.model_validate({"jobId": "job_1", "downloadUrl": f"{root}/file"})


HEAD = b"HTTP/1.1 200 OK\r\n"
LARGE = {
    "one bomb": lambda: [http(200, bomb(100 * MB), "Content-Encoding: gzip")],
    "an endless body": endless(HEAD + b'\r\n{"a":"', b"0" * MB),
    "an endless chunked body": endless(
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"f4240\r\n" + b"0" * MB + b"\r\n"
    ),
    "a chunk of length -1": endless(HEAD + b"Transfer-Encoding: chunked\r\n\r\n-1\r\n", b"0" * MB),
    "an endless chunk length": endless(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1" * MB),
    "endless trailers": endless(HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", b"a: " + b"b" * 60_000 + b"\r\n"),
    "an endless status line": endless(b"HTTP/1.1 200 ", b"0" * MB),
    "an endless header": endless(HEAD + b"a: ", b"0" * MB),
    "endless headers": endless(HEAD, b"a: b\r\n" * 10_000),
    "endless answers before the answer": endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 10_000),
}
ODD = {
    "packed twice": lambda: [http(200, bomb(MB, times=2), "Content-Encoding: gzip, gzip")],
    "packed many times": lambda: [http(200, b"x" * 100, f"Content-Encoding: {', '.join(['gzip'] * 5000)}")],
    "packed otherwise": lambda: [http(200, b"\x1b" * 1000, "Content-Encoding: br")],
    "not packed": lambda: [http(200, b"{}", "Content-Encoding: gzip")],
    "half of what is packed": lambda: [http(200, gzip.compress(b"{}")[:-4], "Content-Encoding: gzip")],
    "nested": lambda: [http(200, b"[" * MB)],
    "nested objects": lambda: [http(200, b'{"a":' * 500 + b"1" + b"}" * 500)],
    "a list": lambda: [http(200, b"[" * 100 + b"]" * 100)],
    "a huge number": lambda: [http(200, b'{"a":' + b"9" * MB)],
    "not UTF-8": lambda: [http(200, b'{"a":"\xff"}')],
    "a length of many digits": lambda: [HEAD + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n{"],
    "a negative length": lambda: [HEAD + b"Content-Length: -5\r\n\r\n{"],
    "two lengths": lambda: [HEAD + b"Content-Length: 5\r\nContent-Length: 7\r\n\r\n{"],
    "an odd status": lambda: [b"HTTP/1.1 99999999999999999999 OK\r\n\r\n"],
    "a negative status": lambda: [b"HTTP/1.1 -200 OK\r\n\r\n"],
    "no status": lambda: [b"\x00" * 1000],
    "nothing": list,
    "an odd redirect": lambda: [http(302, b"", "Location: http://[::1?\xff")],
}


@pytest.mark.parametrize("answer", LARGE)
def test_an_answer_is_read_up_to_a_limit(answer, monkeypatch):
    """The limit is lowered: what counts is that there is one. It was 5.8 GB of memory for 2.9 MB of gzip."""
    monkeypatch.setattr(transport_module, "LARGEST_ANSWER", 2 * MB)
    with hostile(LARGE[answer]) as server, client_of(server.root) as client:
        tracemalloc.start()
        try:
            with pytest.raises(ServiceError) as caught:
                client.get_model("model_1")
            memory = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert memory < 60 * MB
    assert len(str(caught.value)) < 2000


@pytest.mark.parametrize("answer", [*LARGE, *ODD])
def test_the_answer_to_a_paid_call_counts_as_lost(answer, monkeypatch):
    monkeypatch.setattr(transport_module, "LARGEST_ANSWER", 2 * MB)
    with hostile({**LARGE, **ODD}[answer]) as server, client_of(server.root) as client:
        with pytest.raises(ServiceError) as caught:
            client.train("model_1", model=READY)
        assert len(server.requests) == 1
    if answer != "an odd redirect":
        assert caught.value.money == "unknown"
    assert not caught.value.permanent


@pytest.mark.parametrize("status", [302, 400, 403, 429, 500])
@pytest.mark.parametrize("answer", ["one bomb", "an endless body"])
def test_a_refusal_is_read_up_to_a_limit(answer, status):
    made = LARGE[answer]

    def refusing():
        first, *rest = itertools.islice(made(), 1)
        return itertools.chain(
            [first.replace(b" 200 ", f" {status} ".encode(), 1)], rest, itertools.islice(made(), 1, None)
        )

    with hostile(refusing) as server, client_of(server.root, max_tries=1) as client:
        tracemalloc.start()
        try:
            with pytest.raises(ScenarioError):
                client.get_model("model_1")
            memory = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert memory < 20 * MB


def test_the_limit_is_far_above_an_honest_answer():
    image = {"id": "asset_1", "description": "a caption " * 100, "downloadUrl": "https://cdn.test/a?" + "x" * 2000}
    largest = json.dumps({"models": [{"id": "model_1", "trainingImages": [image] * 50}] * 50})
    assert len(largest) * 3 < LARGEST_ANSWER


def test_a_packed_answer_is_read():
    body = json.dumps({"model": {"id": "model_1", "name": "x" * 300}}).encode()
    with hostile(lambda: [http(200, gzip.compress(body), "Content-Encoding: gzip")]) as server:
        with client_of(server.root) as client:
            assert client.get_model("model_1").name == "x" * 300
        assert b"accept-encoding: gzip\r\n" in server.requests[0].lower() + b"\r\n"


DRIPS = {
    "body": (HEAD + b'\r\n{"a":"', b"0"),
    "chunks": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n0\r\n"),
    "status line": (b"HTTP/1.1 200 ", b"0"),
    "headers": (HEAD, b"a"),
    "answers before the answer": (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
}

CALLS = {
    "an answer": lambda client, _: client.get_model("model_1"),
    "a file": lambda client, root: list(client.fetch_download(file_at(root))),
    "a part": lambda client, root: client._transport.put_signed(f"{root}/p", b"x", action="send a part"),
}


@pytest.mark.parametrize("drip", DRIPS)
@pytest.mark.parametrize("call", CALLS)
def test_an_answer_that_drips_comes_to_an_end(drip, call):
    """One byte after the other, each in time: it held the worker for ever."""
    head, piece = DRIPS[drip]
    over = threading.Event()

    def dripping():
        yield head
        while not over.wait(0.01):
            yield piece

    with hostile(dripping) as server, client_of(server.root, timeout=(5.0, 0.1), max_tries=1) as client:
        with pytest.raises(ServiceError, match=r"came within|larger than the limit|broke"):
            CALLS[call](client, server.root)
        over.set()


def test_a_file_may_take_long_and_be_large():
    content = bytes(range(256)) * 4096 * 8
    with hostile(lambda: [http(200, content)]) as server, client_of(server.root) as client:
        blocks = list(client.fetch_download(file_at(server.root)))
    assert b"".join(blocks) == content
    assert max(map(len, blocks)) == BLOCK


def test_a_file_is_fetched_up_to_a_limit_and_never_unpacked_beyond_a_block(monkeypatch):
    monkeypatch.setattr(transport_module, "LARGEST_FILE", 20 * MB)
    with hostile(LARGE["one bomb"]) as server, client_of(server.root) as client:
        blocks = client.fetch_download(file_at(server.root))
        sizes = []
        with pytest.raises(ServiceError, match="larger than the limit of 20 MB"):
            sizes.extend(map(len, blocks))
    assert max(sizes) <= BLOCK


@pytest.mark.parametrize(
    "answer", ["a chunk of length -1", "an endless chunk length", "endless trailers", "endless headers"]
)
def test_the_frame_of_a_file_cannot_fill_the_memory(answer, monkeypatch):
    monkeypatch.setattr(transport_module, "LARGEST_FILE", 20 * MB)
    with hostile(LARGE[answer]) as server, client_of(server.root) as client:
        tracemalloc.start()
        try:
            with pytest.raises(ServiceError):
                list(client.fetch_download(file_at(server.root)))
            memory = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert memory < 60 * MB


@pytest.mark.parametrize(
    ("content", "body"),
    [
        (b'{"a": NaN, "b": -Infinity, "c": 1}', {"a": None, "b": None, "c": 1}),
        (b'{"a": "\\ud800x", "b": "\\ud83d\\ude00"}', {"a": "\ufffdx", "b": "\U0001f600"}),
        (b'{"a": "x\\u0000y", "\\u0000": 1}', {"a": "x\ufffdy", "\ufffd": 1}),
        (b'{"a": 1, "a": 2}', {"a": 2}),
        (b'{"a": ' + b"9" * 5000 + b"}", {"a": None}),
        (b"[" * DEEPEST_ANSWER + b"]" * DEEPEST_ANSWER, None),
    ],
)
def test_one_odd_value_does_not_make_an_answer_unreadable(content, body):
    found = decode(content)
    assert isinstance(found, list) if body is None else found == body
    json.dumps(found, allow_nan=False).encode()


@pytest.mark.parametrize("content", [b"[" * 250 + b"]" * 250, b"[" * MB, b'{"a":' * 100_000, b'"\\ud800' + b"[" * MB])
def test_what_is_nested_too_deep_is_text(content):
    began = time.thread_time()
    assert isinstance(decode(content), str)
    assert time.thread_time() - began < 1


@pytest.mark.parametrize("token", [{"a": 1}, ["a"], 5, True, "x" * 10_000, "a\r\nb"])
def test_an_odd_pagination_token_is_a_typed_error(token):
    body = json.dumps({"models": [], "nextPaginationToken": token}).encode()
    with (
        hostile(lambda: [http(200, body)]) as server,
        client_of(server.root) as client,
        pytest.raises(ServiceError, match="has an unreadable token of the next page"),
    ):
        list(client.list_models())


def test_one_model_that_cannot_be_read_does_not_hide_the_others():
    body = json.dumps({"models": [{"id": "model_1"}, {"id": "../x"}, {"id": None}, 5, {"id": "model_2"}]}).encode()
    with hostile(lambda: [http(200, body)]) as server, client_of(server.root) as client:
        assert [model.id for model in client.get_models(["model_1", "x", "y", "model_2"])] == ["model_1", "model_2"]
