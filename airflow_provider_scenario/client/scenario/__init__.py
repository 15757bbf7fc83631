"""Scenario's API: :class:`ScenarioClient`, its objects, and what each model type's trainer accepts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_provider_scenario.client.scenario.client import ScenarioClient

__all__ = ["ScenarioClient"]


def __getattr__(name: str) -> Any:
    """Import the client when it is used: DAG files import other modules of this package, and need no requests."""
    if name == "ScenarioClient":
        from airflow_provider_scenario.client.scenario.client import ScenarioClient

        return ScenarioClient
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
