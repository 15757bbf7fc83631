"""Files put where AI Creation Workshop can fetch them: streamed, hashed on the way, and only once."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

from airflow_provider_scenario.client.errors import InvalidInputError
from airflow_provider_scenario.storage import Location, StorageError


@dataclass(frozen=True, slots=True)
class HostedFile:
    """
    A file where it can be fetched from.

    :param address: public, or where it lies in the storage, to be signed when it is sent. Never signed itself.
    :param sha256: in hex.
    :param size: bytes.
    """

    address: str
    sha256: str
    size: int


class Hosting:
    """
    A folder in a storage, and how what lies there is reached.

    :param storage: folder: a URL such as ``s3://conn_id@bucket/loras``, an ``ObjectStoragePath``, or a local path.
    :param public_url: the address under which that folder is served to everybody, such as ``https://cdn.studio/loras``.
        None: addresses are signed when they are sent, which buckets can do and disks cannot.
    :raises InvalidInputError: nobody could fetch files from there.
    """

    def __init__(self, storage: Any, public_url: str | None = None) -> None:
        self._folder = Location.of(storage)
        self._public_url = None if public_url is None else _checked(public_url)
        if public_url is None and "://" not in self._folder.text:
            raise InvalidInputError(
                f"storage is {self._folder.text!r}, a folder on this machine: give public_url, the address under which "
                "others can fetch what lies there, or a bucket such as 's3://conn_id@bucket/loras'."
            )

    def check_addresses(self) -> None:
        """
        See that what will lie there can be reached, before gigabytes are put there.

        :raises StorageError: the storage cannot sign.
        """
        if self._public_url is None:
            self._folder.inside("any").signed(60)

    def host(self, name: str, fetch: Callable[[], Iterable[bytes]]) -> HostedFile:
        """
        Put a file there, unless it is there already.

        What is noted beside it says that, once all of it was there: its size is compared, and its hash is known.

        :param name: path in the folder; always the same content under the same name.
        :param fetch: gives the content, block by block; not called for a file that is there.
        :raises StorageError: the storage fails.
        """
        file, note = self._folder.inside(name), self._folder.inside(f"{name}.json")
        known = _noted(file, note)
        if known is None:
            passing = _Measured(fetch())
            file.write(passing)
            known = {"sha256": passing.sha256.hexdigest(), "size": passing.size}
            note.write([json.dumps(known).encode()])
        return HostedFile(self._address(name, file), known["sha256"], known["size"])

    def _address(self, name: str, file: Location) -> str:
        return file.text if self._public_url is None else f"{self._public_url}/{quote(name)}"


def sendable(address: str, seconds: int) -> str:
    """
    An address as the workshop needs it: that of a file in a storage is signed, any other stays as it is.

    :param address: such as ``s3://conn_id@bucket/hero.safetensors``, or ``https://…``.
    :param seconds: how long a signed one is good.
    :raises StorageError: the storage cannot sign.
    """
    return Location.of(address).signed(seconds) if in_storage(address) else address


def in_storage(address: str) -> bool:
    """Whether it names a file in a storage that may sign it, and not what a browser could open, or a disk."""
    protocol, is_url, _ = address.partition("://")
    return bool(is_url) and protocol.isidentifier() and protocol not in ("http", "https", "file", "local")


def unsigned(address: str) -> str:
    """The address without what lets others in: fit for logs and XCom. In that of a storage nothing does."""
    if in_storage(address):
        return address
    scheme, is_url, rest = re.split("[?#]", address, maxsplit=1)[0].partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}{is_url}{host.rpartition('@')[2]}{slash}{path}"


class _Measured:
    """Hashes and counts the blocks that pass."""

    def __init__(self, blocks: Iterable[bytes]) -> None:
        self._blocks = blocks
        self.sha256 = hashlib.sha256()
        self.size = 0

    def __iter__(self) -> Iterator[bytes]:
        for block in self._blocks:
            self.sha256.update(block)
            self.size += len(block)
            yield block


def _noted(file: Location, note: Location) -> dict[str, Any] | None:
    """Hash and size of a file that is there, all of it; None where it has to be put there."""
    try:
        noted = json.loads(note.read_text())
        known = {"sha256": str(noted["sha256"]), "size": int(noted["size"])}
        return known if file.measured().size == known["size"] else None
    except StorageError:
        raise
    except (InvalidInputError, ValueError, KeyError, TypeError):
        return None


def _checked(public_url: str) -> str:
    try:
        parts = urlsplit(public_url)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and unsigned(public_url) == public_url
    except ValueError:
        good = False
    if not good:
        raise InvalidInputError(
            f"public_url is {unsigned(public_url)!r}; give the http(s) address under which the folder is served, "
            "without credentials or query, such as 'https://cdn.studio.example/loras'."
        )
    return public_url.rstrip("/")
