"""
How a synced file gets listed: fetched from its address, and made known when that is over.

The service says only that it does so. That it compares the hash, and what its event looks like, are guesses of ours.

Whoever has the AppSecret makes this process fetch any http(s) address that it reaches, and learns the SHA-256 of what
is there. That is how the service works. No other protocol is followed, redirects included.
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
"""The ``bizType`` of a listing is not published; this one says where it comes from."""

TIMEOUT = 10.0
CHUNK = 1 << 20
SPARE_KB = 1
"""What sizeKb and the size of the file may differ by: the vendor does not say how it is rounded."""

_SHA_256 = re.compile(r"[0-9a-fA-F]{64}")
_pending: set[asyncio.Task[None]] = set()


def _http_only() -> OpenerDirector:
    """``urlopen`` without its handlers for ftp, file and data addresses, to which a redirect could lead."""
    opener = OpenerDirector()
    for handler in (
        *(ProxyHandler(), HTTPHandler(), HTTPSHandler(), UnknownHandler()),
        *(HTTPDefaultErrorHandler(), HTTPRedirectHandler(), HTTPErrorProcessor()),
    ):
        opener.add_handler(handler)
    return opener


def start_listing(state: State, model: SyncedModel, version_id: str, given: dict[str, Any], now: float) -> ListedFile:
    """Begin to list a file of a tree. One that is there already keeps its id, whatever its hash is now."""
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
        _beside(lambda: _fetch(file))
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
            if size / 1024 > file.size_kb + SPARE_KB:  # an endless answer would keep the thread for ever
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
    # How the service signs an event and encrypts the token is not published either.
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
    _beside(lambda: sent.update(answer=_post(f"{address}{'&' if '?' in address else '?'}{urlencode(query)}", body)))


def _post(address: str, body: dict[str, Any]) -> int | str:
    content = json.dumps(body).encode()
    request = Request(address, content, {"content-type": "application/json"}, method="POST")  # noqa: S310
    try:
        with _http_only().open(request, timeout=5) as response:
            return int(response.status)
    except (OSError, ValueError, HTTPException) as error:
        return str(error)


def _beside(work: Callable[[], object]) -> None:
    """In a thread that nobody waits for when the emulator ends. Each sets what only it sets."""
    threading.Thread(target=work, daemon=True).start()


def invoke_id() -> str:
    return f"i_{secrets.token_hex(16)}"
