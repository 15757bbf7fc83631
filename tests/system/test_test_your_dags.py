"""The guide to tests of DAGs, as a reader does it: its files in a folder, and pytest finds the plugin itself."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest

from tests.code_blocks import ROOT, blocks_of

GUIDE = ROOT / "docs" / "guides" / "test_your_dags.md"
PICTURES = ROOT / "example_dags" / "datasets" / "hero-character"


@pytest.mark.every_minor
def test_all_tests_of_the_guide_pass(tmp_path):
    for number, block in enumerate(block for block in blocks_of(GUIDE) if block.language == "python"):
        first = block.code.partition("\n")[0]
        has_name = first.startswith("# ")
        # What belongs into a conftest.py works in a module of tests as well.
        file = tmp_path / (first.removeprefix("# ") if has_name else f"tests/test_block_{number}.py")
        file.parent.mkdir(exist_ok=True)
        file.write_text(block.code if "def test_" in block.code or has_name else block.code + WITH_IT)
    (tmp_path / "home" / "datasets" / "hero").mkdir(parents=True)
    for picture in sorted(PICTURES.glob("*.jpg"))[:2]:
        shutil.copy(picture, tmp_path / "home" / "datasets" / "hero")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "PYTEST"))}
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-W", "error::DeprecationWarning:tests"]
    run = subprocess.run(
        command, cwd=tmp_path, env={**environment, "HOME": str(tmp_path / "home")}, capture_output=True, text=True
    )
    assert "6 passed" in run.stdout, run.stdout + run.stderr


WITH_IT = """

def test_the_setting_is_there(scenario_emulator):
    assert scenario_emulator.read("settings")["parallel_training"] == 2
"""
