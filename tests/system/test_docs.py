"""
The whole DAGs of the docs, unchanged, in one real Airflow, all at once.

The commands of the docs that make folders and pools run first, with a home folder of the test. ``test_readme.py`` runs
the DAGs that need a bucket.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from airflow_provider_scenario.emulator.server import running_emulator
from tests.code_blocks import ROOT, Block, all_blocks, blocks_of, commands, whole_dags
from tests.harness.airflow import AirflowUnderTest
from tests.harness.postgres import own_database
from tests.harness.waiting import eventually
from tests.witness import Witness

pytestmark = pytest.mark.full

MAKES_FOLDERS = {"mkdir", "cp"}
WITH_A_BUCKET = {"README.md", "docs/datasets.md"}
DAGS = {dag_id: block for dag_id, block in whole_dags().items() if block.page not in WITH_A_BUCKET}
PATIENCE = 400  # seconds; all DAGs share four worker slots
LOGICAL_DATES = {"train_daily": "2026-01-05T00:00:00Z"}
"""Of DAGs that are triggered for a day; the backfill guide has datasets on this one."""


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    """A home folder with the datasets that the quickstart draws and the folders that the guides make."""
    home = tmp_path_factory.mktemp("docs")
    env = {**os.environ, "HOME": str(home)}
    (draw,) = [block for block in blocks_of(ROOT / "docs" / "quickstart.md") if "ImageDraw" in block.code]
    subprocess.run([sys.executable, "-c", draw.code], env=env, check=True)
    for block in shell_blocks():
        if {program for program, *_ in commands(block.code)} <= MAKES_FOLDERS:
            subprocess.run(["bash", "-e"], input=block.code, text=True, env=env, cwd=home, check=True)
    return home


@pytest.fixture(scope="module")
def emulator(home):
    files = home / ".cache" / "scenario-emulator-files"
    with running_emulator(training_seconds=2, listing_seconds=0, files_folder=files) as emulator:
        yield Witness(emulator.url)


@pytest.fixture(scope="module")
def airflow(home, emulator):
    """On PostgreSQL: with so many DAGs at once, Airflow's API fails on SQLite with "database is locked"."""
    shutil.rmtree(home / "airflow", ignore_errors=True)
    (home / "airflow" / "dags").mkdir(parents=True)
    for dag_id, block in DAGS.items():
        (home / "airflow" / "dags" / f"{dag_id}.py").write_text(block.code, encoding="utf-8")
    login = {"login": "demo", "password": "demo"}
    with (
        own_database() as database,
        AirflowUnderTest(
            home / "airflow" / "home",
            home / "airflow" / "dags",
            sql_alchemy_conn=database,
            connections={
                "scenario_default": {
                    **login,
                    "conn_type": "scenario",
                    "host": emulator.url,
                    "extra": {"project_id": "proj_emulator", "requests_per_minute": 1_000_000},
                },
                "ai_creation_workshop_default": {
                    **login,
                    "conn_type": "ai_creation_workshop",
                    "host": emulator.root,
                    "extra": {"api_token": "demo"},
                },
            },
            env={
                "HOME": str(home),
                "AIRFLOW_VAR_LORA_STORAGE": str(home / ".cache" / "scenario-emulator-files"),
                "AIRFLOW_VAR_LORA_PUBLIC_URL": f"{emulator.root}/files",
            },
        ) as airflow,
    ):
        for pool in pools():
            airflow.cli(*pool)
        yield airflow


@pytest.fixture(scope="module")
def runs(airflow):
    """Start all DAGs at once, to save time."""
    return {dag_id: trigger(airflow, dag_id) for dag_id in DAGS}


@pytest.mark.parametrize("dag_id", [pytest.param(dag_id, id=f"{dag_id} of {DAGS[dag_id].page}") for dag_id in DAGS])
def test_a_dag_of_the_docs_succeeds_as_it_stands(airflow, runs, dag_id):
    eventually(lambda: has_ended(airflow, dag_id, runs[dag_id]), f"{dag_id} has ended", seconds=PATIENCE)
    states = {
        f"{task['task_id']}[{task['map_index']}]": task["state"]
        for task in airflow.task_instances(dag_id, runs[dag_id])
    }
    assert set(states.values()) == {"success"}, states


def test_every_training_of_the_docs_has_succeeded(airflow, emulator, runs):
    for dag_id, run in runs.items():
        eventually(
            lambda dag_id=dag_id, run=run: has_ended(airflow, dag_id, run), f"{dag_id} has ended", seconds=PATIENCE
        )
    trainings = emulator.ledger()["trainings"]
    assert {training["status"] for training in trainings} == {"trained"}
    assert len(trainings) >= len([dag_id for dag_id, block in DAGS.items() if "ScenarioTrain" in block.code])
    assert [file["status"] for model in emulator.ledger()["synced_models"] for file in model["files"]] == [10]


def shell_blocks() -> list[Block]:
    return [block for block in all_blocks() if block.language == "bash" and not block.not_checked]


def pools() -> list[list[str]]:
    """The commands that make pools, without ``airflow``; the same pool once."""
    found = [
        arguments for block in shell_blocks() for program, *arguments in commands(block.code) if program == "airflow"
    ]
    return list({each[2]: each for each in found if each[:2] == ["pools", "set"]}.values())


def trigger(airflow, dag_id: str) -> str:
    if airflow.wait_for_dag(dag_id)["is_paused"]:
        airflow.call("PATCH", f"/dags/{dag_id}", json={"is_paused": False})
    body = {"logical_date": LOGICAL_DATES.get(dag_id)}
    return airflow.call("POST", f"/dags/{dag_id}/dagRuns", json=body)["dag_run_id"]


def has_ended(airflow, dag_id: str, run: str) -> bool:
    """Whether the run has ended; until then, approve what it asks for."""
    if airflow.run_state(dag_id, run) in ("success", "failed"):
        return True
    for task in airflow.task_instances(dag_id, run):
        # Airflow 3.3 has the state awaiting_input; in earlier versions the task is deferred.
        if task["operator"] == "ApprovalOperator" and task["state"] in ("awaiting_input", "deferred"):
            answer = f"/dags/{dag_id}/dagRuns/{run}/taskInstances/{task['task_id']}/-1/hitlDetails"
            asked = airflow.call("GET", answer)
            age = datetime.now(UTC) - datetime.fromisoformat(asked["created_at"])
            # Airflow 3.3.2 fails a task that is answered before its scheduler knows that it waits.
            if not asked["response_received"] and age > timedelta(seconds=10):
                airflow.call("PATCH", answer, json={"chosen_options": ["Approve"]})
    return False
