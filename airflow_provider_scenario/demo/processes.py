"""Child processes that end with their parent, however it ends."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

from airflow_provider_scenario.demo import guard

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path


ONLY_OWNER = 0o077
"""File mode creation mask: only their user may read what processes write (configuration, keys, logs, database)."""


class ProcessDiedError(RuntimeError):
    """A process has ended that should still run. The message has the end of its output."""


class Guarded:
    """
    A process under a guard: it ends with :meth:`stop`, and it ends when this process ends, however that happens.

    What it has started ends with it, as in a container. Both run in sessions of their own, so Ctrl-C does not reach
    them.

    :param log: file that its output is appended to.
    :param grace: seconds between SIGTERM and SIGKILL.
    :param keep_open: descriptors that the guard keeps open, such as a lock that must last until all has ended.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        log: Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        grace: float = 4,
        keep_open: Iterable[int] = (),
    ) -> None:
        self.name, self.log = name, log
        log.parent.mkdir(parents=True, exist_ok=True)
        self._guard = subprocess.Popen(  # noqa: S603 - the caller's own command
            [sys.executable, "-I", "-S", guard.__file__, str(log), str(grace), *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=env,
            cwd=cwd,
            start_new_session=True,
            umask=ONLY_OWNER,
            pass_fds=tuple(keep_open),
        )
        assert self._guard.stdout is not None  # noqa: S101 - for the type checker: stdout is a pipe
        self.pid = int(self._guard.stdout.readline() or 0)

    @property
    def exit_code(self) -> int | None:
        """None while it runs; 128 plus the signal's number if a signal ended it."""
        return self._guard.poll()

    def check(self) -> None:
        """:raises ProcessDiedError: the process has ended."""
        if self.exit_code is not None:
            raise ProcessDiedError(
                f"{self.name} ended with exit code {self.exit_code}. The end of {self.log}:\n{self.tail()}"
            )

    def wait(self, timeout: float | None = None) -> int:
        return self._guard.wait(timeout)

    def begin_to_stop(self) -> None:
        """Begin to stop it and return at once; :meth:`wait` for it afterwards."""
        if self._guard.stdin is not None and not self._guard.stdin.closed:
            self._guard.stdin.close()

    def stop(self) -> None:
        self.begin_to_stop()
        self.wait()
        if self._guard.stdout is not None:
            self._guard.stdout.close()

    def tail(self, lines: int = 30) -> str:
        """The last lines of its output."""
        return "\n".join(self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])


def stop_all(processes: Iterable[Guarded]) -> None:
    """Stop all at the same time: this takes only as long as the slowest."""
    each = list(processes)
    for process in each:
        process.begin_to_stop()
    for process in each:
        process.stop()
