"""What Airflow's configuration of the local Airflow names by import path; imports nothing."""

from __future__ import annotations

PATIENT_SQLITE = {"timeout": 30}
"""Seconds a process waits for another one's write before it gives up with "database is locked"."""


def hostname() -> str:
    """The name that parts find each other by: a machine's own name need not be resolvable, this one is."""
    return "localhost"
