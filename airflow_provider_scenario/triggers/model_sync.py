"""Wait in the triggerer until AI Creation Workshop has listed a model."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_scenario.airflow_compat.threads import run_in_thread
from airflow_provider_scenario.hooks.ai_creation_workshop import AICreationWorkshopHook
from airflow_provider_scenario.publishing.listing import ListingWatch, listing_event, shared_workshop, value_or_raise
from airflow_provider_scenario.triggers.base import TaskEndingTrigger

if TYPE_CHECKING:
    from airflow.triggers.base import TriggerEvent


class AICreationWorkshopListingTrigger(TaskEndingTrigger):
    """
    Send the same tree again and again until its listing is over, then fire one event.

    :param model: the tree. Where a file's address is that of a storage, it is signed when the tree is sent, so that
        Airflow's database holds no signed address.
    :param session: session parameters that are sent with it.
    :param poke_interval: seconds between two polls, see ``pacing.py``. Default: 300.
    :param deadline: when to give up, as a Unix time in seconds: absolute, so that a triggerer's restart does not
        extend it. None: never.
    :param url_expires_in: seconds for which signed addresses are valid.
    :param ai_creation_workshop_conn_id: connection of type ``ai_creation_workshop``.
    :param options: see :class:`.TaskEndingTrigger`.
    """

    stored: ClassVar[tuple[str, ...]] = (
        "model",
        "session",
        "poke_interval",
        "deadline",
        "url_expires_in",
        "ai_creation_workshop_conn_id",
        *TaskEndingTrigger.stored,
    )

    def __init__(
        self,
        *,
        model: dict[str, Any],
        session: dict[str, Any] | None = None,
        poke_interval: float = 300.0,
        deadline: float | None = None,
        url_expires_in: int,
        ai_creation_workshop_conn_id: str = AICreationWorkshopHook.default_conn_name,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.model = model
        self.session = session
        self.poke_interval = poke_interval
        self.deadline = deadline
        self.url_expires_in = url_expires_in
        self.ai_creation_workshop_conn_id = ai_creation_workshop_conn_id

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Poll, in turn with all that wait on the connection in this process; log a line when something has changed."""
        from airflow_provider_scenario.publishing.trees import SignedTree, model_id_of

        tree = SignedTree(self.model, self.url_expires_in)
        watch = ListingWatch(
            label=model_id_of(self.model),
            deadline=self.give_up_at,
            poke_interval=self.poke_interval,
            answered=True,
        )
        async with shared_workshop(self.ai_creation_workshop_conn_id) as workshop:
            while True:
                # First the pause: the sensor has polled just before it deferred.
                await asyncio.sleep(max(0.0, min(watch.pause, watch.deadline - time.time())))
                await asyncio.sleep(await run_in_thread(workshop.turn))
                answer = await run_in_thread(workshop.poll, tree, self.session)
                outcome = watch.after(answer, time.time())
                if watch.log_line:
                    self.log.info("%s", watch.log_line)
                if outcome:
                    break
        event = listing_event(outcome, answer)
        succeeded = outcome == "listed"
        xcoms = {"return_value": value_or_raise(event, watch.label)} if succeeded and self.do_xcom_push else {}
        yield await self.last_event(event, succeeded=succeeded, xcoms=xcoms)
