from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = {"requests", "pydantic", "urllib3", "airflow", "difflib", "email", "logging", "json"}


def loaded_by(module: str) -> set[str]:
    script = f"import sys; before = set(sys.modules); import {module}; print(*(set(sys.modules) - before))"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    return {name.partition(".")[0] for name in result.stdout.split()}


@pytest.mark.parametrize("module", ["defaults", "errors", "scenario.trainers", "scenario.media_files"])
def test_what_operators_import_while_dag_files_are_parsed_is_light(module):
    assert loaded_by(f"airflow_provider_scenario.client.{module}") & HEAVY == set()


@pytest.mark.parametrize("module", ["scenario", "workshop"])
def test_the_client_knows_nothing_of_airflow(module):
    assert "airflow" not in loaded_by(f"airflow_provider_scenario.client.{module}")
