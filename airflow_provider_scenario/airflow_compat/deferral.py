"""Deferral: what resumes a task, whether its success needs a worker, and a call after the deferral."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from packaging.version import Version

from airflow_provider_scenario.airflow_compat.open_lineage import is_open_lineage, is_reported

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from airflow.sdk import BaseOperator, Context
    from airflow.sdk.listener import ListenerManager

_PACKAGE = __name__.partition(".")[0]
_LISTENER = f"{_PACKAGE}: after the deferral"


def method_to_resume(next_method: str, next_kwargs: Mapping[str, Any] | None) -> str:
    """
    Return the method that resumes a task: ``execute_complete`` if its trigger has fired, else what Airflow names.

    If a trigger fires while the scheduler ends the deferral because its time is up, Airflow stores parts of both: the
    scheduler's method ``__fail__`` and the trigger's arguments. It would then fail the task with "TaskDeferralError:
    Unknown", and the trigger's event would be lost (3.1 to 3.4). Relies on that name and on the argument ``event``.
    """
    return "execute_complete" if next_method == "__fail__" and "event" in (next_kwargs or {}) else next_method


def success_needs_worker(task: BaseOperator) -> bool:
    """
    Whether Airflow does more after a success than storing the result, which it does in a worker only.

    These are outlets, callbacks, listeners (OpenLineage's only if it reports this task), a subclass's own code, several
    outputs, and a result over which other tasks are expanded. Relies on ``_post_execute_hook``, ``multiple_outputs``,
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
        or _has_success_listener(task)
    )


def _has_success_listener(task: BaseOperator) -> bool:
    return any(not is_open_lineage(listener) or is_reported(task) for listener in _success_listeners())


def is_reported_to_open_lineage(task: BaseOperator) -> bool:
    """Whether OpenLineage's provider is installed, has a transport, and emits events of this task."""
    return any(map(is_open_lineage, _success_listeners())) and is_reported(task)


def _success_listeners() -> list[object]:
    return [each.plugin for each in _listener_manager().hook.on_task_instance_success.get_hookimpls()]


def _listener_manager() -> ListenerManager:
    """Relies on ``airflow.sdk.listener`` (3.2; ``airflow.listeners.listener`` on 3.1)."""
    try:
        from airflow.sdk.listener import get_listener_manager
    except ImportError:  # Airflow 3.1
        from airflow.listeners.listener import get_listener_manager  # type: ignore[assignment]
    return get_listener_manager()


def call_after_deferral(callback: Callable[[], None]) -> None:
    """
    Call a function after Airflow has accepted or refused the next deferral, while the supervisor still answers.

    Relies on the listener hook ``before_stopping``, which the task runner calls last, also after a refused deferral
    (3.2). On 3.1 a refused deferral ends the process without this call.

    :param callback: runs in the worker's process; Airflow logs an exception and continues.
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
    Whether the function of :func:`call_after_deferral` is called after a refused deferral too: from 3.2.2 on.

    Relies on the task SDK's version, which follows Airflow's: 1.2.2 belongs to 3.2.2. Before, the task runner exits
    without the call.
    """
    from airflow import sdk

    return Version(sdk.__version__) >= Version("1.2.2")


def triggerer_stores_xcoms(context: Context) -> bool:
    """
    Whether a triggerer can store an XCom as it is; on 3.1 and 3.2 it would arrive as text.

    Relies on that having come with the task state store (3.3).
    """
    return context.get("task_state_store") is not None
