"""The store that keeps values of a task instance from attempt to attempt (Airflow 3.3)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, cast

from packaging.version import Version

if TYPE_CHECKING:
    from airflow.sdk import Context


class TaskStateStore(Protocol):
    """The part of Airflow's store that we use."""

    def get(self, key: str) -> Any: ...

    def set(self, key: str, value: Any) -> None: ...


def task_state_store(context: Context) -> TaskStateStore | None:
    """
    Return the task state store of this task instance.

    Relies on ``task_state_store`` in the context (3.3). None on older minors, which have no store.
    """
    return cast("TaskStateStore | None", context.get("task_state_store"))


def clear_discards_task_state() -> bool:
    """
    Whether clearing a task may empty its store: from 3.4 on, unless the request to clear it keeps the state.

    Relies on the task SDK's version, which follows Airflow's: 1.4 belongs to 3.4.
    """
    from airflow import sdk

    return Version(Version(sdk.__version__).base_version) >= Version("1.4")
