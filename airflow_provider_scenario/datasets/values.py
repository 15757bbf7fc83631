"""Checks of the text and the values in the files of a dataset."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

from airflow_provider_scenario.client.errors import InvalidInputError
from airflow_provider_scenario.client.messages import quoted, shortened
from airflow_provider_scenario.client.values import check_encodable

TEMPLATE_MARKERS = ("{{", "{%", "{#")
"""How an expression, a statement and a comment of Jinja begin."""

MAX_DEPTH = 20
"""Lists and mappings inside each other; training parameters have three."""

MAX_NUMBER = 2**63
"""Larger numbers cannot be stored, and numbers of thousands of digits cannot be shown."""


def refuse_templates(what: str, text: str) -> None:
    """
    Refuse text in which a Jinja template begins.

    :param what: what the text is called in the message.
    :raises InvalidInputError: names the marker and the reason.
    """
    for marker in TEMPLATE_MARKERS:
        if marker in text:
            raise InvalidInputError(
                f"{what} has {marker!r}, which begins a template. A dataset must hold no templates: a rendered one "
                f"can read every connection. Remove it; templates belong in the DAG file. It is {_end_of(text)!r}"
            )


def check_values(what: str, value: object, depth: int = 0) -> None:
    """
    Check a value of ``training.yaml``, keys included, before it is used.

    :param what: what the value is called in the message.
    :raises InvalidInputError: it holds a template, or something that cannot be sent or stored.
    """
    if depth > MAX_DEPTH:
        raise InvalidInputError(f"{what} has more than {MAX_DEPTH} lists and mappings inside each other.")
    if isinstance(value, str):
        refuse_templates(what, value)
        check_encodable(what, value)
        if "\0" in value:  # PostgreSQL cannot store it in an XCom
            raise InvalidInputError(f"{what} has a NUL character. It is {value!r:.100}")
    elif isinstance(value, int | float) and not -MAX_NUMBER < value < MAX_NUMBER:
        raise InvalidInputError(f"{what} is too large, or not a number.")
    elif isinstance(value, Mapping):
        for key, item in value.items():
            check_values("a key", key, depth + 1)
            check_values(f"{key!s:.60}", item, depth + 1)
    elif isinstance(value, list | tuple | set):
        for item in value:
            check_values(what, item, depth + 1)


@contextmanager
def errors_of(prefix: str) -> Iterator[None]:
    """Put a prefix before the message of our errors, and shorten it. The original error is not kept as context."""
    try:
        yield
    except InvalidInputError as problem:
        error = type(problem)(f"{prefix}{shortened(str(problem))}")
    else:
        return
    raise error


def some_of(names: Iterable[str], most: int = 3) -> str:
    """The first of many names, in quotes: ``'a.png', 'b.png' and 7 more``."""
    return first_of(list(map(quoted, names)), most)


def first_of(items: list[str], most: int) -> str:
    """The first of many items: ``a, b and 7 more``."""
    more = f" and {len(items) - most} more" if len(items) > most else ""
    return ", ".join(items[:most]) + more


def _end_of(text: str, length: int = 200) -> str:
    """The text, or its end where it is long: the end of a path is the part that a user chose."""
    return text if len(text) <= length else "…" + text[1 - length :]
