"""``metadata.jsonl``: captions as in Hugging Face's imagefolder, and the pairs of edit models."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from io import StringIO
from typing import Any, NamedTuple

from airflow_provider_scenario.client.errors import InvalidInputError
from airflow_provider_scenario.client.messages import shortened, shown
from airflow_provider_scenario.client.scenario.pairs import Edit, check_edits
from airflow_provider_scenario.client.values import check_encodable

FILE_NAME = "metadata.jsonl"
MAX_BYTES = 2 * 1024 * 1024
"""Of the file: long captions of 50 images take some 50 KB, those of 2000 recordings some 500 KB."""

MAX_CAPTION = 16 * 1024
"""Bytes of one caption, here or in a ``.txt``: some 2500 words, and text encoders read 500 or fewer."""

_SIDES = {"source": ("source", "source_file_name"), "target": ("target", "target_file_name")}


class Metadata(NamedTuple):
    """
    :param captions: file name → caption; None where the line has none.
    :param pairs: ``source``, ``target`` and perhaps ``instruction`` each, by file name; None where no line is a pair.
    """

    captions: dict[str, str | None]
    pairs: list[dict[str, str]] | None


def parse_metadata(text: str, names: Iterable[str]) -> Metadata:
    """
    Read captions and pairs.

    :param text: one JSON object a line.
    :param names: of the images in the folder.
    :raises InvalidInputError: names the line and what is wrong with it.
    """
    known = set(names)
    captions: dict[str, str | None] = {}
    pairs: dict[str, dict[str, str]] = {}
    for where, line in _lines(text):
        if any(key in line for keys in _SIDES.values() for key in keys) or "instruction" in line:
            pairs[where] = _pair(where, line, known)
            continue
        name, caption = _caption(where, line)
        _check_known(where, "file_name", name, known)
        if name in captions and captions[name] != caption:
            raise InvalidInputError(f"{where}: {shown(name)} has another caption on an earlier line; keep one.")
        captions[name] = caption
    check_edits(Edit(where, **pair) for where, pair in pairs.items())
    return Metadata(captions, list(pairs.values()) or None)


def _lines(text: str) -> Iterator[tuple[str, dict[str, Any]]]:
    # splitlines() would split at U+2028 too, which a JSON text may hold.
    for number, line in enumerate(StringIO(text, newline="\n"), start=1):
        if not line.strip():
            continue
        where = f"{FILE_NAME}, line {number}"
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as problem:
            wrong = problem.msg if isinstance(problem, json.JSONDecodeError) else type(problem).__name__
            raise InvalidInputError(f"{where} is not JSON ({wrong}): {shown(line.strip())}") from None
        if not isinstance(value, dict):
            raise InvalidInputError(f"{where} is {shown(value)}; give an object such as {{'file_name', 'text'}}.")
        yield where, value


def _caption(where: str, line: Mapping[str, Any]) -> tuple[str, str | None]:
    name, caption = line.get("file_name"), line.get("text")
    if not isinstance(name, str) or not name:
        raise InvalidInputError(
            f"{where} has {_keys(line)}; a caption has 'file_name' and 'text', "
            "a pair has 'source', 'target' and perhaps 'instruction'."
        )
    if caption is not None and not isinstance(caption, str):
        raise InvalidInputError(f"{where} has the text {shown(caption)}; give text.")
    if "text" not in line and len(line) > 1:
        raise InvalidInputError(f"{where} has {_keys(line)}, but not 'text', which is the key of the caption.")
    return name, check_caption(f"the text in {where}", caption or "")


def check_caption(what: str, caption: str) -> str | None:
    """
    Check a caption and strip it; None if nothing is left.

    :param what: what the caption is called in a message.
    :raises InvalidInputError: it is too long, or cannot be sent.
    """
    check_encodable(what, caption)
    if len(caption.encode()) > MAX_CAPTION:
        raise InvalidInputError(f"{what} has more than {MAX_CAPTION} bytes; shorten it.")
    return caption.strip() or None


def _pair(where: str, line: Mapping[str, Any], known: set[str]) -> dict[str, str]:
    pair: dict[str, str] = {}
    for side, keys in _SIDES.items():
        given = [key for key in keys if key in line]
        if len(given) != 1 or not isinstance(line[given[0]], str):
            raise InvalidInputError(
                f"{where} has {_keys(line)}; a pair has 'source', 'target' and perhaps 'instruction'."
            )
        pair[side] = line[given[0]]
        _check_known(where, given[0], pair[side], known)
    instruction = line.get("instruction")
    if instruction is not None and not isinstance(instruction, str):
        raise InvalidInputError(f"{where} has the instruction {shown(instruction)}; give text, or leave it out.")
    checked = check_caption(f"the instruction in {where}", instruction or "")
    return {**pair, "instruction": checked} if checked else pair


def _check_known(where: str, key: str, name: str, known: set[str]) -> None:
    if name not in known:
        raise InvalidInputError(f"{where} has the {key} {shown(name)}, which is not an image in the folder.")


def _keys(line: Mapping[str, Any]) -> str:
    return shortened(", ".join(map(repr, line)), 300) or "nothing"
