"""The same system tests once more, on the lowest Airflow that we support."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.full

LOWEST = "3.1.8"
ROOT = Path(__file__).parents[2]


def test_everything_works_on_the_lowest_airflow(tmp_path):
    python = tmp_path / "venv" / "bin" / "python"
    run(sys.executable, "-m", "venv", str(tmp_path / "venv"))
    packages = [f"apache-airflow=={LOWEST}", "--editable", f"{ROOT}[demo]", "pytest", "pytest-asyncio"]
    run(str(python), "-m", "pip", "install", "--quiet", *packages)

    installed = run(str(python), "-c", "import airflow; print(airflow.__version__)")
    assert installed.strip().endswith(LOWEST)
    tests = ["test_waiting.py", "test_example_dags.py", "test_secrets.py"]
    report = run(
        *(str(python), "-m", "pytest", "-m", "not full", "-p", "no:cacheprovider", "-q"),
        *(str(ROOT / "tests" / "system" / name) for name in tests),
        env={**os.environ, "AIRFLOW_HOME": str(tmp_path / "airflow")},
    )
    assert " passed" in report


def run(*command: str, env: dict[str, str] | None = None) -> str:
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=env, check=False)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout[-6000:]}\n{done.stderr[-3000:]}"
    return done.stdout
