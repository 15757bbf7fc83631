"""Files in a storage from which AI Creation Workshop can fetch them. Each is streamed, hashed, and stored once."""

from __future__ import annotations

import hashlib
import json
import os
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict
from urllib.parse import quote, urlsplit

from airflow_provider_scenario.client.errors import InvalidInputError
from airflow_provider_scenario.client.ids import wrong_with_id
from airflow_provider_scenario.client.messages import shown
from airflow_provider_scenario.storage import Location, StorageError

LONGEST_NAME, LONGEST_ID = 220, 200
"""
Bytes of the name of a file or folder, and of an id at its start. Disks allow 255 bytes, and we append suffixes: that of
the note, and that of a partial file. Ids of Scenario have about 30.
"""

_PORTS = (f"{port}{number}" for port in ("COM", "LPT") for number in range(10))
_RESERVED = frozenset({"CON", "PRN", "AUX", "NUL", *_PORTS})


@dataclass(frozen=True, slots=True)
class HostedFile:
    """
    A file in a storage.

    :param address: its public address, or the unsigned address in the storage, which is signed when it is sent.
    :param sha256: in hex.
    :param size: bytes.
    """

    address: str
    sha256: str
    size: int


class Hosting:
    """
    A folder in a storage, and the address under which others fetch its files.

    :param storage: folder: a URL such as ``s3://conn_id@bucket/loras``, an ``ObjectStoragePath``, or a local path.
    :param public_url: the address under which the folder is served to everybody, such as ``https://cdn.studio/loras``.
        None: addresses are signed when they are sent, which buckets can do and disks cannot.
    :raises InvalidInputError: others could not fetch files from there.
    """

    def __init__(self, storage: Any, public_url: str | None = None) -> None:
        if not isinstance(storage, str | os.PathLike) and not hasattr(storage, "protocol"):
            raise InvalidInputError(
                f"storage is {shown(storage)}; give a path, or a URL such as 's3://conn_id@bucket'."
            )
        self._folder = Location.of(storage)
        self._public_url = None if public_url is None else _checked_url(public_url)
        if public_url is None and "://" not in self._folder.text:
            raise InvalidInputError(
                f"storage is {shown(self._folder.text)}, a folder on this machine: give public_url, the address under "
                "which others can fetch its files, or give a bucket such as 's3://conn_id@bucket/loras'."
            )

    def check_addresses(self) -> None:
        """
        Check that the storage can sign addresses, before gigabytes are put there.

        :raises StorageError: the storage cannot sign.
        """
        if self._public_url is None:
            self._folder.child("any").sign(60)

    def host(self, name: str, fetch: Callable[[], Iterable[bytes]]) -> HostedFile:
        """
        Put a file there, unless it is there already.

        A note beside the file, written after it, holds its size and hash. A file without a note, or with another size,
        is written again.

        :param name: path in the folder; the same name always has the same content.
        :param fetch: returns the content, block by block; not called if the file is there.
        :raises InvalidInputError: the path could lead out of the folder.
        :raises StorageError: the storage fails.
        """
        for part in name.split("/"):
            path_part("name", part, LONGEST_NAME)
        file, note = self._folder.child(name), self._folder.child(f"{name}.json")
        for place in (file, note):
            self._check_below(place)
        noted = _read_note(file, note)
        if noted is None:
            blocks = _HashedBlocks(fetch())
            file.write(blocks)
            noted = {"sha256": blocks.sha256.hexdigest(), "size": blocks.size}
            note.write([json.dumps(noted).encode()])
        return HostedFile(self._address(name, file), noted["sha256"], noted["size"])

    def _check_below(self, place: Location) -> None:
        """Refuse a path that a link leads out of the folder: by such a link, others could make us write anywhere."""
        if "://" in self._folder.text:
            return  # a bucket has no links
        folder, real = (Path(os.path.realpath(text or ".")) for text in (self._folder.text, place.text))
        if not real.is_relative_to(folder):
            raise InvalidInputError(
                f"{place.text!r} leads to {str(real)!r}, outside the storage {str(folder)!r}: remove the link. "
                "Nothing was written."
            )
        if real.exists() and not real.is_file():
            raise InvalidInputError(f"{place.text!r} is not a regular file: remove it. Nothing was written.")

    def _address(self, name: str, file: Location) -> str:
        return file.text if self._public_url is None else f"{self._public_url}/{quote(name)}"


