"""Before a task defers: is a triggerer alive, and will a worker be needed once what it waits for has ended well?"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator, Context
    from airflow.sdk.types import Logger

_OURS = __name__.partition(".")[0]


def warn_without_triggerer(log: Logger, meanwhile: str = "The training itself goes on.") -> None:
    """
    Say so in the task's log where nobody would ever wake it up. Silent where Airflow's health is out of reach.

    :param meanwhile: what becomes of what is waited for.
    """
    import requests
    from airflow.configuration import conf

    execution_api = conf.get("core", "execution_api_server_url", fallback="")
    address = execution_api.split("/execution")[0] or conf.get("api", "base_url", fallback="")
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
    return not (stores and context.get("task_state_store") is None) and not _needs_worker(task)


def _needs_worker(task: BaseOperator) -> bool:
    """
    Whether more is to be done than to store a result.

    That are outlets, callbacks, listeners such as OpenLineage's, a subclass's own code, several outputs, and a result
    over which other tasks are expanded: Airflow does all that in a worker only.
    """
    return bool(
        not type(task).__module__.startswith(f"{_OURS}.")
        or task.outlets
        or task.on_success_callback
        or task._post_execute_hook
        or task.multiple_outputs
        or getattr(task, "returns_dag_result", False)
        or (task.has_dag() and next(task.iter_mapped_dependants(), None))  # type: ignore[no-untyped-call]
        or _somebody_listens()
    )


def _somebody_listens() -> bool:
    """Whether anybody wants to hear of a task's success, which Airflow tells from a worker only."""
    try:
        from airflow.sdk.listener import get_listener_manager
    except ImportError:  # Airflow 3.1
        from airflow.listeners.listener import get_listener_manager  # type: ignore[assignment]
    return bool(get_listener_manager().hook.on_task_instance_success.get_hookimpls())
