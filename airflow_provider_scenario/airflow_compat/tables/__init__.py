"""
Reads tasks from Airflow's database: one adapter for each schema, picked once.

No public interface returns the XComs and rendered fields of hundreds of task instances at once. Below 3.4 both are
keyed by DAG, run, task and map index, from 3.4 on by the id of the task instance.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module

from airflow_provider_scenario.airflow_compat.tables.rows import (
    PushedKeys,
    Tables,
    TablesChangedError,
    TaskKey,
    TaskRow,
    database_session,
)

__all__ = ["PushedKeys", "Tables", "TablesChangedError", "TaskKey", "TaskRow", "database_session", "tables"]


@cache
def tables() -> Tables:
    """
    Return the adapter for this Airflow's schema.

    Relies on ``RenderedTaskInstanceFields``, which has ``task_instance_id`` from 3.4 on and ``map_index`` before. Each
    adapter checks the columns that it reads.

    :raises TablesChangedError: no adapter knows this Airflow's tables.
    """
    try:
        from airflow.models.renderedtifields import RenderedTaskInstanceFields as Rendered

        name = "by_task_instance" if hasattr(Rendered, "task_instance_id") else "by_map_index"
        adapter: Tables = import_module(f"{__name__}.{name}").Adapter()
    except ImportError as error:
        raise TablesChangedError(str(error)) from error
    return adapter
