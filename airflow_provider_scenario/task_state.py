"""What Airflow knows of a task instance: whether a person or a time limit ends it, or only a process; its XComs."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")

GOES_ON = frozenset({"running", "up_for_retry", "scheduled", "queued", "deferred"})
"""
The states of a task that nobody has ended. An attempt may be over all the same: Airflow gives it up when it misses
the heartbeat, because the API server was away, say, and begins the next while the old process still lives.
"""


def state_of(ti: Any) -> str | None:
    """
    Ask Airflow for a task instance's state.

    From a thread only, never on an event loop: it asks the supervisor and waits for the answer.

    :param ti: with ``dag_id``, ``run_id``, ``task_id`` and, where it is mapped, ``map_index``.
    :return: such as ``deferred``; None where it has none, having just been cleared.
    :raises LookupError: there is no task instance, or nobody to ask, as outside of Airflow's processes.
    """
    from airflow.sdk.execution_time import task_runner

    if ti is None:
        raise LookupError("the task instance is not known")
    if not hasattr(task_runner, "SUPERVISOR_COMMS"):
        raise LookupError("no supervisor is there to ask")
    map_index = getattr(ti, "map_index", -1)
    states = task_runner.RuntimeTaskInstance.get_task_states(
        dag_id=ti.dag_id,
        run_ids=[ti.run_id],
        task_ids=[ti.task_id],
        map_index=map_index if map_index is not None and map_index >= 0 else None,
    )
    # One task instance was asked for; mapped ones are named task_id_mapindex.
    return next((str(state) if state else None for state in states.get(ti.run_id, {}).values()), None)


def push_xcom(ti: Any, key: str, value: Any) -> None:
    """
    Store an XCom of a task instance from a triggerer.

    From a thread only, never on an event loop: it asks the supervisor and waits for the answer.
    """
    from airflow.sdk.execution_time.xcom import XCom

    XCom.set(key=key, value=value, dag_id=ti.dag_id, task_id=ti.task_id, run_id=ti.run_id, map_index=ti.map_index)


def asked_in_time(question: Callable[[], T], patience: float) -> T:
    """
    The answer to a question that may hang.

    A signal handler may have interrupted its own thread in the middle of a question, and would wait for itself.

    :param patience: seconds.
    :raises TimeoutError: no answer in time.
    """
    answers: list[T] = []
    problems: list[BaseException] = []

    def ask() -> None:
        try:
            answers.append(question())
        except BaseException as problem:
            problems.append(problem)

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(patience)
    if problems:
        raise problems[0]
    if not answers:
        raise TimeoutError(f"no answer within {patience:g} s")
    return answers[0]
