"""Trainings that end right after their tasks have deferred, while these tasks need a worker again."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.harness.airflow import AirflowUnderTest
from tests.harness.postgres import own_database

pytestmark = [pytest.mark.full, pytest.mark.alone]

DAGS = Path(__file__).parent / "dags"
DATASETS = Path(__file__).parents[2] / "example_dags" / "datasets"
LORAS = 16


@pytest.fixture
def airflow_with_default_intervals(tmp_path, connection):
    """An Airflow whose supervisors check their tasks at the default, long interval."""
    dags = tmp_path / "dags"
    shutil.copytree(DATASETS, dags / "datasets")
    shutil.copy(DAGS / "minors.py", dags)
    with (
        own_database() as database,
        AirflowUnderTest(
            tmp_path / "home", dags, sql_alchemy_conn=database, connections={"scenario_default": connection}
        ) as airflow,
    ):
        yield airflow


def test_no_result_is_lost(airflow_with_default_intervals, emulator):
    """If the end of a task's first process is reported late, Airflow takes it for the end of the second."""
    emulator.set(training_seconds=0.1)
    runs = [airflow_with_default_intervals.trigger("minor_lora_emits") for _ in range(LORAS)]
    states = [airflow_with_default_intervals.wait_for_run("minor_lora_emits", run) for run in runs]
    attempts = [
        airflow_with_default_intervals.task_instance("minor_lora_emits", run, "train")["try_number"] for run in runs
    ]
    assert (states, attempts) == (["success"] * LORAS, [1] * LORAS)
