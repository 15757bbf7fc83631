"""
Files and folders wherever they lie: on this machine, or in any storage that Airflow's ``ObjectStoragePath`` reaches.

Making a :class:`Location` touches nothing and imports nothing heavy, so that DAG files may do it.
"""

from __future__ import annotations

import errno
import os
import stat
import uuid
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from itertools import islice
from operator import itemgetter
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from airflow_provider_scenario.airflow_compat.object_storage import file_system
from airflow_provider_scenario.client.errors import InvalidInputError
from airflow_provider_scenario.client.messages import shown

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

T = TypeVar("T")
R = TypeVar("R")
READERS = 8
"""Files that are looked at at once: in a bucket each look costs a round trip."""

PART = 8 * 1024 * 1024
"""Bytes that go into a bucket at once: a part of S3 has 5 MB or more, and a file 10 000 parts or fewer."""


MAX_ENTRIES = 10_000
"""Files and folders in one folder: a dataset has some hundred, and a list of them is kept in memory."""

_LONGEST_PATH = 8_000
"""Characters: no file system and no object storage has longer ones, and messages repeat them."""

MAX_TEXT = 64 * 1024
"""Bytes of a small file of text, where whoever reads it says nothing else."""

_PACKAGES = {
    "s3": "apache-airflow-providers-amazon[s3fs]",
    "gs": "apache-airflow-providers-google",
    "abfs": "apache-airflow-providers-microsoft-azure",
}
"""What Airflow documents for its object storage, by scheme."""

_OTHER_SCHEMES = {"s3a": "s3", "s3n": "s3", "gcs": "gs", "abfss": "abfs", "adl": "abfs"}

FILE = os.O_RDONLY | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK  # without the last, a FIFO waits for its writer
FOLDER = os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECTORY


NEVER_READ = {
    errno.ELOOP: "its links lead in a circle",
    errno.ENAMETOOLONG: "its name is too long",
    errno.ENXIO: "it is a special file (FIFO, device or socket)",
}
"""Errors of a disk that stay, however often it is tried."""


class StorageError(InvalidInputError):
    """The storage failed or could not be reached: unlike a wrong dataset, trying again may help."""

    permanent = False


class UnusableStorageError(StorageError):
    """Nothing on this machine can read such a storage: a package is missing, or nothing knows its scheme."""

    permanent = True


class MissingError(InvalidInputError):
    """There is no such file or folder."""


class OutsideError(InvalidInputError):
    """A link leads out of the folder that may be read."""


class NewFile(Protocol):
    """A file that is being written. Nobody sees any of it before it is committed."""

    def write(self, block: bytes) -> object:
        """Append a block."""

    def commit(self) -> None:
        """Put the file in its place; one that is there is replaced."""

    def discard(self) -> None:
        """Discard the partial file."""


class Storage(Protocol):
    """As much of a file system as we need."""

    def within(self, folder: str) -> Storage:
        """The same storage, which reads nothing that lies outside of a folder, wherever links lead."""

    def entries(self, path: str) -> Iterable[tuple[str, int | None, bool]]:
        """Name, size in bytes where it is known, and whether it is a folder, of everything in a folder."""

    def size(self, path: str) -> int | None:
        """Bytes of a file; None for a folder."""

    def read(self, path: str, start: int, end: int | None) -> bytes:
        """The bytes from ``start`` up to ``end``; None is the end of the file."""

    def create(self, path: str) -> NewFile:
        """Begin a file, in folders that need not be there."""

    def sign(self, path: str, seconds: int) -> str:
        """An address by which anybody may read the file for so long."""


