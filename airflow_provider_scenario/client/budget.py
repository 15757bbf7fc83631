"""
The request budget of a project, shared by all processes of a machine: tasks, triggerers and others.

Scenario counts the requests of a whole project. Requests that create, start or cancel are sent at once and counted.
Polls wait for their turn, one after another, and pause while other requests use the budget up.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import struct
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal, Protocol

from airflow_provider_scenario.client.errors import InvalidInputError

HEAD_START = 30.0
"""Seconds' worth of requests that other requests may be ahead of the budget before polls pause for them."""

LONGEST_TURN = 600.0
"""Seconds that a turn is away at most: a clock that was set back must not stop all polling."""

LONGEST_YIELD = 60.0
"""Seconds that polls pause for other requests at most, however many there are."""

AFTER_THROTTLING = 5.0
"""Seconds without a poll after a 429 without ``Retry-After``."""

SHORTEST_LOGGED = 5.0
"""Seconds of waiting from which on it is logged."""

NOTICE_EVERY = 60.0
"""Seconds between two such log lines at least."""

_HARDEST_STRAIN = 8.0
_RELIEF = 60.0

Event = Literal["requests", "throttled"]


@dataclass(slots=True)
class _Account:
    """
    The shared state in the file; times are Unix times in seconds.

    :param spent_until: when the allowance covers all requests so far.
    :param next_turn: when the next poll may be sent.
    :param strain: the factor by which polls are further apart since the last 429: other machines use the project, too.
    :param strained_at: the time of the last 429.
    """

    spent_until: float = 0.0
    next_turn: float = 0.0
    strain: float = 1.0
    strained_at: float = 0.0

    FORMAT: ClassVar = struct.Struct("4d")

    def strain_at(self, now: float) -> float:
        """The factor now. It halves each minute: other machines may have slowed down, too."""
        relieved: float = self.strain * 0.5 ** (max(0.0, now - self.strained_at) / _RELIEF)
        return max(1.0, relieved)


class Budget(Protocol):
    """What a client calls around each request."""

    def spend(self) -> None:
        """Count a request that is about to be sent. If it raises, the request is not sent."""

    def turn(self) -> float:
        """Take the next turn, to send again after throttling; returns the seconds to wait for it."""

    def throttled(self, wait: float | None) -> None:
        """Note that the service has throttled a request, and the seconds of its ``Retry-After``."""


class WaitNotice:
    """
    Logs that requests wait: at most once a minute, not for each request.

    :param log: is called with the line.
    :param clock: a monotonic time in seconds.
    """

    def __init__(self, log: Callable[[str], None], *, clock: Callable[[], float] = time.monotonic) -> None:
        self._log, self._clock = log, clock
        self._lock = threading.Lock()
        self._next = float("-inf")

    def __call__(self, seconds: float, why: str) -> None:
        """
        Log it, unless the wait is short or was logged just now.

        :param seconds: how long the request is going to wait.
        """
        with self._lock:
            now = self._clock()
            if seconds < SHORTEST_LOGGED or now < self._next:
                return
            self._next = now + max(seconds, NOTICE_EVERY)
        self._log(f"Waiting about {seconds:.0f} s: {why}.")


class RequestBudget:
    """
    Requests a minute, shared by the processes of one user on one machine through a small file.

    :param per_minute: requests a minute; polls are spread evenly over it.
    :param scope: what the budget belongs to, such as address and project; all processes with the same scope share it.
    :param folder: of the file. Default: a folder of this user in the system's temporary folder.
    :param observe: is called for each request that is sent, and for each that was throttled.
    :raises InvalidInputError: ``per_minute`` is not above 0.
    """

    def __init__(
        self,
        per_minute: float,
        scope: str,
        *,
        folder: Path | None = None,
        observe: Callable[[Event], None] = lambda _: None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        if not 0 < per_minute < float("inf"):
            raise InvalidInputError(f"requests_per_minute must be a number above 0, such as 80, not {per_minute!r}.")
        self.why_wait = (
            f"all requests that 'requests_per_minute' ({per_minute:g}) allows are used up by uploads and other tasks "
            "of this machine, or the service has sent Retry-After"
        )
        self._gap = 60.0 / per_minute
        self._file = (folder or _own_folder()) / hashlib.sha256(scope.encode()).hexdigest()[:32]
        self._observe = observe
        self._clock = clock

    def spend(self) -> None:
        """Count a request that is sent now. It does not wait: requests other than polls must not queue."""
        self._observe("requests")
        with self._account() as (account, now):
            spent_until = max(account.spent_until, now) + self._gap
            account.spent_until = min(spent_until, now + HEAD_START + LONGEST_YIELD)

    def turn(self) -> float:
        """
        Take the next turn to poll.

        :return: seconds to wait for it.
        """
        with self._account() as (account, now):
            start = max(now, account.next_turn, account.spent_until - HEAD_START)
            start = min(start, now + LONGEST_TURN)
            account.next_turn = start + self._gap * account.strain_at(now)
            return start - now

    def throttled(self, wait: float | None) -> None:
        """
        Pause all polls of this machine, and slow them down afterwards: others use the project as well.

        :param wait: the seconds that the service named.
        """
        self._observe("throttled")
        with self._account() as (account, now):
            account.strain = min(_HARDEST_STRAIN, 2 * account.strain_at(now))
            account.strained_at = now
            account.next_turn = max(account.next_turn, now + (wait or AFTER_THROTTLING))

    @contextmanager
    def _account(self) -> Iterator[tuple[_Account, float]]:
        # The operating system releases the lock when the process ends, even when it is killed.
        file = os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            kept = os.pread(file, _Account.FORMAT.size, 0)
            account = _Account(*_Account.FORMAT.unpack(kept)) if len(kept) == _Account.FORMAT.size else _Account()
            yield account, self._clock()
            fields = (account.spent_until, account.next_turn, account.strain, account.strained_at)
            os.pwrite(file, _Account.FORMAT.pack(*fields), 0)
        finally:
            os.close(file)


def _own_folder() -> Path:
    """A folder of this user alone, so that other users cannot put a link to another file there."""
    folder = Path(tempfile.gettempdir()) / f"airflow-provider-scenario-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.is_symlink() or folder.stat().st_uid != os.getuid():
        raise InvalidInputError(f"{folder} belongs to another user; remove it, or set TMPDIR to a folder of your own.")
    return folder
