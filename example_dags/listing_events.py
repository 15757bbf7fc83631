"""
# Receive an event when a model is listed

The sensor in `train_and_publish` polls. AI Creation Workshop can also send an event to an address of yours when a file
is listed. This file turns that event into an Airflow asset event. It has two parts:

* a small **receiver**, which you run where the workshop can reach it: `python listing_events.py`. It passes each event
  on through Airflow's REST API, as an event of the asset `ai-creation-workshop://listings`;
* this **DAG**, scheduled on that asset: one run when models are listed. Nothing polls.

## What is known, and what is not

Known, from the vendor's page on event subscriptions: an event is a `POST` that must be answered within 5 seconds, with
any 2xx. Asynchronous events are sent again after 4xx and 5xx, for some hours. So the receiver answers 502 while
Airflow is down. The address carries `apiId`, `bizType`, `invokeId`, `apiToken` (encrypted), `sign`, `nonce` and
`timestamp`; the body is the event's data, or empty.

**Not published**: the `bizType` of a listing event; the fields of its body (those that are read here, `modelId`,
`modelVersionId`, `modelFileId` and `status`, are guessed from the answer of the sync); whether the event is
asynchronous; how `sign` is made; where the address is registered (ask the support). So the receiver

* passes on every event with the fields that it recognises, and stores neither token nor signature;
* cannot verify `sign`. A secret in its own path keeps others out. An event proves nothing: before anything depends on
  it, check the listing with the sensor of `train_and_publish`, which works without events.

## The receiver's environment

`AIRFLOW_URL`, `AIRFLOW_USER`, `AIRFLOW_PASSWORD` (of a user who may create asset events), `EVENT_SECRET` (long and
random; the address to register is `https://<host>/<EVENT_SECRET>`), `EVENT_PORT` (default 8322).

It serves plain HTTP on all interfaces: put a web server with TLS and a limit of requests by address in front of it.
"""

from __future__ import annotations

import hmac
import io
import json
import logging
import os
import sys
import threading
import time
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl

from airflow.sdk import DAG, Asset, task

log = logging.getLogger(__name__)

LISTINGS = Asset("ai-creation-workshop://listings")
RECOGNISED = ("modelId", "modelVersionId", "modelFileId", "status")

AT_ONCE = 32
"""Connections, each with a thread. Further ones get 503 at once, and the workshop sends the event again."""
SECONDS = 5.0
"""For a request to arrive, however many pieces it comes in. The workshop waits no longer for an answer."""
LARGEST_BODY = 1_000_000
"""Bytes. The ids in an event have a few hundred."""
LONGEST_VALUE = 200
"""Characters of a value that is passed on. An id has about 30."""

with DAG(dag_id="listing_events", schedule=[LISTINGS], catchup=False, doc_md=__doc__, tags=["scenario", "example"]):

    @task
    def news(triggering_asset_events: Any) -> list[dict[str, Any]]:
        """Return the events. Their signature cannot be verified, so they are hints, not proofs."""
        events = [event.extra for event in triggering_asset_events.get(LISTINGS) or ()]
        for event in events:
            log.info("Event: model %s has status %s.", event.get("modelId"), event.get("status"))
        return events

    news()


class Airflow:
    """The part of Airflow's REST API that the receiver needs. Logs in again when its token has expired."""

    def __init__(self, url: str, user: str, password: str) -> None:
        import requests

        self.url, self.login = url.rstrip("/"), {"username": user, "password": password}
        self.session = requests.Session()

    def send_event(self, extra: dict[str, Any]) -> None:
        """Make an asset event; raises what ``requests`` raises."""
        self.call("POST", "assets/events", json={"asset_id": self.asset_id, "extra": extra})

    @cached_property
    def asset_id(self) -> int:
        found = self.call("GET", "assets", params={"uri_pattern": LISTINGS.uri})["assets"]
        return next(asset["id"] for asset in found if asset["uri"] == LISTINGS.uri)

    def call(self, method: str, path: str, **arguments: Any) -> Any:
        answer = self.session.request(method, f"{self.url}/api/v2/{path}", timeout=1.5, **arguments)
        if answer.status_code == 401:
            token = self.session.post(f"{self.url}/auth/token", json=self.login, timeout=1.5)
            token.raise_for_status()
            self.session.headers["Authorization"] = f"Bearer {token.json()['access_token']}"
            answer = self.session.request(method, f"{self.url}/api/v2/{path}", timeout=1.5, **arguments)
        answer.raise_for_status()
        return answer.json()


