"""
Waiting until AI Creation Workshop has listed a model: what one answer means, and one connection for all that wait.

The service has no call that reads the status of a listing: a poll sends the same sync again, at long intervals.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, get_args

from airflow_provider_scenario.airflow_compat.exceptions import AirflowFailException, AirflowSensorTimeout
from airflow_provider_scenario.airflow_compat.threads import in_thread
from airflow_provider_scenario.client.errors import RequestRefusedError, ScenarioError
from airflow_provider_scenario.exceptions import ListingFailedError
from airflow_provider_scenario.hooks.ai_creation_workshop import AICreationWorkshopHook
from airflow_provider_scenario.hooks.sharing import CurrentClients, SharedByConnection
from airflow_provider_scenario.pacing import Watch

if TYPE_CHECKING:
    from airflow_provider_scenario.client.workshop.client import WorkshopClient
    from airflow_provider_scenario.publishing.trees import SignedTree

Outcome = Literal["listed", "failed", "timed-out", "refused"]
"""``timed-out`` and ``refused``: see :data:`~..pacing.EarlyOutcome`."""

Listing = Mapping[str, Any]
"""What a sync returns, see :func:`..publishing.syncing.SyncResult`."""

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
    Polls listings with the credentials that the connection has today, at the rate of its request budget.

    :param hook: the connection is read once, and again each time that the service refuses the credentials.
    """

    def __init__(self, hook: AICreationWorkshopHook) -> None:
        self._hook = hook
        # One try a poll: the next poll makes up for a failed one.
        self._clients: CurrentClients[WorkshopClient] = CurrentClients(hook, poll=lambda: hook.connect(max_tries=1))

    def turn(self) -> float:
        """Take the next turn to poll; returns the seconds to wait for it."""
        return self._hook.budget.turn()

    def poll(self, tree: SignedTree, session: Any) -> SyncAnswer:
        """Send the tree once; an error is an answer too."""
        return self._clients.send("poll", lambda client: _sync(client, tree, session))

    def close(self) -> None:
        """Close the connections; the next poll opens others."""
        self._clients.close()


def _sync(client: WorkshopClient, tree: SignedTree, session: Any) -> Listing:
    from airflow_provider_scenario.publishing.syncing import sync_result

    return sync_result(client.sync_model(tree.body(), session=session), tree.unsigned)


async def _close(workshop: Workshop) -> None:
    await in_thread(workshop.close)


_workshops = SharedByConnection(lambda conn_id: Workshop(AICreationWorkshopHook(conn_id)), _close)
shared_workshop = _workshops.use
"""The workshop of this event loop and of a connection of type ``ai_creation_workshop``."""
