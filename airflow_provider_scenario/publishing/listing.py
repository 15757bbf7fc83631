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
    ThrottledError,
)
from airflow_provider_scenario.exceptions import ListingFailedError
from airflow_provider_scenario.hooks.ai_creation_workshop import AICreationWorkshopHook

if TYPE_CHECKING:
    from airflow_provider_scenario.client.workshop.client import WorkshopClient
    from airflow_provider_scenario.publishing.trees import SignedTree

Outcome = Literal["listed", "failed", "timed-out", "refused"]
"""``timed-out``: not over at the deadline; ``refused``: the service no longer answers to us."""

SyncAnswer = dict[str, Any] | ScenarioError
"""What a sync returns, see :func:`..publishing.syncing.outcome`, or why it could not be had."""


class ListingWatch:
    """
    Decides, answer by answer, whether to go on waiting. Knows no clock, no HTTP and no Airflow.

    After each :meth:`see`, ``news`` holds the line to log (None: nothing worth a line has changed) and ``pause`` the
    seconds until the next look.

    :param what: how log lines name the model.
    :param deadline: when to give up, as a Unix time in seconds.
    :param poke_interval: seconds between two looks.
    :param answered: whether the service has answered before. Its refusals have no published meaning: one that comes
        later may pass, one that comes first is about what it was asked.
    """

    def __init__(self, *, what: str, deadline: float, poke_interval: float, answered: bool = False) -> None:
        self.what = what
        self.deadline = deadline
        self.poke_interval = self.pause = poke_interval
        self.news: str | None = None
        self._shown: int | None = None
        self._failures = 0
        self._answered = answered

    def see(self, seen: SyncAnswer, now: float) -> Outcome | None:
        """The outcome, or None to keep waiting."""
        self.news = None
        outcome = self._after_error(seen) if isinstance(seen, ScenarioError) else self._after_answer(seen)
        if outcome is None and now >= self.deadline:
            outcome = "timed-out"
        self.pause = max(0.0, min(self.pause, self.deadline - now))
        return outcome

    def _after_answer(self, seen: Mapping[str, Any]) -> Outcome | None:
        if seen["status"] != self._shown or self._failures:
            self.news = f"Listing of model {self.what}: {seen['state']} (status {seen['status']})."
        self._shown, self._failures, self.pause = seen["status"], 0, self.poke_interval
        self._answered = True
        return seen["state"] if seen["state"] in ("listed", "failed") else None

    def _after_error(self, error: ScenarioError) -> Outcome | None:
        if error.permanent or (isinstance(error, RequestRefusedError) and not self._answered):
            return "refused"
        self._failures += 1
        asked = error.retry_after if isinstance(error, ThrottledError) and error.retry_after else 0.0
        self.pause = max(self.poke_interval, asked)
        if self._failures & (self._failures - 1) == 0:
            self.news = (
                f"Listing of model {self.what}: no usable answer ({self._failures} in a row): {error} "
                f"The listing is not affected; asking again in {self.pause:.0f} s."
            )
        return None


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
