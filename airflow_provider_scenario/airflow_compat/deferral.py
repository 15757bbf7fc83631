"""What deferring needs to know of Airflow: whether a worker is needed at the end, and when a deferral is over."""

from __future__ import annotations

from typing import TYPE_CHECKING

from packaging.version import Version

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow.sdk import BaseOperator, Context
    from airflow.sdk.listener import ListenerManager

_PACKAGE = __name__.partition(".")[0]
_LISTENER = f"{_PACKAGE}: after the deferral"


def needs_worker_at_end(task: BaseOperator) -> bool:
    """
    Whether Airflow does more at the end of a task than to store its result, which it does in a worker only.

    These are outlets, callbacks, listeners such as OpenLineage's, a subclass's own code, several outputs, and a result
    over which other tasks are expanded. Relies on ``_post_execute_hook``, ``multiple_outputs``,
    ``iter_mapped_dependants`` (3.1) and ``returns_dag_result`` (3.3; False where it is missing).
    """
    return bool(
        not type(task).__module__.startswith(f"{_PACKAGE}.")
        or task.outlets
        or task.on_success_callback
        or task._post_execute_hook
        or task.multiple_outputs
        or getattr(task, "returns_dag_result", False)
        or (task.has_dag() and next(task.iter_mapped_dependants(), None))  # type: ignore[no-untyped-call]
        or _has_success_listener()
    )


def _has_success_listener() -> bool:
    return bool(_listener_manager().hook.on_task_instance_success.get_hookimpls())


def _listener_manager() -> ListenerManager:
    """Relies on ``airflow.sdk.listener`` (3.2; ``airflow.listeners.listener`` on 3.1)."""
    try:
        from airflow.sdk.listener import get_listener_manager
    except ImportError:  # Airflow 3.1
        from airflow.listeners.listener import get_listener_manager  # type: ignore[assignment]
    return get_listener_manager()


def call_after_deferral(callback: Callable[[], None]) -> None:
    """
    Call back after Airflow has accepted or refused the next deferral, while the supervisor still answers requests.

    Relies on the listener hook ``before_stopping``, which the task runner calls last, also after a refused deferral
    (3.2). On 3.1 a refused deferral ends the process without this call.

    :param callback: runs in the worker's process; Airflow logs an exception and goes on.
    """
    from airflow.listeners import hookimpl

    listeners = _listener_manager().pm

    class Listener:
        @hookimpl
        def before_stopping(self) -> None:
            listeners.unregister(self)  # `dag.test()` runs further tasks in this process
            callback()

    if listeners.has_plugin(_LISTENER):  # left by a deferral after which the hook was not called
        listeners.unregister(name=_LISTENER)
    listeners.register(Listener(), name=_LISTENER)


def is_called_after_refused_deferral() -> bool:
    """
    Whether what is given to :func:`call_after_deferral` is called after a refused deferral too: from 3.2.2 on.

    Relies on the task SDK's version, which follows Airflow's: 1.2.2 belongs to 3.2.2. Before, the task runner ends
    without calling anything.
    """
    from airflow import sdk

    return Version(sdk.__version__) >= Version("1.2.2")


def triggerer_stores_xcoms(context: Context) -> bool:
    """
    Whether a triggerer can store an XCom as it is; on 3.1 and 3.2 it would arrive as text.

    Relies on that having come with the task state store (3.3).
    """
    return context.get("task_state_store") is not None
