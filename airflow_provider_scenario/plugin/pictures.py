"""Pictures come through the server: a browser gets neither the key nor the signed addresses."""

from __future__ import annotations

import hashlib
import os
import ssl
from functools import cache
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.request import HTTPRedirectHandler, HTTPSHandler, OpenerDirector, build_opener

import anyio
from fastapi import HTTPException as Refusal
from fastapi import Response, status
from requests.utils import DEFAULT_CA_BUNDLE_PATH

from airflow_provider_scenario.client.errors import ScenarioError
from airflow_provider_scenario.client.images import content_type_of

if TYPE_CHECKING:
    from airflow_provider_scenario.plugin.lookup import Details, Line
    from airflow_provider_scenario.plugin.trainings import Training

LARGEST = 25_000_000
"""Bytes of a picture."""

TIMEOUT = 10.0
SHOWN = frozenset({"image/png", "image/jpeg", "image/webp", "image/gif", "image/avif"})
"""What browsers show and what cannot hold a script."""


@cache
def limiter() -> anyio.CapacityLimiter:
    """So many are loaded at once: threads of our own, so that a slow store of pictures does not hold up Airflow's."""
    return anyio.CapacityLimiter(8)


def load(line: Line, training: Training, asset_id: str) -> Response:
    """
    A picture of this training.

    :raises Refusal: 404 if it has no such picture, 502 if it cannot be had now.
    """
    model_id = str(training.model_id)
    details = line.details(model_id, training.job_id)
    content = _fetch(line, details, asset_id)
    if content is None:
        # There is no such picture, or its address has expired.
        try:
            details = line.renewed(model_id, training.job_id)
        except ScenarioError as error:
            raise Refusal(status.HTTP_502_BAD_GATEWAY, "Scenario cannot be asked now.") from error
        if details is None or asset_id not in addresses(details):
            raise Refusal(status.HTTP_404_NOT_FOUND, "This training has no such picture.")
        content = _fetch(line, details, asset_id)
    content_type = content_type_of(content) if content else None
    if content is None or content_type not in SHOWN:
        raise Refusal(status.HTTP_502_BAD_GATEWAY, "The picture cannot be loaded now.")
    return Response(content, media_type=content_type, headers=kept(asset_id))


def tag(asset_id: str) -> str:
    """Names the content for a browser that has it: at Scenario an asset never changes."""
    return f'"{hashlib.sha256(asset_id.encode()).hexdigest()[:32]}"'


def kept(asset_id: str) -> dict[str, str]:
    """Lets a browser keep the picture, but show it only where we say so: not after a logout."""
    return {"Cache-Control": "private, no-cache", "ETag": tag(asset_id)}


def addresses(details: Details) -> dict[str, str]:
    """The pictures of a training: asset id → signed address."""
    model = details.model
    images = {image.id: image.download_url for image in model.training_images}
    samples = {asset.asset_id: asset.url for epoch in model.epochs for asset in epoch.assets}
    return {asset_id: url for asset_id, url in {**images, **samples}.items() if url}


def _fetch(line: Line, details: Details | None, asset_id: str) -> bytes | None:
    """
    The bytes, or None where they cannot be had.

    Not with requests: its pool logs every address when Airflow logs at the level DEBUG, and these are signed.
    """
    address = addresses(details).get(asset_id) if details else None
    if address is None or not address.startswith(("https://", "http://")):
        return None
    try:
        with _opener(line.verify).open(address, timeout=TIMEOUT) as answer:
            content: bytes = answer.read(LARGEST + 1)
    except (OSError, ValueError, HTTPException):
        return None
    return content if len(content) <= LARGEST else None


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
