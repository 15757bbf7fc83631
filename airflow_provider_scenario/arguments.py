"""What operators and sensors have in common in their arguments: defaults, and what can be checked when."""

from __future__ import annotations

from datetime import timedelta
from pathlib import PurePath
from typing import Any

from airflow_provider_scenario.client.errors import InvalidInputError
from airflow_provider_scenario.client.messages import shown
from airflow_provider_scenario.client.values import is_number, number_in

DEFAULT_POKE_INTERVAL = 30.0
"""Seconds. A training takes one to three hours, and the API allows 100 requests a minute for a whole project."""

DEFAULT_TIMEOUT = 12 * 60 * 60.0
"""Seconds. Trainings of three hours have been seen, and a queue comes before them."""

LONGEST = 1e10
"""Seconds: some three hundred years. Dates that are much later cannot be computed."""

# How much longer than our own deadline Airflow lets the task defer: its time-out is the net below ours.
GRACE = timedelta(minutes=10)


def known(value: Any) -> bool:
    """Whether a templated argument has its final value already when the DAG file is parsed."""
    if isinstance(value, str):
        return "{{" not in value and "{%" not in value
    if isinstance(value, dict):
        return all(known(item) for item in value.values())
    if isinstance(value, list | tuple):
        return all(known(item) for item in value)
    return value is None or isinstance(value, bool | int | float | PurePath)


def seconds(name: str, value: Any) -> float:
    """
    Check a duration.

    :raises InvalidInputError: it is no number above zero.
    """
    if isinstance(value, timedelta):
        value = value.total_seconds()
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < LONGEST:
        right = "a number of seconds above 0, such as 3600, or a timedelta"
        raise InvalidInputError(f"{name} is {shown(value)}; give {right}.")
    return float(value)


def one_of(name: str, value: Any, choices: tuple[str, ...]) -> str:
    """
    Check a choice.

    :raises InvalidInputError: it is none of them.
    """
    if value not in choices:
        raise InvalidInputError(f"{name} is {shown(value)}; give one of: {', '.join(map(repr, choices))}.")
    return str(value)


def price_limit(value: Any) -> float | None:
    """
    Check ``max_creative_units``; text that a template gives counts as the number it holds.

    :raises InvalidInputError: it is no number from zero on.
    """
    if value is None:
        return None
    limit = number_in(value)
    if not is_number(limit) or limit < 0:
        raise InvalidInputError(
            f"max_creative_units is {shown(value)}; give a number of creative units from 0 on, such as 1000."
        )
    return float(limit)
