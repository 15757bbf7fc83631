"""Requests that go wrong on purpose."""

from __future__ import annotations

import itertools
import random
import re
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from airflow_provider_scenario.emulator.settings import Fault


class Faults:
    """The faults that are set, in the order they were set; the first that matches a request happens to it."""

    def __init__(self) -> None:
        self._faults: dict[str, Fault] = {}
        self._hits: dict[str, int] = {}
        self._seen: dict[str, int] = {}
        self._dice: dict[str, random.Random] = {}
        self._ids = itertools.count(1)

    def add(self, fault: Fault) -> str:
        fault_id = f"fault_{next(self._ids)}"
        self._faults[fault_id] = fault
        self._hits[fault_id] = self._seen[fault_id] = 0
        self._dice[fault_id] = random.Random(fault.seed)  # noqa: S311
        return fault_id

    def remove(self, fault_id: str) -> bool:
        return self._faults.pop(fault_id, None) is not None

    def clear(self) -> None:
        self._faults.clear()

    def report(self) -> list[dict[str, Any]]:
        """Those that are set, spent ones included, with how often each has happened."""
        return [{"id": key, "hits": self._hits[key], **fault.model_dump()} for key, fault in self._faults.items()]

    def pick(self, method: str, paths: Iterable[str], subjects: Callable[[], Iterable[str]]) -> Fault | None:
        """
        The fault that happens to a request, which counts as one of its times.

        :param paths: the ways to spell the request's route.
        :param subjects: gives the names and ids of the models it is about; asked only if a fault wants to know.
        """
        for key, fault in self._faults.items():
            if not fnmatchcase(method, fault.method.upper()) or not any(_glob(fault.route)(path) for path in paths):
                continue
            if fault.model != "*" and not any(fnmatchcase(subject, fault.model) for subject in subjects()):
                continue
            if fault.times is not None and self._hits[key] >= fault.times:
                continue
            self._seen[key] += 1
            if self._seen[key] <= fault.skip or self._dice[key].random() >= fault.probability:
                continue
            self._hits[key] += 1
            return fault
        return None


@lru_cache(maxsize=256)
def _glob(route: str) -> Callable[[str], object]:
    parts = re.split(r"(\*\*|\*)", route)
    pattern = "".join({"**": ".*", "*": "[^/]*"}.get(part, re.escape(part)) for part in parts)
    return re.compile(pattern).fullmatch
