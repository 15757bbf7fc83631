"""``python -m airflow_provider_scenario``, as a process."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

COMMAND = [sys.executable, "-m", "airflow_provider_scenario"]


def test_the_emulator_listens_and_stops_at_a_signal():
    command = [*COMMAND, "emulator", "--port", "0", "--api-key", "k", "--api-secret", "s"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        line = process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=100)
    assert line.startswith("Scenario emulator listening on http://127.0.0.1:")
    assert line.endswith("/v1 (key k, secret as given)\n")
    assert (process.returncode, out) == (0, ""), err


@pytest.mark.parametrize(("arguments", "code"), [(["--help"], 0), (["models"], 2), (["nothing"], 2)])
def test_exit_codes_of_the_parser(arguments, code):
    done = subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, timeout=100)
    assert done.returncode == code
    assert "Traceback" not in done.stderr


def test_output_that_nobody_reads_to_its_end_is_no_traceback(emulator):
    """As ``… | head`` does it: the reader has closed the pipe before anything is written."""
    with subprocess.Popen(
        [*COMMAND, "models", "list"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        process.stdout.close()
        err = process.stderr.read()
    assert process.returncode == 1
    assert "Traceback" not in err
    assert "Exception ignored" not in err
