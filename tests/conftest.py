from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, settings
from packaging.version import Version

# Airflow's examples have a listener, and a task with listeners needs a worker at its end.
os.environ.setdefault("AIRFLOW__CORE__LOAD_EXAMPLES", "False")
# Whatever transport the developer's environment names, no test but those of OpenLineage reports to it.
os.environ.setdefault("AIRFLOW__OPENLINEAGE__DISABLED", "True")

# On a busy machine the duration of an example means nothing.
settings.register_profile("patient", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")

# Not in tests/system/conftest.py: tests/security/system uses these fixtures too, and each process starts one Airflow.
pytest_plugins = ["tests.system.fixtures"]


def pytest_collection_modifyitems(config, items):
    """Leave out tests marked with a later Airflow than this one, such as ``since("3.4")``."""
    from tests.airflow_versions import AIRFLOW

    def is_there(item):
        return all(Version(mark.args[0]) <= AIRFLOW for mark in item.iter_markers("since"))

    missing = [item for item in items if not is_there(item)]
    if missing:
        config.hook.pytest_deselected(items=missing)
        items[:] = [item for item in items if is_there(item)]


def pytest_make_parametrize_id(val, argname):
    """Shorten ids of megabytes: ids are sent between processes, set in the environment and printed."""
    text = val if isinstance(val, str | bytes) else str(val) if isinstance(val, int) else ""
    return f"{argname} of {len(text)}: {text[:30]!r}" if len(text) > 120 else None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """In CI a skipped test is a failure."""
    report = yield
    if os.environ.get("CI") and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"Skipped in CI: {report.longrepr}"
    return report