class _DiskFile:
    """Written beside its place, so that moving it there is one step."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._part = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.part")
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self._part.open("xb")
        self.write = self._file.write

    def commit(self) -> None:
        self._file.close()
        self._part.replace(self._path)

    def discard(self) -> None:
        self._file.close()
        self._part.unlink()


class _Disk:
    """
    The file system of this machine. What a path leads to is the choice of whoever wrote it; links are followed.

    Only regular files are read: a FIFO may never have anything to read, and a device may never end.
    """

    def within(self, folder: str) -> Storage:
        return _DiskFolder(folder, self)

    def opened(self, path: str, flags: int) -> AbstractContextManager[int]:
        """A descriptor of a file or folder, with the flags of ``os.open``."""
        return _opened(path, flags)

    def entries(self, path: str) -> Iterator[tuple[str, int | None, bool]]:
        with self.opened(path, FOLDER) as folder, os.scandir(folder) as entries:
            for entry in entries:
                yield entry.name, *_size_and_kind(entry)

    def size(self, path: str) -> int | None:
        with self.opened(path, FILE) as file:
            found = os.fstat(file)
            return None if stat.S_ISDIR(found.st_mode) else _regular(path, found).st_size

    def read(self, path: str, start: int, end: int | None) -> bytes:
        with self.opened(path, FILE) as descriptor, open(descriptor, "rb", closefd=False) as file:
            size = _regular(path, os.fstat(descriptor)).st_size
            file.seek(start)
            return file.read(max(0, (size if end is None else end) - start))

    def create(self, path: str) -> _DiskFile:
        return _DiskFile(Path(path))

    def sign(self, path: str, seconds: int) -> str:  # noqa: ARG002
        raise InvalidInputError(f"{path!r} is a file on this machine, which has no address that others could fetch.")


class _DiskFolder(_Disk):
    """
    A folder of this machine that others may write into: what leads out of it, through links, is refused.

    The path is resolved first; then each part of it is opened in the one before, without following links, so that
    nobody can put a link there in between.

    :param folder: its own path may hold links.
    :param around: what the folder itself is opened with.
    """

    def __init__(self, folder: str, around: _Disk) -> None:
        self._folder = folder or "."
        self._around = around

    @contextmanager
    def opened(self, path: str, flags: int) -> Iterator[int]:
        top, target = Path(os.path.realpath(self._folder)), Path(os.path.realpath(path or "."))
        if not target.is_relative_to(top):
            raise OutsideError(
                f"{path!r} leads out of {self._folder!r}, by a link, and is not read: a link could show any file "
                "of this machine. Put the file or folder itself there."
            )
        parts = target.relative_to(top).parts
        with ExitStack() as opened:
            found = opened.enter_context(self._around.opened(self._folder, FOLDER if parts else flags))
            for number, part in enumerate(parts, start=1):
                how = FOLDER if number < len(parts) else flags
                found = opened.enter_context(_opened(part, how | os.O_NOFOLLOW, found))
            yield found


@contextmanager
def _opened(path: str, flags: int, folder: int | None = None) -> Iterator[int]:
    descriptor = os.open(path, flags, dir_fd=folder)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _size_and_kind(entry: os.DirEntry[str]) -> tuple[int | None, bool]:
    """A link is measured where it is opened; one that cannot be followed counts as a file, which says so when read."""
    try:
        if entry.is_symlink() or not entry.is_file():
            return None, entry.is_dir()
        return entry.stat().st_size, False
    except OSError:
        return None, False


def _regular(path: str, found: os.stat_result) -> os.stat_result:
    if not stat.S_ISREG(found.st_mode):
        kind = "a folder" if stat.S_ISDIR(found.st_mode) else "a special file (FIFO, device or socket)"
        raise InvalidInputError(f"{path!r} is not a file but {kind}.")
    return found


class _BucketFile:
    """Sent in parts; the bucket makes a file of them at the commit."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self.write = file.write

    def commit(self) -> None:
        self._file.close()
        self._file.commit()

    def discard(self) -> None:
        self._file.close()
        self._file.discard()


class _Bucket:
    """A file system of fsspec, opened at first use."""

    def __init__(self, opened: Callable[[], AbstractFileSystem]) -> None:
        self._opened = opened

    def within(self, folder: str) -> Storage:  # noqa: ARG002 - a bucket has no links
        return self

    def entries(self, path: str) -> Iterator[tuple[str, int | None, bool]]:
        fs = self._opened()
        own = fs._strip_protocol(path)
        fs.invalidate_cache(own)
        for entry in fs.ls(own, detail=True):
            if entry["name"].rstrip("/") != own.rstrip("/"):
                is_folder = entry["type"] == "directory"
                yield PurePosixPath(entry["name"]).name, None if is_folder else entry["size"], is_folder
            elif entry["type"] != "directory" and not entry["name"].endswith("/"):
                raise NotADirectoryError(path)

    def size(self, path: str) -> int | None:
        fs = self._opened()
        entry = fs.info(fs._strip_protocol(path))
        return None if entry["type"] == "directory" else int(entry["size"])

    def read(self, path: str, start: int, end: int | None) -> bytes:
        fs = self._opened()
        content: bytes = fs.cat_file(fs._strip_protocol(path), start=start or None, end=end)
        return content

    def create(self, path: str) -> _BucketFile:
        fs = self._opened()
        return _BucketFile(fs.open(fs._strip_protocol(path), "wb", block_size=PART, autocommit=False))

    def sign(self, path: str, seconds: int) -> str:
        fs = self._opened()
        return str(fs.sign(fs._strip_protocol(path), expiration=seconds))


_DISK = _Disk()


