"""Files in object storages, through Airflow's ``ObjectStoragePath`` and fsspec; both are imported at first use."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from airflow_provider_scenario.airflow_compat.object_storage import object_path
from airflow_provider_scenario.storage.errors import CannotOpenError, one_line

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath
    from fsspec import AbstractFileSystem
    from fsspec.spec import AbstractBufferedFile
    from upath import UPath

PART_SIZE = 8 * 1024 * 1024
"""Bytes that are written in one request: a part of S3 has 5 MB or more, and a file 10 000 parts or fewer."""

_PACKAGES = {
    "s3": "apache-airflow-providers-amazon[s3fs]",
    "gs": "apache-airflow-providers-google",
    "abfs": "apache-airflow-providers-microsoft-azure",
}
"""The package that Airflow documents for an object storage, by scheme."""

_ALIASES = {"s3a": "s3", "s3n": "s3", "gcs": "gs", "abfss": "abfs", "adl": "abfs"}


class RemoteStorage:
    """
    An object storage, with the methods of :class:`LocalStorage`. It has no links, so a folder needs no limits.

    :param url: of any file or folder in the bucket.
    :param options: fsspec's options that the author's ``ObjectStoragePath`` carries.
    """

    def __init__(self, url: str, options: Mapping[str, Any]) -> None:
        protocol, _, rest = url.partition("://")
        self._bucket = f"{protocol}://{rest.partition('/')[0]}"
        self._options = options

    @cached_property
    def _root(self) -> ObjectStoragePath | UPath:
        try:
            root = object_path(self._bucket, self._options)
            root.fs  # noqa: B018 - opens it
        except (ImportError, ValueError) as problem:
            wrong = "a package is missing" if isinstance(problem, ImportError) else one_line(problem)
        else:
            return root
        protocol = self._bucket.partition("://")[0]
        package = _PACKAGES.get(_ALIASES.get(protocol, protocol))
        known = ", ".join(f"{scheme}://" for scheme in _PACKAGES)
        cure = f"For {protocol}:// install: pip install '{package}'" if package else f"Give a local path, or {known}"
        raise CannotOpenError(f"{wrong}. {cure}.")

    def _open(self, url: str) -> tuple[AbstractFileSystem, str]:
        """The file system and the path in it. Parsing the whole URL would drop a final ``#`` or ``?`` of a key."""
        return self._root.fs, (self._root.path.rstrip("/") + url[len(self._bucket) :]).rstrip("/")

    def within(self, folder: str) -> RemoteStorage:  # noqa: ARG002
        return self

    def entries(self, url: str) -> Iterator[tuple[str, int | None, bool]]:
        fs, path = self._open(url)
        fs.invalidate_cache(path)
        for entry in fs.ls(path, detail=True):
            if entry["name"].rstrip("/") != path:
                is_folder = entry["type"] == "directory"
                yield PurePosixPath(entry["name"]).name, None if is_folder else entry["size"], is_folder
            elif entry["type"] != "directory" and not entry["name"].endswith("/"):
                raise NotADirectoryError(path)

    def size(self, url: str) -> int | None:
        fs, path = self._open(url)
        entry = fs.info(path)
        return None if entry["type"] == "directory" else int(entry["size"])

    def read(self, url: str, start: int, end: int | None) -> bytes:
        fs, path = self._open(url)
        content: bytes = fs.cat_file(path, start=start or None, end=end)
        return content

    def create(self, url: str) -> RemoteFile:
        fs, path = self._open(url)
        return RemoteFile(fs.open(path, "wb", block_size=PART_SIZE, autocommit=False))

    def sign(self, url: str, seconds: int) -> str:
        fs, path = self._open(url)
        return str(fs.sign(path, expiration=seconds))


class RemoteFile:
    """A file being written. Its parts are sent at once; the storage makes a file of them at the commit."""

    def __init__(self, file: AbstractBufferedFile) -> None:
        self._file = file
        self.write = file.write

    def commit(self) -> None:
        self._file.close()
        self._file.commit()

    def discard(self) -> None:
        self._file.close()
        self._file.discard()
