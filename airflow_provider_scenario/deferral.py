"""Before a task defers: is a triggerer alive, and will a worker be needed once what it waits for has ended well?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_scenario.airflow_compat.configuration import conf
from airflow_provider_scenario.airflow_compat.deferral import success_needs_worker, triggerer_stores_xcoms

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator, Context

    from airflow_provider_scenario.airflow_compat.types import Logger


def warn_without_triggerer(log: Logger, meanwhile: str = "The training itself goes on.") -> None:
    """
    Say so in the task's log where nobody would ever wake it up. Silent where Airflow's health is out of reach.

    :param meanwhile: what becomes of what is waited for.
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
            "No triggerer is alive (%s): this task stays deferred until one is. Start `airflow triggerer`, or set "
            "deferrable=False. %s",
            status or "never seen",
            meanwhile,
        )


def ends_in_triggerer(task: BaseOperator, context: Context, *, stores: bool) -> bool:
    """
    Whether nothing is left to do at the end but what a trigger can do as well, which saves a worker start.

    :param stores: whether XComs are to be stored at the end, which a triggerer can do since Airflow 3.3.
    """
    return not (stores and not triggerer_stores_xcoms(context)) and not success_needs_worker(task)
