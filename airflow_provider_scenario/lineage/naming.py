"""Names of datasets in OpenLineage, by its naming specification (openlineage.io/docs/spec/naming)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from airflow_provider_scenario.client.messages import shortened

MAX_TEXT = 2_000
"""Characters of a text in a facet."""

_SCHEMES = {"s3a": "s3", "s3n": "s3", "gcs": "gs", "abfs": "abfss", "adl": "abfss", "wasb": "wasbs"}
# The scheme is limited: without that, the time grows with the square of the length of a word.
_URL = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]{0,20}://[^\s\"'<>]+")
_AZURE_HOST = re.compile(r"\.(dfs|blob)\.core\.[a-z.]+$")


class DatasetName(NamedTuple):
    """What identifies a dataset."""

    namespace: str
    name: str


def name_of_path(source: object) -> DatasetName:
    """
    Name a file or folder: ``file`` and its absolute path, or ``s3://bucket`` and its key.

    :param source: a local path, an ``ObjectStoragePath``, or the text of either; the connection in it is left out.
    """
    text = without_query(str(source), keep_login=True)
    scheme, is_url, rest = text.partition("://")
    bucket, _, key = rest.partition("/")
    if not is_url or scheme in ("file", "local"):
        return DatasetName("file", str(Path(f"/{key}" if is_url else text).absolute()))
    if not _AZURE_HOST.search(bucket):  # there the part before the '@' is the container, elsewhere the connection
        bucket = bucket.rpartition("@")[2]
    namespace = f"{_SCHEMES.get(scheme, scheme)}://{bucket}"
    path = key.rstrip("/")
    return DatasetName(namespace, f"/{path}" if scheme in ("http", "https") else path or "/")


def folder_of(source: object) -> DatasetName:
    """Name the folder that a file lies in."""
    namespace, name = name_of_path(source)
    return DatasetName(namespace, name.rpartition("/")[0] or "/")


def names_of_images(images: Any, scenario: str | None) -> list[DatasetName]:
    """
    Name what ``images`` of an operator refers to: the folder of a dataset; of a list, the folders of its files.

    :param images: as given to the operator, rendered.
    :param scenario: the namespace of Scenario, for images that are assets there. None: these are left out.
    """
    if isinstance(images, str) or hasattr(images, "__fspath__") or hasattr(images, "protocol"):
        return [name_of_path(images)]
    found: dict[DatasetName, None] = {}
    # Not the results of a mapped task: each of them is a request to Airflow.
    for image in images if isinstance(images, list | tuple) else ():
        path, asset_id = (image.get("path"), image.get("asset_id")) if isinstance(image, Mapping) else (image, None)
        if path:
            found[folder_of(path)] = None
        elif asset_id and scenario:
            found[DatasetName(scenario, str(asset_id))] = None
    return list(found)


def namespace_of(scheme: str, base_url: str) -> str:
    """Name a service by its host: ``scenario://api.cloud.scenario.com``."""
    return f"{scheme}://{urlsplit(base_url).netloc.rpartition('@')[2]}"


def clean(value: Any) -> Any:
    """
    Return a value as JSON for a facet: no logins, signatures or other queries in addresses; texts of limited length.

    :param value: training parameters without secrets, or a part of them.
    """
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, Mapping):
        return {str(name): clean(item) for name, item in value.items()}
    if isinstance(value, list | tuple | set):
        return [clean(item) for item in value]
    return without_query(shortened(str(value), MAX_TEXT))


def without_query(text: str, *, keep_login: bool = False) -> str:
    """
    Cut what may be secret from each address in a text: the query, the fragment, and the part before the ``@``.

    :param keep_login: the part before the ``@`` is the name of a connection or container.
    """

    def cut(found: re.Match[str]) -> str:
        scheme, _, rest = re.split(r"[?#]", found[0], maxsplit=1)[0].partition("://")
        host, slash, path = rest.partition("/")
        return f"{scheme}://{host if keep_login else host.rpartition('@')[2]}{slash}{path}"

    return _URL.sub(cut, text)
