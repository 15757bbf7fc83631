"""Airflow's configuration."""

from __future__ import annotations

from typing import Any


def conf() -> Any:
    """
    Return the configuration that this process runs with.

    Relies on ``airflow.configuration`` (all minors). Imported late: the import reads a file.
    """
    from airflow.configuration import conf

    return conf
