"""
The fields of a model that an author gives, checked and brought into the API's spelling.

Imported while DAG files are parsed: nothing but the standard library.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any

from airflow_provider_scenario.client.errors import InvalidInputError
from airflow_provider_scenario.client.ids import check_id
from airflow_provider_scenario.client.messages import shown
from airflow_provider_scenario.client.scenario.model_types import check_type
from airflow_provider_scenario.client.scenario.trainers import as_sent, check_parameters
from airflow_provider_scenario.client.values import (
    TEMPLATE_HINT,
    camel_case,
    camel_keys,
    check_encodable,
    check_sendable,
    check_text,
    check_texts,
    is_number,
    number_in,
    similar_name,
)

MAX_NAME = 64
"""Characters of a model's name (request schema)."""

MAX_SHORT_DESCRIPTION = 256
"""Characters of a model's short description (request schema)."""


def checked_fields(fields: Mapping[str, Any]) -> dict[str, Any]:
    """
    Check the fields of a model and bring them into the API's spelling.

    :param fields: in snake case; None unsets one.
    :raises InvalidInputError: a field is of the wrong kind or too long.
    """
    body: dict[str, Any] = {}
    for field, value in fields.items():
        body[camel_case(field)] = None if value is None else _CHECKS[field](value)[0]
    return body


def check_field(field: str, value: Any) -> list[str]:
    """
    Check one field of a model.

    :param field: in snake case.
    :return: warnings.
    :raises InvalidInputError: it is of the wrong kind or too long.
    """
    return _CHECKS[field](value)[1]


def check_name(name: str) -> None:
    """
    Check the name of a model: 1 to 64 characters.

    :raises InvalidInputError: it is empty, longer, or not text.
    """
    check_text("name", name, shortest=1, longest=MAX_NAME)


def check_short_description(text: str) -> None:
    """
    Check the short description of a model: at most 256 characters.

    :raises InvalidInputError: it is longer, or not text.
    """
    check_text("short_description", text, longest=MAX_SHORT_DESCRIPTION)


def check_class_slug(text: str) -> None:
    """
    Check the slug of a model's class.

    :raises InvalidInputError: it is empty, or not text.
    """
    check_text("class_slug", text, shortest=1)


def check_collection_ids(ids: Iterable[str]) -> None:
    """
    Check the collections of a model.

    :raises InvalidInputError: they are not a list, or one of them is not text, or empty.
    """
    check_texts("collection_ids", ids, "collection ids")


def check_epoch(field: str, epoch: str | int) -> str | None:
    """
    Bring an epoch into the API's spelling.

    :param field: what it is called where it came from.
    :param epoch: such as ``"000003"``, ``3`` or ``"last"``.
    :return: such as ``"000003"``; None for the last one, which is what the API takes by itself.
    :raises InvalidInputError: it is neither text nor a number from 1 on.
    """
    if epoch == "last":
        return None
    if isinstance(epoch, int) and not isinstance(epoch, bool) and 1 <= epoch < 1_000_000:
        return f"{epoch:06}"
    if not isinstance(epoch, str) or not epoch.strip():
        raise InvalidInputError(f"{field} is {shown(epoch)}; give an epoch such as '000003', 3 or 'last'.")
    check_encodable(field, epoch)
    plain = epoch.isascii() and epoch.isdigit() and not epoch.startswith("0")  # a template makes text of 3
    return epoch.zfill(6) if plain else epoch


def check_concepts(concepts: Iterable[Mapping[str, Any]]) -> tuple[list[dict[str, Any]], list[str]]:
    """
    Check the LoRAs of a composition and bring them into the API's spelling.

    :param concepts: ``model_id`` and ``scale`` (-2 to 2) each, and perhaps ``model_epoch``, in either spelling.
    :return: the concepts, and warnings: what is not known here, and is sent as it is.
    :raises InvalidInputError: one of them lacks something, has a misspelt name, or is out of range.
    """
    if isinstance(concepts, str | bytes | Mapping | Iterator) or not isinstance(concepts, Iterable):
        hint = TEMPLATE_HINT if isinstance(concepts, str) else ""
        raise InvalidInputError(f"concepts must be a list of dictionaries, not {shown(concepts)}.{hint}")
    checked, warnings = [], []
    for index, concept in enumerate(concepts):
        one, doubts = _concept(f"concepts[{index}]", concept)
        checked.append(one)
        warnings += doubts
    return checked, warnings


_OF_CONCEPT = ("modelId", "scale", "modelEpoch")


def _concept(where: str, concept: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    if concept is None:
        raise InvalidInputError(f"{where} must be a dictionary, not None.")
    given = {name: value for name, value in camel_keys(concept, where).items() if value is not None}
    warnings = []
    for name in given:
        if name in _OF_CONCEPT:
            continue
        if similar_name(name, _OF_CONCEPT):
            raise InvalidInputError(f"{where}: there is no {shown(name)}; known: model_id, scale, model_epoch.")
        check_sendable(f"{where}: {shown(name)}", given[name])
        warnings.append(f"{where}: {shown(name)} is not known to this provider; it is sent as it is.")
    if "modelId" not in given:
        raise InvalidInputError(
            f"{where} is {shown(dict(concept))}; give 'model_id', 'scale' (-2 to 2) and perhaps 'model_epoch'."
        )
    if not (isinstance(given["modelId"], str) and given["modelId"]):
        raise InvalidInputError(f"{where}: modelId must be text, not {shown(given['modelId'])}.")
    check_encodable(f"{where}: modelId", given["modelId"])
    if "modelEpoch" in given:
        given["modelEpoch"] = check_epoch(f"{where}: modelEpoch", given["modelEpoch"])
    scale = number_in(given.get("scale"))
    if not is_number(scale) or not -2 <= scale <= 2:
        raise InvalidInputError(f"{where}: scale must be a number from -2 to 2, not {shown(scale)}.")
    given = {name: value for name, value in given.items() if value is not None}
    return {**given, "scale": scale}, warnings


def _kept(check: Callable[[Any], object]) -> Callable[[Any], tuple[Any, list[str]]]:
    def checked(value: Any) -> tuple[Any, list[str]]:
        check(value)
        return value, []

    return checked


def _collections(ids: Any) -> tuple[list[str], list[str]]:
    check_collection_ids(ids)
    return list(dict.fromkeys(ids)), []


def _parameters(parameters: Any) -> tuple[dict[str, Any], list[str]]:
    checked = check_parameters(parameters)
    return as_sent(checked), list(checked.warnings)


_CHECKS: dict[str, Callable[[Any], tuple[Any, list[str]]]] = {
    "base_model_id": _kept(partial(check_id, "base_model_id")),
    "class_slug": _kept(check_class_slug),
    "collection_ids": _collections,
    "concepts": check_concepts,
    "epoch": lambda epoch: (check_epoch("epoch", epoch), []),
    "name": _kept(check_name),
    "negative_prompt_embedding": _kept(partial(check_text, "negative_prompt_embedding")),
    "parameters": _parameters,
    "prompt_embedding": _kept(partial(check_text, "prompt_embedding")),
    "short_description": _kept(check_short_description),
    "thumbnail": _kept(partial(check_id, "thumbnail")),
    "type": lambda model_type: (model_type, check_type(model_type)),
}
