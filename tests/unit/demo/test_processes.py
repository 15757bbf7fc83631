"""A part of a local Airflow can be taken away as a machine is: with all it has started, and without a warning."""

from __future__ import annotations

import os
import sys
import time

import pytest

from tests.harness.processes import KillableProcess

# A process, and its child in a session of its own, as Airflow's tasks are; each writes down that it was asked to end.
# One write a line: print() makes several where Python does not buffer, and the two share a pipe.
FAMILY = """
import os, signal, sys, time
child = os.fork() == 0
name = "child" if child else "parent"
if child:
    os.setsid()
signal.signal(signal.SIGTERM, lambda *_: os.write(1, f"{name} was asked\\n".encode()))
os.write(1, f"{name} {os.getpid()}\\n".encode())
while True:
    time.sleep(1)
"""


@pytest.fixture
def family(tmp_path):
    process = KillableProcess("family", [sys.executable, "-c", FAMILY], log=tmp_path / "family.log", grace=2)
    yield process
    process.stop()


def test_a_crash_takes_all_it_has_started_and_asks_nobody(family):
    pids = pids_of(family)
    family.crash()
    assert [pid for pid in pids if is_alive(pid)] == []
    assert "was asked" not in family.tail()
    assert family.exit_code == 137


def test_a_stop_asks_first(family):
    pids = pids_of(family)
    family.stop()
    assert [pid for pid in pids if is_alive(pid)] == []
    assert {"parent was asked", "child was asked"} <= set(family.tail().splitlines())


def pids_of(family) -> list[int]:
    deadline = time.monotonic() + 60
    while len(said := family.tail().split()) < 4:
        assert time.monotonic() < deadline, said
        time.sleep(0.02)
    return [int(said[1]), int(said[3])]


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
