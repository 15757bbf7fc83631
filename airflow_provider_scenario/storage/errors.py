"""Errors of a storage: one line each, which names the file or folder and holds no secrets."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from airflow_provider_scenario.client.errors import InvalidInputError

_UNREADABLE = {
    errno.ELOOP: "its links lead in a circle",
    errno.ENAMETOOLONG: "its name is too long",
    errno.ENXIO: "it is a special file (FIFO, device or socket)",
}
"""Errors of a disk that a retry does not change."""

_MISSING = {
    "listed": "The folder {path!r} does not exist.",
    "read": "The file {path!r} does not exist.",
    "signed": "The file {path!r} does not exist.",
    "written": "{path!r} cannot be written: its folder or bucket does not exist.",
}


class StorageError(InvalidInputError):
    """The storage failed or could not be reached. Unlike a wrong dataset, this may be gone on a retry."""

    permanent = False


class UnusableStorageError(StorageError):
    """A package is missing to read this storage, or its scheme is not known."""

    permanent = True


class MissingError(InvalidInputError):
    """The file or folder does not exist."""


class OutsideError(InvalidInputError):
    """A link leads out of the folder that may be read."""


class CannotOpenError(Exception):
    """The file system of a scheme cannot be made; the text says what to install."""


@contextmanager
def storage_errors(path: str, action: Literal["listed", "read", "signed", "written"]) -> Iterator[None]:
    """
    Turn every exception of a storage into one of ours.

    The error is raised outside of ``except``: the original exception, which may hold secrets, is not its context.
    """
    verb = "read" if action == "listed" else action
    try:
        yield
    except InvalidInputError:
        raise
    except CannotOpenError as problem:
        error: InvalidInputError = UnusableStorageError(f"{path!r} cannot be {verb}: {problem}")
    except (FileNotFoundError, NotADirectoryError) as problem:
        is_file = action == "listed" and isinstance(problem, NotADirectoryError)
        error = MissingError(f"{path!r} is not a folder." if is_file else _MISSING[action].format(path=path))
    except Exception as problem:
        if isinstance(problem, OSError) and problem.errno in _UNREADABLE:
            error = InvalidInputError(f"{path!r} cannot be {verb}: {_UNREADABLE[problem.errno]}.")
        else:
            error = StorageError(f"{path!r} cannot be {verb}: {one_line(problem)}.")
    else:
        return
    raise error


def one_line(problem: Exception) -> str:
    """Type and text of an exception in one line, with secrets masked."""
    from airflow_provider_scenario.client.texts import plain

    text = problem.strerror if isinstance(problem, OSError) and problem.strerror else str(problem)
    return plain(f"{type(problem).__name__}: {text}" if text else type(problem).__name__).rstrip(".")
