"""
Airflow's types for the type checker; import this module under ``TYPE_CHECKING`` alone.

Relies on names that 3.3 has. Nothing is imported at run time, so older minors may lack them.
"""

from __future__ import annotations

from airflow.sdk.types import Logger, TaskInstanceKey

__all__ = ["Logger", "TaskInstanceKey"]
