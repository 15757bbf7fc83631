"""Airflow's own statistics (StatsD, OpenTelemetry)."""

from __future__ import annotations

from functools import cache
from typing import Any


@cache
def stats() -> Any:
    """
    Return an object with ``incr``, ``gauge`` and ``timing``.

    Relies on ``airflow.sdk.observability.stats``: its functions since 3.3, its class ``Stats`` on 3.2;
    ``airflow.stats.Stats`` on 3.1. Imported late: parsing a DAG file does not need it.
    """
    try:
        from airflow.sdk.observability import stats
    except ImportError:  # Airflow 3.1
        from airflow.stats import Stats

        return Stats
    return stats if hasattr(stats, "incr") else stats.Stats
