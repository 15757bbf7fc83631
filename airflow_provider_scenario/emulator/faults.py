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
    """All faults, in the order they were added; the first that matches a request is applied to it."""

    def __init__(self) -> None:
        self._faults: dict[str, Fault] = {}
        self._hits: dict[str, int] = {}
        self._matches: dict[str, int] = {}
        self._dice: dict[str, random.Random] = {}
        self._ids = itertools.count(1)

    def add(self, fault: Fault) -> str:
        fault_id = f"fault_{next(self._ids)}"
        self._faults[fault_id] = fault
        self._hits[fault_id] = self._matches[fault_id] = 0
        self._dice[fault_id] = random.Random(fault.seed)  # noqa: S311
        return fault_id

    def remove(self, fault_id: str) -> bool:
        return self._faults.pop(fault_id, None) is not None

    def clear(self) -> None:
        self._faults.clear()

    def report(self) -> list[dict[str, Any]]:
        """All faults, used-up ones included, each with how often it was applied."""
        return [{"id": key, "hits": self._hits[key], **fault.model_dump()} for key, fault in self._faults.items()]

    def pick(self, method: str, paths: Iterable[str], subjects: Callable[[], Iterable[str]]) -> Fault | None:
        """
        The fault to apply to a request; this counts as one of its ``times``.

        :param paths: all spellings of the request's route.
        :param subjects: returns names and ids of the request's models; called only if a fault filters by model.
        """
        for key, fault in self._faults.items():
            if not fnmatchcase(method, fault.method.upper()) or not any(_glob(fault.route)(path) for path in paths):
                continue
            if fault.model != "*" and not any(fnmatchcase(subject, fault.model) for subject in subjects()):
                continue
            if fault.times is not None and self._hits[key] >= fault.times:
                continue
            self._matches[key] += 1
            if self._matches[key] <= fault.skip or self._dice[key].random() >= fault.probability:
                continue
            self._hits[key] += 1
            return fault
        return None


@lru_cache(maxsize=256)
def _glob(route: str) -> Callable[[str], object]:
    parts = re.split(r"(\*\*|\*)", route)
    pattern = "".join({"**": ".*", "*": "[^/]*"}.get(part, re.escape(part)) for part in parts)
    return re.compile(pattern).fullmatch
