"""
Airflow's types that only a type checker needs; import this module under ``TYPE_CHECKING`` alone.

Relies on names that 3.3 has; where an older minor lacks one, nothing happens at run time.
"""

from __future__ import annotations

from airflow.sdk.definitions.mappedoperator import OperatorPartial
from airflow.sdk.types import Logger, TaskInstanceKey

__all__ = ["Logger", "OperatorPartial", "TaskInstanceKey"]
