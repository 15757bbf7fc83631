"""Decodes the content of an answer: JSON that can be written as JSON again, or the text that came instead."""

from __future__ import annotations

import json
from typing import Any

from pydantic_core import from_json

JsonObject = dict[str, Any]
"""A decoded object of an answer: of unknown shape until a schema has read it."""

DEEPEST_ANSWER = 200
"""Objects and lists within each other in an answer. Scenario's own are below 10."""

LONGEST_WHOLE_NUMBER = 400
"""Digits of a whole number in an answer: more than any float has."""

LONGEST_PAGE = 20_000
"""Characters that are kept of an answer that is not JSON: a proxy's page gives the reason at its beginning."""


def decode(content: bytes) -> Any:
    """
    Decode JSON; content that is not JSON is returned as text, empty content as None.

    The result can be written as JSON again, as UTF-8 and into a database: numbers are finite except a float
    like ``1e999``, texts have no lone surrogates and no NUL, and nothing is nested deeper than :data:`DEEPEST_ANSWER`.
    """
    if b"\\u0000" not in content:
        try:
            return from_json(content, allow_inf_nan=False)  # faster, and stricter than json
        except ValueError:
            pass
    try:
        return _repaired(json.loads(content, parse_constant=lambda _: None, parse_int=_whole_number), 0)
    except (ValueError, RecursionError):
        return content[:LONGEST_PAGE].decode("utf-8", "replace").strip() or None


def _repaired(value: Any, depth: int) -> Any:
    """Replace odd texts: one of them must not make the rest of an answer unreadable."""
    if depth > DEEPEST_ANSWER:
        raise RecursionError
    match value:
        case str():
            return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace").replace("\0", "\ufffd")
        case list():
            return [_repaired(item, depth + 1) for item in value]
        case dict():
            return {_repaired(name, depth + 1): _repaired(item, depth + 1) for name, item in value.items()}
    return value


def _whole_number(digits: str) -> int | None:
    return int(digits) if len(digits) <= LONGEST_WHOLE_NUMBER else None
