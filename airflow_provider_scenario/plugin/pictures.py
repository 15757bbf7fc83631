"""Pictures come through the server: a browser gets neither the key nor the signed addresses."""

from __future__ import annotations

import hashlib
import os
import ssl
from functools import cache, partial
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from io import BufferedReader, RawIOBase
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import HTTPHandler, HTTPRedirectHandler, HTTPSHandler, OpenerDirector, build_opener

from fastapi import HTTPException as Refusal
from fastapi import Response, status
from requests.utils import DEFAULT_CA_BUNDLE_PATH

from airflow_provider_scenario.client.scenario.image_files import content_type_of
from airflow_provider_scenario.plugin.slots import Slots, not_now

if TYPE_CHECKING:
    from socket import socket
    from urllib.parse import SplitResult
    from urllib.request import Request

    from airflow_provider_scenario.plugin.lookup import ScenarioLookup
    from airflow_provider_scenario.plugin.snapshots import Details
    from airflow_provider_scenario.plugin.trainings import Training

LARGEST = 25_000_000
"""Bytes of a picture."""

TIMEOUT = 10.0
"""Seconds to connect to a store of pictures at most, and from the beginning to the last byte."""

PATIENCE = 2.0
"""Seconds that a picture waits for what Scenario says of its training."""

_EXPIRED = frozenset({400, 401, 403, 404, 410})
"""What storages answer to a signed address that has expired."""

SHOWN = frozenset({"image/png", "image/jpeg", "image/webp", "image/gif", "image/avif"})
"""What browsers show and what cannot hold a script."""


class AddressRefusedError(OSError):
    """The storage does not accept the signed address: it has expired."""


def slots() -> Slots:
    """
    Where pictures are loaded.

    A page may ask for a hundred at once, so many wait; but no longer than a store takes that is only busy.
    """
    return Slots(each=6, altogether=30, waiting=300, patience=TIMEOUT)


def load(line: ScenarioLookup, training: Training, asset_id: str) -> Response:
    """
    A picture of this training. Scenario is never asked for a picture that the training does not have.

    :raises Refusal: 404 if it has no such picture, 502 or 503 if it cannot be had now.
    """
    model_id = str(training.model_id)
    details = None if line.is_gone(model_id) else line.details(model_id, training.job_id, max_wait=PATIENCE)
    if details is None and not line.is_gone(model_id):
        raise not_now("What Scenario says of this training is not known yet.")
    address = _address(details, asset_id)
    try:
        try:
            content = _fetch(line, address)
        except AddressRefusedError:
            details = line.renew_addresses(details, training.job_id, max_wait=PATIENCE) if details else None
            if details is None:
                raise not_now("The picture's address has expired, and Scenario has given no other one yet.") from None
            content = _fetch(line, _address(details, asset_id))
    except OSError:
        content = b""
    content_type = content_type_of(content)
    if content_type not in SHOWN:
        raise Refusal(status.HTTP_502_BAD_GATEWAY, "The picture cannot be loaded now.")
    return Response(content, media_type=content_type, headers=kept(asset_id))


def tag(asset_id: str) -> str:
    """Names the content for a browser that has it: at Scenario an asset never changes."""
    return f'"{hashlib.sha256(asset_id.encode()).hexdigest()[:32]}"'


def kept(asset_id: str) -> dict[str, str]:
    """Lets a browser keep the picture, but show it only where we say so: not after a logout."""
    return {"Cache-Control": "private, no-cache", "ETag": tag(asset_id)}


def _address(details: Details | None, asset_id: str) -> str:
    address = addresses(details).get(asset_id) if details else None
    if address is None:
        raise Refusal(status.HTTP_404_NOT_FOUND, "This training has no such picture.")
    return address


def addresses(details: Details) -> dict[str, str]:
    """The pictures of a training: asset id → signed address."""
    model = details.model
    images = {image.id: image.download_url for image in model.training_images}
    samples = {asset.asset_id: asset.url for epoch in model.epochs for asset in epoch.assets}
    return {asset_id: url for asset_id, url in {**images, **samples}.items() if url}


