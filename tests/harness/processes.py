"""Processes that a test kills."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

from airflow_provider_scenario.demo.guard import descendants
from airflow_provider_scenario.demo.processes import Guarded
from tests.harness.waiting import eventually

STOPPED, ZOMBIE, GONE = "T", "Z", ""
"""States of a process in ``/proc``; a zombie has ended, and its guard has not read its exit code yet."""


class KillableProcess(Guarded):
    """A guarded process that can also be killed, alone or with everything it has started."""

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Send a signal to the process itself. If it dies, its guard ends what it has started."""
        if self.exit_code is None:
            os.kill(self.pid, number)

    def crash(self) -> None:
        """
        Kill the process and everything it has started at the same moment, as when its machine loses power.

        The guard is stopped meanwhile: it sends SIGTERM to the children of a process that has died.
        """
        guard = self._guard.pid
        os.kill(guard, signal.SIGSTOP)
        try:
            eventually(lambda: _state(guard) == STOPPED, "the guard is stopped", pause=0.005)
            eventually(lambda: _killed_all_below(guard), f"all processes of {self.name} are dead", pause=0.005)
        finally:
            os.kill(guard, signal.SIGCONT)
        self.stop()


def _killed_all_below(guard: int) -> bool:
    """Kill what lives below the guard; True once nothing does."""
    alive = [pid for pid in descendants(guard) if _state(pid) not in (ZOMBIE, GONE)]
    for pid in alive:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return not alive


def _state(pid: int) -> str:
    try:
        return Path("/proc", str(pid), "stat").read_text(errors="replace").rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return GONE
