"""Pairs of images that an edit model learns from, checked before they are sent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_provider_scenario.client.consequences import NOTHING_SENT
from airflow_provider_scenario.client.errors import InvalidInputError
from airflow_provider_scenario.client.messages import quoted, shown
from airflow_provider_scenario.client.values import camel_keys, similar_name

if TYPE_CHECKING:
    from airflow_provider_scenario.client.scenario.schemas import TrainingImagePair

_TEXTS = ("sourceId", "targetId", "instruction")


class Edit(NamedTuple):
    """
    One pair, from a dataset or from an argument.

    :param where: for messages, such as ``pairs[3]``.
    :param source: id or name of an image, as ``target``.
    :param instruction: how the source becomes the target; the API does not require it.
    """

    where: str
    source: str
    target: str
    instruction: str | None = None


def check_edits(edits: Iterable[Edit]) -> list[str]:
    """
    Check that the pairs differ, and that each has two different images: each pair is trained and billed.

    :return: warnings: two pairs of the same images with different instructions.
    :raises InvalidInputError: a source is its own target, or a pair is given twice.
    """
    warnings: list[str] = []
    places: dict[tuple[str, str], dict[str, str]] = {}
    for edit in edits:
        if edit.source == edit.target:
            raise InvalidInputError(
                f"{edit.where} has {quoted(edit.source)} as its source and as its target: there is no edit to learn. "
                "Give two different images."
            )
        same = places.setdefault((edit.source, edit.target), {})
        instruction = (edit.instruction or "").strip()
        if instruction in same:
            raise InvalidInputError(
                f"{edit.where} is given twice: {same[instruction]} has the same source, target and instruction. "
                "Keep one."
            )
        if same:
            warnings.append(
                f"{edit.where} has the source and the target of {next(iter(same.values()))}, with another instruction."
            )
        same[instruction] = edit.where
    return warnings


def checked_pairs(pairs: Iterable[TrainingImagePair | Mapping[str, Any]]) -> list[dict[str, Any]]:
    """
    Check pairs of asset ids and bring them into the API's spelling. The API requires none of their fields.

    :param pairs: ``source_id``, ``target_id`` and ``instruction`` each, in either spelling; a None counts as not given.
    :raises InvalidInputError: the value is not a list of pairs, a field is not text, a source is its own target, or
        a pair is given twice.
    """
    if isinstance(pairs, str | bytes | Mapping) or not isinstance(pairs, Iterable):
        raise InvalidInputError(
            f"pairs must be a list of {{'source_id', 'target_id', 'instruction'}}, not {shown(pairs)}. {NOTHING_SENT}"
        )
    checked = [_checked(f"pairs[{position}]", pair) for position, pair in enumerate(pairs, start=1)]
    check_edits(
        Edit(f"pairs[{position}]", pair["sourceId"], pair["targetId"], pair.get("instruction"))
        for position, pair in enumerate(checked, start=1)
        if "sourceId" in pair and "targetId" in pair
    )
    return checked


def _checked(where: str, pair: TrainingImagePair | Mapping[str, Any]) -> dict[str, Any]:
    from airflow_provider_scenario.client.scenario.schemas import (
        TrainingImagePair,  # DAG files import this module, not pydantic
    )

    if isinstance(pair, TrainingImagePair):
        return pair.model_dump(by_alias=True, exclude_none=True, include={"source_id", "target_id", "instruction"})
    if pair is None:
        raise InvalidInputError(f"{where} must be a dictionary, not None. {NOTHING_SENT}")
    given = {name: value for name, value in camel_keys(pair, where).items() if value is not None}
    for name in given:
        if name not in _TEXTS and (close := similar_name(name, _TEXTS)):
            raise InvalidInputError(f"{where}: there is no {shown(name)}. Did you mean {close!r}? {NOTHING_SENT}")
    if not given.keys() & {"sourceId", "targetId"}:
        raise InvalidInputError(f"{where} has neither source_id nor target_id. {NOTHING_SENT}")
    for name in _TEXTS:
        if name in given and not isinstance(given[name], str):
            raise InvalidInputError(f"{where}: {name} must be text, not {shown(given[name])}. {NOTHING_SENT}")
    return given
