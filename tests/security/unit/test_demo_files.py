"""Other users of the machine can read neither files of the demo nor secrets in its command lines."""

from __future__ import annotations

import os
import sys
import uuid
from pathlib import Path

import pytest

from airflow_provider_scenario.demo import emulator_process
from airflow_provider_scenario.demo.emulator_process import EmulatorProcess
from airflow_provider_scenario.demo.processes import Guarded
from airflow_provider_scenario.demo.rest import AirflowError
from tests.harness.airflow import AirflowUnderTest


@pytest.fixture(autouse=True)
def careless_user():
    """A user whose umask lets everybody read and write."""
    before = os.umask(0)
    yield
    os.umask(before)


def mode(path):
    return path.stat().st_mode & 0o777


@pytest.fixture
def airflow(tmp_path):
    airflow = AirflowUnderTest(tmp_path / "home", tmp_path)
    yield airflow
    airflow.stop()


def test_only_the_owner_can_read_the_folder_with_keys_and_passwords(airflow):
    airflow._take_home()
    assert mode(airflow.home) == 0o700
    assert {path.name: mode(path) for path in airflow.home.iterdir()} == {
        "passwords.json": 0o600,
        "local-airflow.lock": 0o600,
    }


def test_a_folder_of_an_earlier_version_becomes_private(airflow):
    airflow.home.mkdir(mode=0o777)
    (airflow.home / "local-airflow.lock").touch()
    (airflow.home / "passwords.json").write_text("{}")
    airflow._take_home()
    assert (mode(airflow.home), mode(airflow.home / "passwords.json")) == (0o700, 0o600)


def test_a_folder_of_another_user_is_refused(airflow, monkeypatch):
    def not_yours(*_):
        raise PermissionError

    monkeypatch.setattr(Path, "chmod", not_yours)
    with pytest.raises(AirflowError, match="belongs to another user"):
        airflow._take_home()
    assert list(airflow.home.iterdir()) == []


def test_only_the_owner_can_read_what_a_process_of_the_demo_writes(tmp_path):
    written = tmp_path / "airflow.cfg"
    process = Guarded("a part", [sys.executable, "-c", f"open({str(written)!r}, 'w')"], log=tmp_path / "part.log")
    try:
        assert process.wait() == 0
    finally:
        process.stop()
    assert (mode(written), mode(tmp_path / "part.log")) == (0o600, 0o600)


def test_only_the_owner_can_read_what_an_airflow_command_writes(airflow, monkeypatch, tmp_path):
    written = tmp_path / "written"
    command = [sys.executable, "-c", "import sys; open(sys.argv[1], 'w')"]
    monkeypatch.setattr(airflow, "airflow", command)
    airflow.cli(str(written))
    assert mode(written) == 0o600


def test_no_command_line_and_no_log_has_a_secret(tmp_path, monkeypatch):
    secret = uuid.uuid4().hex
    for name in ("SECRET", "TOKEN"):
        monkeypatch.setattr(emulator_process, name, f"{name}-{secret}")
    with EmulatorProcess(tmp_path / "emulator.log") as emulator:
        pids = [entry for entry in Path("/proc").iterdir() if entry.name.isdigit()]
        lines = [line for pid in pids if (line := command_line(pid))]
        assert [line for line in lines if str(tmp_path) in line]  # the guard's, which holds the emulator's too
        assert [line for line in lines if secret in line] == []
        with emulator.client() as client:
            assert client.get_model("flux.1-dev").id  # it took the secret from the environment
    assert secret not in (tmp_path / "emulator.log").read_text()
    assert mode(tmp_path / "emulator.log") == 0o600


def command_line(process):
    try:
        return (process / "cmdline").read_text(errors="replace")
    except OSError:  # it has ended
        return ""
