"""Training images and samples, fetched by the API server: a browser gets neither the key nor a signed address."""

from __future__ import annotations

import hashlib
from functools import cache
from typing import TYPE_CHECKING

from fastapi import HTTPException, Response, status

from airflow_provider_scenario.client.errors import ServiceError
from airflow_provider_scenario.client.http_session import new_session
from airflow_provider_scenario.client.scenario.media_files import image_type_of
from airflow_provider_scenario.client.signed import SignedAddresses
from airflow_provider_scenario.plugin.threads import Threads, not_now

if TYPE_CHECKING:
    import requests

    from airflow_provider_scenario.plugin.lookup import ScenarioLookup
    from airflow_provider_scenario.plugin.snapshots import Details
    from airflow_provider_scenario.plugin.trainings import Training

LARGEST = 25_000_000
"""Bytes of a picture."""

TIMEOUT = 10.0
"""Seconds for one picture, from the start of the connection to the last byte."""

THREADS = 30
"""Pictures that are fetched at once, over all connections."""

PATIENCE = 2.0
"""Seconds to wait for Scenario's description of the training, which has the addresses of its pictures."""

_EXPIRED = frozenset({400, 401, 403, 404, 410})
"""Statuses with which storages refuse a signed address that has expired."""

SHOWN = frozenset({"image/png", "image/jpeg", "image/webp", "image/gif", "image/avif"})
"""Types that browsers show and that cannot hold a script."""


def picture_threads() -> Threads:
    """
    Threads that fetch pictures.

    A page may load a hundred at once, so many may wait, but only as long as a storage that is merely busy needs.
    """
    return Threads(each=6, altogether=THREADS, waiting=300, max_wait=TIMEOUT)


def load(lookup: ScenarioLookup, training: Training, asset_id: str) -> Response:
    """
    Fetch a picture of this training. No request is sent for an asset that the training does not have.

    :raises HTTPException: 404 if the training has no such picture, 502 or 503 if it cannot be loaded now.
    """
    model_id = str(training.model_id)
    details = None if lookup.is_gone(model_id) else lookup.details(model_id, training.job_id, max_wait=PATIENCE)
    if details is None and not lookup.is_gone(model_id):
        raise not_now("Scenario has not described this training yet.")
    address = _address(details, asset_id)
    try:
        try:
            content = _fetch(lookup, address)
        except ServiceError as error:
            if error.status not in _EXPIRED:
                raise
            details = lookup.renew_addresses(details, training.job_id, max_wait=PATIENCE) if details else None
            if details is None:
                raise not_now("The picture's address has expired, and Scenario has not given a new one yet.") from None
            content = _fetch(lookup, _address(details, asset_id))
    except ServiceError:
        content = b""
    content_type = image_type_of(content)
    if content_type not in SHOWN:
        raise HTTPException(status.HTTP_502_BAD_GATEWAY, "The picture cannot be loaded now.")
    return Response(content, media_type=content_type, headers=cache_headers(asset_id))


def etag(asset_id: str) -> str:
    """Identifies a picture in a browser's cache: an asset at Scenario never changes."""
    return f'"{hashlib.sha256(asset_id.encode()).hexdigest()[:32]}"'


def cache_headers(asset_id: str) -> dict[str, str]:
    """Let a browser keep the picture, but check with us before showing it: not after a logout."""
    return {"Cache-Control": "private, no-cache", "ETag": etag(asset_id)}


def _address(details: Details | None, asset_id: str) -> str:
    address = addresses(details).get(asset_id) if details else None
    if address is None:
        raise HTTPException(status.HTTP_404_NOT_FOUND, "This training has no such picture.")
    return address


def addresses(details: Details) -> dict[str, str]:
    """The pictures of a training: asset id → signed address."""
    model = details.model
    images = {image.id: image.download_url for image in model.training_images}
    samples = {asset.asset_id: asset.url for epoch in model.epochs for asset in epoch.assets}
    return {asset_id: url for asset_id, url in {**images, **samples}.items() if url}


def _fetch(lookup: ScenarioLookup, address: str) -> bytes:
    return b"".join(storage(lookup).get(address, action="fetch a picture"))


def storage(lookup: ScenarioLookup) -> SignedAddresses:
    """
    Fetches pictures over https, or over http from the connection's own host alone, such as the emulator's.

    Scenario names the addresses: it must not make the API server send requests to services inside its network.
    """
    return SignedAddresses(
        session=_session(lookup.verify),
        timeout=(TIMEOUT, TIMEOUT),
        deadline=TIMEOUT,
        largest=LARGEST,
        verify=lookup.verify,
        http_hosts={lookup.http_host},
    )


@cache
def _session(verify: bool | str) -> requests.Session:  # noqa: ARG001 - a pool for each kind of trust
    return new_session(pool_size=THREADS)
