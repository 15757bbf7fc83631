"""Airflow's version."""

from __future__ import annotations


def airflow_version() -> str:
    """Return the version of Airflow's core, for messages. Relies on ``airflow.__version__`` (all minors)."""
    from airflow import __version__

    return __version__
