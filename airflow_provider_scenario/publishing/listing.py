"""
Waiting until AI Creation Workshop has listed a model: what one answer means, and one connection for all that wait.

The service has no call that reads the status of a listing: a poll sends the same sync again, at long intervals.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NotRequired, TypedDict, cast, get_args

from airflow_provider_scenario.airflow_compat.exceptions import AirflowFailException, AirflowSensorTimeout
from airflow_provider_scenario.airflow_compat.threads import run_in_thread
from airflow_provider_scenario.client.errors import RequestRefusedError, ScenarioError
from airflow_provider_scenario.exceptions import ListingFailedError
from airflow_provider_scenario.hooks.ai_creation_workshop import AICreationWorkshopHook
from airflow_provider_scenario.hooks.sharing import CurrentClients, SharedByConnection
from airflow_provider_scenario.pacing import Watch
from airflow_provider_scenario.publishing.syncing import SyncAnswer, SyncResult, sync_result

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_scenario.client.workshop.client import WorkshopClient
    from airflow_provider_scenario.publishing.trees import SignedTree

Outcome = Literal["listed", "failed", "timed-out", "refused"]
"""``timed-out`` and ``refused``: see :data:`~.pacing.EarlyOutcome`."""


class ListingEvent(TypedDict):
    """What a trigger sends to a worker. Its keys are stored in events."""

    outcome: Outcome
    error: NotRequired[str]
    seen: NotRequired[SyncResult]


class ListingWatch(Watch[SyncResult, Outcome]):
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

    def _after_answer(self, answer: SyncResult) -> Outcome | None:
        if answer["status"] != self._logged or self._pacing.failures:
            self.log_line = f"Listing of model {self.label}: {answer['state']} (status {answer['status']})."
        self.pause = self._pacing.after_answer()
        self._logged, self._answered = answer["status"], True
        match answer["state"]:
            case "listed" | "failed" as state:
                return state
        return None

    def _is_refusal(self, error: ScenarioError) -> bool:
        return error.permanent or (isinstance(error, RequestRefusedError) and not self._answered)


def listing_event(outcome: Outcome, answer: SyncAnswer) -> ListingEvent:
    """Return a trigger event: JSON, without secrets."""
    if isinstance(answer, ScenarioError):
        return {"outcome": outcome, "error": str(answer)}
    return {"outcome": outcome, "seen": answer}


def value_or_raise(event: object, label: str) -> SyncResult:
    """
    Return what the task returns, the last answer, or raise the error with which it fails.

    :param event: as :func:`listing_event` has made it.
    :param label: names the model in messages.
    :raises ListingFailedError: the listing has failed.
    :raises AirflowSensorTimeout: the listing was not over in time.
    :raises AirflowFailException: the service refuses further polls.
    :raises ValueError: it is anything else, which must not count as success.
    """
    if isinstance(event, dict) and event.get("outcome") in get_args(Outcome):
        listing = cast("SyncResult", event.get("seen") or {})
        match event["outcome"]:
            case "listed" if listing:
                return listing
            case "failed":
                raise ListingFailedError(failure_message(listing, label))
            case "timed-out":
                answer = f"The last answer was: {listing.get('state')} (status {listing.get('status')})."
                raise AirflowSensorTimeout(
                    f"Model {label} was not listed in time. {event.get('error') or answer} Its listing may continue."
                )
            case "refused":
                raise AirflowFailException(
                    f"AI Creation Workshop refuses further polls of model {label}: {event.get('error')} The listing "
                    "continues."
                )
    raise ValueError(
        f"The trigger sent {event!r}, which is not the result of a listing. Do worker and triggerer run the same "
        "version of this provider?"
    )


def failure_message(listing: Mapping[str, Any], label: str) -> str:
    """Return all that is known about a failed listing: the service gives no reason."""
    known = {
        "model_version_id": listing.get("model_version_id"),
        "model_file_id": listing.get("model_file_id"),
        "invoke_id": listing.get("invoke_id"),
    }
    ids = ", ".join(f"{name} {value}" for name, value in known.items() if value)
    files = ", ".join(listing.get("files") or ["none"])
    return (
        f"AI Creation Workshop could not list model {label} (status {listing.get('status')}; {ids}). It gives no "
        f"reason. Check that each file's address was valid when the service fetched it, and that hash and size are "
        f"those of the file. Files: {files}."
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


def _sync(client: WorkshopClient, tree: SignedTree, session: Any) -> SyncResult:
    return sync_result(client.sync_model(tree.body(), session=session), tree.unsigned)


async def _close(workshop: Workshop) -> None:
    await run_in_thread(workshop.close)


_workshops = SharedByConnection(lambda conn_id: Workshop(AICreationWorkshopHook(conn_id)), _close)
shared_workshop = _workshops.use
"""The workshop of this event loop and of a connection of type ``ai_creation_workshop``."""