def _fetch(line: ScenarioLookup, address: str) -> bytes:
    """
    The bytes of a picture.

    Not with requests: its pool logs every address when Airflow logs at the level DEBUG, and these are signed.

    :raises AddressRefusedError: the storage does not accept the address.
    :raises OSError: the picture cannot be had for another reason.
    """
    try:
        if not _may_be_fetched(urlsplit(address), line.http_host):
            raise OSError("not an address of a store of pictures")
        with _opener(line.verify).open(address, timeout=TIMEOUT) as answer:
            if (answer.length or 0) > LARGEST:
                raise OSError("too large")
            content: bytes = answer.read(LARGEST + 1)
    except HTTPError as error:
        error.close()
        if error.code in _EXPIRED:
            raise AddressRefusedError from None
        raise
    except (ValueError, HTTPException):
        raise OSError("not an answer of a store of pictures") from None
    if len(content) > LARGEST:
        raise OSError("too large")
    return content


def _may_be_fetched(address: SplitResult, http_host: str | None) -> bool:
    """
    Whether it is https, or on the host that the connection itself reaches over http, such as the emulator's.

    The service names the address. Without this it could let the API server ask services inside its network, which
    answer whoever reaches them over http.
    """
    is_own_host = http_host is not None and address.hostname == http_host
    return address.scheme == "https" or (address.scheme == "http" and is_own_host)


class _StayThere(HTTPRedirectHandler):
    """Takes a redirection for the error that it is here."""

    def redirect_request(self, *_: Any) -> None:
        return None


class _UntilDeadline(RawIOBase):
    """
    What comes from a socket until a moment.

    The timeout of a socket begins anew with each byte: a store that sends one a second would hold a thread for ever.
    """

    def __init__(self, came: RawIOBase, sock: socket, deadline: float) -> None:
        self._came, self._sock, self._deadline = came, sock, deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self._deadline - monotonic()
        if left <= 0:
            raise TimeoutError("The picture takes too long.")
        self._sock.settimeout(left)
        return self._came.readinto(buffer)

    def close(self) -> None:
        self._came.close()
        super().close()


class _Answer(HTTPResponse):
    def __init__(self, sock: socket, *arguments: Any, deadline: float, **options: Any) -> None:
        super().__init__(sock, *arguments, **options)
        self.fp: Any = BufferedReader(_UntilDeadline(self.fp.detach(), sock, deadline))


def _connect(kind: type[HTTPConnection], host: str, *, timeout: float, **options: Any) -> HTTPConnection:
    connection = kind(host, timeout=timeout, **options)
    connection.response_class = partial(_Answer, deadline=monotonic() + timeout)  # type: ignore[assignment]
    return connection


class _Http(HTTPHandler):
    def http_open(self, request: Request) -> HTTPResponse:
        return self.do_open(partial(_connect, HTTPConnection), request)


class _Https(HTTPSHandler):
    def __init__(self, trust: ssl.SSLContext) -> None:
        super().__init__(context=trust)
        self._trust = trust

    def https_open(self, request: Request) -> HTTPResponse:
        return self.do_open(partial(_connect, HTTPSConnection), request, context=self._trust)


@cache
def _opener(verify: bool | str) -> OpenerDirector:
    """Trusts whom the client of the connection trusts."""
    bundle = verify if isinstance(verify, str) else os.environ.get("REQUESTS_CA_BUNDLE") or DEFAULT_CA_BUNDLE_PATH
    folder = Path(bundle).is_dir()
    trust = ssl.create_default_context(cafile=None if folder else bundle, capath=bundle if folder else None)
    if verify is False:
        trust.check_hostname, trust.verify_mode = False, ssl.CERT_NONE
    return build_opener(_Http(), _Https(trust), _StayThere())
