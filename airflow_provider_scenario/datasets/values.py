"""What text and values the files of a dataset may hold."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from airflow_provider_scenario.client.errors import InvalidInputError
from airflow_provider_scenario.client.messages import quoted
from airflow_provider_scenario.client.values import MAX_REQUEST

MARKERS = ("{{", "{%", "{#")
"""What an expression, a statement and a comment of Jinja begin with."""

MAX_DEPTH = 20
"""Lists and mappings inside each other; training parameters have three."""

MAX_NUMBER = 2**63
"""Numbers from here on cannot be stored, and thousands of digits not even be shown."""


def refuse_templates(what: str, text: str) -> None:
    """
    Refuse text in which a Jinja template begins.

    :param what: what the text is called where it was found.
    :raises InvalidInputError: it names the marker and the reason.
    """
    for marker in MARKERS:
        if marker in text:
            raise InvalidInputError(
                f"{what} has {marker!r}, which begins a template. A dataset must hold no templates: a rendered one "
                f"can read every connection. Remove it; templates belong in the DAG file. It is {_end_of(text)!r}"
            )


def check_text(what: str, text: str) -> None:
    """
    Check that text can be sent.

    :raises InvalidInputError: a character of it has no UTF-8, or it is too long for a request.
    """
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise InvalidInputError(f"{what} has a character that is not UTF-8. It is {text!r:.100}") from None
    if size > MAX_REQUEST:
        raise InvalidInputError(f"{what} has {size / 1e6:.1f} MB; no request holds more than 6 MB.")


def check_values(what: str, value: Any, depth: int = 0) -> None:
    """
    Check what ``training.yaml`` holds, keys included, before anything is done with it.

    :param what: what the value is called where it was found.
    :raises InvalidInputError: a template, or what cannot be sent or stored.
    """
    if depth > MAX_DEPTH:
        raise InvalidInputError(f"{what} has more than {MAX_DEPTH} lists and mappings inside each other.")
    if isinstance(value, str):
        refuse_templates(what, value)
        check_text(what, value)
        if "\0" in value:  # PostgreSQL stores none in an XCom
            raise InvalidInputError(f"{what} has a NUL character. It is {value!r:.100}")
    elif isinstance(value, int | float) and not -MAX_NUMBER < value < MAX_NUMBER:
        raise InvalidInputError(f"{what} is a number that is too large, or none.")
    elif isinstance(value, Mapping):
        for key, item in value.items():
            check_values("a key", key, depth + 1)
            check_values(f"{key!s:.60}", item, depth + 1)
    elif isinstance(value, list | tuple | set):
        for item in value:
            check_values(what, item, depth + 1)


def some_of(names: Iterable[str], most: int = 3) -> str:
    """The first names of many: ``'a.png', 'b.png' and 7 more``."""
    listed = [quoted(name) for name in names]
    more = f" and {len(listed) - most} more" if len(listed) > most else ""
    return ", ".join(listed[:most]) + more


def _end_of(text: str, length: int = 200) -> str:
    """The text, or its end where it is long: of a path that is the part which somebody has just named."""
    return text if len(text) <= length else "…" + text[1 - length :]
