"""What a trigger must know of the triggerer before it fires or when it is killed."""

from __future__ import annotations

import asyncio
import sys
import time
from typing import Any

from airflow.triggers.base import BaseTrigger, TaskSuccessEvent, TriggerEvent

from airflow_provider_scenario.airflow_compat.configuration import conf

MARGIN = 10.0
"""Seconds that the report of a worker's end may take, beyond the interval at which the supervisor looks."""


def success_event(event: TriggerEvent) -> TriggerEvent:
    """
    Return the event that ends the task as successful without starting a worker again.

    Relies on ``TaskSuccessEvent`` (3.1). ``dag.test()`` resumes the task with any event, so it carries the payload of
    the plain one; a triggerer does not look at it.
    """
    end = TaskSuccessEvent()
    end.payload = event.payload
    return end


def has_on_kill() -> bool:
    """
    Whether Airflow calls ``on_kill`` of a trigger: from 3.3 on.

    Before, a trigger is only cancelled, whatever the reason, and has to ask for the state of its task.
    """
    return hasattr(BaseTrigger, "on_kill")


def on_kill_is_certain() -> bool:
    """
    Whether ``on_kill`` of a trigger means that somebody has ended the task.

    On 3.3.0 to 3.3.2 Airflow also calls it when the trigger has only moved to another triggerer
    (apache/airflow#73454). Relies on the name that the mended triggerer (3.4) has for that case; where it is missing,
    the state of the task has to be asked for.
    """
    triggerer: Any = sys.modules.get("airflow.jobs.triggerer_job_runner")
    return hasattr(triggerer, "_REASSIGNED_CANCEL_MSG")


async def wait_until_worker_has_gone(trigger: BaseTrigger, deferred_at: float | None) -> None:
    """
    Hold back an event that starts a worker again until the scheduler has heard of the end of the one that deferred.

    Otherwise it takes that late report for the end of the new worker and fails the task, whatever it was about to
    return (apache/airflow#72716, #71580; 3.1 to 3.4). No Airflow tells a trigger when the report has arrived. Nine of
    ten come within half a second; where the supervisor misses the end of the process it looks again after ``[workers]
    min_heartbeat_interval`` (5 s). So this waits for that long and :data:`MARGIN` after the deferral, which a training
    of an hour never notices.

    :param deferred_at: Unix time in seconds; None where it is not known, and then nothing is held back.
    """
    if deferred_at is None or trigger.task_instance is None:  # the latter in ``dag.test()``, which has no scheduler
        return
    looks_every = conf().getfloat("workers", "min_heartbeat_interval", fallback=5.0)
    await asyncio.sleep(max(0.0, deferred_at + looks_every + MARGIN - time.time()))
