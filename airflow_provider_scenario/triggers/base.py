"""What the triggers have in common: how they travel, and how they end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_scenario.airflow_compat.threads import in_thread
from airflow_provider_scenario.airflow_compat.triggers import success_event, wait_until_worker_has_gone
from airflow_provider_scenario.airflow_compat.xcom import push_from_trigger


class FinishingTrigger(BaseTrigger):
    """
    Base of the triggers that may end their task themselves.

    Rows of triggers stay in Airflow's database across an upgrade of this provider, so the arguments that the version
    before has stored are still understood.

    :param end_from_trigger: what ends well ends the task from here, without another worker start, see
        :func:`~..deferral.ends_in_triggerer`. Default: False.
    :param do_xcom_push: store the task's result before it is ended from here. Default: False.
    :param deferred_at: when the task was deferred, as a Unix time in seconds. None: not known.
    :param ends_task: former name of ``end_from_trigger``.
    :param returns: former name of ``do_xcom_push``.
    """

    stored: ClassVar[tuple[str, ...]] = ("end_from_trigger", "do_xcom_push", "deferred_at")
    """Names of the arguments, each of which is an attribute too."""

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

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """All that is needed to go on in another triggerer."""
        path = f"{type(self).__module__}.{type(self).__qualname__}"
        return path, {name: getattr(self, name) for name in self.stored}

    async def last_event(
        self, payload: Mapping[str, object], *, ended_well: bool, xcoms: Mapping[str, Any]
    ) -> TriggerEvent:
        """
        Return the event to fire at the end: one that ends the task, where that is possible, or one for a worker.

        :param payload: what a worker goes on with.
        :param xcoms: key → value to store before the task is ended; the result is ``return_value``.
        """
        event = TriggerEvent(payload)  # type: ignore[no-untyped-call]
        if self.end_from_trigger and ended_well and await self._stored(xcoms):
            return success_event(event)
        await wait_until_worker_has_gone(self, self.deferred_at)
        return event

    async def _stored(self, xcoms: Mapping[str, object]) -> bool:
        """
        Store what the task returns.

        Airflow's own way, a result that comes with the event, would keep it as text.
        """
        try:
            for key, value in xcoms.items():
                await in_thread(push_from_trigger, self, key, value)
        except Exception as error:
            self.log.warning("Cannot store the result from the triggerer (%s): a worker does it.", type(error).__name__)
            return False
        return True
