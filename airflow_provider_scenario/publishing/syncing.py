"""Trees sent to AI Creation Workshop: one, or many at once at no more than the configured rate."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from pydantic.alias_generators import to_snake

from airflow_provider_scenario.client.defaults import LONGEST_RETRY_AFTER
from airflow_provider_scenario.client.errors import (
    AuthenticationError,
    InvalidInputError,
    RequestRefusedError,
    ScenarioError,
    ServiceError,
    ThrottledError,
)
from airflow_provider_scenario.client.retrying import backoff
from airflow_provider_scenario.client.texts import plain as safe_to_show
from airflow_provider_scenario.client.workshop.schemas import read_session
from airflow_provider_scenario.publishing.trees import addresses, model_id_of, plain, signed_tree

if TYPE_CHECKING:
    from airflow_provider_scenario.client.budget import RequestBudget
    from airflow_provider_scenario.client.workshop.client import ListingStatus, WorkshopClient

_WIDEST = 60
"""Characters of a column of the table."""

TRIES = 4
"""How often a tree is sent at most. It may be: the same again changes nothing."""


def outcome(listing: ListingStatus, tree: Any) -> dict[str, Any]:
    """
    What a task returns of a sync. Holds no signature and no secret.

    :param tree: as its author gave it, not as it was signed.
    :return: the ids, ``status`` and ``state`` of the listing, and in ``files`` where the tree's files lie.
    """
    return {
        "model_id": listing.model_id or model_id_of(tree),
        "model_version_id": listing.model_version_id,
        "model_file_id": listing.model_file_id,
        "status": listing.status,
        "state": listing.state,
        "invoke_id": listing.invoke_id,
        "files": addresses(tree),
    }


class Syncer:
    """
    Sends trees, again where that may help, and each try in its turn.

    :param client: makes one try a call.
    :param budget: says when a request may be made.
    :param seconds: how long addresses are good that are signed for the service.
    :param session: session parameters that go with each tree.
    :param log: is told of what is tried again, and of what may turn out wrong.
    """

    def __init__(
        self,
        client: WorkshopClient,
        *,
        budget: RequestBudget,
        seconds: int,
        session: Any,
        log: Callable[[str], None],
        sleep: Callable[[float], object] | None = None,
    ) -> None:
        self._client, self._budget, self._seconds, self._session = client, budget, seconds, session
        self._stopped = threading.Event()
        self._log, self._sleep = log, sleep or self._stopped.wait
        self._refused: AuthenticationError | None = None
        for concern in read_session(session).concerns():
            log(f"Session parameters: {concern}.")

    def sync(self, tree: Any) -> dict[str, Any]:
        """
        Send a tree.

        :raises ScenarioError: it is wrong, is refused, or no try was answered.
        """
        body = signed_tree(tree, self._seconds)
        for concern in body.concerns():
            self._log(f"Model {model_id_of(plain(tree))}: {concern}.")
        for tried in range(1, TRIES + 1):
            self._sleep(self._budget.turn())
            if self._stopped.is_set():
                raise ServiceError("The task has ended. Nothing was sent.", maybe_done=False)
            try:
                return outcome(self._client.sync_model(body, session=self._session), plain(tree))
            except ScenarioError as error:
                wait = _pause_after(error, tried)
                if wait is None:
                    raise
                self._sleep(wait)
        raise AssertionError("unreachable")

    def sync_all(self, trees: Sequence[Any], *, threads: int) -> Iterator[dict[str, Any] | ScenarioError]:
        """
        Send many; for each, in order, what came of it.

        One failing tree does not stop the others; refused credentials stop all.
        """
        repeated = _repeated(trees)

        def attempt(place: int, tree: Any) -> dict[str, Any] | ScenarioError:
            if self._refused:
                return self._refused
            try:
                if (first := repeated.get(place)) is not None:
                    raise InvalidInputError(
                        f"modelId is that of models[{first}] again: one tree holds all its versions."
                    )
                return self.sync(tree)
            except ScenarioError as error:
                if isinstance(error, AuthenticationError):
                    self._refused = error
                return error

        with ThreadPoolExecutor(threads, thread_name_prefix="sync") as pool:
            try:
                yield from pool.map(attempt, range(len(trees)), trees)
            finally:
                self._stopped.set()  # a task that is killed or out of time waits for nobody's turn


def table(trees: Sequence[Any], outcomes: Sequence[dict[str, Any] | ScenarioError]) -> Iterator[str]:
    """A line for each tree that failed, under a heading."""
    rows = [("models[…]", "modelId", "name", "what is wrong")]
    rows += [
        (str(place), _cell(tree, "modelId"), _cell(tree, "name"), reason)
        for place, (tree, came) in enumerate(zip(trees, outcomes, strict=True))
        if (reason := failure(came))
    ]
    widths = [max(map(len, column)) for column in list(zip(*rows, strict=True))[:-1]]
    for row in rows:
        yield "  ".join([*(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=False)), row[-1]])


def failure(came: Mapping[str, Any] | ScenarioError) -> str | None:
    """Why a tree was not synced, or its listing has failed; None where it was."""
    if isinstance(came, ScenarioError):
        return str(came)
    if came["state"] == "failed":
        return f"its listing has failed (status {came['status']}, call {came['invoke_id']})"
    return None


def _pause_after(error: ScenarioError, tried: int) -> float | None:
    """Seconds until the next try; None where there is none."""
    if error.permanent or isinstance(error, RequestRefusedError) or tried >= TRIES:
        return None
    asked = error.retry_after if isinstance(error, ThrottledError) else None
    if asked is not None:
        return asked if asked <= LONGEST_RETRY_AFTER else None
    return backoff(tried)


def _repeated(trees: Sequence[Any]) -> dict[int, int]:
    """Where a tree's model is not the first of its id, and where that one is."""
    first: dict[str, int] = {}
    ids = [_field(tree, "modelId") for tree in trees]
    return {at: first[model] for at, model in enumerate(ids) if model and first.setdefault(model, at) != at}


def _cell(tree: Any, name: str) -> str:
    return safe_to_show(_field(tree, name))[:_WIDEST]


def _field(tree: Any, name: str) -> str:
    """A field of a tree of which nobody knows yet whether it is one."""
    snake = to_snake(name)
    value = tree.get(name, tree.get(snake)) if isinstance(tree, Mapping) else getattr(tree, snake, None)
    return value if isinstance(value, str) else ""
