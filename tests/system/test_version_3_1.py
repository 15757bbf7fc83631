"""The system tests to which Airflow's version matters, once more, on the lowest that we support."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.full

LOWEST = "3.1.8"
ROOT = Path(__file__).parents[2]
NO_MATTER_OF_ITS_VERSION = [
    "event_of_a_listing",
    "many_machines",
    "makes_a_composition",
    "link_is_there_while_a_worker_is_held",
    "cancelling_cancels_once",
    "sensor_that_is_killed",
    "cancelled_by_somebody_else",
    "looked_at_once_an_interval",
    "wrong_credentials",
    "without_a_triggerer",
    "that_fails and blocking",
    "wait-blocking",
    "statistics and blocking",
]


def test_what_depends_on_its_version_works_on_the_lowest_airflow(tmp_path):
    python = tmp_path / "venv" / "bin" / "python"
    run(sys.executable, "-m", "venv", str(tmp_path / "venv"))
    packages = [f"apache-airflow=={LOWEST}", "--editable", f"{ROOT}[demo]", "pytest", "pytest-asyncio", "statsd"]
    run(str(python), "-m", "pip", "install", "--quiet", *packages)

    installed = run(str(python), "-c", "import airflow; print(airflow.__version__)")
    assert installed.strip().endswith(LOWEST)
    tests = ["test_waiting.py", "test_example_dags.py", "test_secrets.py"]
    left_out = " and ".join(f"not ({name})" for name in NO_MATTER_OF_ITS_VERSION)
    report = run(
        *(str(python), "-m", "pytest", "-m", "not full", "-k", left_out, "-p", "no:cacheprovider", "-q"),
        *(str(ROOT / "tests" / "system" / name) for name in tests),
        env={**os.environ, "AIRFLOW_HOME": str(tmp_path / "airflow")},
    )
    assert " passed" in report


def run(*command: str, env: dict[str, str] | None = None) -> str:
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=env, check=False)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout[-6000:]}\n{done.stderr[-3000:]}"
    return done.stdout
