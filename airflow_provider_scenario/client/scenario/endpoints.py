"""Base of Scenario's endpoints: typed objects and whole lists out of answers, options in the API's spelling."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from airflow_provider_scenario.client.base import Client
from airflow_provider_scenario.client.consequences import NOTHING_SENT
from airflow_provider_scenario.client.encoding import query_text
from airflow_provider_scenario.client.errors import InvalidInputError, ServiceError
from airflow_provider_scenario.client.ids import check_id
from airflow_provider_scenario.client.messages import shown
from airflow_provider_scenario.client.values import camel_keys

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_scenario.client.answers import Answer
    from airflow_provider_scenario.client.schema import S
    from airflow_provider_scenario.client.transport import Query

_LONGEST_TOKEN = 8_000
"""Characters of a pagination token: it becomes part of an address, and servers refuse longer ones."""


class Endpoints(Client):
    """Base of the groups of Scenario's endpoints."""

    def _read(
        self,
        schema: type[S],
        answer: Answer,
        name: str,
        action: str,
        *,
        maybe_done: bool = False,
        only_status: bool = False,
    ) -> S:
        found = answer.json.get(name)
        return schema.read(found, action=action, maybe_done=maybe_done, answer=answer, only_status=only_status)

    def _read_list(
        self, schema: type[S], answer: Answer, name: str, action: str, *, skip_unreadable: bool = False
    ) -> list[S]:
        rows = answer.json.get(name)
        if not isinstance(rows, list):
            raise ServiceError(
                f"Scenario was requested to {action}; its answer is unreadable: it has no list of {name}.",
                maybe_done=False,
                **answer.origin,
            )
        found = []
        for row in rows:
            try:
                found.append(schema.read(row, action=action, answer=answer))
            except ServiceError:
                if not skip_unreadable:
                    raise
        return found

    def _pages(
        self,
        schema: type[S],
        address: str,
        name: str,
        *,
        action: str,
        query: Query | None = None,
        in_project: bool = True,
    ) -> Iterator[S]:
        """
        Read pages until one has no token: a page may be short, even empty, while more follow.

        :raises ServiceError: a page leads back to an earlier one. Stopping there would pass half a list off as all.
        """
        token: str | None = None
        used: set[str] = set()
        for number in itertools.count(1):
            answer = self._transport.request(
                "GET",
                address,
                query={**(query or {}), "paginationToken": token},
                action=f"{action} (page {number})",
                repeatable=True,
                in_project=in_project,
            )
            yield from self._read_list(schema, answer, name, action)
            token = answer.json.get("nextPaginationToken")
            if not token:
                return
            if not isinstance(token, str) or len(token) > _LONGEST_TOKEN or not token.isprintable():
                raise ServiceError(
                    f"Scenario was requested to {action}; page {number} has an unreadable token of the next page.",
                    maybe_done=False,
                    **answer.origin,
                )
            if token in used:
                raise ServiceError(
                    f"Scenario was requested to {action}; page {number} leads back to an earlier one, so the list "
                    "has no end.",
                    maybe_done=False,
                    **answer.origin,
                )
            used.add(token)


def given(**fields: object) -> dict[str, object]:
    """Leave out what is None: for the API a missing field means 'not given'."""
    return {name: value for name, value in fields.items() if value is not None}


def unique_texts(values: Iterable[str], field: str) -> list[str]:
    """
    Every value once, in order.

    :raises InvalidInputError: it is one text, whose letters would count as the values, or not a list of texts.
    """
    return list(dict.fromkeys(_texts(values, field)))


def unique_ids(values: Iterable[str], field: str) -> list[str]:
    """
    Every id once, in order.

    :raises InvalidInputError: as for :func:`unique_texts`, or one cannot be an id.
    """
    ids = [check_id(f"{field}[{position}]", value) for position, value in enumerate(_texts(values, field), start=1)]
    return list(dict.fromkeys(ids))


def _texts(values: Iterable[str], field: str) -> list[str]:
    if isinstance(values, str | bytes | Mapping) or not isinstance(values, Iterable):
        raise InvalidInputError(f"{field} must be a list, not {shown(values)}. {NOTHING_SENT}")
    found = list(values)
    for value in found:
        if not isinstance(value, str):
            raise InvalidInputError(f"{field} must be a list of texts, not of {shown(value)}. {NOTHING_SENT}")
    return found


def flag(value: object, field: str) -> bool | None:
    """
    Check an option that is on, off or not given.

    :raises InvalidInputError: it is anything else, which Scenario might read as the opposite.
    """
    if value is not None and not isinstance(value, bool):
        raise InvalidInputError(f"{field} is {shown(value)}; give True or False. {NOTHING_SENT}")
    return value


def filters_of(known: type, filters: Mapping[str, object]) -> Query:
    """
    Write filters in the API's spelling.

    :param known: the type with the known filters.
    :raises TypeError: a filter is unknown: Scenario would ignore it and list everything.
    :raises InvalidInputError: a value cannot be sent.
    """
    for name, value in filters.items():
        if name not in known.__annotations__:
            raise TypeError(f"unexpected keyword argument {name!r}; known: {', '.join(known.__annotations__)}")
        query_text(name, value)
    return camel_keys(given(**filters), "filters")
