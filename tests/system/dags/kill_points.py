"""Kill a task's process with ``kill -9`` at a point that is defined by its latest steps."""

from __future__ import annotations

import functools
import os
import re
import signal
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import requests
from airflow.sdk.execution_time import context as task_context
from airflow.sdk.execution_time import task_runner


class Death:
    """
    Follows the steps of the process and kills it after the last of the given ones, which must come in this order.

    :param steps: such as ``sends POST /models`` or ``answered PUT /models/*/train``, with ``#2`` for the second such
        request; ``records`` and ``recorded`` (task state or XCom); ``defers``; ``concludes``; ``returns`` and
        ``returned`` (the XCom of the result).
    """

    def __init__(self, steps: list[str]) -> None:
        self._steps = list(steps)
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()  # several threads upload images

    def at(self, step: str) -> None:
        with self._lock:
            self._counts[step] += 1
            if self._steps and self._steps[0] in (step, f"{step} #{self._counts[step]}"):
                del self._steps[0]
                if not self._steps:
                    os.kill(os.getpid(), signal.SIGKILL)


def die_as_planned(context: Any) -> None:
    """
    Kill this attempt as the run's param ``kills`` has it: one entry for each attempt; later attempts are not killed.

    In a loop only the second iteration is killed: the first has left things that the second might take for its own.
    """
    kills, tried, loop = context["params"]["kills"], context["ti"].try_number, context.get("loop")
    if tried > len(kills) or (loop is not None and loop.index != 1):
        return
    death = Death(kills[tried - 1])
    around(requests.Session, "request", death, requested)
    around(task_context.TaskStateStoreAccessor, "set", death, lambda *_, **__: [("records", "recorded")])
    around(task_runner, "_xcom_push", death, pushed)
    around(task_runner, "_defer_task", death, lambda *_, **__: [("defers", "deferred")])
    if hasattr(context["task"], "conclude"):
        around(type(context["task"]), "conclude", death, lambda *_, **__: [("concludes", "concluded")])


def around(owner: Any, name: str, death: Death, steps: Callable[..., list[tuple[str, str]]]) -> None:
    """Take steps at the beginning and the end of a function, which itself stays unchanged."""
    real = getattr(owner, name)

    @functools.wraps(real)
    def followed(*arguments: Any, **options: Any) -> Any:
        taken = steps(*arguments, **options)
        for before, _ in taken:
            death.at(before)
        result = real(*arguments, **options)
        for _, after in taken:
            death.at(after)
        return result

    setattr(owner, name, followed)


def requested(session: Any, method: str, address: str, **_: Any) -> list[tuple[str, str]]:
    path = re.sub(r"/(model|asset|job)_[^/]+", "/*", urlsplit(address).path.removeprefix("/v1"))
    quote = " for a quote" if "dryRun" in address else ""
    return [(f"sends {method} {path}{quote}", f"answered {method} {path}{quote}")]


def pushed(ti: Any, key: str, value: Any, **_: Any) -> list[tuple[str, str]]:
    return [("records", "recorded"), *([("returns", "returned")] if key == "return_value" else [])]
