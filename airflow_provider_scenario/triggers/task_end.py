"""The end of a task from within the triggerer, which saves a worker start."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseTrigger, TaskSuccessEvent

from airflow_provider_scenario.task_state import push_xcom
from airflow_provider_scenario.watch.shared import in_thread

if TYPE_CHECKING:
    from airflow.triggers.base import TriggerEvent


async def task_end(trigger: BaseTrigger, event: TriggerEvent, xcoms: Mapping[str, Any]) -> TriggerEvent:
    """
    Store what the task returns; then the event that ends the task itself.

    Airflow's own way, a result that comes with the event, would keep it as text.

    :param event: as it is where Airflow does not take the XComs from here: a worker goes on with it then.
    :param xcoms: key → value; the result is ``return_value``.
    """
    try:
        await in_thread(_store, trigger, xcoms)
    except Exception as error:
        trigger.log.warning("Cannot store the result from the triggerer (%s): a worker does it.", type(error).__name__)
        return event
    end = TaskSuccessEvent()
    end.payload = event.payload  # dag.test(), which always resumes the task, finds its event here
    return end


def _store(trigger: BaseTrigger, xcoms: Mapping[str, Any]) -> None:
    for key, value in xcoms.items():
        push_xcom(trigger.task_instance, key, value)
