"""Airflow's configuration."""

from __future__ import annotations

from typing import Any


def conf() -> Any:
    """
    Return the configuration that this process runs with.

    Relies on ``airflow.configuration`` (all minors). Read when asked for: it reads a file when it is first imported.
    """
    from airflow.configuration import conf

    return conf
