"""Pictures come through the server: a browser gets neither the key nor the signed addresses."""

from __future__ import annotations

import os
import ssl
from functools import cache
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError
from urllib.request import HTTPRedirectHandler, HTTPSHandler, OpenerDirector, build_opener

import anyio
from fastapi import HTTPException as Refusal
from fastapi import Response, status
from requests.utils import DEFAULT_CA_BUNDLE_PATH

from airflow_provider_scenario.client.images import content_type_of

if TYPE_CHECKING:
    from airflow_provider_scenario.plugin.lookup import Details, Line
    from airflow_provider_scenario.plugin.trainings import Training

LARGEST = 25_000_000
"""Bytes of a picture."""

TIMEOUT = 10.0

PATIENCE = 2.0
"""Seconds that a picture waits for what Scenario says of its training."""

RETRY_AFTER = 5.0
"""Seconds after which a picture that cannot be had now is worth asking for again."""

_EXPIRED = frozenset({400, 401, 403, 404, 410})
"""What storages answer to a signed address that has expired."""

SHOWN = frozenset({"image/png", "image/jpeg", "image/webp", "image/gif", "image/avif"})
"""What browsers show and what cannot hold a script."""


class AddressRefusedError(OSError):
    """The storage does not accept the signed address: it has expired."""


@cache
def limiter() -> anyio.CapacityLimiter:
    """So many are loaded at once: threads of our own, so that a slow store of pictures does not hold up Airflow's."""
    return anyio.CapacityLimiter(8)


def load(line: Line, training: Training, asset_id: str) -> Response:
    """
    A picture of this training. Scenario is never asked for a picture that the training does not have.

    :raises Refusal: 404 if it has no such picture, 502 or 503 if it cannot be had now.
    """
    model_id = str(training.model_id)
    details = None if line.is_gone(model_id) else line.details(model_id, training.job_id, patience=PATIENCE)
    if details is None and not line.is_gone(model_id):
        raise _not_now("What Scenario says of this training is not known yet.")
    address = _address(details, asset_id)
    try:
        try:
            content = _fetch(line, address)
        except AddressRefusedError:
            details = line.renewed(details, training.job_id, patience=PATIENCE) if details else None
            if details is None:
                raise _not_now("The picture's address has expired, and Scenario has given no other one yet.") from None
            content = _fetch(line, _address(details, asset_id))
    except OSError:
        content = b""
    content_type = content_type_of(content)
    if content_type not in SHOWN:
        raise Refusal(status.HTTP_502_BAD_GATEWAY, "The picture cannot be loaded now.")
    return Response(content, media_type=content_type, headers={"Cache-Control": "private, max-age=86400, immutable"})


def _address(details: Details | None, asset_id: str) -> str:
    address = addresses(details).get(asset_id) if details else None
    if address is None:
        raise Refusal(status.HTTP_404_NOT_FOUND, "This training has no such picture.")
    return address


def _not_now(reason: str) -> Refusal:
    return Refusal(status.HTTP_503_SERVICE_UNAVAILABLE, reason, {"Retry-After": f"{RETRY_AFTER:.0f}"})


def addresses(details: Details) -> dict[str, str]:
    """The pictures of a training: asset id → signed address."""
    model = details.model
    images = {image.id: image.download_url for image in model.training_images}
    samples = {asset.asset_id: asset.url for epoch in model.epochs for asset in epoch.assets}
    return {asset_id: url for asset_id, url in {**images, **samples}.items() if url}


def _fetch(line: Line, address: str) -> bytes:
    """
    The bytes of a picture.

    Not with requests: its pool logs every address when Airflow logs at the level DEBUG, and these are signed.

    :raises AddressRefusedError: the storage does not accept the address.
    :raises OSError: the picture cannot be had for another reason.
    """
    if not address.startswith(("https://", "http://")):
        raise OSError("not an http(s) address")
    try:
        with _opener(line.verify).open(address, timeout=TIMEOUT) as answer:
            content: bytes = answer.read(LARGEST + 1)
    except HTTPError as error:
        if error.code in _EXPIRED:
            raise AddressRefusedError from None
        raise
    except (ValueError, HTTPException):
        raise OSError("not an answer of a storage") from None
    if len(content) > LARGEST:
        raise OSError("too large")
    return content


class _StayThere(HTTPRedirectHandler):
    """Takes a redirection for the error that it is here."""

    def redirect_request(self, *_: Any) -> None:
        return None


@cache
def _opener(verify: bool | str) -> OpenerDirector:
    """Trusts whom the client of the connection trusts."""
    bundle = verify if isinstance(verify, str) else os.environ.get("REQUESTS_CA_BUNDLE") or DEFAULT_CA_BUNDLE_PATH
    folder = Path(bundle).is_dir()
    trust = ssl.create_default_context(cafile=None if folder else bundle, capath=bundle if folder else None)
    if verify is False:
        trust.check_hostname, trust.verify_mode = False, ssl.CERT_NONE
    return build_opener(HTTPSHandler(context=trust), _StayThere())
