"""Base class of the triggers: stores their arguments, ends their task."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_scenario.airflow_compat.threads import run_in_thread
from airflow_provider_scenario.airflow_compat.triggers import success_event, wait_for_worker_exit
from airflow_provider_scenario.airflow_compat.xcom import push_from_trigger


class TaskEndingTrigger(BaseTrigger):
    """
    Base of the triggers that may end their task themselves.

    Rows of triggers stay in Airflow's database across an upgrade of this provider, so the arguments that the version
    before has stored are still accepted.

    :param end_from_trigger: after a success the trigger ends the task, without another worker start, see
        ``deferral.py``. Default: False.
    :param do_xcom_push: push the task's result before the trigger ends the task. Default: False.
    :param deferred_at: when the task was deferred, as a Unix time in seconds. None: not known.
    :param ends_task: former name of ``end_from_trigger``.
    :param returns: former name of ``do_xcom_push``.
    """

    stored: ClassVar[tuple[str, ...]] = ("end_from_trigger", "do_xcom_push", "deferred_at")
    """Names of the arguments that Airflow stores; each is an attribute too."""

    deadline: float | None = None
    """When to give up, as a Unix time in seconds; None: never."""

    def __init__(
        self,
        *,
        end_from_trigger: bool = False,
        do_xcom_push: bool = False,
        deferred_at: float | None = None,
        ends_task: bool = False,
        returns: bool = False,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.end_from_trigger = end_from_trigger or ends_task
        self.do_xcom_push = do_xcom_push or returns
        self.deferred_at = deferred_at

    @property
    def give_up_at(self) -> float:
        """The deadline as a number."""
        return math.inf if self.deadline is None else self.deadline

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and the arguments, with which another triggerer continues."""
        path = f"{type(self).__module__}.{type(self).__qualname__}"
        return path, {name: getattr(self, name) for name in self.stored}

    async def last_event(
        self, payload: Mapping[str, object], *, succeeded: bool, xcoms: Mapping[str, Any]
    ) -> TriggerEvent:
        """
        Return the last event: one that ends the task if that is possible, else one that starts a worker.

        :param payload: what ``execute_complete`` gets in the worker.
        :param succeeded: whether the task ends as successful.
        :param xcoms: key → value to push before the task is ended; the result is ``return_value``.
        """
        event = TriggerEvent(payload)  # type: ignore[no-untyped-call]
        if self.end_from_trigger and succeeded and await self._push(xcoms):
            return success_event(event)
        await wait_for_worker_exit(self, self.deferred_at)
        return event

    async def _push(self, xcoms: Mapping[str, object]) -> bool:
        """
        Push XComs; returns whether that has succeeded.

        Not with ``TaskSuccessEvent(xcoms=…)``: Airflow would store the result as text.
        """
        try:
            for key, value in xcoms.items():
                await run_in_thread(push_from_trigger, self, key, value)
        except Exception as error:
            if self.task_instance is not None:  # None: `dag.test()`, which has no triggerer
                self.log.warning(
                    "The triggerer cannot push the XComs (%s). Airflow starts a worker, which pushes them.",
                    type(error).__name__,
                )
            return False
        return True
