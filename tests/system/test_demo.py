"""``make demo`` as a user runs it: its end, its interruption, and that no process remains."""

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
    """Start the demo in a folder of this test; kill it at the end if it still runs."""
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


def test_it_trains_four_models_publishes_one_and_leaves_no_process(demo, tmp_path):
    """Also right after a demo that was killed."""
    killed = demo()
    read_until(killed, "style.train: deferred")
    killed.kill()
    process = demo()
    output, _ = process.communicate(timeout=480)
    assert process.returncode == 0, output
    assert output.count("│ trained │") == 4
    assert output.count("│ listed") == 1
    assert "Every model is trained. Every file is listed." in output
    assert output.count("Its pages in Airflow open: all trainings, this run, each training (") == 2
    assert processes_of(tmp_path) == []


def test_an_interrupted_demo_leaves_no_process_and_prints_no_traceback(demo, tmp_path):
    signals = (signal.SIGINT, signal.SIGTERM)
    homes = {number: tmp_path / number.name for number in signals}
    processes = {number: demo(homes[number]) for number in signals}
    output = {number: read_until(processes[number], "style.train: deferred") for number in signals}
    for number, process in processes.items():
        process.send_signal(number)
        rest, _ = process.communicate(timeout=40)
        assert process.returncode != 0
        assert "Traceback" not in output[number] + rest
        assert processes_of(homes[number]) == []


def read_until(process: subprocess.Popen[str], text: str) -> str:
    output = ""
    for line in process.stdout:
        output += line
        if text in line:
            return output
    raise AssertionError(f"it ended before it printed {text!r}:\n{output}")


def processes_of(home: Path, patience: float = 45) -> list[str]:
    """Processes with the demo's folder in their environment or command line, after waiting for their end."""
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
