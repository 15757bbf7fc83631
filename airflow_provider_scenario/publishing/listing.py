"""
Waiting until AI Creation Workshop has listed a model: what one answer means, and one connection for all that wait.

No call reads how far a listing is. The documents leave only the same sync again, at long intervals.
"""

from __future__ import annotations

import asyncio
import threading
from asyncio import AbstractEventLoop
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Literal, get_args
from weakref import WeakKeyDictionary

from airflow_provider_scenario.airflow_compat.exceptions import AirflowFailException, AirflowSensorTimeout
from airflow_provider_scenario.airflow_compat.threads import in_thread
from airflow_provider_scenario.client.errors import (
    AuthenticationError,
    RequestRefusedError,
    ScenarioError,
)
from airflow_provider_scenario.exceptions import ListingFailedError
from airflow_provider_scenario.hooks.ai_creation_workshop import AICreationWorkshopHook
from airflow_provider_scenario.pacing import Watch

if TYPE_CHECKING:
    from airflow_provider_scenario.client.workshop.client import WorkshopClient
    from airflow_provider_scenario.publishing.trees import SignedTree

Outcome = Literal["listed", "failed", "timed-out", "refused"]
"""``timed-out`` and ``refused``: see :data:`~..pacing.EarlyOutcome`."""

Listing = dict[str, Any]
"""What a sync returns, see :func:`..publishing.syncing.outcome`."""

SyncAnswer = Listing | ScenarioError
"""What one poll returns: a listing, or why there is none."""


class ListingWatch(Watch[Listing, Outcome]):
    """
    Decides, poll by poll, whether to keep waiting for a listing.

    :param answered: whether the service has answered before. Its refusals have no published meaning: a later one may
        be temporary, a first one means that the request itself is wrong.
    """

    subject = "Listing of model"

    def __init__(self, *, label: str, deadline: float, poke_interval: float, answered: bool = False) -> None:
        super().__init__(label=label, deadline=deadline, poke_interval=poke_interval)
        self._logged: int | None = None
        self._answered = answered

    def _after_answer(self, answer: Listing) -> Outcome | None:
        if answer["status"] != self._logged or self._pacing.failures:
            self.log_line = f"Listing of model {self.label}: {answer['state']} (status {answer['status']})."
        self.pause = self._pacing.after_answer()
        self._logged, self._answered = answer["status"], True
        state: Outcome = answer["state"]
        return state if state in ("listed", "failed") else None

    def _is_refusal(self, error: ScenarioError) -> bool:
        return error.permanent or (isinstance(error, RequestRefusedError) and not self._answered)


def end_event(outcome: Outcome, seen: SyncAnswer) -> dict[str, Any]:
    """A JSON-serialisable trigger event; holds no secret."""
    if isinstance(seen, ScenarioError):
        return {"outcome": outcome, "error": str(seen)}
    return {"outcome": outcome, "seen": seen}


def result(event: Any, what: str) -> dict[str, Any]:
    """
    What the task returns at the end: the last answer.

    :param event: as :func:`end_event` has made it.
    :raises ListingFailedError: the listing has failed.
    :raises AirflowSensorTimeout: it was not over in time.
    :raises AirflowFailException: the service refuses to answer.
    :raises ValueError: it is no such event, so nothing odd can pass for success.
    """
    if not isinstance(event, dict) or event.get("outcome") not in get_args(Outcome):
        raise ValueError(f"The trigger sent {event!r}, which is no end of a listing. Do the versions match?")
    seen: dict[str, Any] = event.get("seen") or {}
    match event["outcome"]:
        case "listed" if seen:
            return seen
        case "failed":
            raise ListingFailedError(listing_failed(seen, what))
        case "timed-out":
            last = event.get("error") or f"The last answer was: {seen.get('state')} (status {seen.get('status')})."
            raise AirflowSensorTimeout(f"Model {what} was not listed in time. {last} Its listing may still go on.")
        case "refused":
            raise AirflowFailException(
                f"Whether model {what} is listed can no longer be asked: {event.get('error')} Its listing goes on."
            )
    raise ValueError(f"The trigger sent {event!r}, which is no end of a listing.")


def listing_failed(seen: Mapping[str, Any], what: str) -> str:
    """What is known of a listing that has failed: the service gives no reason."""
    ids = ", ".join(
        f"{name} {seen[name]}" for name in ("model_version_id", "model_file_id", "invoke_id") if seen.get(name)
    )
    files = ", ".join(seen.get("files") or ["none"])
    return (
        f"AI Creation Workshop could not list model {what} (status {seen.get('status')}; {ids}). It gives no reason. "
        f"Was each file's address good when it was fetched, and are hash and size those of the file? Files: {files}."
    )


class Workshop:
    """
    The service, for all that wait in one process: with the connection's credentials of today, and at its rate.

    :param hook: looked up once, and again each time the service refuses the credentials.
    """

    def __init__(self, hook: AICreationWorkshopHook) -> None:
        self.users = 0
        self._hook = hook
        self._client: WorkshopClient | None = None
        self._lock = threading.Lock()

    def turn(self) -> float:
        """Seconds to wait before :meth:`look`."""
        return self._hook.budget.turn()

    def look(self, tree: SignedTree, session: Any) -> SyncAnswer:
        """One request. Trouble is an answer too."""
        try:
            client = self._connected()
            try:
                return _sync(client, tree, session)
            except AuthenticationError:
                if not self._renewed_since(client):
                    raise
            return _sync(self._connected(), tree, session)
        except ScenarioError as error:
            return error

    def _renewed_since(self, used: WorkshopClient) -> bool:
        """Whether the connection has changed since this client was made; others may have found out first."""
        with self._lock:
            if self._client is not used:
                return True
            if not self._hook.renew():
                return False
            self._client = None
        used.close()
        return True

    def close(self) -> None:
        """Close the connections; the next look opens others."""
        with self._lock:
            client, self._client = self._client, None
        if client:
            client.close()

    def _connected(self) -> WorkshopClient:
        """One try a look: who waits goes on asking."""
        with self._lock:
            if self._client is None:
                self._client = self._hook.connect(max_tries=1)
            return self._client


def _sync(client: WorkshopClient, tree: SignedTree, session: Any) -> dict[str, Any]:
    from airflow_provider_scenario.publishing.syncing import outcome

    return outcome(client.sync_model(tree.body(), session=session), tree.unsigned)


_workshops: WeakKeyDictionary[AbstractEventLoop, dict[str, Workshop]] = WeakKeyDictionary()


@asynccontextmanager
async def shared_workshop(conn_id: str) -> AsyncIterator[Workshop]:
    """
    The one of this event loop and connection; who leaves last closes its connections.

    :param conn_id: connection of type ``ai_creation_workshop``; it is looked up once for all.
    """
    workshops = _workshops.setdefault(asyncio.get_running_loop(), {})
    workshop = workshops.setdefault(conn_id, Workshop(AICreationWorkshopHook(conn_id)))
    workshop.users += 1
    try:
        yield workshop
    finally:
        workshop.users -= 1
        if not workshop.users:
            del workshops[conn_id]
            await in_thread(workshop.close)
