from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, settings
from packaging.version import Version

# Airflow's examples come with a listener, and a task with listeners needs a worker at its end.
os.environ.setdefault("AIRFLOW__CORE__LOAD_EXAMPLES", "False")

# How long an example takes says nothing on a machine that does other things beside.
settings.register_profile("patient", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")

# Not a conftest.py of tests/system: tests/security/system uses them too, and each process starts one Airflow.
pytest_plugins = ["tests.system.fixtures"]


def pytest_collection_modifyitems(config, items):
    """Leave out what this Airflow does not have yet: marked with ``since("3.4")``."""
    from tests.airflow_versions import AIRFLOW

    def is_there(item):
        return all(Version(mark.args[0]) <= AIRFLOW for mark in item.iter_markers("since"))

    missing = [item for item in items if not is_there(item)]
    if missing:
        config.hook.pytest_deselected(items=missing)
        items[:] = [item for item in items if is_there(item)]


def pytest_make_parametrize_id(val, argname):
    """Keep ids short: each is sent between processes, set in the environment and printed, megabytes as they are."""
    text = val if isinstance(val, str | bytes) else str(val) if isinstance(val, int) else ""
    return f"{argname} of {len(text)}: {text[:30]!r}" if len(text) > 120 else None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """In CI nothing may be skipped: what is not run is not known to work."""
    report = yield
    if os.environ.get("CI") and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"Skipped in CI: {report.longrepr}"
    return report
