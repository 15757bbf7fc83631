"""What a check has found."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

Status = Literal["ok", "warning", "failed", "not checked"]


@dataclass(frozen=True, slots=True)
class Finding:
    """
    The result of one check.

    :param check: its name, such as ``credentials``.
    :param status: ``not checked``: it depends on a check that has failed.
    :param found: what was found.
    :param advice: what to do; empty where there is nothing to do.
    """

    check: str
    status: Status
    found: str
    advice: str = ""


def worst_status(statuses: Iterable[Status]) -> Status:
    """Return the worst of at least one status."""
    order: tuple[Status, ...] = ("ok", "not checked", "warning", "failed")
    return max(statuses, key=order.index)


def not_checked(check: str, reason: str) -> Finding:
    """Return the finding of a check that could not run."""
    return Finding(check, "not checked", reason)


Check = Callable[[], Iterable[Finding]]


def run_check(names: tuple[str, ...], check: Check) -> Iterator[Finding]:
    """
    Run a check; one that raises counts as failed, so that the others still run.

    :param names: of the findings that it yields, in order.
    """
    done = 0
    try:
        for finding in check():
            done += 1
            yield finding
    except Exception as error:
        text = " ".join(str(error).split())[:300]
        advice = "Report it, with the versions of Airflow and of this provider."
        yield Finding(names[done], "failed", f"The check itself has failed: {type(error).__name__}: {text}", advice)
        yield from (not_checked(name, "An earlier check has failed.") for name in names[done + 1 :])
