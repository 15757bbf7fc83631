"""What tests must know of the Airflow they run on."""

from __future__ import annotations

from airflow import __version__
from packaging.version import Version

try:
    from airflow.sdk.exceptions import AirflowSkipException, TaskDeferred
except ImportError:  # Airflow 3.1
    from airflow.exceptions import AirflowSkipException, TaskDeferred

__all__ = ["AIRFLOW", "AirflowSkipException", "TaskDeferred"]

AIRFLOW = Version(Version(__version__).base_version)
"""The release, or the one that a pre-release comes before."""
