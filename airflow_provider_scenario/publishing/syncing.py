"""Model trees sent to AI Creation Workshop: one, or many in parallel at no more than the configured rate."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NotRequired, TypedDict

from pydantic.alias_generators import to_snake

from airflow_provider_scenario.client.consequences import NOTHING_SENT
from airflow_provider_scenario.client.defaults import TRIES
from airflow_provider_scenario.client.errors import (
    AuthenticationError,
    InvalidInputError,
    RequestRefusedError,
    ScenarioError,
    ServiceError,
)
from airflow_provider_scenario.client.retrying import Retrying
from airflow_provider_scenario.client.text_table import text_table
from airflow_provider_scenario.client.texts import plain
from airflow_provider_scenario.client.workshop.schemas import read_session
from airflow_provider_scenario.publishing.trees import as_dict, file_addresses, model_id_of, signed_tree

if TYPE_CHECKING:
    from airflow_provider_scenario.client.budget import RequestBudget
    from airflow_provider_scenario.client.workshop.client import ListingStatus, StatusName, WorkshopClient

_WIDEST = 60
"""Characters of a column of the table."""


class SyncResult(TypedDict):
    """
    What a task returns of a sync. Holds no signature and no secret.

    :param status: of the listing: 0, 5, 10 or -10.
    :param state: the word for that status.
    :param files: the addresses of the tree's files, unsigned.
    :param model: the tree, where the operator has made it.
    """

    model_id: str
    model_version_id: str | None
    model_file_id: str | None
    status: int
    state: StatusName
    invoke_id: str | None
    files: list[str]
    model: NotRequired[dict[str, Any]]


SyncAnswer = SyncResult | ScenarioError
"""What one sync of a tree returned: a result, or the error."""


def sync_result(listing: ListingStatus, tree: dict[str, Any]) -> SyncResult:
    """
    Return what a task returns of a sync.

    :param tree: as its author gave it, not as it was signed.
    """
    return {
        "model_id": listing.model_id or model_id_of(tree),
        "model_version_id": listing.model_version_id,
        "model_file_id": listing.model_file_id,
        "status": listing.status,
        "state": listing.status_name,
        "invoke_id": listing.invoke_id,
        "files": file_addresses(tree),
    }


class Syncer:
    """
    Sends trees at the turns of the request budget, again where that may help: the same tree again changes nothing.

    :param client: sends each request once, so that each retry waits for its turn here.
    :param budget: gives the turns.
    :param url_expires_in: seconds that the addresses are valid that are signed for the service.
    :param session: session parameters that are sent with each tree.
    :param log: logs a warning.
    """

    def __init__(
        self,
        client: WorkshopClient,
        *,
        budget: RequestBudget,
        url_expires_in: int,
        session: Any,
        log: Callable[[str], None],
        sleep: Callable[[float], object] | None = None,
    ) -> None:
        self._client, self._budget, self._url_expires_in, self._session = client, budget, url_expires_in, session
        self._stopped = threading.Event()
        self._log, self._sleep = log, sleep or self._stopped.wait
        self._refused: AuthenticationError | None = None
        self._retrying = Retrying(
            tries=TRIES, may_retry=self._may_retry, turn=lambda _: self._budget.turn(), sleep=self._sleep
        )
        for warning in read_session(session).warnings():
            log(f"Session parameters: {warning}.")

    def sync(self, tree: Any) -> SyncResult:
        """
        Send a tree.

        :raises ScenarioError: the tree is wrong, the service refuses it, or all tries failed.
        """
        body, given = signed_tree(tree, self._url_expires_in), as_dict(tree)
        for warning in body.warnings():
            self._log(f"Model {model_id_of(given)}: {warning}.")

        def send() -> SyncResult:
            if self._stopped.is_set():
                raise ServiceError(f"The task has ended. {NOTHING_SENT}", maybe_done=False)
            return sync_result(self._client.sync_model(body, session=self._session), given)

        self._sleep(self._budget.turn())
        return self._retrying(send)

    def sync_all(self, trees: Sequence[Any], *, threads: int) -> Iterator[SyncAnswer]:
        """
        Send many trees, and yield the result or the error of each, in their order.

        One failing tree does not stop the others; refused credentials stop all.
        """
        repeated = _repeated(trees)

        def answer(place: int, tree: Any) -> SyncAnswer:
            if self._refused:
                return self._refused
            try:
                if (first := repeated.get(place)) is not None:
                    raise InvalidInputError(
                        f"modelId is the same as that of models[{first}]: give all versions of a model in one tree."
                    )
                return self.sync(tree)
            except ScenarioError as error:
                if isinstance(error, AuthenticationError):
                    self._refused = error
                return error

        with ThreadPoolExecutor(threads, thread_name_prefix="sync") as pool:
            try:
                yield from pool.map(answer, range(len(trees)), trees)
            finally:
                self._stopped.set()  # else the threads of a killed task wait for their turns, up to minutes

    def _may_retry(self, error: ScenarioError) -> bool:
        return not (self._stopped.is_set() or error.permanent or isinstance(error, RequestRefusedError))


def failure_table(trees: Sequence[Any], answers: Sequence[SyncAnswer]) -> Iterator[str]:
    """Yield a heading, and a line for each tree that failed."""
    rows = [("models[…]", "modelId", "name", "what is wrong")]
    rows += [
        (str(place), _cell(tree, "modelId"), _cell(tree, "name"), reason)
        for place, (tree, answer) in enumerate(zip(trees, answers, strict=True))
        if (reason := failure(answer))
    ]
    return text_table(rows)


def failure(answer: SyncAnswer) -> str | None:
    """Why a tree was not synced or its listing has failed; None if neither."""
    if isinstance(answer, ScenarioError):
        return str(answer)
    if answer["state"] == "failed":
        return f"its listing has failed (status {answer['status']}, call {answer['invoke_id']})"
    return None


def _repeated(trees: Sequence[Any]) -> dict[int, int]:
    """Map the place of each tree whose model id an earlier tree has to the place of that one."""
    first: dict[str, int] = {}
    ids = [_field(tree, "modelId") for tree in trees]
    return {at: first[model] for at, model in enumerate(ids) if model and first.setdefault(model, at) != at}


def _cell(tree: Any, name: str) -> str:
    return plain(_field(tree, name))[:_WIDEST]


def _field(tree: Any, name: str) -> str:
    """A text of a tree that is not checked yet and can be anything."""
    snake = to_snake(name)
    value = tree.get(name, tree.get(snake)) if isinstance(tree, Mapping) else getattr(tree, snake, None)
    return value if isinstance(value, str) else ""
