"""Checks ids, so that none can lead to another endpoint. Standard library only: DAG files import it."""

from __future__ import annotations

from typing import Any

from airflow_provider_scenario.client.consequences import NOTHING_SENT
from airflow_provider_scenario.client.errors import InvalidInputError
from airflow_provider_scenario.client.messages import shown

_FORBIDDEN = frozenset("/\\?#%")
_LONGEST = 1_000
"""Characters. Scenario's ids have below 40, and no server takes an address of more than some thousand."""


def check_id(field: str, value: Any) -> str:
    r"""
    Check an id. The rules are loose, because old models have free-form ids such as ``flux.1-dev``.

    :param field: name of the argument, for the message.
    :raises InvalidInputError: the id is empty, ``.``, ``..``, longer than 1000 characters, or holds ``/ \ ? # %``,
        white space or control characters.
    """
    if wrong := wrong_with_id(value):
        raise InvalidInputError(f"{field} {wrong}. {NOTHING_SENT}")
    return str(value)


def wrong_with_id(value: Any) -> str | None:
    """Return what is wrong with an id, as the end of a sentence that the field begins; None for a valid id."""
    if not isinstance(value, str):
        return f"must be text, not {shown(value)}"
    if not value:
        return "is empty"
    if len(value) > _LONGEST:
        return f"has {len(value)} characters and begins with {shown(value[:50])}: that is not an id"
    if value == "None":
        return "is 'None': most likely a template or an XCom gave no value"
    if value in (".", ".."):
        return f"is {value!r}, which would lead to another endpoint"
    if any(char in _FORBIDDEN or char.isspace() or not char.isprintable() for char in value):
        last = value.rstrip("/").rpartition("/")[2]
        meant = f"; most likely its end is meant, {last!r}" if "://" in value and wrong_with_id(last) is None else ""
        return f"is {shown(value)}: an id holds no '/', '\\', '?', '#', '%', spaces or control characters{meant}"
    return None
