"""
AI Creation Workshop's API: the sync of a model, and what a connection can be tested with.

A sync says who, what and where; the service fetches the files later and lists them. No call reads how far that is:
the documents leave only the same sync again, which is why it is safe to repeat.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, TypeVar

from pydantic import ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from airflow_provider_scenario.client.base import Client
from airflow_provider_scenario.client.defaults import TIMEOUT, WORKSHOP_URL
from airflow_provider_scenario.client.errors import InvalidInputError, ServiceError
from airflow_provider_scenario.client.messages import shown
from airflow_provider_scenario.client.schema import Moment, Schema, Seconds, ServiceText
from airflow_provider_scenario.client.texts import plain
from airflow_provider_scenario.client.transport import Transport, path
from airflow_provider_scenario.client.workshop.dialect import Envelope, WorkshopDialect
from airflow_provider_scenario.client.workshop.schemas import ModelTree, SessionParameters, read_session, read_tree

if TYPE_CHECKING:
    import requests

    from airflow_provider_scenario.client.answers import Answer
    from airflow_provider_scenario.client.budget import RequestBudget

log = logging.getLogger("airflow_provider_scenario.client")

TokenPlace = Literal["body", "query"]
State = Literal["not-listed", "in-progress", "listed", "failed", "unknown"]

STATES: Mapping[int, State] = {0: "not-listed", 5: "in-progress", 10: "listed", -10: "failed"}
"""What the service's numbers mean."""

_FURTHEST: tuple[State, ...] = ("failed", "unknown", "not-listed", "in-progress", "listed")


class _Data(Schema):
    service = "AI Creation Workshop"
    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        extra="ignore",
        frozen=True,
        coerce_numbers_to_str=True,
        protected_namespaces=(),
    )


class ListingStatus(_Data):
    """
    How far the service is with a model's file.

    :param model_id: as the service gives it; so are the other ids. None where it does not.
    :param status: 0: not listed, 5: in progress, 10: listed, -10: failed. Whatever else: not known, so go on waiting.
    :param invoke_id: the service's id of the call, to quote to its support.
    :param parts: where the service answers with a list, which its page does not say: each of it. What is least
        advanced speaks for all.
    """

    model_id: ServiceText | None = None
    model_version_id: ServiceText | None = None
    model_file_id: ServiceText | None = None
    status: Annotated[int, Field(ge=-1_000_000, le=1_000_000)]
    invoke_id: ServiceText | None = None
    parts: tuple[ListingStatus, ...] = ()

    @property
    def state(self) -> State:
        return STATES.get(self.status, "unknown")


class Token(_Data):
    """
    The end user in whose name is synced.

    :param token_expired_at: when the token ends; None where the service does not say.
    :param used_session_time_in_seconds: what it has used.
    """

    token_expired_at: Moment | None = None
    used_session_time_in_seconds: Seconds | None = None


D = TypeVar("D", bound=_Data)


