"""
Run one command so that nothing of it outlives whoever asked for it.

    python guard.py LOGFILE GRACE command ...

Started by :class:`~airflow_provider_scenario.demo.processes.Guarded` and never by hand. The guard reads its standard
input, whose other end only the asker holds: the kernel closes that end however the asker dies, ``kill -9`` included.
Then, or on SIGTERM, or when the command has ended, the guard ends the command and everything the command has started,
and nothing else. On SIGQUIT it does so as a machine does that loses its power: nobody is asked first.

On Linux it is the subreaper of its command, so that a process that moved to a group or a session of its own (Airflow's
tasks do) is still found. It runs without site-packages and imports little: there is one guard for every part.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
LINUX = sys.platform == "linux"


class Guard:
    """The command, and everything that descends from it."""

    def __init__(self, log: str, command: list[str]) -> None:
        self._code: int | None = None
        self._asked_to_end = self._at_once = False
        self._woken, self._waker = os.pipe()
        os.set_blocking(self._waker, False)
        signal.set_wakeup_fd(self._waker, warn_on_full_buffer=False)
        signal.signal(signal.SIGTERM, self._end)
        signal.signal(signal.SIGQUIT, self._end_at_once)
        for number in (signal.SIGCHLD, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, _note)
        _prctl(PR_SET_CHILD_SUBREAPER, 1)
        with Path(log).open("ab") as output:
            self.pid = subprocess.Popen(  # noqa: S603 - running what it was given is what a guard is for
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=_die_with_the_guard,  # safe: this process has one thread
            ).pid

    def wait(self, grace: float) -> int:
        """Watch until it has ended by itself or has to; the exit code, negative for a signal."""
        while self._ended() is None and not self._asked_to_end:
            ready, _, _ = select.select([0, self._woken], [], [])
            if self._woken in ready:
                os.read(self._woken, 4096)
            if 0 in ready and not os.read(0, 4096):
                self._asked_to_end = True
        if self._ended() is None and not self._at_once:
            self._signal([self.pid], signal.SIGTERM)
            self._wait_until(lambda: self._ended() is not None, grace)
        self._sweep()
        return self._code if self._code is not None else -signal.SIGKILL

    def _sweep(self) -> None:
        """End what is left, first asking, where there is time for that, and then not."""
        if not LINUX:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)
            return
        if not self._at_once:
            self._signal(_descendants(), signal.SIGTERM)
            self._wait_until(lambda: not _descendants(), 0.7)
        while left := _descendants():
            self._signal(left, signal.SIGKILL)
            self._wait_until(lambda: not _descendants(), 0.5)

    def _wait_until(self, true: Callable[[], bool], seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self._ended()
            if true():
                return
            time.sleep(0.02)

    def _ended(self) -> int | None:
        """Bury the dead, adopted ones included; the command's exit code once it is among them."""
        with contextlib.suppress(ChildProcessError):
            while (dead := os.waitpid(-1, os.WNOHANG))[0]:
                if dead[0] == self.pid:
                    self._code = os.waitstatus_to_exitcode(dead[1])
        return self._code

    def _signal(self, pids: list[int], number: int) -> None:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def _end(self, *_: object) -> None:
        self._asked_to_end = True

    def _end_at_once(self, *_: object) -> None:
        self._asked_to_end = self._at_once = True


def _note(*_: object) -> None:
    """A handler that only wakes the guard; unlike an ignored signal it is not handed on to the command."""


def _descendants() -> list[int]:
    """All processes below this one, nearest first, from ``/proc``."""
    children: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):  # noqa: PTH208 - called often, and names are all that is wanted
        if entry.isdigit():
            with contextlib.suppress(OSError, IndexError):
                parent = int(Path("/proc", entry, "stat").read_bytes().rpartition(b")")[2].split()[1])
                children.setdefault(parent, []).append(int(entry))
    found = list(children.get(os.getpid(), []))
    for pid in found:
        found.extend(children.get(pid, []))
    return found


def _die_with_the_guard() -> None:
    _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _prctl(option: int, value: int) -> None:
    if LINUX:
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def main() -> None:
    log, grace, *command = sys.argv[1:]
    guard = Guard(log, command)
    sys.stdout.write(f"{guard.pid}\n")
    sys.stdout.flush()
    code = guard.wait(float(grace))
    sys.exit(code if code >= 0 else 128 - code)


if __name__ == "__main__":
    main()
