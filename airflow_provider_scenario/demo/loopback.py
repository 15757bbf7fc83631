"""Values that the local Airflow's configuration names by import path. Imports nothing, so that Airflow starts fast."""

from __future__ import annotations

PATIENT_SQLITE = {"timeout": 30}
"""Seconds that a process waits for another one's write before it fails with "database is locked"."""


def hostname() -> str:
    """The host name of all parts: a machine's own name may not be resolvable."""
    return "localhost"
