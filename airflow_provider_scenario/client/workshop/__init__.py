"""AI Creation Workshop's API: :class:`WorkshopClient`, the objects that are sent, and how requests are signed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_provider_scenario.client.workshop.client import WorkshopClient

__all__ = ["WorkshopClient"]


def __getattr__(name: str) -> Any:
    """Import the client when it is used: importing it costs requests and pydantic."""
    if name == "WorkshopClient":
        from airflow_provider_scenario.client.workshop.client import WorkshopClient

        return WorkshopClient
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
