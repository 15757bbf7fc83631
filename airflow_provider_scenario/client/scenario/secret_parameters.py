"""
Training parameters that are secret: a Weights & Biases key is neither shown nor stored in clear text.

Imported while DAG files are parsed: nothing but the standard library.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from airflow_provider_scenario.client.errors import InvalidInputError
from airflow_provider_scenario.client.scenario.parameters import PARAMETERS
from airflow_provider_scenario.client.secret_text import SecretText, revealed
from airflow_provider_scenario.client.values import MAX_DEPTH, camel_case


def is_secret(name: object) -> bool:
    """
    Whether a training parameter must be neither shown nor stored in clear text.

    :param name: in either spelling. A misspelt one such as ``WANDB_API_KEY`` counts: its error must not show the value.
    """
    if not isinstance(name, str):
        return False
    parameter = PARAMETERS.get(camel_case(name))
    return (parameter is not None and parameter.secret) or "wandb" in name.lower()


def without_secrets(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the training parameters that may be shown and stored."""
    return {name: with_hidden_secrets(value) for name, value in parameters.items() if not is_secret(name)}


def only_secrets(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the training parameters that :func:`without_secrets` leaves out."""
    return {name: value for name, value in parameters.items() if is_secret(name)}


def with_hidden_secrets(value: Any, on_secret: Callable[[str], None] = lambda _: None, depth: int = 0) -> Any:
    """
    Return the same value with each secret in it as a :class:`~.secret_text.SecretText`.

    :param value: training parameters, or lists and dictionaries that hold some.
    :param on_secret: called with each secret in clear text, for example to mask it in logs.
    """
    if not isinstance(value, list | dict):
        return value
    if depth > MAX_DEPTH:
        return "***"  # no parameter is nested so deep, and deeper recursion would exceed Python's limit
    if isinstance(value, list):
        return [with_hidden_secrets(item, on_secret, depth + 1) for item in value]
    hidden = {}
    for name, item in value.items():
        if not is_secret(name) or item is None or isinstance(item, bool):
            hidden[name] = with_hidden_secrets(item, on_secret, depth + 1)
            continue
        hidden[name] = item if isinstance(item, SecretText) else SecretText(str(item))
        on_secret(revealed(hidden[name]))
    return hidden


def refuse_nested_secrets(value: Any) -> None:
    """
    Refuse a secret within another value: the request would contain ``***`` in its place.

    :raises InvalidInputError: the value contains a secret parameter.
    """
    if isinstance(value, Mapping):
        if any(map(is_secret, value)):
            raise InvalidInputError(
                "parameters: a Weights & Biases key is nested in another parameter, where this provider cannot hide "
                "it. Put it beside the other parameters."
            )
        value = list(value.values())
    if isinstance(value, list | tuple):
        for item in value:
            refuse_nested_secrets(item)
