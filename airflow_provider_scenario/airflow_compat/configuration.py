"""Airflow's configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow.configuration import AirflowConfigParser


def conf() -> AirflowConfigParser:
    """
    Return the configuration that this process runs with.

    Relies on ``airflow.configuration`` (all minors). Imported late: the import reads a file.
    """
    from airflow.configuration import conf

    return conf
