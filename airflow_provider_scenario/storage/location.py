"""One file or folder, as an author gives it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import islice
from operator import itemgetter
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, TypeAlias, TypeGuard, TypeVar

from airflow_provider_scenario.client.errors import InvalidInputError
from airflow_provider_scenario.client.messages import shown
from airflow_provider_scenario.storage.errors import MissingError, storage_errors
from airflow_provider_scenario.storage.local import LocalStorage
from airflow_provider_scenario.storage.remote import RemoteStorage

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

AnyPath: TypeAlias = "str | os.PathLike[str] | ObjectStoragePath"
"""What an author may give for a file or folder."""

T = TypeVar("T")
R = TypeVar("R")

MAX_ENTRIES = 10_000
"""Files and folders in one folder: the list of them is kept in memory, and a dataset has some hundred."""

MAX_PATH = 8_000
"""Characters: no file system and no object storage has longer paths, and messages repeat them."""

MAX_TEXT = 64 * 1024
"""Bytes of a small text file, unless the caller gives another limit."""

THREADS = 8
"""Files read at once: in a bucket each read costs a round trip."""


def is_path(value: object) -> TypeGuard[AnyPath]:
    """Whether a value is a path or a URL, as :meth:`Location.of` takes it."""
    return isinstance(value, str | os.PathLike) or hasattr(value, "protocol")


@dataclass(frozen=True, slots=True)
class Location:
    """
    One file or folder.

    :param text: as an author writes it: a path, or a URL such as ``s3://conn_id@bucket/folder``.
    :param size: bytes, where they are known.
    """

    text: str
    size: int | None = field(default=None, compare=False, repr=False)
    storage: LocalStorage | RemoteStorage = field(default=LocalStorage(), compare=False, repr=False)

    @classmethod
    def of(cls, source: AnyPath) -> Location:
        """
        Make one of a local path, an ``ObjectStoragePath``, or the text of either.

        :raises InvalidInputError: it is something else.
        """
        if not is_path(source):
            raise InvalidInputError(f"{shown(source)} is not a path or URL.")
        text = str(source)
        if len(text) > MAX_PATH:
            raise InvalidInputError(f"{shown(text)} has {len(text)} characters, too many for a path or a URL.")
        protocol, is_url, rest = text.partition("://")
        if not is_url:
            return cls(text)
        bucket, slash, key = rest.partition("/")
        if protocol in ("file", "local"):
            return cls(slash + key)
        options = {} if "@" in bucket else dict(getattr(source, "storage_options", {}))
        return cls(text.rstrip("/"), storage=RemoteStorage(text, options))

    def __str__(self) -> str:
        return self.text

    @property
    def name(self) -> str:
        """The last part of the path."""
        return PurePosixPath(self.text).name

    @property
    def stem(self) -> str:
        """The name without its suffix; a caption shares it with its image."""
        return PurePosixPath(self.name).stem

    @property
    def suffix(self) -> str:
        """The suffix, in lower case."""
        return PurePosixPath(self.name).suffix.lower()

    def child(self, name: str, size: int | None = None) -> Location:
        """A file or folder in this folder; ``name`` may be a path."""
        return Location(f"{(self.text or '.').rstrip('/')}/{name}", size, self.storage)

    def sibling(self, name: str) -> Location:
        """A file in the same folder. It must really lie there, because the author did not name it."""
        folder = self.text.removesuffix(self.name)
        return Location(folder + name, storage=self.storage.within(folder))

    def subfolder(self, chosen: str) -> Location:
        """
        A folder in this folder, chosen for example by the person who triggers a DAG; or this folder itself.

        :param chosen: a path relative to this folder, or a whole path or URL that begins with it.
        :raises InvalidInputError: it is anything else.
        """
        top = self.text.rstrip("/")
        relative = chosen[len(top) :].lstrip("/") if f"{chosen}/".startswith(f"{top}/") else chosen
        parts = [part for part in relative.split("/") if part not in ("", ".")]
        if relative.startswith("/") or ".." in parts or "://" in relative:
            raise InvalidInputError(f"{chosen!r:.300} does not lie in {self.text!r}; give the path of a folder in it.")
        folder = replace(self, storage=self.storage.within(self.text))
        return folder.child("/".join(parts)) if parts else folder

    def list_folder(self) -> tuple[list[Location], list[Location]]:
        """
        List the folders and the files in a folder, by name, without hidden ones. All of them must really lie in it.

        :raises InvalidInputError: the folder does not exist, or has too many entries.
        :raises StorageError: it cannot be listed.
        """
        with storage_errors(self.text, "listed"):
            entries = list(islice(self.storage.entries(self.text), MAX_ENTRIES + 1))
        if len(entries) > MAX_ENTRIES:
            raise InvalidInputError(
                f"The folder {self.text!r} has more than {MAX_ENTRIES} files and folders in it. Give a smaller one."
            )
        visible = [entry for entry in sorted(entries, key=itemgetter(0)) if entry[0] and not entry[0].startswith(".")]
        folder = replace(self, storage=self.storage.within(self.text))
        return (
            [folder.child(name) for name, _, is_folder in visible if is_folder],
            [folder.child(name, size) for name, size, is_folder in visible if not is_folder],
        )

    def with_size(self) -> Location:
        """
        The same file with its size, which is read unless it is known.

        :raises InvalidInputError: the file does not exist, or is a folder.
        :raises StorageError: it cannot be reached.
        """
        if self.size is not None:
            return self
        with storage_errors(self.text, "read"):
            size = self.storage.size(self.text)
        if size is None:
            raise InvalidInputError(f"{self.text!r} is not a file but a folder.")
        return replace(self, size=size)

    def exists(self) -> bool:
        """
        Whether this file exists.

        :raises InvalidInputError: something else has that name.
        :raises StorageError: the storage cannot be reached.
        """
        try:
            with storage_errors(self.text, "read"):
                return self.storage.size(self.text) is not None
        except MissingError:
            return False

    def read(self, start: int = 0, end: int | None = None) -> bytes:
        """
        Read a file or a piece of it.

        :raises InvalidInputError: the file does not exist.
        :raises StorageError: it cannot be read.
        """
        with storage_errors(self.text, "read"):
            return self.storage.read(self.text, start, end)

    def read_text(self, limit: int = MAX_TEXT) -> str:
        """
        Read a small file of UTF-8 text.

        :param limit: bytes. At most one byte more is read, because the size in a listing may be wrong.
        :raises InvalidInputError: the file does not exist, has more bytes, or is not UTF-8 text.
        :raises StorageError: it cannot be read.
        """
        file = self.with_size()
        content = file.read(0, limit + 1) if file.size else b""
        if len(content) > limit or (file.size or 0) > limit:
            raise InvalidInputError(f"{self.text!r} has more than {limit} bytes. Make it smaller.")
        try:
            return content.decode("utf-8-sig")
        except UnicodeDecodeError:
            raise InvalidInputError(f"{self.text!r} is not UTF-8 text. Save it as UTF-8.") from None

    def write(self, blocks: Iterable[bytes]) -> None:
        """
        Write a file. It appears when all of it is written; an existing file stays until then.

        :param blocks: its content. An error of this iterable is raised as it is.
        :raises StorageError: the file cannot be written.
        """
        with storage_errors(self.text, "written"):
            file = self.storage.create(self.text)
        try:
            for block in blocks:
                with storage_errors(self.text, "written"):
                    file.write(block)
            with storage_errors(self.text, "written"):
                file.commit()
        except BaseException:
            with suppress(Exception):  # a failing clean-up must not hide the first error
                file.discard()
            raise

    def sign(self, seconds: int) -> str:
        """
        Make an address by which anybody may read the file. It is a secret: keep it out of logs and XCom.

        :param seconds: at most a week on S3, and at most as long as the credentials that sign are valid.
        :raises StorageError: this storage cannot sign.
        """
        with storage_errors(self.text, "signed"):
            return self.storage.sign(self.text, seconds)


def map_in_threads(function: Callable[[T], R], items: Iterable[T]) -> list[R]:
    """Call the function with each item, several at once; results in order, or the first error in that order."""
    with ThreadPoolExecutor(THREADS, thread_name_prefix="dataset") as pool:
        return list(pool.map(function, items))
