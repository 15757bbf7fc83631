"""
AI Creation Workshop's API: sync a model, and read the token.

A sync sends a model's metadata and the addresses of its files; the service fetches and lists the files later. No call
reads the status of a listing: send the same sync again, which changes nothing and returns the status.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import ConfigDict, Field
from pydantic.alias_generators import to_camel

from airflow_provider_scenario.client.base import Client
from airflow_provider_scenario.client.consequences import NOTHING_SENT
from airflow_provider_scenario.client.defaults import TIMEOUT, WORKSHOP_URL
from airflow_provider_scenario.client.errors import InvalidInputError
from airflow_provider_scenario.client.messages import shown
from airflow_provider_scenario.client.schema import Moment, Schema, Seconds, ServiceText
from airflow_provider_scenario.client.texts import plain
from airflow_provider_scenario.client.transport import Transport, path
from airflow_provider_scenario.client.workshop.dialect import Envelope, WorkshopDialect
from airflow_provider_scenario.client.workshop.schemas import ModelTree, SessionParameters, read_session, read_tree

if TYPE_CHECKING:
    import requests

    from airflow_provider_scenario.client.budget import RequestBudget

log = logging.getLogger("airflow_provider_scenario.client")

TokenPlace = Literal["body", "query"]
StatusName = Literal["not-listed", "in-progress", "listed", "failed", "unknown"]

STATUS_NAMES: Mapping[int, StatusName] = {0: "not-listed", 5: "in-progress", 10: "listed", -10: "failed"}
"""The service's numbers, and our words for them."""

_LEAST_ADVANCED_FIRST: tuple[StatusName, ...] = ("failed", "unknown", "not-listed", "in-progress", "listed")

_SAFE = "Sending it again is safe."


class _WorkshopSchema(Schema):
    service = "AI Creation Workshop"
    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        extra="ignore",
        frozen=True,
        coerce_numbers_to_str=True,
        protected_namespaces=(),
    )


class ListingStatus(_WorkshopSchema):
    """
    The status of the listing of a model's file.

    :param model_id: as the service gives it, like the other ids. None: it does not give one.
    :param status: 0: not listed, 5: in progress, 10: listed, -10: failed. The meaning of other numbers is not known.
    :param invoke_id: the service's id of the call, for its support.
    :param parts: the items, if the service answers with a list, which its page does not mention. The other fields are
        those of the least advanced item.
    """

    model_id: ServiceText | None = None
    model_version_id: ServiceText | None = None
    model_file_id: ServiceText | None = None
    status: Annotated[int, Field(ge=-1_000_000, le=1_000_000)]
    invoke_id: ServiceText | None = None
    parts: tuple[ListingStatus, ...] = ()

    @property
    def status_name(self) -> StatusName:
        return STATUS_NAMES.get(self.status, "unknown")


class Token(_WorkshopSchema):
    """
    The token of the end user who owns the synced models.

    :param token_expired_at: when the token expires. None: the service does not give it.
    :param used_session_time_in_seconds: session time that the user has used.
    """

    token_expired_at: Moment | None = None
    used_session_time_in_seconds: Seconds | None = None


class WorkshopClient(Client):
    """
    AI Creation Workshop for one application and one end user. Safe to use from several threads.

    :param transport: sends the requests, with a ``WorkshopDialect``.
    :param api_token: token of the end user.
    :param api_token_in: where a sync sends the token; the vendor's page does not document it. Default: in the body.
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
        Make a client with a transport of its own. Other arguments are those of :class:`.Transport`.

        :param app_key: AppKey of an application, made in the workshop's console; not the AccessKey of an account.
        :param app_secret: its AppSecret.
        :param api_token: token of an end user, as ``allocate_token`` gives it.
        :param api_token_in: ``body`` (default) or ``query``.
        :raises InvalidInputError: an argument cannot work; nothing was sent.
        """
        if not api_token:
            raise InvalidInputError("api_token is missing: give the token of an end user.")
        if api_token_in not in ("body", "query"):
            raise InvalidInputError(f"api_token_in must be 'body' or 'query', not {shown(api_token_in)}.")
        if not all(isinstance(value, str) for value in (app_key, app_secret, api_token)):
            raise InvalidInputError("AppKey, AppSecret and api_token must be texts.")
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
        Sync a model with all its versions and files, and return the status of its listing.

        The ids in the tree are ours: the same sync again changes nothing, so it is sent again when its answer is lost.

        :param tree: the whole tree, whatever has changed. The log warns of what the service may refuse although its
            page does not forbid it, unless the tree is a :class:`.ModelTree`.
        :param session: see :class:`.SessionParameters`. Default: none.
        :raises InvalidInputError: the tree or the parameters are wrong; nothing was sent.
        :raises AuthenticationError: key, secret or clock are wrong.
        :raises WorkshopRefusalError: the service refuses the tree, with a code of its own.
        :raises RequestRefusedError, ThrottledError, ServiceError: as for :meth:`.Transport.request`.
        """
        read, beside = read_tree(tree), read_session(session)
        if read is not tree:
            for warning in (*beside.warnings(), *read.warnings()):
                log.warning("Model %s: %s.", shown(read.model_id), warning)
        body = read.to_body()
        # The session parameters are sent where the token is sent: the page lists them side by side.
        parameters = {"apiToken": self._api_token, **beside.to_body()}
        if twice := sorted(parameters.keys() & body.keys()):
            raise InvalidInputError(
                f"{shown(twice)} is given in the tree and in the session parameters. {NOTHING_SENT}"
            )
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
            ListingStatus.read(row, action=action, answer=answer, advice=_SAFE)
            for row in (data if isinstance(data, list) and data else [data])
        ]
        least_advanced = min(rows, key=lambda row: _LEAST_ADVANCED_FIRST.index(row.status_name))
        parts = tuple(rows) if isinstance(data, list) else ()
        return least_advanced.model_copy(
            update={"invoke_id": Envelope.of(answer.json, answer.scrub).invoke_id, "parts": parts}
        )

    def check(self) -> Token:
        """
        Read the token: a call without effect that shows whether key, secret and token are right.

        :raises AuthenticationError: key, secret or clock are wrong.
        :raises WorkshopRefusalError: the service refuses, most likely the token.
        :raises RequestRefusedError, ThrottledError, ServiceError: as for :meth:`.Transport.request`.
        """
        action = "read the token"
        answer = self._transport.request(
            "POST", path("scc", "spQueryToken"), action=action, repeatable=True, json={"apiToken": self._api_token}
        )
        return Token.read(answer.json.get("data"), action=action, answer=answer, advice=_SAFE)


def _in_query(value: Any) -> Any:
    """Write objects and lists, which only unlisted parameters can be, as JSON."""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else value
