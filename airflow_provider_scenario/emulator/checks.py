"""Validation of request fields, with the service's own messages."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_scenario.emulator.routing import Refusal

if TYPE_CHECKING:
    from collections.abc import Mapping

LARGEST_NUMBER = sys.float_info.max


def invalid(field: str, complaint: str) -> Refusal:
    return Refusal(400, f'"{field}" {complaint}')


def text(
    body: Mapping[str, Any], field: str, *, longest: int | None = None, nullable: bool = False, label: str = ""
) -> str | None:
    """The field's text; None if it is absent, or null where that is allowed."""
    value = body.get(field)
    if value is None and (nullable or field not in body):
        return None
    if not isinstance(value, str):
        raise invalid(label or field, "must be a string")
    if longest is not None and len(value) > longest:
        raise invalid(label or field, f"length must be less than or equal to {longest} characters long")
    return value


def required_text(body: Mapping[str, Any], field: str) -> str:
    value = text(body, field)
    if value is None:
        raise invalid(field, "is required")
    if not value:
        raise invalid(field, "is not allowed to be empty")
    return value


def texts(body: Mapping[str, Any], field: str, *, most: int | None = None, label: str = "") -> list[str] | None:
    value = body.get(field)
    if field not in body:
        return None
    if not isinstance(value, list):
        raise invalid(label or field, "must be an array")
    for index, item in enumerate(value):
        if not isinstance(item, str):
            raise invalid(f"{label or field}[{index}]", "must be a string")
    if most is not None and len(value) > most:
        raise invalid(label or field, f"must contain less than or equal to {most} items")
    return value


def number(
    value: Any, label: str, *, least: float | None = None, most: float | None = None, whole: bool = False
) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise invalid(label, "must be a number")
    # A Python integer can be larger than any double and would overflow in later arithmetic.
    if not -LARGEST_NUMBER <= value <= LARGEST_NUMBER:
        raise invalid(label, "must be a safe number")
    if whole and value != int(value):
        raise invalid(label, "must be an integer")
    if least is not None and value < least:
        raise invalid(label, f"must be greater than or equal to {least}")
    if most is not None and value > most:
        raise invalid(label, f"must be less than or equal to {most}")


def one_of(value: Any, label: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise invalid(label, f"must be one of [{', '.join(allowed)}]")


def page_size(query: Mapping[str, str], *, default: int, most: int) -> int:
    given = query.get("pageSize")
    if given is None:
        return default
    if not (given.isascii() and given.isdigit() and len(given) < 10):
        raise invalid("pageSize", "must be a number")
    number(int(given), "pageSize", least=1, most=most)
    return int(given)


def moment(query: Mapping[str, str], field: str) -> float | None:
    """An ISO date in the query as Unix time."""
    given = query.get(field)
    if given is None:
        return None
    try:
        parsed = datetime.fromisoformat(given)
        return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):  # the first hours of the year 1, in the time zones east of Greenwich
        raise invalid(field, "must be in ISO 8601 date format") from None
