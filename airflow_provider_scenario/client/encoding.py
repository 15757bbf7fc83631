"""Writes requests: a body as JSON, a value in a query. What cannot be written is an error before anything is sent."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime

from airflow_provider_scenario.client.consequences import NOTHING_SENT
from airflow_provider_scenario.client.errors import InvalidInputError
from airflow_provider_scenario.client.messages import shortened, shown
from airflow_provider_scenario.client.values import is_number

LONGEST_SHOWN = 300
"""Characters of a place in a body, in a message."""


def encoded(body: Mapping[str, object] | Sequence[object]) -> bytes:
    """
    Write a body as JSON.

    :raises InvalidInputError: JSON cannot hold it.
    """
    try:
        return json.dumps(body, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
    except UnicodeEncodeError:
        where = shortened(_not_utf8(body) or "a text", LONGEST_SHOWN)
        raise InvalidInputError(
            f"The request cannot be written as JSON: {where} is not valid Unicode, it has half of a surrogate pair in "
            f"it. {NOTHING_SENT}"
        ) from None
    except (TypeError, ValueError, RecursionError) as problem:
        raise InvalidInputError(f"The request cannot be written as JSON: {problem}. {NOTHING_SENT}") from None


def query_text(field: str, value: object) -> str:
    """
    Write a value for a query; None becomes empty text, a list is joined by commas.

    :param field: the argument that the value came from.
    :raises InvalidInputError: a query cannot hold a value of this kind, or it is text that is not valid Unicode.
    """
    if isinstance(value, list | tuple | set | frozenset):
        return ",".join(_one_text(field, item) for item in value)
    return "" if value is None else _one_text(field, value)


def _one_text(field: str, value: object) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case datetime():
            with contextlib.suppress(OverflowError):
                moment = value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
                return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        case date():
            return value.isoformat()
        case str():
            if is_utf8(value):
                return value
            # Without the value: it may be a token.
            raise InvalidInputError(
                f"{field} is not valid Unicode, it has half of a surrogate pair in it. {NOTHING_SENT}"
            )
        case int() | float() if is_number(value):
            return str(value)
    raise InvalidInputError(
        f"{field} is {shown(value)}: give text, a number, true or false, a date, or a list of these. {NOTHING_SENT}"
    )


def is_utf8(text: str) -> bool:
    """Whether UTF-8 can hold it. It cannot hold half of a surrogate pair, such as half an emoji."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _not_utf8(body: object, where: str = "") -> str | None:
    """Find a text that UTF-8 cannot hold: its place, such as ``parameters.samplePrompts[2]``, or None."""
    match body:
        case str():
            return None if is_utf8(body) else where or "it"
        case Mapping():
            places: Iterable[tuple[object, str]] = (
                pair
                for name, item in body.items()
                for pair in ((name, f"a name in {where or 'it'}"), (item, f"{where}.{name}" if where else str(name)))
            )
        case list() | tuple():
            places = ((item, f"{where}[{index}]") for index, item in enumerate(body))
        case _:
            return None
    return next((found for item, place in places if (found := _not_utf8(item, place))), None)
