"""OpenLineage's provider: whether its listener reports a task, and what it takes from an operator."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow.sdk import BaseOperator

    from airflow_provider_scenario.airflow_compat.types import Lineage

_PROVIDER = "airflow.providers.openlineage"
_POLICY = f"{_PROVIDER}.utils.emission_policy"


def is_open_lineage(listener: object) -> bool:
    """Whether this is the listener of OpenLineage's provider. The provider registers none if it has no transport."""
    return type(listener).__module__.startswith(f"{_PROVIDER}.")


def is_reported(task: BaseOperator) -> bool:
    """
    Whether OpenLineage's listener, where it is registered, emits events of this task.

    Relies on ``resolve_task_emission_policy`` of the provider (2.20), which the listener has imported. Where it is
    missing: True, and the listener decides itself.
    """
    policy: Any = sys.modules.get(_POLICY)
    try:
        emits = policy.resolve_task_emission_policy(operator=task, dag_id=task.dag_id, task_id=task.task_id).emit
    except Exception:
        return True
    return bool(emits)


def operator_lineage(
    inputs: Sequence[Any] = (), outputs: Sequence[Any] = (), run_facets: Mapping[str, Any] | None = None
) -> Lineage:
    """
    Make what the listener takes from an operator.

    Relies on ``OperatorLineage``, documented for the authors of operators; only where the provider is installed.
    """
    from airflow.providers.openlineage.extractors import OperatorLineage

    return OperatorLineage(inputs=list(inputs), outputs=list(outputs), run_facets=dict(run_facets or {}))
