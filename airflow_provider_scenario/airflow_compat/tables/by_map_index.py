"""
Airflow 3.1 to 3.3: XComs and rendered fields are keyed by DAG, run, task and map index.

Relies on the columns of ``TaskInstance``, ``XComModel`` and ``RenderedTaskInstanceFields`` of these minors.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow.models.renderedtifields import RenderedTaskInstanceFields
from airflow.models.taskinstance import TaskInstance
from airflow.models.xcom import XComModel
from sqlalchemy import and_, exists, select, tuple_
from sqlalchemy.orm import aliased

from airflow_provider_scenario.airflow_compat.tables.rows import (
    TASK_COLUMNS,
    Columns,
    Owner,
    SelectedTask,
    Tables,
    TaskKey,
    require,
    xcom_column,
)

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Select
    from sqlalchemy.orm import Session

_PLACE = ("dag_id", "run_id", "task_id", "map_index")


class Adapter(Tables):
    """See :class:`Tables`."""

    def __init__(self) -> None:
        require(TaskInstance, *TASK_COLUMNS)
        require(XComModel, *_PLACE, "key", "value", "timestamp")
        require(RenderedTaskInstanceFields, *_PLACE, "rendered_fields")

    @property
    def _ti(self) -> Any:
        return TaskInstance

    def _tasks(self) -> Select[Any]:
        return select(*self._fields(), TaskInstance.map_index)

    def _with_model(self, key: str) -> Select[Any]:
        pushed: Any = aliased(XComModel)
        newest_first = (pushed.timestamp.desc(), TaskInstance.task_id, TaskInstance.map_index)
        return self._tasks().join(pushed, _is_of_task(pushed, key)).order_by(*newest_first)

    def _has_pushed(self, key: str) -> ColumnElement[bool]:
        return exists().where(_is_of_task(aliased(XComModel), key))

    def _at(self, statement: Select[Any], key: TaskKey) -> Select[Any]:
        return statement.where(TaskInstance.map_index == key.map_index)

    def _order(self) -> Sequence[Any]:
        return (TaskInstance.map_index,)

    def _xcoms(
        self, session: Session, tasks: Sequence[SelectedTask], keys: Collection[str]
    ) -> Iterable[tuple[Owner, str, str | None]]:
        columns = (*_place(XComModel), XComModel.key, xcom_column(XComModel.value))
        statement = select(*columns).where(_is_of(tasks, XComModel), XComModel.key.in_(keys))
        return ((tuple(place), key, value) for *place, key, value in session.execute(statement))

    def _rendered(
        self, session: Session, tasks: Sequence[SelectedTask], columns: Columns
    ) -> Iterable[tuple[Owner, Mapping[str, str | None]]]:
        model = RenderedTaskInstanceFields
        statement = select(*_place(model), *columns(model.rendered_fields)).where(_is_of(tasks, model))
        return ((tuple(row[:4]), dict(row._mapping)) for row in session.execute(statement))

    def _owner(self, task: SelectedTask) -> Owner:
        return tuple(self._key(task)[: len(_PLACE)])

    def _key(self, task: SelectedTask) -> TaskKey:
        return TaskKey(task.dag_id, task.run_id, task.task_id, task.map_index)

    def _iteration(self, task: SelectedTask) -> int | None:  # noqa: ARG002
        return None


def _is_of_task(xcom: Any, key: str) -> ColumnElement[bool]:
    return and_(*(getattr(xcom, name) == getattr(TaskInstance, name) for name in _PLACE), xcom.key == key)


def _place(model: Any) -> tuple[Any, ...]:
    return tuple(getattr(model, name) for name in _PLACE)


def _is_of(tasks: Sequence[SelectedTask], model: Any) -> ColumnElement[bool]:
    return and_(
        tuple_(model.dag_id, model.run_id).in_({(task.dag_id, task.run_id) for task in tasks}),
        model.task_id.in_({task.task_id for task in tasks}),
        model.map_index.in_({task.map_index for task in tasks}),
    )
