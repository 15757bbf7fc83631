"""What differs between the versions of Airflow that the tests run on."""

from __future__ import annotations

from airflow import __version__
from packaging.version import Version

try:
    from airflow.sdk.exceptions import AirflowSkipException, TaskDeferred
except ImportError:  # Airflow 3.1
    from airflow.exceptions import AirflowSkipException, TaskDeferred

try:
    import airflow.sdk.plugins_manager  # noqa: F401  loads the plugins before a listener is added
    from airflow.sdk.listener import get_listener_manager
except ImportError:  # Airflow 3.1
    from airflow.listeners.listener import get_listener_manager

__all__ = [
    "AIRFLOW",
    "KEEP_TASK_STATE",
    "SKIP_INSTEAD_OF_FAILING",
    "STORES",
    "AirflowSkipException",
    "TaskDeferred",
    "get_listener_manager",
]

AIRFLOW = Version(Version(__version__).base_version)
"""The version; for a pre-release, the version that it precedes."""

KEEP_TASK_STATE = [False, True] if Version("3.4") <= AIRFLOW else [None]
"""Values of ``keep_task_state`` for a clear; None before 3.4, which has no such choice."""

SKIP_INSTEAD_OF_FAILING = ["soft_fail", "never_fail"] if Version("3.2") <= AIRFLOW else ["soft_fail"]
"""Arguments of a deferrable sensor that skip instead of failing: 3.1 loses never_fail in the deferral."""

STORES = [
    *(["task state"] if Version("3.3") <= AIRFLOW else []),
    *(["no task state"] if Version("3.4") > AIRFLOW else []),
]
"""Where an attempt stores records for later ones. ``make test`` runs on 3.3 and tests both."""
