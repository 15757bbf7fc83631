"""A service or a store of pictures that hangs holds up neither Airflow's API nor what does not need it."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from urllib.parse import urlencode

import anyio.to_thread
import httpx
import pytest
from fastapi import HTTPException
from fastapi.responses import PlainTextResponse

from airflow_provider_scenario.client import http_session, signed
from airflow_provider_scenario.client.errors import ServiceError
from airflow_provider_scenario.hooks.scenario import ScenarioHook
from airflow_provider_scenario.plugin import connection as page_connection
from airflow_provider_scenario.plugin import lookup, pictures, thread_share
from airflow_provider_scenario.plugin.lookup import Lookups, ScenarioLookup
from airflow_provider_scenario.plugin.threads import Threads
from tests.harness.waiting import SURELY, eventually_async
from tests.unit.conftest import connection
from tests.unit.plugin.conftest import page_state
from tests.unit.plugin.test_access import token_of

AT_ONCE = 8  # actions over one connection


def where(task_id="train", **more):
    return urlencode({"dag_id": "a_dag", "run_id": "a_run", "task_id": task_id, "map_index": -1, **more})


@asynccontextmanager
async def browser_of(logged_in):
    """The same login, for many requests at once."""
    transport = httpx.ASGITransport(app=logged_in.app)
    async with httpx.AsyncClient(
        transport=transport, base_url="http://testserver/scenario/", cookies=dict(logged_in.cookies), timeout=SURELY
    ) as browser:
        yield browser


@pytest.fixture
def released():
    """What hangs goes on when this is set."""
    event = threading.Event()
    yield event
    event.set()


@pytest.fixture
def hanging_service(released, monkeypatch):
    """A service that takes requests and does not answer; how many it has taken."""
    taken = []

    class Hang(BaseHTTPRequestHandler):
        def handle_any(self):
            taken.append(self.path)
            released.wait(SURELY)

        do_GET = do_POST = do_PUT = handle_any

        def log_message(self, *_):
            pass

    class Server(ThreadingHTTPServer):
        request_queue_size = 200

    with Server(("127.0.0.1", 0), Hang) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = connection(host=f"http://127.0.0.1:{server.server_port}/v1")
        monkeypatch.setenv("AIRFLOW_CONN_SCENARIO_DEFAULT", address)
        monkeypatch.setattr(
            page_connection, "TIMEOUT", (SURELY, SURELY)
        )  # what is counted must not depend on the time it takes
        yield taken
        released.set()
        server.shutdown()


async def overwhelm(post, *, hanging, times):
    """
    Send requests until ``hanging`` of them hang, then more: those that hang, and the answers to the others.

    A few at a time: SQLite takes one entry of the audit log after another.
    """
    held = [asyncio.create_task(post()) for _ in range(AT_ONCE)]
    await eventually_async(lambda: hanging() >= AT_ONCE)
    others = []
    async with asyncio.timeout(SURELY):
        while len(held) + len(others) < times:
            others += await asyncio.gather(*(post() for _ in range(4)))
    return held, others


class TestActions:
    async def test_sixty_cancels_while_the_service_hangs_leave_airflows_threads_alone(
        self, admin, database, hanging_service, impatient, released
    ):
        database.task(model_id="model_x", job_id="job_x")
        form = {"token": token_of(admin)}
        async with browser_of(admin) as browser:
            held, others = await overwhelm(
                lambda: browser.post(f"cancel?{where()}", data=form), hanging=lambda: len(hanging_service), times=60
            )
            assert {answer.status_code for answer in others} == {503}
            assert all("at once" in answer.text and answer.headers["Retry-After"] for answer in others)
            assert anyio.to_thread.current_default_thread_limiter().borrowed_tokens == 0
            assert (await browser.get(f"static/page.js?{where()}")).status_code == 200
            assert (await browser.get("trainings")).status_code == 200
            assert not any(each.done() for each in held)
            released.set()
            await asyncio.gather(*held)

    async def test_epochs_are_chosen_in_the_same_threads(self, admin, database, hanging_service, impatient, released):
        database.task(model_id="model_x", job_id="job_x")
        form = {"token": token_of(admin), "epoch": "1"}
        async with browser_of(admin) as browser:
            held, _ = await overwhelm(
                lambda: browser.post(f"epoch?{where()}", data=form), hanging=lambda: len(hanging_service), times=AT_ONCE
            )
            assert anyio.to_thread.current_default_thread_limiter().borrowed_tokens == 0
            assert (await browser.post(f"cancel?{where()}", data=form)).status_code == 503
            released.set()
            await asyncio.gather(*held)

    async def test_another_connection_has_threads_of_its_own(
        self, admin, database, train, emulator, released, monkeypatch
    ):
        monkeypatch.setenv("AIRFLOW_CONN_SLOW", connection(host="http://127.0.0.1:9/v1"))
        database.task(task_id="slow", model_id="model_x", fields={"scenario_conn_id": "slow"})
        database.task(**train())
        threads = page_state(admin).action_threads
        page_state(admin).lookups["scenario_default"].client()  # as in TestLookUps
        hang_for("slow", released, monkeypatch)
        form = {"token": token_of(admin)}
        async with browser_of(admin) as browser:
            held, _ = await overwhelm(
                lambda: browser.post(f"cancel?{where('slow')}", data=form),
                hanging=lambda: threads.limiter.borrowed_tokens,
                times=12,
            )
            answer = await browser.post(f"cancel?{where()}", data=form)
            assert "was cancelled" in answer.text
            released.set()
            await asyncio.gather(*held)


def hang_for(conn_id, released, monkeypatch):
    """Let Airflow's look-up of a connection hang, as a secrets backend may."""
    look_up = ScenarioHook.get_connection

    def get_connection(wanted):
        if wanted == conn_id:
            released.wait(SURELY)
        return look_up(wanted)

    monkeypatch.setattr(ScenarioHook, "get_connection", staticmethod(get_connection))


