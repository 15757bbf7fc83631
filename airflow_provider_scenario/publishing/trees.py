"""
Model trees whose files may be in a storage. The storage's addresses are signed only when a tree is sent.

So no signed address is in an XCom, in a trigger's row or in a log.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_scenario.client.texts import plain
from airflow_provider_scenario.publishing.hosting import address_to_send, in_storage, unsigned

if TYPE_CHECKING:
    from airflow_provider_scenario.client.workshop.schemas import ModelTree

WEEK = 7 * 24 * 3600
"""Seconds that signed addresses are valid by default. The service fetches later; S3 allows at most a week."""


def as_dict(value: Any) -> Any:
    """Turn a tree or session parameters of our schema into a dict, which XComs and triggers can store."""
    return value.to_given() if hasattr(value, "to_given") else value


def model_id_of(tree: Any) -> str:
    """The model's id for log lines, cut if it is very long."""
    extra = tree.get("extraFields") or tree.get("extra_fields")
    unlisted = extra.get("modelId") if isinstance(extra, dict) else None
    return plain(str(tree.get("modelId") or tree.get("model_id") or unlisted))


def check_tree(tree: Any) -> ModelTree:
    """
    Check a tree as its author gives it. No storage is reached.

    :raises InvalidInputError: lists everything that is wrong with the tree, each by its path.
    """
    return _read(tree, lambda address: f"https://{address.partition('://')[2]}" if in_storage(address) else address)


def signed_tree(tree: Any, seconds: int) -> ModelTree:
    """
    Return a tree as it is sent.

    :param seconds: how long the signed addresses are valid.
    :raises InvalidInputError: as for :func:`check_tree`.
    :raises StorageError: a storage cannot sign, or cannot be reached.
    """
    check_tree(tree)
    return _read(tree, lambda address: address_to_send(address, seconds))


class SignedTree:
    """
    A tree that is sent many times. Its addresses are signed anew when half of their time is over.

    ``unsigned`` is the tree as its author gave it.
    """

    def __init__(self, tree: Any, seconds: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.unsigned = as_dict(tree)
        self._seconds, self._clock = seconds, clock
        self._signed: ModelTree | None = None
        self._valid_until = 0.0

    def body(self) -> ModelTree:
        """As :func:`signed_tree`."""
        now = self._clock()
        if self._signed is None or now > self._valid_until:
            self._signed = signed_tree(self.unsigned, self._seconds)
            self._valid_until = now + self._seconds / 2
        return self._signed


def file_addresses(tree: Any) -> list[str]:
    """Return the addresses of a tree's files, in their order, without signatures."""
    return [unsigned(part[name]) for part, name in _address_fields(tree) if name != "cover"]


def has_readable_secret(tree: Any) -> bool:
    """Whether an address in a tree holds a signature or a login: Airflow stores it as the author writes it."""
    return any(unsigned(part[name]) != part[name] for part, name in _address_fields(tree))


def _read(tree: Any, change: Callable[[str], str]) -> ModelTree:
    from airflow_provider_scenario.client.workshop.schemas import read_tree

    return read_tree(_with_changed_addresses(as_dict(tree), change))


def _with_changed_addresses(tree: Any, change: Callable[[str], str]) -> Any:
    """Return a copy in which the addresses that the service fetches are changed."""
    tree = _copied(tree)
    if isinstance(tree, dict):
        for version in _copied_rows(tree, "versions"):
            _copied_rows(version, "covers")
            _copied_rows(version, "files")
    for part, name in _address_fields(tree):
        part[name] = change(part[name])
    return tree


def _copied(part: Any) -> Any:
    return dict(part) if isinstance(part, Mapping) else part


def _copied_rows(part: Any, name: str) -> list[Any]:
    if not isinstance(part, dict) or not isinstance(part.get(name), list | tuple):
        return []
    part[name] = rows = [_copied(row) for row in part[name]]
    return rows


def _address_fields(tree: Any) -> Iterator[tuple[dict[str, Any], str]]:
    """Yield each object of a tree that holds an address which the service fetches, and the name of the field."""
    for version in _rows(tree, "versions"):
        parts = [(cover, "cover") for cover in _rows(version, "covers")]
        parts += [(file, name) for file in _rows(version, "files") for name in ("downloadUrl", "download_url")]
        yield from ((part, name) for part, name in parts if isinstance(part, dict) and isinstance(part.get(name), str))


def _rows(part: Any, name: str) -> Sequence[Any]:
    """Return nothing if the tree has another shape: the schema reports that."""
    rows = part.get(name) if isinstance(part, dict) else None
    return rows if isinstance(rows, list | tuple) else ()
