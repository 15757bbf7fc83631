"""Where a task's process dies of ``kill -9``: at a point named by what it was just doing."""

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
    Follows what the process does and ends it after the last of some steps, which are taken in this order.

    :param steps: such as ``asks POST /models`` or ``answered PUT /models/*/train``, followed by ``#2`` where the second
        such request is meant; ``records`` and ``recorded`` (task state or XCom); ``defers``; ``concludes``; ``returns``
        and ``returned`` (the XCom of the result).
    """

    def __init__(self, steps: list[str]) -> None:
        self._steps = list(steps)
        self._seen: Counter[str] = Counter()
        self._lock = threading.Lock()  # images are uploaded by several threads

    def at(self, step: str) -> None:
        with self._lock:
            self._seen[step] += 1
            if self._steps and self._steps[0] in (step, f"{step} #{self._seen[step]}"):
                del self._steps[0]
                if not self._steps:
                    os.kill(os.getpid(), signal.SIGKILL)


def die_as_told(context: Any) -> None:
    """
    Let this try end as the run's ``kills`` say: the first try by the first of them, and so on; others live.

    In a loop only the second iteration dies: the first one has left something that it might take for its own.
    """
    kills, tried, loop = context["params"]["kills"], context["ti"].try_number, context.get("loop")
    if tried > len(kills) or (loop is not None and loop.index != 1):
        return
    death = Death(kills[tried - 1])
    around(requests.Session, "request", death, asked)
    around(task_context.TaskStateStoreAccessor, "set", death, lambda *_, **__: [("records", "recorded")])
    around(task_runner, "_xcom_push", death, pushed)
    around(task_runner, "_defer_task", death, lambda *_, **__: [("defers", "deferred")])
    if hasattr(context["task"], "conclude"):
        around(type(context["task"]), "conclude", death, lambda *_, **__: [("concludes", "concluded")])


def around(owner: Any, name: str, death: Death, steps: Callable[..., list[tuple[str, str]]]) -> None:
    """Notice the beginning and the end of a function, which itself stays as it is."""
    real = getattr(owner, name)

    @functools.wraps(real)
    def noticed(*arguments: Any, **options: Any) -> Any:
        taken = steps(*arguments, **options)
        for before, _ in taken:
            death.at(before)
        result = real(*arguments, **options)
        for _, after in taken:
            death.at(after)
        return result

    setattr(owner, name, noticed)


def asked(session: Any, method: str, address: str, **_: Any) -> list[tuple[str, str]]:
    path = re.sub(r"/(model|asset|job)_[^/]+", "/*", urlsplit(address).path.removeprefix("/v1"))
    quote = " for a quote" if "dryRun" in address else ""
    return [(f"asks {method} {path}{quote}", f"answered {method} {path}{quote}")]


def pushed(ti: Any, key: str, value: Any, **_: Any) -> list[tuple[str, str]]:
    return [("records", "recorded"), *([("returns", "returned")] if key == "return_value" else [])]