class TestConnectionLookUp:
    @pytest.mark.parametrize("page", ["trainings", f"run?{where()}", f"training?{where()}"])
    def test_no_page_waits_for_one_that_hangs(self, admin, database, emulator, released, monkeypatch, page):
        monkeypatch.setattr(lookup, "PATIENCE", 0.1)
        hang_for("scenario_default", released, monkeypatch)
        database.task(model_id="model_x", job_id="job_x", fields={"name": "hero"})
        answer = admin.get(page)
        assert not released.is_set()
        assert answer.status_code == 200
        assert "hero" in answer.text

    def test_a_picture_says_when_to_try_again(self, admin, database, emulator, released, monkeypatch):
        monkeypatch.setattr(lookup, "PATIENCE", 0.1)
        monkeypatch.setattr(pictures, "PATIENCE", 0.1)
        hang_for("scenario_default", released, monkeypatch)
        database.task(model_id="model_x", job_id="job_x")
        answer = admin.get(f"picture?{where(asset_id='asset_1')}")
        assert answer.status_code == 503
        assert answer.headers["Retry-After"] == "5"
        assert answer.headers["Cache-Control"] == "no-store"


class TestLookUps:
    def test_those_of_one_connection_leave_threads_to_the_others(self, emulator, train, released, monkeypatch):
        lines = Lookups()
        lines["scenario_default"].client()  # Python 3.11 computes cached properties of all hooks one after another
        hang_for("slow", released, monkeypatch)
        for number in range(40):
            lines["slow"].details(f"model_{number}", None, max_wait=0.0)
        made = train()
        assert lines["scenario_default"].details(made["model_id"], made["job_id"], max_wait=SURELY) is not None

    def test_what_waits_for_a_thread_is_done_in_turn(self, released):
        with ThreadPoolExecutor(4) as pool:
            share, at_once, most = thread_share.ThreadShare(pool, 2), [], []

            def work(number):
                at_once.append(number)
                most.append(len(at_once))
                if number < 2:
                    released.wait(SURELY)
                at_once.remove(number)
                return number

            futures = [share.submit(work, number) for number in range(50)]
            assert pool.submit(lambda: "another").result(SURELY) == "another"
            released.set()
            assert [future.result(SURELY) for future in futures] == list(range(50))
            assert max(most) <= 2
            with pytest.raises(ZeroDivisionError):
                share.submit(lambda: 1 / 0).result(SURELY)
            assert share.submit(lambda: "as before").result(SURELY) == "as before"


