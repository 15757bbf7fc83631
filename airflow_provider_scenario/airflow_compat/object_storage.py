"""File systems of Airflow's object storage."""

from __future__ import annotations

from typing import Any


def file_system(protocol: str, conn_id: str | None) -> Any | None:
    """
    Return the fsspec file system that Airflow makes for a protocol, with the credentials of a connection.

    Relies on ``attach`` and ``has_fs`` of ``airflow.sdk.io`` (3.1), which ``ObjectStoragePath`` uses.

    :return: None if neither Airflow nor a provider knows the protocol and no connection is given.
    """
    from airflow.sdk.io import attach, has_fs

    return attach(protocol, conn_id).fs if conn_id or has_fs(protocol) else None