@dataclass(frozen=True, slots=True)
class Location:
    """
    One file or folder.

    :param text: what an author would write: a path, or a URL such as ``s3://conn_id@bucket/folder``.
    :param size: bytes, where they are known.
    """

    text: str
    size: int | None = field(default=None, compare=False, repr=False)
    _storage: Storage = field(default=_DISK, compare=False, repr=False)
    _path: str = field(default="", compare=False, repr=False)

    @classmethod
    def of(cls, source: str | os.PathLike[str] | Any) -> Location:
        """
        Understand what an author gives: a local path, an ``ObjectStoragePath``, or the text of either.

        :raises InvalidInputError: it is none of them.
        """
        if not isinstance(source, str | os.PathLike) and not hasattr(source, "protocol"):
            raise InvalidInputError(f"{shown(source)} is no path and no URL.")
        text = str(source)
        if len(text) > _LONGEST_PATH:
            raise InvalidInputError(f"{shown(text)} has {len(text)} characters, too many for a path or a URL.")
        protocol, is_url, rest = text.partition("://")
        if not is_url:
            return cls(text, None, _DISK, text)
        login, _, bucket = rest.partition("/")[0].rpartition("@")
        inside = rest.partition("/")[1] + rest.partition("/")[2]
        if protocol in ("file", "local"):
            return cls(inside, None, _DISK, inside)
        options = {} if login else dict(getattr(source, "storage_options", {}))
        opened = _opener(protocol, login or None, options)
        return cls(text.rstrip("/"), None, _Bucket(opened), f"{protocol}://{bucket}{inside}".rstrip("/"))

    def __str__(self) -> str:
        return self.text

    @property
    def name(self) -> str:
        """The last part of it."""
        return PurePosixPath(self.text).name if "://" in self.text else Path(self.text).name

    @property
    def stem(self) -> str:
        """The name without its suffix, which is what a caption shares with its image."""
        return PurePosixPath(self.name).stem

    @property
    def suffix(self) -> str:
        """The suffix, in small letters."""
        return PurePosixPath(self.name).suffix.lower()

    def inside(self, name: str, size: int | None = None) -> Location:
        """A file or folder in this folder; ``name`` may be a path."""
        return Location(_joined(self.text, name), size, self._storage, _joined(self._path, name))

    def beside(self, name: str) -> Location:
        """A file in the same folder, which must really lie in it: the author did not name it."""
        text, folder = (whole[: len(whole) - len(self.name)] for whole in (self.text, self._path))
        return Location(text + name, None, self._storage.within(folder), folder + name)

    def below(self, chosen: str) -> Location:
        """
        A folder in this folder that somebody else has chosen, such as who triggers a DAG; or this folder itself.

        :param chosen: a path below it, or a whole path or URL that begins with it.
        :raises InvalidInputError: it is anything else.
        """
        top = self.text.rstrip("/")
        inside = chosen[len(top) :].lstrip("/") if f"{chosen}/".startswith(f"{top}/") else chosen
        parts = [part for part in inside.split("/") if part not in ("", ".")]
        if inside.startswith("/") or ".." in parts or "://" in inside:
            raise InvalidInputError(f"{chosen!r:.300} does not lie in {self.text!r}; give the path of a folder in it.")
        storage, name = self._storage.within(self._path), "/".join(parts)
        text, path = (_joined(whole, name) if name else whole for whole in (self.text, self._path))
        return Location(text, None, storage, path)

    def listed(self) -> tuple[list[Location], list[Location]]:
        """
        The folders and the files in a folder, by name, without hidden ones. All of them must really lie in it.

        :raises InvalidInputError: there is no such folder, or there is too much in it.
        :raises StorageError: it cannot be listed.
        """
        with told(self, "folder"):
            entries = list(islice(self._storage.entries(self._path or "."), MAX_ENTRIES + 1))
        if len(entries) > MAX_ENTRIES:
            raise InvalidInputError(f"{self.text!r}, which has more than {MAX_ENTRIES} files and folders in it.")
        shown = [entry for entry in sorted(entries, key=itemgetter(0)) if entry[0] and not entry[0].startswith(".")]
        folder = Location(self.text, None, self._storage.within(self._path), self._path)
        return (
            [folder.inside(name, None) for name, _, is_folder in shown if is_folder],
            [folder.inside(name, size) for name, size, is_folder in shown if not is_folder],
        )

    def measured(self) -> Location:
        """
        The same file with its size.

        :raises InvalidInputError: there is no such file, or it is a folder.
        :raises StorageError: it cannot be reached.
        """
        if self.size is not None:
            return self
        with told(self, "file"):
            size = self._storage.size(self._path)
        if size is None:
            raise InvalidInputError(f"{self.text!r} is no file but a folder.")
        return Location(self.text, size, self._storage, self._path)

    def exists(self) -> bool:
        """
        Whether there is such a file.

        :raises InvalidInputError: there is something else of that name.
        :raises StorageError: nobody can tell.
        """
        try:
            with told(self, "file"):
                return self._storage.size(self._path) is not None
        except MissingError:
            return False

    def read(self, start: int = 0, end: int | None = None) -> bytes:
        """
        Read a file or a piece of it.

        :raises InvalidInputError: there is no such file.
        :raises StorageError: it cannot be read.
        """
        with told(self, "file"):
            return self._storage.read(self._path, start, end)

    def read_text(self, limit: int = MAX_TEXT) -> str:
        """
        Read a small file of UTF-8 text.

        :param limit: bytes; no more than one byte beyond is read, whatever size a listing has told.
        :raises InvalidInputError: there is no such file, it has more bytes, or it is no UTF-8 text.
        :raises StorageError: it cannot be read.
        """
        file = self.measured()
        content = file.read(0, limit + 1) if file.size else b""
        if len(content) > limit or (file.size or 0) > limit:
            raise InvalidInputError(f"{self.text!r} has more than {limit} bytes, which is the most that is read of it.")
        try:
            return content.decode("utf-8-sig")
        except UnicodeDecodeError:
            raise InvalidInputError(f"{self.text!r} is no UTF-8 text.") from None

    def write(self, blocks: Iterable[bytes]) -> None:
        """
        Write a file; it is there when all of it is there, and what was there before stays until then.

        :param blocks: its content; what goes wrong in getting it is raised as it is.
        :raises StorageError: it cannot be written.
        """
        with told(self, "file", "written"):
            file = self._storage.create(self._path)
        try:
            for block in blocks:
                with told(self, "file", "written"):
                    file.write(block)
            with told(self, "file", "written"):
                file.commit()
        except BaseException:
            with suppress(Exception):  # the reason why counts, not the trouble of tidying up
                file.discard()
            raise

    def signed(self, seconds: int) -> str:
        """
        Make an address by which anybody may read the file. It is a secret: keep it out of logs and XCom.

        :param seconds: how long; S3 allows a week, and no longer than the credentials live that sign.
        :raises StorageError: this storage cannot sign.
        """
        with told(self, "file", "signed"):
            return self._storage.sign(self._path, seconds)


