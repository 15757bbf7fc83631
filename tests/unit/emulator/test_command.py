from __future__ import annotations

import ast
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from airflow_provider_scenario.emulator import server

COMMAND = [sys.executable, "-m", "airflow_provider_scenario.emulator"]


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_the_command_prints_one_line_when_it_listens_and_stops_at_once_without_output(stop):
    command = [*COMMAND, "--port", "0", "--api-key", "k", "--api-secret", "s"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    line = process.stdout.readline()
    assert line.startswith("Scenario emulator listening on http://127.0.0.1:")
    assert line.endswith("/v1 (key k, secret as given)\n")
    with httpx.Client(auth=("k", "s")) as kept_alive:
        assert kept_alive.get(line.split()[4] + "/models").status_code == 200
        begin = time.monotonic()
        process.send_signal(stop)
        rest, _ = process.communicate(timeout=60)
    assert (rest, process.returncode) == ("", 0)
    assert time.monotonic() - begin < 30  # a connection that is kept alive would hold it for longer


def test_a_port_in_use_is_reported_in_one_line(emulator):
    port = emulator.address.rpartition(":")[2]
    ended = subprocess.run([*COMMAND, "--port", port], capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr == f"The emulator cannot listen on 127.0.0.1:{port}: Address already in use\n"


def test_the_emulator_shares_no_code_with_the_rest_of_the_package():
    folder = Path(server.__file__).parent
    imported = {
        name
        for path in folder.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names])
        if name.startswith("airflow")
    }
    assert {name for name in imported if not name.startswith("airflow_provider_scenario.emulator")} == set()
