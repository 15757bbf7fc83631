"""``make demo`` as a person runs it: its end, its interruption, and what it leaves behind (nothing)."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = [pytest.mark.full, pytest.mark.alone]


@pytest.fixture
def demo(tmp_path):
    """Start the demo in a folder of this test; whatever happens, end it."""
    started = []

    def start(home: Path = tmp_path) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "airflow_provider_scenario.demo",
                "--home",
                str(home),
                "--training-seconds",
                "5",
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()


def test_it_trains_four_models_publishes_one_says_so_and_leaves_nothing_running(demo, tmp_path):
    """Also right after one that was killed."""
    killed = demo()
    read_until(killed, "style.train: deferred")
    killed.kill()
    process = demo()
    said, _ = process.communicate(timeout=480)
    assert process.returncode == 0, said
    assert said.count("│ trained │") == 4
    assert said.count("│ listed") == 1
    assert "Every model is trained. Every file is listed." in said
    assert said.count("Its pages in Airflow open: all trainings, this run, each training (") == 2
    assert left_behind(tmp_path) == []


def test_interrupted_it_leaves_nothing_running_and_no_traceback(demo, tmp_path):
    signals = (signal.SIGINT, signal.SIGTERM)
    homes = {number: tmp_path / number.name for number in signals}
    processes = {number: demo(homes[number]) for number in signals}
    said = {number: read_until(processes[number], "style.train: deferred") for number in signals}
    for number, process in processes.items():
        process.send_signal(number)
        rest, _ = process.communicate(timeout=40)
        assert process.returncode != 0
        assert "Traceback" not in said[number] + rest
        assert left_behind(homes[number]) == []


def read_until(process: subprocess.Popen[str], text: str) -> str:
    said = ""
    for line in process.stdout:
        said += line
        if text in line:
            return said
    raise AssertionError(f"it ended before it said {text!r}:\n{said}")


def left_behind(home: Path, patience: float = 45) -> list[str]:
    """Processes that still have the demo's folder in their environment or on their command line."""
    deadline = time.monotonic() + patience
    while (alive := list(filter(None, (of(process, home) for process in Path("/proc").iterdir())))) and (
        time.monotonic() < deadline
    ):
        time.sleep(0.5)
    return alive


def of(process: Path, home: Path) -> str | None:
    if not process.name.isdigit() or int(process.name) == os.getpid():
        return None
    try:
        command = (process / "cmdline").read_bytes()
        environment = (process / "environ").read_bytes()
    except OSError:
        return None
    return command.replace(b"\0", b" ").decode() if str(home).encode() in command + environment else None