@contextmanager
def told(location: Location, kind: str, doing: str = "read") -> Iterator[None]:
    """Turn whatever a storage raises into one line that names the file and holds no secrets."""
    try:
        yield
    except InvalidInputError:
        raise
    except _NotInstalledError as problem:
        wrong = str(problem)
        raise UnusableStorageError(f"{location.text!r} cannot be {doing}: {wrong}") from None
    except NotADirectoryError:
        raise MissingError(f"{location.text!r}, which is not an existing folder.") from None
    except FileNotFoundError:
        missing = "which is not an existing folder" if kind == "folder" else "there is no such file"
        if doing == "written":
            missing = "it cannot be written there; is the bucket there?"
        raise MissingError(f"{location.text!r}{',' if kind == 'folder' else ':'} {missing}.") from None
    except Exception as problem:
        if isinstance(problem, OSError) and problem.errno in NEVER_READ:
            raise InvalidInputError(f"{location.text!r}: {NEVER_READ[problem.errno]}.") from None
        wrong = _in_one_line(problem)
    else:
        return
    raise StorageError(f"{location.text!r} cannot be {doing}: {wrong}.")


def _joined(folder: str, name: str) -> str:
    return f"{(folder or '.').rstrip('/')}/{name}"


def at_once(function: Callable[[T], R], items: Iterable[T]) -> list[R]:
    """The function of each item, several at once, in order; the first error in that order ends it."""
    with ThreadPoolExecutor(READERS, thread_name_prefix="dataset") as pool:
        return list(pool.map(function, items))


def _in_one_line(problem: Exception) -> str:
    from airflow_provider_scenario.client.texts import plain

    text = problem.strerror if isinstance(problem, OSError) and problem.strerror else str(problem)
    return plain(f"{type(problem).__name__}: {text}" if text else type(problem).__name__).rstrip(".")


class _NotInstalledError(Exception):
    """What a protocol needs is not on this machine; says what to do."""


def _opener(protocol: str, conn_id: str | None, options: dict[str, Any]) -> Callable[[], AbstractFileSystem]:
    def opened() -> AbstractFileSystem:
        import fsspec

        try:
            airflows = None if options else file_system(protocol, conn_id)
            return fsspec.filesystem(protocol, **options) if airflows is None else airflows
        except (ImportError, ValueError) as problem:
            wrong = "a package is missing" if isinstance(problem, ImportError) else _in_one_line(problem)
        package = _PACKAGES.get(_OTHER_SCHEMES.get(protocol, protocol))
        known = ", ".join(f"{scheme}://" for scheme in _PACKAGES)
        cure = f"For {protocol}:// install: pip install '{package}'" if package else f"Give a local path, or {known}"
        raise _NotInstalledError(f"{wrong}. {cure}.")

    return opened