class WorkshopClient(Client):
    """
    AI Creation Workshop for one application and one end user. Safe to use from several threads.

    :param transport: the way to the service, in its dialect.
    :param api_token: token of the end user.
    :param api_token_in: where a sync carries it; the vendor's page does not say. Default: in the body.
    """

    def __init__(self, transport: Transport, *, api_token: str, api_token_in: TokenPlace = "body") -> None:  # noqa: S107
        super().__init__(transport)
        self._api_token = api_token
        self._in_query = api_token_in == "query"  # noqa: S105

    @classmethod
    def connect(
        cls,
        *,
        app_key: str,
        app_secret: str,
        api_token: str,
        api_token_in: TokenPlace = "body",  # noqa: S107
        base_url: str = WORKSHOP_URL,
        timeout: tuple[float, float] | float = TIMEOUT,
        verify: bool | str = True,
        pool_size: int = 10,
        max_tries: int = 3,
        session: requests.Session | None = None,
        budget: RequestBudget | None = None,
    ) -> Self:
        """
        Make a client with a transport of its own; what is not listed is as for :class:`.Transport`.

        :param app_key: AppKey of an application, made in the workshop's console; not the AccessKey of an account.
        :param app_secret: its AppSecret.
        :param api_token: token of an end user, as ``allocate_token`` gives it.
        :param api_token_in: ``body`` (default) or ``query``.
        :raises InvalidInputError: for what cannot work, before anything is sent.
        """
        if not api_token:
            raise InvalidInputError("The token of the end user is missing: it is api_token of the connection.")
        if api_token_in not in ("body", "query"):
            raise InvalidInputError(f"api_token_in must be 'body' or 'query', not {shown(api_token_in)}.")
        if not all(isinstance(value, str) for value in (app_key, app_secret, api_token)):
            raise InvalidInputError("AppKey, AppSecret and api_token of the connection must be texts.")
        transport = Transport(
            base_url,
            app_key,
            app_secret,
            timeout=timeout,
            verify=verify,
            pool_size=pool_size,
            max_tries=max_tries,
            dialect=partial(WorkshopDialect, api_token=api_token),
            session=session,
            budget=budget,
        )
        return cls(transport, api_token=api_token, api_token_in=api_token_in)

    def sync_model(
        self,
        tree: ModelTree | Mapping[str, Any],
        *,
        session: SessionParameters | Mapping[str, Any] | None = None,
    ) -> ListingStatus:
        """
        Sync a model with all its versions and files, and learn how far its listing is.

        The ids in the tree are ours, so the same again changes nothing: it is sent again when its answer is lost.

        What the service may refuse although its page does not forbid it is sent, with a warning in the log.

        :param tree: the whole tree, whatever has changed. A :class:`.ModelTree` is sent without warnings.
        :param session: see :class:`.SessionParameters`. Default: none.
        :raises InvalidInputError: the tree or the parameters are wrong; nothing was sent.
        :raises AuthenticationError: key, secret or clock are wrong.
        :raises WorkshopRefusalError: the service says no, for a reason of its own.
        :raises RequestRefusedError, ThrottledError, ServiceError: as for :meth:`.Transport.request`.
        """
        read, beside = read_tree(tree), read_session(session)
        if read is not tree:
            for concern in (*beside.concerns(), *read.concerns()):
                log.warning("Model %s: %s.", shown(read.model_id), concern)
        body = read.to_body()
        # Where the token goes, what the page lists beside it goes too.
        parameters = {"apiToken": self._api_token, **beside.to_body()}
        if twice := sorted(parameters.keys() & body.keys()):
            raise InvalidInputError(f"{shown(twice)} is given in the tree and beside it. Nothing was sent.")
        action = f"sync model {plain(str(read.model_id))!r}"
        answer = self._transport.request(
            "POST",
            path("scc", "spSdModelSync"),
            action=action,
            repeatable=True,
            query={name: _in_query(value) for name, value in parameters.items()} if self._in_query else None,
            json=body if self._in_query else {**parameters, **body},
        )
        data = answer.json.get("data")
        rows = [
            _read(ListingStatus, row, answer, action) for row in (data if isinstance(data, list) and data else [data])
        ]
        slowest = min(rows, key=lambda row: _FURTHEST.index(row.state))
        parts = tuple(rows) if isinstance(data, list) else ()
        return slowest.model_copy(
            update={"invoke_id": Envelope.of(answer.json, answer.scrub).invoke_id, "parts": parts}
        )

    def check(self) -> Token:
        """
        Ask about the token: the harmless call that shows whether key, secret and token are right.

        :raises AuthenticationError: key, secret or clock are wrong.
        :raises WorkshopRefusalError: the service says no, most likely to the token.
        :raises RequestRefusedError, ThrottledError, ServiceError: as for :meth:`.Transport.request`.
        """
        action = "read the token"
        answer = self._transport.request(
            "POST", path("scc", "spQueryToken"), action=action, repeatable=True, json={"apiToken": self._api_token}
        )
        return _read(Token, answer.json.get("data"), answer, action)


def _in_query(value: Any) -> Any:
    """Objects and lists, which only an unlisted parameter can be, are JSON there too."""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else value


def _read(schema: type[D], data: Any, answer: Answer, action: str) -> D:
    try:
        return schema.model_validate(data, context={"scrub": answer.scrub})
    except ValidationError as problem:
        wrong = ", ".join(sorted({".".join(map(str, error["loc"])) or "data" for error in problem.errors()}))
    raise ServiceError(
        f"AI Creation Workshop was requested to {action}; its answer is unreadable (missing or of another shape: "
        f"{plain(wrong)[:200]}). Sending it again is safe.",
        maybe_done=False,
        **answer.origin,
    )