def path_part(field: str, value: Any, longest: int = LONGEST_ID) -> str:
    """
    Check a value of the service before it becomes a name, or the start of a name, of a file or folder.

    :param field: its name at the service.
    :param longest: bytes.
    :raises InvalidInputError: it is not an id, or not a valid name of one file on every disk.
    """
    if wrong := _wrong_with_name(value, longest):
        raise InvalidInputError(f"{field} {wrong}. It would be part of a path in the storage; nothing was written.")
    return str(value)


def _wrong_with_name(value: Any, longest: int) -> str | None:
    if isinstance(value, str) and len(value.encode(errors="replace")) > longest:
        return f"is {value[:50]!r} and so on: it must have at most {longest} bytes"
    if wrong := wrong_with_id(value):
        return wrong
    # Some disks and web servers turn a character such as U+FF0F into the plain one that it resembles.
    if wrong_with_id(unicodedata.normalize("NFKC", value)):
        return f"is {value!r}, which looks like a path"
    if value[0] in ".-~":
        return f"is {value!r}: it must not begin with '.', '-' or '~', which have a special meaning for programs"
    if value.partition(".")[0].upper() in _RESERVED:
        return f"is {value!r}, a name that Windows reserves for a device"
    return None


def address_to_send(address: str, seconds: int) -> str:
    """
    Return an address that the workshop can fetch: that of a storage is signed, any other stays unchanged.

    :param address: such as ``s3://conn_id@bucket/hero.safetensors``, or ``https://…``.
    :param seconds: how long the signed address is valid.
    :raises StorageError: the storage cannot sign.
    """
    return Location.of(address).sign(seconds) if in_storage(address) else address


def in_storage(address: str) -> bool:
    """Whether an address is that of a storage that may sign it; false for http(s) addresses and for disks."""
    protocol, is_url, _ = address.partition("://")
    return bool(is_url) and protocol.isidentifier() and protocol not in ("http", "https", "file", "local")


def unsigned(address: str) -> str:
    """Return an address without signature and login, for logs and XComs. That of a storage has neither."""
    if in_storage(address):
        return address
    scheme, is_url, rest = re.split("[?#]", address, maxsplit=1)[0].partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}{is_url}{host.rpartition('@')[2]}{slash}{path}"


class _HashedBlocks:
    """Passes blocks on, and computes their hash and size."""

    def __init__(self, blocks: Iterable[bytes]) -> None:
        self._blocks = blocks
        self.sha256 = hashlib.sha256()
        self.size = 0

    def __iter__(self) -> Iterator[bytes]:
        for block in self._blocks:
            self.sha256.update(block)
            self.size += len(block)
            yield block


class _Note(TypedDict):
    """What the note beside a file holds."""

    sha256: str
    size: int


def _read_note(file: Location, note: Location) -> _Note | None:
    """Return hash and size of a file that is completely there, otherwise None."""
    try:
        content = json.loads(note.read_text())
        noted: _Note = {"sha256": str(content["sha256"]), "size": int(content["size"])}
        return noted if file.with_size().size == noted["size"] else None
    except StorageError:
        raise
    except (InvalidInputError, ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return None


def _checked_url(public_url: Any) -> str:
    is_text = isinstance(public_url, str)
    try:
        parts = urlsplit(public_url if is_text else "")
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and unsigned(public_url) == public_url
    except ValueError:
        good = False
    if not good:
        given = shown(unsigned(public_url) if is_text else public_url)
        raise InvalidInputError(
            f"public_url is {given}; give the http(s) address under which the folder is served, "
            "without credentials or query, such as 'https://cdn.studio.example/loras'."
        )
    return str(public_url).rstrip("/")
