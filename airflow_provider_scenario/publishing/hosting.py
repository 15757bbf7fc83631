"""Files put where AI Creation Workshop can fetch them: streamed, hashed on the way, and only once."""

from __future__ import annotations

import hashlib
import json
import os
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from airflow_provider_scenario.client.errors import InvalidInputError
from airflow_provider_scenario.client.ids import wrong_with_id
from airflow_provider_scenario.client.messages import shown
from airflow_provider_scenario.storage import Location, StorageError

LONGEST_NAME, LONGEST_ID = 220, 200
"""
Bytes of a file's or folder's name, and of an id that it begins with. Disks take 255, and to a file's name we add the
suffix of its note and of the part that is being written. Ids of Scenario have about 30.
"""

_PORTS = (f"{port}{number}" for port in ("COM", "LPT") for number in range(10))
_RESERVED = frozenset({"CON", "PRN", "AUX", "NUL", *_PORTS})


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
        if not isinstance(storage, str | os.PathLike) and not hasattr(storage, "protocol"):
            raise InvalidInputError(
                f"storage is {shown(storage)}; give a path, or a URL such as 's3://conn_id@bucket'."
            )
        self._folder = Location.of(storage)
        self._public_url = None if public_url is None else _checked_url(public_url)
        if public_url is None and "://" not in self._folder.text:
            raise InvalidInputError(
                f"storage is {shown(self._folder.text)}, a folder on this machine: give public_url, the address under "
                "which others can fetch what lies there, or a bucket such as 's3://conn_id@bucket/loras'."
            )

    def check_addresses(self) -> None:
        """
        See that what will lie there can be reached, before gigabytes are put there.

        :raises StorageError: the storage cannot sign.
        """
        if self._public_url is None:
            self._folder.child("any").sign(60)

    def host(self, name: str, fetch: Callable[[], Iterable[bytes]]) -> HostedFile:
        """
        Put a file there, unless it is there already.

        What is noted beside it says that, once all of it was there: its size is compared, and its hash is known.

        :param name: path in the folder; always the same content under the same name.
        :param fetch: gives the content, block by block; not called for a file that is there.
        :raises InvalidInputError: the path could lead out of the folder.
        :raises StorageError: the storage fails.
        """
        for part in name.split("/"):
            path_part("name", part, LONGEST_NAME)
        file, note = self._folder.child(name), self._folder.child(f"{name}.json")
        for place in (file, note):
            self._check_below(place)
        known = _read_note(file, note)
        if known is None:
            passing = _HashedBlocks(fetch())
            file.write(passing)
            known = {"sha256": passing.sha256.hexdigest(), "size": passing.size}
            note.write([json.dumps(known).encode()])
        return HostedFile(self._address(name, file), known["sha256"], known["size"])

    def _check_below(self, place: Location) -> None:
        """Refuse what a link puts outside the folder; whoever may make links there could make us write anywhere."""
        if "://" in self._folder.text:
            return  # buckets have no links
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
    Check what the service gave before it becomes the name of a file or folder, or the beginning of one.

    :param field: what the service calls it.
    :param longest: bytes.
    :raises InvalidInputError: it is no id, or no name of a single file on every disk.
    """
    if wrong := _wrong_with_name(value, longest):
        raise InvalidInputError(f"{field} {wrong}. It would be part of a path in the storage; nothing was written.")
    return str(value)


def _wrong_with_name(value: Any, longest: int) -> str | None:
    if isinstance(value, str) and len(value.encode(errors="replace")) > longest:
        return f"is {value[:50]!r} and so on: it must have at most {longest} bytes"
    if wrong := wrong_with_id(value):
        return wrong
    # Some disks and web servers take a character such as U+FF0F for the plain one that it looks like.
    if wrong_with_id(unicodedata.normalize("NFKC", value)):
        return f"is {value!r}, which looks like a path"
    if value[0] in ".-~":
        return f"is {value!r}: it must not begin with '.', '-' or '~', which programs take for something else"
    if value.partition(".")[0].upper() in _RESERVED:
        return f"is {value!r}, a name that Windows reserves for a device"
    return None


def address_to_send(address: str, seconds: int) -> str:
    """
    An address as the workshop needs it: that of a file in a storage is signed, any other stays as it is.

    :param address: such as ``s3://conn_id@bucket/hero.safetensors``, or ``https://…``.
    :param seconds: how long a signed one is good.
    :raises StorageError: the storage cannot sign.
    """
    return Location.of(address).sign(seconds) if in_storage(address) else address


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


class _HashedBlocks:
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


def _read_note(file: Location, note: Location) -> dict[str, Any] | None:
    """Hash and size of a file that is there, all of it; None where it has to be put there."""
    try:
        noted = json.loads(note.read_text())
        known = {"sha256": str(noted["sha256"]), "size": int(noted["size"])}
        return known if file.with_size().size == known["size"] else None
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
