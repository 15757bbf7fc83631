"""Wait until AI Creation Workshop has listed a model."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseSensorOperator, PokeReturnValue

from airflow_provider_scenario.airflow_compat.deferral import method_to_resume
from airflow_provider_scenario.arguments import DEFAULT_TIMEOUT, GRACE, CheckedOperator, in_seconds, seconds
from airflow_provider_scenario.deferral import ends_in_triggerer, warn_without_triggerer
from airflow_provider_scenario.exceptions import permanent_errors_do_not_retry
from airflow_provider_scenario.hooks.ai_creation_workshop import AICreationWorkshopHook
from airflow_provider_scenario.publishing.trees import WEEK, as_dict, model_id_of

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_scenario.publishing.listing import ListingEvent, ListingWatch, Workshop
    from airflow_provider_scenario.publishing.syncing import SyncResult
    from airflow_provider_scenario.publishing.trees import SignedTree


class AICreationWorkshopModelListingSensor(CheckedOperator, BaseSensorOperator):
    """
    Wait until a synced model is listed; fail when its listing has failed.

    The service has no call that reads the status of a listing: each poll sends the same tree again, which changes
    nothing. The interval is long, because it is not documented whether the service then fetches the file again. For
    several versions the service returns one status; the sensor waits until it is 10. A successful listing ends a
    deferred sensor without another worker start, unless outlets, callbacks or listeners need one (below Airflow 3.3: or
    its result does; see ``do_xcom_push``).

    :param model: the tree that was synced (templated): the XCom ``model`` of
        :class:`.AICreationWorkshopPublishModelOperator` (``publish.output["model"]``), or the
        tree that was given to :class:`.AICreationWorkshopSyncModelOperator`. Where a file's
        address is that of a storage (``s3://…``), it is signed when the tree is sent: neither XComs nor the trigger's
        row nor the rendered templates hold a signed address.
    :param session: as for the operator (templated).
    :param poke_interval: seconds between two polls. Default: 300.
    :param timeout: seconds to wait at most. Default: 43200 (12 hours).
    :param deferrable: wait in the triggerer, without holding a worker. Default: True.
    :param url_expires_in: seconds for which signed addresses are valid. Default: 604800 (a week, which is S3's limit).
    :param soft_fail: skip instead of failing. Default: False.
    :param ai_creation_workshop_conn_id: connection of type ``ai_creation_workshop``. Default:
        ``ai_creation_workshop_default``.
    :return: the same dict as the operator.
    :raises ListingFailedError: the listing has failed (status -10). Not retried: the answer would be the same.
    :raises AirflowSensorTimeout: the listing was not over in time.
    """

    template_fields: Sequence[str] = ("model", "session", "ai_creation_workshop_conn_id")
    template_fields_renderers = {"model": "json", "session": "json"}  # noqa: RUF012
    ui_color = "#e4f0ff"

    def __init__(
        self,
        *,
        model: Any,
        session: Any = None,
        poke_interval: float = 300.0,
        timeout: float = DEFAULT_TIMEOUT,
        deferrable: bool = True,
        url_expires_in: float = WEEK,
        ai_creation_workshop_conn_id: str = AICreationWorkshopHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.poke_interval = in_seconds(poke_interval)
        self.timeout = in_seconds(timeout)
        self.model = as_dict(model)
        self.session = as_dict(session)
        self.deferrable = deferrable
        self.url_expires_in = in_seconds(url_expires_in)
        self.ai_creation_workshop_conn_id = ai_creation_workshop_conn_id
        self._check_when_parsed()

    @cached_property
    def _workshop(self) -> Workshop:
        from airflow_provider_scenario.publishing.listing import Workshop

        return Workshop(AICreationWorkshopHook(self.ai_creation_workshop_conn_id))

    @cached_property
    def _tree(self) -> SignedTree:
        from airflow_provider_scenario.publishing.trees import SignedTree

        return SignedTree(self.model, int(self.url_expires_in))

    @cached_property
    def _watch(self) -> ListingWatch:
        from airflow_provider_scenario.publishing.listing import ListingWatch

        deadline = time.time() + self.timeout
        return ListingWatch(label=self._label, deadline=deadline, poke_interval=float(self.poke_interval))

    @property
    def _label(self) -> str:
        return model_id_of(self.model)

    def execute(self, context: Context) -> Any:
        """Poll once; then defer, or continue as Airflow's sensors do."""
        with permanent_errors_do_not_retry():
            self._check()
            if not self.deferrable:
                return super().execute(context)
            event = self._poll()
            if not event:
                return self._defer(context)
            # As after a deferral, because Airflow handles soft_fail and never_fail there.
            return self.resume_execution("execute_complete", {"event": event}, context)

    def poke(self, context: Context) -> PokeReturnValue:  # noqa: ARG002
        """Poll once; the sensor is done when the listing is."""
        from airflow_provider_scenario.publishing.listing import value_or_raise

        event = self._poll()
        return PokeReturnValue(is_done=bool(event), xcom_value=value_or_raise(event, self._label) if event else None)

    def _poll(self) -> ListingEvent | None:
        from airflow_provider_scenario.publishing.listing import listing_event

        time.sleep(self._workshop.turn())
        answer = self._workshop.poll(self._tree, self.session)
        outcome = self._watch.after(answer, time.time())
        if self._watch.log_line:
            self.log.info("%s", self._watch.log_line)
        if outcome in (None, "timed-out"):
            # At the deadline Airflow's own sensor loop raises the error.
            return None
        return listing_event(outcome, answer)

    def execute_complete(self, context: Context, event: ListingEvent) -> SyncResult:  # noqa: ARG002
        """Return the result, or raise the error, of the trigger's event."""
        from airflow_provider_scenario.publishing.listing import value_or_raise

        return value_or_raise(event, self._label)

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Continue as Airflow does, but lose no event of the trigger."""
        return super().resume_execution(method_to_resume(next_method, next_kwargs), next_kwargs, context)

    def _defer(self, context: Context) -> None:
        from airflow_provider_scenario.triggers.model_sync import AICreationWorkshopListingTrigger

        warn_without_triggerer(self.log, "The listing itself continues.")
        self.defer(
            trigger=AICreationWorkshopListingTrigger(
                model=self.model,
                session=self.session,
                poke_interval=float(self.poke_interval),
                deadline=self._watch.deadline,
                url_expires_in=int(self.url_expires_in),
                end_from_trigger=ends_in_triggerer(self, context, stores=self.do_xcom_push),
                do_xcom_push=self.do_xcom_push,
                deferred_at=time.time(),
                ai_creation_workshop_conn_id=self.ai_creation_workshop_conn_id,
            ),
            method_name="execute_complete",
            timeout=timedelta(seconds=self.timeout) + GRACE,
        )

    def _check(self, *, only_known: bool = False) -> list[str]:
        final = self._final(only_known)
        for name in ("poke_interval", "timeout", "url_expires_in"):
            if final(name):
                seconds(name, getattr(self, name))
        if final("model", "session"):
            from airflow_provider_scenario.client.workshop.schemas import read_session
            from airflow_provider_scenario.publishing.trees import check_tree

            check_tree(self.model)
            read_session(self.session)
        return super()._check(only_known=only_known)
