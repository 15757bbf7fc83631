"""
Airflow's types for the type checker; import this module under ``TYPE_CHECKING`` alone.

Relies on names that 3.3 has, and on OpenLineage's provider. Nothing is imported at run time, so both may be missing.
"""

from __future__ import annotations

from typing import Any, TypeAlias

from airflow.providers.openlineage import extractors
from airflow.sdk.types import Logger, TaskInstanceKey

Lineage: TypeAlias = extractors.OperatorLineage[Any, Any]
"""What OpenLineage's listener takes from an operator: inputs, outputs and facets."""

__all__ = ["Lineage", "Logger", "TaskInstanceKey"]
