"""Guarded processes end with everything they have started: after a signal when stopped, at once in a crash."""

from __future__ import annotations

import os
import sys

import pytest

from tests.harness.processes import KillableProcess
from tests.harness.waiting import eventually

# A process, and its child in a session of its own, as Airflow's tasks have; each prints when it gets SIGTERM.
# One write per line: print() makes several if Python does not buffer, and the two share a pipe.
FAMILY = """
import os, signal, sys, time
child = os.fork() == 0
name = "child" if child else "parent"
if child:
    os.setsid()
signal.signal(signal.SIGTERM, lambda *_: os.write(1, f"{name} got SIGTERM\\n".encode()))
os.write(1, f"{name} {os.getpid()}\\n".encode())
while True:
    time.sleep(1)
"""


@pytest.fixture
def family(tmp_path):
    process = KillableProcess("family", [sys.executable, "-c", FAMILY], log=tmp_path / "family.log", grace=2)
    yield process
    process.stop()


def test_a_crash_kills_everything_at_once_without_sigterm(family):
    pids = pids_of(family)
    family.crash()
    assert [pid for pid in pids if is_alive(pid)] == []
    assert "got SIGTERM" not in family.tail()
    assert family.exit_code == 137


def test_a_stop_sends_sigterm_first(family):
    pids = pids_of(family)
    family.stop()
    assert [pid for pid in pids if is_alive(pid)] == []
    assert {"parent got SIGTERM", "child got SIGTERM"} <= set(family.tail().splitlines())


def pids_of(family) -> list[int]:
    eventually(lambda: len(family.tail().split()) >= 4, "both processes have printed their ids", pause=0.02)
    words = family.tail().split()
    return [int(words[1]), int(words[3])]


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
