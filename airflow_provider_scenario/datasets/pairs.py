"""The pairs of an edit dataset, by the names of their images."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from airflow_provider_scenario.client.errors import InvalidInputError
from airflow_provider_scenario.client.messages import quoted, shortened, shown
from airflow_provider_scenario.client.scenario.pairs import Edit, check_edits
from airflow_provider_scenario.client.values import TEMPLATE_HINT, check_encodable

_SIDES = ("source", "target")


def check_pairs(pairs: Any) -> list[str]:
    """
    Check pairs without the images.

    :param pairs: ``[{"source": …, "target": …, "instruction": …}]``; the instruction is optional.
    :return: warnings: two pairs of the same images with different instructions.
    :raises InvalidInputError: it is not a list of pairs, a source is its own target, or a pair is given twice.
    """
    return check_edits(_edits(pairs))


def resolve_pairs(pairs: Any, ids: Mapping[str, str]) -> list[dict[str, str]]:
    """
    Turn pairs of image names into pairs of ids.

    :param pairs: as for :func:`check_pairs`; each side is an image's name or asset id.
    :param ids: name → id of every image of the model.
    :raises InvalidInputError: as :func:`check_pairs`; or a side is not an image of the model, or both
        sides are the same image.
    """
    edits = _edits(pairs)
    check_edits(edits)
    known = {**{id_: id_ for id_ in ids.values()}, **ids}
    for edit in edits:
        for side in _SIDES:
            if getattr(edit, side) not in known:
                raise InvalidInputError(
                    f"{edit.where} has {side} {quoted(getattr(edit, side))}, which is not an image of this model; "
                    f"images: {shortened(', '.join(sorted(ids)), 500)}."
                )
    resolved = [edit._replace(source=known[edit.source], target=known[edit.target]) for edit in edits]
    check_edits(resolved)
    return [
        {"source_id": edit.source, "target_id": edit.target}
        | ({} if edit.instruction is None else {"instruction": edit.instruction})
        for edit in resolved
    ]


def _edits(pairs: Any) -> list[Edit]:
    # The check would use up an iterator: no pairs would be left to send.
    if isinstance(pairs, str | bytes | Mapping | Iterator) or not isinstance(pairs, Iterable):
        raise InvalidInputError(
            f"pairs is {shown(pairs)}; give a list of {{'source', 'target', 'instruction'}}."
            f"{TEMPLATE_HINT if isinstance(pairs, str) else ''}"
        )
    return [_edit(f"pairs[{position}]", pair) for position, pair in enumerate(pairs, start=1)]


def _edit(where: str, pair: Any) -> Edit:
    if not isinstance(pair, Mapping) or not {*_SIDES} <= set(pair) <= {*_SIDES, "instruction"}:
        raise InvalidInputError(f"{where} is {shown(pair)}; give 'source', 'target' and perhaps 'instruction'.")
    for side in _SIDES:
        if not isinstance(pair[side], str) or not pair[side]:
            raise InvalidInputError(f"{where} has the {side} {shown(pair[side])}; give an image's name or asset id.")
    instruction = pair.get("instruction")
    if instruction is None:
        return Edit(where, pair["source"], pair["target"])
    if not isinstance(instruction, str):
        raise InvalidInputError(f"{where} has the instruction {shown(instruction)}; give text, or leave it out.")
    check_encodable(f"the instruction of {where}", instruction)
    return Edit(where, pair["source"], pair["target"], instruction if instruction.strip() else None)
