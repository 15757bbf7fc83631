"""Airflow's object storage."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath
    from upath import UPath


def object_path(url: str, options: Mapping[str, Any]) -> ObjectStoragePath | UPath:
    """
    Return the ``ObjectStoragePath`` of a URL, whose ``fs`` has the credentials of the connection in the URL.

    Where Airflow knows neither the scheme nor a connection, it is fsspec's own path. It is so with options too:
    ``ObjectStoragePath.fs`` ignores them (Airflow 3.1 to 3.4). Relies on ``airflow.sdk.io.has_fs`` (3.1).

    :param options: of the fsspec file system.
    """
    from airflow.sdk import ObjectStoragePath
    from airflow.sdk.io import has_fs
    from upath import UPath

    protocol, _, bucket = url.partition("://")
    if options or not ("@" in bucket or has_fs(protocol)):
        path: UPath = UPath(url, **options)
        return path
    return ObjectStoragePath(url)
