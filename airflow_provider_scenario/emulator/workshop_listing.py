"""
List a synced file: fetch it from its address, and send an event at the end.

That the service compares the hash, and the form of its event, are guesses of ours.

A client with the AppSecret can make this process fetch any http(s) address that it reaches, and learns the SHA-256 of
that content. The service works like that too. Other protocols are refused, also in redirects.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import secrets
import threading
from collections.abc import Callable
from http.client import HTTPException
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode
from urllib.request import (
    HTTPDefaultErrorHandler,
    HTTPErrorProcessor,
    HTTPHandler,
    HTTPRedirectHandler,
    HTTPSHandler,
    OpenerDirector,
    ProxyHandler,
    Request,
    UnknownHandler,
)

from airflow_provider_scenario.emulator.workshop_records import ListedFile, SyncedModel

if TYPE_CHECKING:
    from airflow_provider_scenario.emulator.state import State

EVENT = "emulatorModelListing"
"""The real ``bizType`` of a listing event is not published."""

TIMEOUT = 10.0
CHUNK = 1 << 20
SPARE_KB = 1
"""Allowed difference between sizeKb and the file's size: the vendor does not say how it is rounded."""

_SHA_256 = re.compile(r"[0-9a-fA-F]{64}")
_pending: set[asyncio.Task[None]] = set()


def _http_only() -> OpenerDirector:
    """``urlopen`` without its handlers for ftp, file and data: a redirect could lead to such addresses."""
    opener = OpenerDirector()
    for handler in (
        *(ProxyHandler(), HTTPHandler(), HTTPSHandler(), UnknownHandler()),
        *(HTTPDefaultErrorHandler(), HTTPRedirectHandler(), HTTPErrorProcessor()),
    ):
        opener.add_handler(handler)
    return opener


def start_listing(state: State, model: SyncedModel, version_id: str, given: dict[str, Any], now: float) -> ListedFile:
    """Start to list a file of a tree. A known file keeps its id, even with a new hash."""
    key = version_id, given["name"]
    file = ListedFile(
        id=model.files[key].id if key in model.files else state.new_id("mf_"),
        version_id=version_id,
        name=given["name"],
        hash=given["hash"],
        url=given["downloadUrl"],
        size_kb=given["sizeKb"],
        primary=given.get("isPrimary") is True,
        started=now,
        seconds=state.settings.listing_seconds,
        outcome=state.take_outcome(model, "listing"),
        fetching=state.settings.fetch_files,
    )
    model.files[key] = file
    if file.fetching:
        _in_thread(lambda: _fetch(file))
    if state.settings.callback_url:
        task = asyncio.get_running_loop().create_task(_announce(state, model, file, state.settings.callback_url))
        _pending.add(task)
        task.add_done_callback(_pending.discard)
    return file


def _fetch(file: ListedFile) -> None:
    try:
        file.fetch_error = _compare(file)
    except (OSError, ValueError, HTTPException) as error:
        file.fetch_error = f"downloadUrl cannot be fetched: {error}"
    file.fetching = False


def _compare(file: ListedFile) -> str | None:
    digest, size = hashlib.sha256(), 0
    with _http_only().open(file.url, timeout=TIMEOUT) as response:
        while chunk := response.read(CHUNK):
            digest.update(chunk)
            size += len(chunk)
            if size / 1024 > file.size_kb + SPARE_KB:  # an endless response would block the thread for ever
                return f"sizeKb is {file.size_kb:g}, but the file has more"
    if _SHA_256.fullmatch(file.hash) and file.hash.lower() != digest.hexdigest():
        return f"hash is not that of the file, whose SHA-256 is {digest.hexdigest()}"
    if abs(size / 1024 - file.size_kb) > SPARE_KB:
        return f"sizeKb is {file.size_kb:g}, but the file has {size / 1024:g} KB"
    return None


async def _announce(state: State, model: SyncedModel, file: ListedFile, address: str) -> None:
    workshop = state.workshop
    while state.now() < file.ends_at or file.fetching:
        await asyncio.sleep(0.05)
    now = state.now()
    # How the service signs an event and encrypts the token is not published.
    query = {
        "apiId": "spSdModelSync",
        "bizType": EVENT,
        "invokeId": invoke_id(),
        "apiToken": "encrypted-nobody-knows-how",
        "sign": "signed-nobody-knows-how",
        "nonce": secrets.token_hex(16),
        "timestamp": str(int(now * 1000)),
    }
    body = {
        "modelId": model.id,
        "modelVersionId": file.version_id,
        "modelFileId": file.id,
        "status": file.status(now),
    }
    sent: dict[str, object] = {"query": query, "body": body, "answer": None}
    workshop.callbacks.append(sent)
    _in_thread(lambda: sent.update(answer=_post(f"{address}{'&' if '?' in address else '?'}{urlencode(query)}", body)))


def _post(address: str, body: dict[str, Any]) -> int | str:
    content = json.dumps(body).encode()
    request = Request(address, content, {"content-type": "application/json"}, method="POST")  # noqa: S310
    try:
        with _http_only().open(request, timeout=5) as response:
            return int(response.status)
    except (OSError, ValueError, HTTPException) as error:
        return str(error)


def _in_thread(work: Callable[[], object]) -> None:
    """Run in a thread that does not keep the emulator from ending."""
    threading.Thread(target=work, daemon=True).start()


def invoke_id() -> str:
    return f"i_{secrets.token_hex(16)}"
