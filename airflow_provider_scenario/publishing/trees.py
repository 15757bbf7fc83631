"""
Trees whose files may lie in a storage: they travel with the storage's addresses, which are signed when they are sent.

So no signed address is in an XCom, in a trigger's row, or in a log: it exists from one request to the next.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_scenario.client.texts import plain as safe_to_show
from airflow_provider_scenario.publishing.hosting import in_storage, sendable, unsigned

if TYPE_CHECKING:
    from airflow_provider_scenario.client.workshop.schemas import ModelTree

WEEK = 7 * 24 * 3600
"""Seconds that signed addresses are good by default: the service fetches later, and S3 allows no more."""


def plain(value: Any) -> Any:
    """A tree, or session parameters, as they cross processes: what was made with the schema becomes a dict."""
    return value.to_given() if hasattr(value, "to_given") else value


def model_id_of(tree: Any) -> str:
    """How log lines name it: its id, cut where it is very long."""
    extra = tree.get("extraFields") or tree.get("extra_fields")
    unlisted = extra.get("modelId") if isinstance(extra, dict) else None
    return safe_to_show(str(tree.get("modelId") or tree.get("model_id") or unlisted))


def check_tree(tree: Any) -> ModelTree:
    """
    Check a tree as its author gives it; touches nothing.

    :raises InvalidInputError: names everything that is wrong with it by its path.
    """
    return _read(tree, lambda address: f"https://{address.partition('://')[2]}" if in_storage(address) else address)


def signed_tree(tree: Any, seconds: int) -> ModelTree:
    """
    A tree as it is sent.

    :param seconds: how long the addresses are good that are signed for it.
    :raises InvalidInputError: as for :func:`check_tree`.
    :raises StorageError: a storage cannot sign, or cannot be reached.
    """
    check_tree(tree)
    return _read(tree, lambda address: sendable(address, seconds))


class SignedTree:
    """
    A tree that is sent again and again, each time the same: signed anew only when its signatures are half spent.

    Its hashes stay the same whatever the signature, and they say which files they are. ``unsigned`` is the tree as its
    author gave it.
    """

    def __init__(self, tree: Any, seconds: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.unsigned = plain(tree)
        self._seconds, self._clock = seconds, clock
        self._signed: ModelTree | None = None
        self._good_until = 0.0

    def body(self) -> ModelTree:
        """As :func:`signed_tree`."""
        now = self._clock()
        if self._signed is None or now > self._good_until:
            self._signed = signed_tree(self.unsigned, self._seconds)
            self._good_until = now + self._seconds / 2
        return self._signed


def addresses(tree: Any) -> list[str]:
    """Where the files of a tree lie, in their order, without signatures."""
    return [unsigned(part[name]) for part, name in _fetched(tree) if name != "cover"]


def leaks(tree: Any) -> bool:
    """Whether an address in it lets in whoever sees it: Airflow keeps what an author writes."""
    return any(unsigned(part[name]) != part[name] for part, name in _fetched(tree))


def _read(tree: Any, address: Callable[[str], str]) -> ModelTree:
    from airflow_provider_scenario.client.workshop.schemas import read_tree

    return read_tree(_readdressed(plain(tree), address))


def _readdressed(tree: Any, address: Callable[[str], str]) -> Any:
    """A copy in which the addresses that the service fetches are others; the author's tree stays as it is."""
    tree = _copied(tree)
    if isinstance(tree, dict):
        for version in _copied_rows(tree, "versions"):
            _copied_rows(version, "covers")
            _copied_rows(version, "files")
    for part, name in _fetched(tree):
        part[name] = address(part[name])
    return tree


def _copied(part: Any) -> Any:
    return dict(part) if isinstance(part, Mapping) else part


def _copied_rows(part: Any, name: str) -> list[Any]:
    if not isinstance(part, dict) or not isinstance(part.get(name), list | tuple):
        return []
    part[name] = rows = [_copied(row) for row in part[name]]
    return rows


def _fetched(tree: Any) -> Iterator[tuple[dict[str, Any], str]]:
    """Each part of a tree with an address the service fetches something from, and the field that holds it."""
    for version in _rows(tree, "versions"):
        parts = [(cover, "cover") for cover in _rows(version, "covers")]
        parts += [(file, name) for file in _rows(version, "files") for name in ("downloadUrl", "download_url")]
        yield from ((part, name) for part, name in parts if isinstance(part, dict) and isinstance(part.get(name), str))


def _rows(part: Any, name: str) -> Sequence[Any]:
    """What has not the shape of a tree is for the schema to tell."""
    rows = part.get(name) if isinstance(part, dict) else None
    return rows if isinstance(rows, list | tuple) else ()
