"""
Files on this machine, read so that a dataset that others may write into cannot show or block anything else.

``ObjectStoragePath`` follows every link and opens every kind of file, so local files do not go through it.
"""

from __future__ import annotations

import os
import stat
import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

from airflow_provider_scenario.client.errors import InvalidInputError
from airflow_provider_scenario.storage.errors import OutsideError

# Without O_NONBLOCK, opening a FIFO waits until something writes to it.
_READ_FILE = os.O_RDONLY | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK
_READ_FOLDER = os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECTORY


class LocalStorage:
    """
    The file system of this machine. The author chose the path, so its links are followed.

    Only regular files are read: a FIFO may block for ever, and a device may have no end.
    """

    def within(self, folder: str) -> LocalStorage:
        """The same file system, limited to the files that really lie in a folder."""
        return LocalFolder(folder, self)

    def open(self, path: str, flags: int) -> AbstractContextManager[int]:
        """Open a file or folder with the flags of ``os.open``; the context is its descriptor."""
        return _descriptor(path, flags)

    def entries(self, path: str) -> Iterator[tuple[str, int | None, bool]]:
        """Name, size in bytes (None: not known) and whether it is a folder, of everything in a folder."""
        with self.open(path, _READ_FOLDER) as folder, os.scandir(folder) as entries:
            for entry in entries:
                yield entry.name, *_size_and_kind(entry)

    def size(self, path: str) -> int | None:
        """Bytes of a file; None for a folder."""
        with self.open(path, _READ_FILE) as file:
            status = os.fstat(file)
            return None if stat.S_ISDIR(status.st_mode) else _size_of_regular(path, status)

    def read(self, path: str, start: int, end: int | None) -> bytes:
        """The bytes from ``start`` up to ``end``; None is the end of the file."""
        with self.open(path, _READ_FILE) as descriptor, open(descriptor, "rb", closefd=False) as file:
            size = _size_of_regular(path, os.fstat(descriptor))
            file.seek(start)
            return file.read(max(0, (size if end is None else end) - start))

    def create(self, path: str) -> LocalFile:
        """Begin a file; folders that are missing are made."""
        return LocalFile(Path(path))

    def sign(self, path: str, seconds: int) -> str:  # noqa: ARG002
        """Only remote storages can: make an address by which anybody may read the file for so many seconds."""
        raise InvalidInputError(
            f"{path!r} is a file on this machine and has no address that others could fetch. Use a bucket, or give the "
            "address under which the folder is served."
        )


class LocalFolder(LocalStorage):
    """
    A folder of this machine that others may write into. A path that leads out of it through links is refused.

    The path is resolved first. Then each part of it is opened in the one before, without following links: otherwise a
    link put there in between would be followed.

    :param folder: its own path may hold links.
    :param parent: opens the folder itself.
    """

    def __init__(self, folder: str, parent: LocalStorage) -> None:
        self._folder = folder
        self._parent = parent

    @contextmanager
    def open(self, path: str, flags: int) -> Iterator[int]:
        top, target = Path(os.path.realpath(self._folder or ".")), Path(os.path.realpath(path or "."))
        if not target.is_relative_to(top):
            raise OutsideError(
                f"{path!r} leads out of {self._folder!r}, by a link, and is not read: a link could show any file "
                "of this machine. Put the file or folder itself there."
            )
        parts = target.relative_to(top).parts
        with ExitStack() as stack:
            opened = stack.enter_context(self._parent.open(self._folder, _READ_FOLDER if parts else flags))
            for number, part in enumerate(parts, start=1):
                part_flags = flags if number == len(parts) else _READ_FOLDER
                opened = stack.enter_context(_descriptor(part, part_flags | os.O_NOFOLLOW, opened))
            yield opened


class LocalFile:
    """A file being written, under another name beside its place, so that one rename puts all of it there."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._part = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.part")
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self._part.open("xb")
        self.write = self._file.write

    def commit(self) -> None:
        """Put the file in its place; an existing one is replaced."""
        self._file.close()
        self._part.replace(self._path)

    def discard(self) -> None:
        """Delete the partial file."""
        self._file.close()
        self._part.unlink()


@contextmanager
def _descriptor(path: str, flags: int, folder: int | None = None) -> Iterator[int]:
    descriptor = os.open(path or ".", flags, dir_fd=folder)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _size_and_kind(entry: os.DirEntry[str]) -> tuple[int | None, bool]:
    """The size of a link is read when it is opened. A broken link counts as a file: reading it reports the error."""
    try:
        if entry.is_symlink() or not entry.is_file():
            return None, entry.is_dir()
        return entry.stat().st_size, False
    except OSError:
        return None, False


def _size_of_regular(path: str, status: os.stat_result) -> int:
    if not stat.S_ISREG(status.st_mode):
        kind = "a folder" if stat.S_ISDIR(status.st_mode) else "a special file (FIFO, device or socket)"
        raise InvalidInputError(f"{path!r} is not a regular file but {kind}.")
    return status.st_size
