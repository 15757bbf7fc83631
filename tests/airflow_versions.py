"""What tests must know of the Airflow they run on."""

from __future__ import annotations

from airflow import __version__
from packaging.version import Version

try:
    from airflow.sdk.exceptions import AirflowSkipException, TaskDeferred
except ImportError:  # Airflow 3.1
    from airflow.exceptions import AirflowSkipException, TaskDeferred

try:
    import airflow.sdk.plugins_manager  # noqa: F401  the plugins are read before a listener joins
    from airflow.sdk.listener import get_listener_manager
except ImportError:  # Airflow 3.1
    from airflow.listeners.listener import get_listener_manager

__all__ = [
    "AIRFLOW",
    "KEEP_TASK_STATE",
    "SKIP_INSTEAD_OF_FAILING",
    "WAYS_TO_REMEMBER",
    "AirflowSkipException",
    "TaskDeferred",
    "get_listener_manager",
]

AIRFLOW = Version(Version(__version__).base_version)
"""The release, or the one that a pre-release comes before."""

KEEP_TASK_STATE = [False, True] if Version("3.4") <= AIRFLOW else [None]
"""Whether whoever clears asks to keep the task's state: only from 3.4 on can one choose."""

SKIP_INSTEAD_OF_FAILING = ["soft_fail", "never_fail"] if Version("3.2") <= AIRFLOW else ["soft_fail"]
"""What a deferrable sensor may be given for that: 3.1 forgets never_fail when it has deferred."""

WAYS_TO_REMEMBER = [
    *(["task state"] if Version("3.3") <= AIRFLOW else []),
    *(["no task state"] if Version("3.4") > AIRFLOW else []),
]
"""How an attempt can remember earlier ones. ``make test`` runs on 3.3, and tests both ways there."""
