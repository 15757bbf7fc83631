"""
Airflow 3.4: XComs and rendered fields are keyed by the id of the task instance, of which each attempt has its own.

Values stored before the upgrade stay in tables of the old form; another table maps them to task instances.
Relies on ``TaskInstance.region_id``, ``region_index`` and ``working_set``, ``DynamicRegion``, ``XComModelV1`` and
``XComModelV2``, ``RenderedTaskInstanceFields`` and its legacy form, and ``LegacyTaskDataOwner``.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from uuid import UUID

from airflow.models.dynamic_region import (  # type: ignore[import-not-found,unused-ignore]
    SENTINEL_REGION_ID,
    DynamicRegion,
)
from airflow.models.renderedtifields import (  # type: ignore[attr-defined,unused-ignore]
    LegacyRenderedTaskInstanceFields,
    RenderedTaskInstanceFields,
)
from airflow.models.taskinstance import (  # type: ignore[attr-defined,unused-ignore]
    LegacyTaskDataOwner,
    TaskInstance,
)
from airflow.models.xcom import XComModelV1, XComModelV2  # type: ignore[attr-defined,unused-ignore]
from sqlalchemy import and_, case, exists, or_, select

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

_ti: Any = TaskInstance
_old: Any = LegacyTaskDataOwner
_is_expansion = or_(_ti.region_id == SENTINEL_REGION_ID, DynamicRegion.node_id == _ti.task_id)
_map_index: Any = case((_is_expansion, _ti.region_index), else_=-1)
_iteration: Any = case(
    (_ti.region_id == SENTINEL_REGION_ID, None),
    (DynamicRegion.node_id == _ti.task_id, DynamicRegion.parent_region_index),
    else_=_ti.region_index,
)


class _Task(SelectedTask):
    id: UUID
    region_id: UUID
    region_index: int
    iteration: int | None


class Adapter(Tables):
    """See :class:`Tables`."""

    def __init__(self) -> None:
        require(TaskInstance, *TASK_COLUMNS, "id", "region_id", "region_index", "working_set")
        require(DynamicRegion, "id", "node_id", "parent_region_index")
        require(XComModelV2, "task_instance_id", "key", "value", "timestamp")
        require(RenderedTaskInstanceFields, "task_instance_id", "rendered_fields")
        require(LegacyTaskDataOwner, *_PLACE, "task_instance_id")
        require(XComModelV1, *_PLACE, "key", "value", "timestamp")
        require(LegacyRenderedTaskInstanceFields, *_PLACE, "rendered_fields")

    @property
    def _ti(self) -> Any:
        return _ti

    def _tasks(self) -> Select[Any]:
        columns = (
            _ti.id,
            _ti.region_id,
            _ti.region_index,
            _map_index.label("map_index"),
            _iteration.label("iteration"),
        )
        return (
            select(*self._fields(), *columns)
            .join(DynamicRegion, DynamicRegion.id == _ti.region_id, isouter=True)
            .where(_ti.working_set.is_(True))
        )

    def _with_model(self, key: str) -> Select[Any]:
        new = select(XComModelV2.task_instance_id, XComModelV2.timestamp).where(XComModelV2.key == key)
        old = (
            select(_old.task_instance_id, XComModelV1.timestamp)
            .join(XComModelV1, _same_place(XComModelV1))
            .where(XComModelV1.key == key, ~_has_new(_old.task_instance_id, key))
        )
        pushed = new.union_all(old).subquery()
        newest_first = (pushed.c.timestamp.desc(), _ti.task_id, *self._order())
        return self._tasks().join(pushed, pushed.c.task_instance_id == _ti.id).order_by(*newest_first)

    def _has_pushed(self, key: str) -> ColumnElement[bool]:
        old = exists(
            select(1)
            .select_from(_old)
            .join(XComModelV1, _same_place(XComModelV1))
            .where(_old.task_instance_id == _ti.id, XComModelV1.key == key)
        )
        return or_(_has_new(_ti.id, key), old)

    def _at(self, statement: Select[Any], key: TaskKey) -> Select[Any]:
        if key.region_id is None:
            return statement.where(_map_index == key.map_index)
        try:
            region = UUID(key.region_id)
        except ValueError:
            region = SENTINEL_REGION_ID
        return statement.where(_ti.region_id == region, _ti.region_index == key.region_index)

    def _order(self) -> Sequence[Any]:
        return (_map_index, _iteration, _ti.region_id, _ti.region_index)

    def _xcoms(
        self, session: Session, tasks: Sequence[Any], keys: Collection[str]
    ) -> Iterable[tuple[Owner, str, str | None]]:
        ids = [task.id for task in tasks]
        old = (
            select(_old.task_instance_id, XComModelV1.key, xcom_column(XComModelV1.value))
            .join(XComModelV1, _same_place(XComModelV1))
            .where(_old.task_instance_id.in_(ids), XComModelV1.key.in_(keys))
        )
        new = select(XComModelV2.task_instance_id, XComModelV2.key, xcom_column(XComModelV2.value)).where(
            XComModelV2.task_instance_id.in_(ids), XComModelV2.key.in_(keys)
        )
        return ((owner, key, value) for owner, key, value in session.execute(old.union_all(new)))

    def _rendered(
        self, session: Session, tasks: Sequence[Any], columns: Columns
    ) -> Iterable[tuple[Owner, Mapping[str, str | None]]]:
        ids = [task.id for task in tasks]
        before: Any = LegacyRenderedTaskInstanceFields
        since: Any = RenderedTaskInstanceFields
        old = (
            select(_old.task_instance_id, *columns(before.rendered_fields))
            .join(before, _same_place(before))
            .where(_old.task_instance_id.in_(ids))
        )
        new = select(since.task_instance_id, *columns(since.rendered_fields)).where(since.task_instance_id.in_(ids))
        return ((row[0], dict(row._mapping)) for row in session.execute(old.union_all(new)))

    def _owner(self, task: _Task) -> Owner:
        return task.id

    def _key(self, task: _Task) -> TaskKey:
        place = (task.dag_id, task.run_id, task.task_id, task.map_index)
        if task.iteration is None:
            return TaskKey(*place)
        return TaskKey(*place, region_id=str(task.region_id), region_index=task.region_index)

    def _iteration(self, task: _Task) -> int | None:
        return task.iteration


def _same_place(model: Any) -> ColumnElement[bool]:
    return and_(*(getattr(model, name) == getattr(_old, name) for name in _PLACE))


def _has_new(task_instance_id: Any, key: str) -> ColumnElement[bool]:
    return exists(
        select(1)
        .select_from(XComModelV2)
        .where(XComModelV2.task_instance_id == task_instance_id, XComModelV2.key == key)
    )
