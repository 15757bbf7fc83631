"""Publications to AI Creation Workshop, read from a task's XCom ``return_value``. No request is sent."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from airflow_provider_scenario.plugin.values import SHORT, amount, number, text
from airflow_provider_scenario.publishing.hosting import unsigned

MOST_SHOWN = 500
"""Publications of a task, versions of a publication, files of a version."""

_WORDS = {"in-progress": "being listed", "not-listed": "not listed"}


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """
    A file of a version.

    :param address: where the file is, without signature and credentials.
    """

    address: str
    name: str | None = None
    sha256: str | None = None
    kilobytes: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """A version of a published model, from the tree that the task has returned."""

    id: str | None = None
    name: str | None = None
    base_model: str | None = None
    trigger_words: tuple[str, ...] = ()
    covers: int = 0
    files: tuple[File, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """
    One model in the workshop.

    :param state: of its listing, in the words of the page.
    :param versions: known where the task has returned the tree.
    :param files: of all versions, where the tree is not known.
    """

    model_id: str
    version_id: str | None = None
    file_id: str | None = None
    invoke_id: str | None = None
    name: str | None = None
    state: str | None = None
    status: int | None = None
    versions: tuple[Version, ...] = ()
    files: tuple[File, ...] = ()


def read_publications(result: object) -> tuple[Publication, ...]:
    """Read what the operator or the sensor has returned. Anything else, which anyone may have written, is left out."""
    return tuple(islice(_publications(result), MOST_SHOWN))


def _publications(result: object) -> Iterator[Publication]:
    for each in map(_dict, result if isinstance(result, list) else [result]):
        model_id = _short(each.get("model_id"))
        if model_id is None:
            continue
        tree, state, status = _dict(each.get("model")), _short(each.get("state")), number(each.get("status"))
        versions = tuple(_version(version) for version in _rows(tree, "versions"))
        files = each.get("files")
        addresses = files if isinstance(files, list) else []
        yield Publication(
            model_id=model_id,
            version_id=_short(each.get("model_version_id")),
            file_id=_short(each.get("model_file_id")),
            invoke_id=_short(each.get("invoke_id")),
            name=_short(tree.get("name")),
            state=_WORDS.get(state or "", state),
            status=None if status is None else int(status),
            versions=versions,
            files=() if versions else tuple(File(address=known) for one in addresses if (known := _address(one))),
        )


def _version(version: dict[str, Any]) -> Version:
    words = version.get("triggerWords")
    return Version(
        id=_short(version.get("modelVersionId")),
        name=_short(version.get("name")),
        base_model=_short(version.get("baseModel")),
        trigger_words=tuple(word for one in words[:MOST_SHOWN] if (word := _short(one)))
        if isinstance(words, list)
        else (),
        covers=len(_rows(version, "covers")),
        files=tuple(
            File(
                address=address,
                name=_short(file.get("name")),
                sha256=_short(file.get("hash")),
                kilobytes=amount(file.get("sizeKb")),
            )
            for file in _rows(version, "files")
            if (address := _address(file.get("downloadUrl")))
        ),
    )


def _dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _rows(part: dict[str, Any], name: str) -> list[dict[str, Any]]:
    rows = part.get(name)
    return [row for row in rows[:MOST_SHOWN] if isinstance(row, dict)] if isinstance(rows, list) else []


def _short(value: object) -> str | None:
    return text(value, SHORT)


def _address(value: object) -> str | None:
    known = text(value, 4 * SHORT)
    return unsigned(known) if known else None
