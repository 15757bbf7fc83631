"""Fixtures: a real Airflow with all its processes, against the emulator, whose ledger the tests check."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from packaging.version import Version

import airflow_provider_scenario
from airflow_provider_scenario.emulator.server import running_emulator
from tests.airflow_versions import AIRFLOW
from tests.harness.airflow import AirflowUnderTest
from tests.system.pages import PATIENCE
from tests.system.statsd_listener import Statistics
from tests.witness import Witness

ROOT = Path(__file__).parents[2]
HEARTBEAT_TIMEOUT = "20" if Version("3.4") > AIRFLOW else "90"
"""
Seconds. Airflow 3.4 gives a killed task a minute to end, without heartbeats. If it misses them meanwhile, and the task
is in a loop and was cleared, the scheduler of 3.4.0b2 ends itself (UniqueViolation in ``complete_restart``).
"""

KEY, SECRET = "api_system_test_key", "system-test-secret-not-in-any-log"
TOKEN = "system-test-token-not-in-any-log"


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that the emulator serves, so that its workshop can fetch files from there."""
    return tmp_path_factory.mktemp("served")


@pytest.fixture(scope="session")
def emulator_process(served: Path) -> Iterator[str]:
    settings = {"training_seconds": 3, "listing_seconds": 4, "api_token": TOKEN}
    with running_emulator(api_key=KEY, api_secret=SECRET, files_folder=served, **settings) as emulator:
        yield emulator.url


@pytest.fixture
def emulator(emulator_process: str) -> Witness:
    witness = Witness(emulator_process, KEY, SECRET)
    witness.reset()
    witness.set(training_seconds=3, listing_seconds=4)
    return witness


@pytest.fixture(scope="session")
def database(request: pytest.FixtureRequest) -> Iterator[str | None]:
    """
    PostgreSQL in a session with tests marked ``full``, otherwise SQLite, which needs no installation.

    On SQLite, Airflow's own backfill sometimes fails with "database is locked": it reads inside a savepoint before it
    writes, and SQLite refuses the write if the data has changed since.
    """
    with contextlib.ExitStack() as stack:
        if any(item.get_closest_marker("full") for item in request.session.items):
            from tests.harness.postgres import own_database

            yield stack.enter_context(own_database())
        else:
            yield None


@pytest.fixture(scope="session")
def statistics() -> Iterator[Statistics]:
    """All metrics that this Airflow reports to StatsD."""
    with contextlib.closing(Statistics()) as statistics:
        yield statistics


@pytest.fixture(scope="session")
def connection(emulator_process: str) -> dict[str, Any]:
    """The connection to the emulator."""
    return {
        "conn_type": "scenario",
        "login": KEY,
        "password": SECRET,
        "host": emulator_process,
        "extra": {"project_id": "proj_emulator", "requests_per_minute": 1_000_000},
    }


@pytest.fixture(scope="session")
def airflow(
    emulator_process: str,
    connection: dict[str, Any],
    served: Path,
    database: str | None,
    statistics: Statistics,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[AirflowUnderTest]:
    folder = tmp_path_factory.mktemp("airflow")
    shutil.copytree(ROOT / "example_dags", folder / "dags")
    shutil.copytree(ROOT / "tests" / "system" / "dags", folder / "dags", dirs_exist_ok=True)
    with AirflowUnderTest(
        folder / "home",
        folder / "dags",
        sql_alchemy_conn=database,
        connections={
            "scenario_default": connection,
            "wrong_secret": {**connection, "password": "another-secret-not-in-any-log"},
            "ai_creation_workshop_default": {
                "conn_type": "ai_creation_workshop",
                "login": KEY,
                "password": SECRET,
                "host": emulator_process.removesuffix("/v1"),
                "extra": {"api_token": TOKEN},
            },
        },
        env={
            "LORA_DATASETS": str(tmp_path_factory.getbasetemp()),
            "LORA_ROOT": str(tmp_path_factory.getbasetemp()),
            "LORA_STORAGE": str(served),
            "LORA_PUBLIC_URL": f"{emulator_process.removesuffix('/v1')}/files",
            "PYTHONWARNINGS": "default::DeprecationWarning,default::PendingDeprecationWarning,default::FutureWarning",
        },
        config={
            "core.default_task_retry_delay": "1",
            "core.simple_auth_manager_users": "admin:admin,op:op,user:user,viewer:viewer",
            # The DAG files do not change; parsing them repeatedly would take half of the CPU.
            "dag_processor.min_file_process_interval": "3600",
            "metrics.statsd_on": "True",
            "metrics.statsd_port": str(statistics.port),
            "scheduler.task_instance_heartbeat_timeout": HEARTBEAT_TIMEOUT,
            "scheduler.task_instance_heartbeat_timeout_detection_interval": "5",
            "triggerer.triggerer_health_check_threshold": "6",
            "workers.min_heartbeat_interval": "1",
        },
    ) as airflow:
        yield airflow
        assert deprecations(airflow.home) == []


def deprecations(home: Path) -> list[str]:
    """Deprecation warnings about this package in the logs of all parts and tasks."""
    package = str(Path(airflow_provider_scenario.__file__).parent)
    logs = [*(home / "parts").glob("*.log"), *(home / "logs").rglob("*.log*")]
    lines = {line for log in logs for line in log.read_text(encoding="utf-8", errors="replace").splitlines()}
    return sorted(
        line for line in lines if package in line and re.search(r"Deprecat|FutureWarning|Removed\w+Warning", line)
    )


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def visit(airflow, browser):
    """Log a user in, with a theme and a window width; return Airflow's page."""
    contexts = []

    def visit(username="admin", *, theme="light", width=1440):
        context = browser.new_context(
            viewport={"width": width, "height": 900}, base_url=airflow.url, color_scheme=theme, timezone_id="Asia/Tokyo"
        )
        contexts.append(context)
        context.set_default_timeout(PATIENCE)
        page = context.new_page()
        page.goto("/auth/login")
        page.get_by_label("Username").fill(username)
        passwords = json.loads((airflow.home / "passwords.json").read_text())
        page.get_by_label("Password").fill(passwords[username])
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url(lambda url: "/auth/" not in url)
        return page

    yield visit
    for context in contexts:
        context.close()
