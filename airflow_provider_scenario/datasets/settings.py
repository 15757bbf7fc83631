"""``training.yaml`` beside the images: training parameters and the fields of the model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from airflow_provider_scenario.client.errors import InvalidInputError
from airflow_provider_scenario.client.messages import quoted, shown
from airflow_provider_scenario.client.scenario.model_fields import check_name, check_short_description
from airflow_provider_scenario.client.scenario.model_types import check_type
from airflow_provider_scenario.client.scenario.parameters import PARAMETERS
from airflow_provider_scenario.client.scenario.secret_parameters import is_secret
from airflow_provider_scenario.client.scenario.trainers import EXTRA, check_parameters
from airflow_provider_scenario.client.values import (
    boolean_in,
    camel_case,
    camel_keys,
    did_you_mean,
    number_in,
    similar_name,
)
from airflow_provider_scenario.datasets.values import check_values, errors_of

FILE_NAMES = ("training.yaml", "training.yml", "training.json")
MAX_BYTES = 64 * 1024
"""Of the file: all parameters, with long prompts, take some 5 KB."""

_MODEL_FIELDS = {"name": "name", "type": "type", "shortDescription": "short_description", "preset": "preset"}
PRESETS = ("default", "style", "subject")


class Settings(NamedTuple):
    """The contents of ``training.yaml``; ``parameters`` in the API's spelling."""

    parameters: dict[str, Any] = {}  # noqa: RUF012 - never written to
    name: str | None = None
    type: str | None = None
    short_description: str | None = None
    preset: str | None = None


def parse_settings(file_name: str, text: str) -> Settings:
    """
    Read the settings of a dataset. Templates are refused: ``list_datasets`` passes some values to templated fields.

    :param file_name: one of ``FILE_NAMES``; the suffix names the format.
    :raises InvalidInputError: names the file, the key, a similar key, and what would be right.
    """
    with errors_of(f"{file_name}: "):
        own: dict[str, Any] = {}
        parameters: dict[str, Any] = {}
        values = _parsed(file_name, text)
        check_values("the file", values)
        written = {camel_case(key): key for key in values if isinstance(key, str)}  # for messages
        for key, value in _spelled(values).items():
            if key in _MODEL_FIELDS:
                own[_MODEL_FIELDS[key]] = value
            elif similar_name(key, _MODEL_FIELDS) and key not in PARAMETERS:
                raise InvalidInputError(
                    f"the key {shown(key)} is not known.{did_you_mean(key, (*PARAMETERS, *_MODEL_FIELDS))}"
                )
            else:
                parameters[written[key]] = value
        settings = Settings(check_parameters(parameters), **{key: own[key] for key in own if own[key] is not None})
        _check(settings)
        return settings


def merged_parameters(
    own: Mapping[str, Any], parameters: Mapping[str, Any] | None
) -> tuple[dict[str, Any], dict[str, tuple[Any, Any]]]:
    """
    Merge the training parameters of a dataset and of the DAG; the dataset's win.

    The same name in ``extra_parameters`` counts as the same parameter.

    :param own: from the dataset's ``training.yaml``, as in :class:`Settings`.
    :param parameters: of the DAG, in either spelling.
    :return: the parameters, in the API's spelling; and those of the DAG that were overruled, in its spelling: name →
        the dataset's value and the DAG's.
    """
    given = camel_keys(parameters, "parameters")
    spelled = {camel_case(name): name for name in parameters or {}}
    own_extra, given_extra = own.get(EXTRA) or {}, given.pop(EXTRA, None) or {}
    wins = {**own, **own_extra}
    overruled = {
        spelled.get(name, name): (wins[name], value)
        for name, value in {**given, **given_extra}.items()
        if name in wins and value is not None and _typed(value) != _typed(wins[name])
    }
    merged = {name: value for name, value in given.items() if name not in wins} | dict(own)
    extra = {name: value for name, value in given_extra.items() if name not in wins} | own_extra
    return merged | ({EXTRA: extra} if extra else {}), overruled


def overruled_message(name: str, overruled: Mapping[str, tuple[Any, Any]]) -> str:
    """
    Name the parameters of the DAG that the dataset overrules, without the value of any secret.

    :param name: of the model.
    :param overruled: as :func:`merged_parameters` returns it, not empty.
    """
    secret = [key for key in overruled if is_secret(key)]
    pairs = {key: values for key, values in overruled.items() if key not in secret}
    sets = [f"{key}={shown(ours)}" for key, (ours, _) in pairs.items()] + [f"another {key}" for key in secret]
    given = [shown(value) for _, value in pairs.values()] + ["another" for _ in secret]
    used = "the dataset's value is used" if len(sets) == 1 else "the dataset's values are used"
    return (
        f"training.yaml of {quoted(name)} sets {', '.join(sets)}; the DAG's parameters set {', '.join(given)}: {used}."
    )


def _typed(value: Any) -> Any:
    """The value; text that a template made of a number or boolean is one again."""
    return boolean_in(number_in(value))


def check_preset(preset: str | None) -> None:
    """
    Check the captioning preset.

    :raises InvalidInputError: the API does not have this preset.
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
            raise InvalidInputError(f"the key {shown(key)} is not text. Put it in quotes.")
        if camel_case(key) in spelled:
            raise InvalidInputError(f"{shown(key)} is given twice, in two spellings. Keep one.")
        spelled[camel_case(key)] = value
    return spelled


def _parsed(file_name: str, text: str) -> Mapping[Any, Any]:
    from airflow_provider_scenario.datasets.plain_yaml import plain_yaml

    try:
        values = json.loads(text) if file_name.endswith(".json") else plain_yaml(text)
    except (ValueError, RecursionError) as problem:
        raise InvalidInputError(f"the file cannot be read: {' '.join(str(problem).split())[:300]}.") from None
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise InvalidInputError(f"the file holds {type(values).__name__}; give keys and values.")
    return values
