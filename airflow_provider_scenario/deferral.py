"""Checks before a task defers: whether a triggerer is alive, and whether the end needs a worker."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_scenario.airflow_compat.configuration import conf
from airflow_provider_scenario.airflow_compat.deferral import success_needs_worker, triggerer_stores_xcoms

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator, Context

    from airflow_provider_scenario.airflow_compat.types import Logger


def warn_without_triggerer(log: Logger, meanwhile: str = "The training itself continues.") -> None:
    """
    Warn in the task's log if no triggerer is alive: the task would stay deferred.

    Does nothing if Airflow's health is unknown.

    :param meanwhile: what happens meanwhile to what the task waits for.
    """
    import requests

    execution_api = conf().get("core", "execution_api_server_url", fallback="")
    address = execution_api.split("/execution")[0] or conf().get("api", "base_url", fallback="")
    if not address.startswith("http"):
        return
    try:
        health = requests.get(f"{address.rstrip('/')}/api/v2/monitor/health", timeout=2).json()
        status = health["triggerer"]["status"]
    except (requests.RequestException, ValueError, KeyError, TypeError):
        return
    if status != "healthy":
        log.warning(
            "No triggerer is alive (%s): this task stays deferred until one is alive. Start `airflow triggerer`, or "
            "set deferrable=False. %s",
            status or "none has ever reported",
            meanwhile,
        )


def ends_in_triggerer(task: BaseOperator, context: Context, *, stores: bool) -> bool:
    """
    Whether the trigger can end the task, without another start of a worker.

    :param stores: whether XComs must be stored at the end, which a triggerer can do from Airflow 3.3 on.
    """
    return not (stores and not triggerer_stores_xcoms(context)) and not success_needs_worker(task)
