"""Templates in a dataset: refused, so that none can reach a field that Airflow renders."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_provider_scenario.client.errors import InvalidInputError

MARKERS = ("{{", "{%", "{#")
"""What an expression, a statement and a comment of Jinja begin with."""


def refuse_templates(what: str, value: Any) -> None:
    """
    Refuse a value that holds text with which a Jinja template begins, keys included.

    :param what: what the value is called where it was found.
    :raises InvalidInputError: it names the marker and the reason.
    """
    if isinstance(value, str):
        for marker in MARKERS:
            if marker in value:
                raise InvalidInputError(
                    f"{what} has {marker!r}, which begins a template. A dataset must not hold templates: rendering one "
                    f"can read every connection. Remove it; templates belong in the DAG file. It is {_shown(value)}."
                )
    elif isinstance(value, Mapping):
        for key, item in value.items():
            refuse_templates(f"a key of {what}", key)
            refuse_templates(f"{key!s:.60}", item)
    elif isinstance(value, list | tuple | set):
        for item in value:
            refuse_templates(what, item)


def _shown(value: str) -> str:
    """The end of a long text: of a path that is the part which somebody has named."""
    return repr(value if len(value) <= 200 else f"…{value[-200:]}")
