"""XComs outside of a task, which has ``xcom_push`` and ``xcom_pull`` for its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow.triggers.base import BaseTrigger


def push_from_trigger(trigger: BaseTrigger, key: str, value: Any) -> None:
    """
    Store an XCom of the task that a trigger waits for.

    Call it in a thread, never on an event loop: it waits for the supervisor's answer. Relies on
    ``XCom.set``, which a triggerer serves since 3.3 with the value as it is; before, see
    :func:`.deferral.triggerer_stores_xcoms`. On 3.4 the supervisor finds the iteration of a loop by the trigger's
    context variables, which ``sync_to_async`` hands on to its thread.

    :raises Exception: there is no supervisor, or it refuses; then the caller lets a worker store the result.
    """
    from airflow.sdk.execution_time.xcom import XCom

    ti: Any = trigger.task_instance
    XCom.set(key=key, value=value, dag_id=ti.dag_id, task_id=ti.task_id, run_id=ti.run_id, map_index=ti.map_index)


def stored_xcom(ti_key: Any, key: str) -> Any:
    """
    Read an XCom of a task instance by its key, as operator links do.

    Relies on ``BaseXCom.get_value`` (3.1).
    """
    from airflow.sdk.bases.xcom import BaseXCom

    return BaseXCom.get_value(key=key, ti_key=ti_key)