class UntilDeadline(io.RawIOBase):
    """
    Reads a connection for so many seconds in all; after that it raises ``TimeoutError``, which ends the request.

    The timeout of a socket starts anew with each byte, so that a slow sender could hold its thread for days.
    """

    def __init__(self, connection: Any, seconds: float) -> None:
        self.connection, self.deadline = connection, time.monotonic() + seconds

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self.connection.settimeout(left)
        return int(self.connection.recv_into(buffer))


class Receiver(BaseHTTPRequestHandler):
    """Answers 404 without the secret in the path, 502 while Airflow does not take the event, else 204."""

    airflow: Airflow
    secret: str
    server_version, sys_version = "receiver", ""

    def setup(self) -> None:
        super().setup()
        self.rfile = io.BufferedReader(UntilDeadline(self.connection, SECONDS))

    def do_POST(self) -> None:
        length = self.headers.get("content-length", "0")
        if "transfer-encoding" in self.headers:
            self.answer(411)  # chunked bodies are not read
            return
        if not (length.isascii() and length.isdigit()):
            self.answer(400)
            return
        if len(length) > 10 or int(length) > LARGEST_BODY:
            self.answer(413)
            return
        content = self.rfile.read(int(length))
        path, _, query = self.path.partition("?")
        if not hmac.compare_digest(path.encode(), f"/{self.secret}".encode()):
            self.answer(404)
            return
        try:
            self.airflow.send_event(recognised(dict(parse_qsl(query)), content))
        except Exception as problem:
            log.warning("Airflow did not take the event; the workshop will send it again: %s", type(problem).__name__)
            self.answer(502)
        else:
            self.answer(204)

    def answer(self, status: int) -> None:
        self.send_response(status)
        self.end_headers()

    def send_error(self, code: int, *_: Any) -> None:
        """Answer a request that is not HTTP. The base class would repeat it in the answer."""
        self.answer(code)

    def log_message(self, *_: Any) -> None:
        """Write nothing: the path holds the secret, the token and the signature."""


def recognised(query: dict[str, str], content: bytes) -> dict[str, Any]:
    """Return the known fields of an event, without token and signature."""
    try:
        body = json.loads(content or b"{}")
    except (ValueError, RecursionError):
        body = {}
    known = {name: body[name] for name in RECOGNISED if fit(body.get(name))} if isinstance(body, dict) else {}
    return {**known, **{name: query[name] if fit(query.get(name)) else None for name in ("bizType", "invokeId")}}


def fit(value: Any) -> bool:
    """Whether Airflow can store a value: its database refuses NaN and surrogates."""
    return isinstance(value, str | int) and len(text := str(value)) <= LONGEST_VALUE and text.isprintable()


class Server(ThreadingHTTPServer):
    """Answers :data:`AT_ONCE` connections at once, and refuses further ones without a thread."""

    def __init__(self, *arguments: Any) -> None:
        self.free = threading.BoundedSemaphore(AT_ONCE)
        super().__init__(*arguments)

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self.free.acquire(blocking=False):
            request.send(b"HTTP/1.0 503 Service Unavailable\r\n\r\n")
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except BaseException:  # no thread could be started
            self.free.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self.free.release()

    def handle_error(self, *_: Any) -> None:
        """Log the error without the request, which holds the secret."""
        log.warning("A request has broken off: %s", getattr(sys.exc_info()[0], "__name__", None))


def serve(airflow: Airflow, secret: str, port: int) -> Server:
    if not secret:
        raise ValueError("EVENT_SECRET is empty: anybody could send events.")
    handler = type("ThisReceiver", (Receiver,), {"airflow": airflow, "secret": secret})
    return Server(("", port), handler)


if __name__ == "__main__":
    env = os.environ
    airflow = Airflow(env["AIRFLOW_URL"], env["AIRFLOW_USER"], env["AIRFLOW_PASSWORD"])
    serve(airflow, env["EVENT_SECRET"], int(env.get("EVENT_PORT", "8322"))).serve_forever()
