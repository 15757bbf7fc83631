"""
Run one command, and end it with everything it has started as soon as the process that wants it is gone.

    python guard.py LOGFILE GRACE command ...

Only :class:`~airflow_provider_scenario.demo.processes.Guarded` starts it. The guard reads its standard input, whose
other end its parent holds: the kernel closes that end however the parent dies, ``kill -9`` included. Then, or on
SIGTERM, or when the command has ended, the guard ends the command and everything the command has started, and nothing
else.

On Linux the guard is the subreaper of its command: it finds processes that moved to a session of their own, as
Airflow's tasks do. It runs without site-packages and imports little, because each process of the demo has a guard.
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
        self._exit_code: int | None = None
        self._stopping = False
        self._woken, self._waker = os.pipe()
        os.set_blocking(self._waker, False)
        signal.set_wakeup_fd(self._waker, warn_on_full_buffer=False)
        signal.signal(signal.SIGTERM, self._stop)
        for number in (signal.SIGCHLD, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, _wake)
        _prctl(PR_SET_CHILD_SUBREAPER, 1)
        with Path(log).open("ab") as output:
            self.pid = subprocess.Popen(  # noqa: S603 - the command that the guard is started for
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=_die_with_the_guard,  # safe: this process has one thread
            ).pid

    def wait(self, grace: float) -> int:
        """Wait until the command has ended or must end; return its exit code, negative for a signal."""
        while self._reap() is None and not self._stopping:
            ready, _, _ = select.select([0, self._woken], [], [])
            if self._woken in ready:
                os.read(self._woken, 4096)
            if 0 in ready and not os.read(0, 4096):
                self._stopping = True
        if self._reap() is None:
            self._signal([self.pid], signal.SIGTERM)
            self._wait_until(lambda: self._reap() is not None, grace)
        self._end_descendants()
        return self._exit_code if self._exit_code is not None else -signal.SIGKILL

    def _end_descendants(self) -> None:
        """End what still runs: first with SIGTERM, then with SIGKILL."""
        if not LINUX:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)
            return
        me = os.getpid()
        self._signal(descendants(me), signal.SIGTERM)
        self._wait_until(lambda: not descendants(me), 0.7)
        while left := descendants(me):
            self._signal(left, signal.SIGKILL)
            self._wait_until(lambda: not descendants(me), 0.5)

    def _wait_until(self, condition: Callable[[], bool], seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self._reap()
            if condition():
                return
            time.sleep(0.02)

    def _reap(self) -> int | None:
        """Collect the exit codes of ended processes, adopted ones included; return the command's, once it has ended."""
        with contextlib.suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                if ended[0] == self.pid:
                    self._exit_code = os.waitstatus_to_exitcode(ended[1])
        return self._exit_code

    def _signal(self, pids: list[int], number: int) -> None:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def _stop(self, *_: object) -> None:
        self._stopping = True


def _wake(*_: object) -> None:
    """A handler that only wakes the guard; unlike an ignored signal, the command does not inherit it."""


def descendants(pid: int) -> list[int]:
    """All processes below this one, nearest first, from ``/proc``."""
    children: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):  # noqa: PTH208 - called often, and only the names are needed
        if entry.isdigit():
            with contextlib.suppress(OSError, IndexError):
                parent = int(Path("/proc", entry, "stat").read_bytes().rpartition(b")")[2].split()[1])
                children.setdefault(parent, []).append(int(entry))
    found = list(children.get(pid, []))
    for each in found:
        found.extend(children.get(each, []))
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