class TestSlowPictures:
    async def test_those_of_one_connection_leave_the_others_alone(
        self, admin, database, emulator, released, monkeypatch
    ):
        begun = []

        def load(line, training, asset_id):
            if training.conn_id == "slow":
                begun.append(asset_id)
                released.wait(SURELY)
            return PlainTextResponse(training.conn_id)

        monkeypatch.setattr(pictures, "load", load)
        monkeypatch.setenv("AIRFLOW_CONN_SLOW", connection(host=emulator.url))
        database.task(task_id="slow", model_id="model_x", fields={"scenario_conn_id": "slow"})
        database.task(model_id="model_y", job_id="job_y")
        async with browser_of(admin) as browser:
            slow = [
                asyncio.create_task(browser.get(f"picture?{where('slow', asset_id=f'asset_{number}')}"))
                for number in range(40)
            ]
            await eventually_async(lambda: len(begun) >= 6)
            async with asyncio.timeout(SURELY):
                answer = await browser.get(f"picture?{where(asset_id='asset_1')}")
            assert answer.text == "scenario_default"
            released.set()
            assert {each.status_code for each in await asyncio.gather(*slow)} == {200}

    async def test_more_than_may_wait_are_refused_at_once(self, released):
        threads = Threads(each=2, altogether=4, waiting=3, max_wait=SURELY)
        work = [asyncio.create_task(threads.run("a", lambda: released.wait(SURELY))) for _ in range(20)]
        await eventually_async(lambda: sum(each.done() for each in work) == 15)
        assert {each.exception().status_code for each in work if each.done()} == {503}
        released.set()
        assert [each for each in await asyncio.gather(*work, return_exceptions=True) if each is True] == [True] * 5

    async def test_those_that_wait_give_up(self, released):
        threads = Threads(each=1, altogether=4, waiting=3, max_wait=0.0)
        first = asyncio.create_task(threads.run("a", lambda: released.wait(SURELY)))
        await eventually_async(lambda: threads.limiter.borrowed_tokens == 1)
        with pytest.raises(HTTPException) as refused:
            await threads.run("a", lambda: None)
        assert refused.value.status_code == 503
        released.set()
        await first
        assert await threads.run("a", lambda: "as before") == "as before"

    async def test_a_viewer_who_leaves_frees_the_place_that_was_waited_for(self, released):
        threads = Threads(each=1, altogether=4, waiting=1, max_wait=SURELY)
        first = asyncio.create_task(threads.run("a", lambda: released.wait(SURELY)))
        await eventually_async(lambda: threads.limiter.borrowed_tokens == 1)
        for _ in range(3):
            leaves = asyncio.create_task(threads.run("a", lambda: None))
            await asyncio.sleep(0)
            leaves.cancel()
            with pytest.raises(asyncio.CancelledError):
                await leaves
        released.set()
        await first
        assert not threads._lanes


PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 40


class Dripping:
    """Sends one byte each time that somebody looks at the clock, on which a second has passed then."""

    def __init__(self, at_once: bytes, one_by_one: bytes) -> None:
        self.now, self._may = 0.0, threading.Semaphore(0)
        self._server = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self._server.getsockname()[1]}/a.png"
        threading.Thread(target=self._serve, args=(at_once, one_by_one), daemon=True).start()

    def clock(self) -> float:
        self.now += 1
        self._may.release()
        return self.now

    def _serve(self, at_once: bytes, one_by_one: bytes) -> None:
        with self._server, self._server.accept()[0] as client:
            client.recv(65536)
            client.sendall(at_once)
            for byte in one_by_one:
                self._may.acquire(timeout=0.05)  # code that looks at no clock gets it all
                try:
                    client.sendall(bytes([byte]))
                except OSError:
                    return


