"""Triggers: events that end a task, and kills."""

from __future__ import annotations

import asyncio
import sys
import time
from typing import Any

from airflow.triggers.base import BaseTrigger, TaskSuccessEvent, TriggerEvent

from airflow_provider_scenario.airflow_compat.configuration import conf

REPORT_MARGIN = 10.0
"""Seconds that the report of a worker's exit may take, beyond the interval at which the supervisor checks."""


def success_event(event: TriggerEvent) -> TriggerEvent:
    """
    Return the event that ends the task as successful without starting a worker again.

    Relies on ``TaskSuccessEvent`` (3.1). ``dag.test()`` resumes the task with any event, so it carries the payload of
    the plain one; a triggerer ignores it.
    """
    end = TaskSuccessEvent()
    end.payload = event.payload
    return end


def triggers_have_on_kill() -> bool:
    """
    Whether Airflow calls ``on_kill`` of a trigger: from 3.3 on.

    Before 3.3 a trigger is only cancelled, for any reason, and has to read the state of its task.
    """
    return hasattr(BaseTrigger, "on_kill")


def on_kill_means_task_ended() -> bool:
    """
    Whether ``on_kill`` of a trigger always means that the task was ended.

    On 3.3.0 to 3.3.2 Airflow also calls it when the trigger has only moved to another triggerer
    (apache/airflow#73454). Relies on a name that the fixed triggerer (3.4) has for that case; where the name is
    missing, the trigger has to read the state of its task.
    """
    triggerer: Any = sys.modules.get("airflow.jobs.triggerer_job_runner")
    return hasattr(triggerer, "_REASSIGNED_CANCEL_MSG")


async def wait_for_worker_exit(trigger: BaseTrigger, deferred_at: float | None) -> None:
    """
    Delay an event that starts a worker until the scheduler knows that the worker that deferred has exited.

    Otherwise the scheduler takes that late report for the exit of the new worker and fails the task, whatever it
    returns (apache/airflow#72716, #71580; 3.1 to 3.4). A trigger cannot find out whether the report has arrived. Nine
    of ten arrive within half a second; if the supervisor misses the exit it checks again after ``[workers]
    min_heartbeat_interval`` (5 s). So this waits until that time and :data:`REPORT_MARGIN` after the deferral, which
    does not delay a training of an hour.

    :param deferred_at: Unix time in seconds. None: not known, and there is no delay.
    """
    if deferred_at is None or trigger.task_instance is None:  # the latter in ``dag.test()``, which has no scheduler
        return
    interval = conf().getfloat("workers", "min_heartbeat_interval", fallback=5.0)
    await asyncio.sleep(max(0.0, deferred_at + interval + REPORT_MARGIN - time.time()))
