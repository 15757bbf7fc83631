"""``training.yaml`` beside the images: how a dataset wants to be trained."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from airflow_provider_scenario.client.errors import InvalidInputError
from airflow_provider_scenario.client.messages import shortened, shown
from airflow_provider_scenario.client.model_fields import check_name, check_short_description
from airflow_provider_scenario.client.model_types import check_type
from airflow_provider_scenario.client.trainers import PARAMETERS, check_parameters
from airflow_provider_scenario.client.values import camel_case, did_you_mean, similar_name
from airflow_provider_scenario.datasets.values import check_values

FILE_NAMES = ("training.yaml", "training.yml", "training.json")
MAX_BYTES = 64 * 1024
"""Of the file: all parameters there are, with long prompts, take some 5 KB."""

_OWN = {"name": "name", "type": "type", "shortDescription": "short_description", "preset": "preset"}
PRESETS = ("default", "style", "subject")


class Settings(NamedTuple):
    """What a dataset says; ``parameters`` in the API's spelling."""

    parameters: dict[str, Any] = {}  # noqa: RUF012 - never written to
    name: str | None = None
    type: str | None = None
    short_description: str | None = None
    preset: str | None = None


def parse_settings(file_name: str, text: str) -> Settings:
    """
    Read the settings of a dataset. They hold no templates: ``list_datasets`` passes some of them to templated fields.

    :param file_name: one of ``FILE_NAMES``; the suffix says which language it is.
    :raises InvalidInputError: names the file, the key, what is close to it, and what would be right.
    """
    try:
        own: dict[str, Any] = {}
        parameters: dict[str, Any] = {}
        values = _parsed(file_name, text)
        check_values("it", values)
        written = {camel_case(key): key for key in values if isinstance(key, str)}  # for messages
        for key, value in _spelled(values).items():
            if key in _OWN:
                own[_OWN[key]] = value
            elif similar_name(key, _OWN) and key not in PARAMETERS:
                raise InvalidInputError(f"unknown key {shown(key)}.{did_you_mean(key, (*PARAMETERS, *_OWN))}")
            else:
                parameters[written[key]] = value
        settings = Settings(check_parameters(parameters)[0], **{key: own[key] for key in own if own[key] is not None})
        _check(settings)
    except InvalidInputError as problem:
        wrong = str(problem)
    else:
        return settings
    raise InvalidInputError(f"{file_name}: {shortened(wrong)}")


def check_preset(preset: str | None) -> None:
    """
    Check the captioning preset.

    :raises InvalidInputError: the API knows no such preset.
    """
    if preset is not None and preset not in PRESETS:
        raise InvalidInputError(f"preset is {shown(preset)}; give 'default', 'style' or 'subject'.")


def _check(settings: Settings) -> None:
    if settings.name is not None:
        check_name(settings.name)
    if settings.type is not None:
        check_type(settings.type)
    if settings.short_description is not None:
        check_short_description(settings.short_description)
    check_preset(settings.preset)


def _spelled(values: Mapping[Any, Any]) -> dict[str, Any]:
    spelled: dict[str, Any] = {}
    for key, value in values.items():
        if not isinstance(key, str):
            raise InvalidInputError(f"the key {shown(key)} must be text.")
        if camel_case(key) in spelled:
            raise InvalidInputError(f"{shown(key)} is given twice, in two spellings. Keep one.")
        spelled[camel_case(key)] = value
    return spelled


def _parsed(file_name: str, text: str) -> Mapping[Any, Any]:
    from airflow_provider_scenario.datasets.plain_yaml import plain_yaml

    try:
        values = json.loads(text) if file_name.endswith(".json") else plain_yaml(text)
    except (ValueError, RecursionError) as problem:
        raise InvalidInputError(f"cannot be read: {' '.join(str(problem).split())[:300]}.") from None
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise InvalidInputError(f"holds {type(values).__name__}; give keys and values.")
    return values