class TestDownload:
    @pytest.fixture
    def line(self, emulator):
        line = ScenarioLookup("scenario_default", None)
        line.client()
        return line

    @pytest.mark.parametrize("drips", ["head", "body"])
    def test_a_store_that_sends_byte_by_byte_is_left(self, line, monkeypatch, drips):
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(PNG)}\r\n\r\n".encode()
        server = Dripping(b"", head + PNG) if drips == "head" else Dripping(head, PNG)
        for module in (http_session, signed):
            monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=server.clock))
        with pytest.raises(ServiceError, match="no whole answer came within 10 s"):
            pictures._fetch(line, server.address)
        assert server.now <= pictures.TIMEOUT + 2

    def test_one_that_sends_in_time_is_read_to_the_end(self, line):
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(PNG)}\r\n\r\n".encode()
        assert pictures._fetch(line, Dripping(head + PNG, b"").address) == PNG

    def test_what_is_too_large_by_its_own_word_is_not_read(self, line):
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {pictures.LARGEST + 1}\r\n\r\n".encode()
        with pytest.raises(ServiceError, match="larger than the limit"):
            pictures._fetch(line, Dripping(head, b"").address)

    def test_what_grows_too_large_is_not_read_on(self, line, monkeypatch):
        monkeypatch.setattr(pictures, "LARGEST", 100)
        with pytest.raises(ServiceError, match="larger than the limit"):
            pictures._fetch(line, Dripping(b"HTTP/1.1 200 OK\r\n\r\n" + PNG * 5, b"").address)

    def test_a_redirect_is_not_followed(self, line):
        target = Dripping(b"HTTP/1.1 200 OK\r\n\r\n" + PNG, b"").address
        head = f"HTTP/1.1 302 Found\r\nLocation: {target}\r\nContent-Length: 0\r\n\r\n".encode()
        with pytest.raises(ServiceError, match="answered 302"):
            pictures._fetch(line, Dripping(head, b"").address)

    def test_the_signed_address_is_in_no_log_and_no_error(self, line, caplog):
        caplog.set_level(logging.DEBUG)
        refused = Dripping(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", b"").address
        with pytest.raises(ServiceError) as caught:
            pictures._fetch(line, f"{refused}?Signature=secret-part")
        assert caught.value.status == 403
        assert "secret-part" not in f"{caught.value!r} {caplog.text}"

    @pytest.mark.parametrize(
        ("address", "http_host", "may_be"),
        [
            ("https://cdn.cloud.scenario.com/a.png?Signature=x", None, True),
            ("http://cdn.cloud.scenario.com/a.png", None, False),
            ("http://169.254.169.254/latest/meta-data", None, False),
            ("http://169.254.169.254/latest/meta-data", "127.0.0.1", False),
            ("http://127.0.0.1:8321/cdn/a.png", "127.0.0.1", True),
            ("http://127.0.0.1:8080/", None, False),
            ("http:///a.png", None, False),
            ("ftp://cdn.cloud.scenario.com/a.png", None, False),
            ("file:///etc/passwd", None, False),
            ("data:image/png;base64,AAAA", None, False),
            ("", None, False),
        ],
    )
    def test_only_https_is_fetched_and_http_from_the_connections_own_host(self, address, http_host, may_be):
        storage = pictures.storage(SimpleNamespace(http_host=http_host, verify=True))
        assert (storage._wrong_with(address) is None) is may_be

    def test_a_service_behind_https_cannot_let_the_page_ask_inside_the_network(self, monkeypatch, emulator):
        host = json.loads(connection(host="https://api.cloud.scenario.com/v1"))
        monkeypatch.setenv("AIRFLOW_CONN_SCENARIO_DEFAULT", json.dumps(host))
        monkeypatch.setattr("airflow_provider_scenario.client.settings.only_this_machine", False)  # nothing is sent
        line = ScenarioLookup("scenario_default", None)
        line.client()
        inside = Dripping(b"HTTP/1.1 200 OK\r\n\r\n" + PNG, b"")
        with pytest.raises(ServiceError, match="not an https one"):
            pictures._fetch(line, inside.address)

    def test_an_address_that_is_none_is_no_error_of_the_server(self, line):
        with pytest.raises(ServiceError, match="not an http"):
            pictures._fetch(line, "http://[::1?a")
