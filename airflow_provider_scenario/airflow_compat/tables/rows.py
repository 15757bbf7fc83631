"""The adapters' common part: what they take, what they return, and how stored values are read."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, cast

from sqlalchemy import JSON, Text, and_, func, or_, type_coerce
from sqlalchemy import cast as sql_cast
from sqlalchemy.exc import DBAPIError

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import ColumnElement, Select
    from sqlalchemy.orm import Session

LARGEST_VALUE = 100_000
"""
Characters of an XCom or a rendered field. A longer one counts as absent and is not read from the database: a training's
result has some thousands, and Airflow itself cuts rendered fields at 4,096.
"""

Columns = Callable[[Any], tuple[Any, ...]]
"""Makes the columns to select from the column that holds all rendered fields."""

Owner = Hashable
"""Key that XComs and rendered fields have in common with their task instance."""


class TablesChangedError(Exception):
    """The tables of this Airflow are not known to this version of the provider."""


class TaskKey(NamedTuple):
    """
    Names a task instance in the address of a page.

    :param map_index: -1 for a task that is not mapped.
    :param region_id: of a task in a loop (3.4), as in Airflow's own addresses; None: its latest iteration.
    :param region_index: place in that region.
    """

    dag_id: str
    run_id: str
    task_id: str
    map_index: int = -1
    region_id: str | None = None
    region_index: int | None = None


class PushedKeys(NamedTuple):
    """
    Keys of XComs.

    :param model: pushed as soon as the model is known.
    :param trains: a task that has pushed all of these trains a model, whatever its operator is called.
    :param others: to be read too.
    """

    model: str
    trains: tuple[str, ...]
    others: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderedFields:
    """
    Rendered template fields that the page reads; None if the operator has no such field or the value is not text.

    :param parameters: any JSON.
    """

    scenario_conn_id: str | None = None
    ai_creation_workshop_conn_id: str | None = None
    name: str | None = None
    type: str | None = None
    model_id: str | None = None
    job_id: str | None = None
    parameters: object = None


_TEXTS = tuple(each.name for each in fields(RenderedFields) if each.name != "parameters")


class SelectedTask(Protocol):
    """A row of the statement that selects task instances."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    label: str | None
    operator: str | None
    state: str | None
    try_number: int | None
    start_date: datetime | None
    end_date: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRow:
    """
    A task instance with its XComs and its rendered fields.

    :param label: its rendered map index.
    :param operator: the operator's ``custom_operator_name``, which subclasses inherit.
    :param iteration: of the loop that it is in (3.4).
    :param xcoms: key → value, any JSON. Anyone with the right to write XComs may have pushed it: it proves nothing.
    """

    key: TaskKey
    label: str | None
    operator: str | None
    state: str | None
    try_number: int
    start_date: datetime | None
    end_date: datetime | None
    iteration: int | None = None
    xcoms: Mapping[str, object] = field(default_factory=dict)
    rendered: RenderedFields = field(default_factory=RenderedFields)


TASK_COLUMNS = (
    *("dag_id", "run_id", "task_id", "map_index", "_rendered_map_index"),
    *("custom_operator_name", "state", "try_number", "start_date", "end_date"),
)
"""Columns of a task instance that every adapter reads. The rendered map index has no public name."""


class Tables(ABC):
    """
    Reads the tasks of some operators, and tasks that push the same XComs as they do.

    Sends three statements for any number of tasks: the tasks, their XComs, their rendered fields. One statement with
    joins would be slower: until the database has statistics of a new batch, it joins each row with all others.
    """

    def newest(
        self,
        session: Session,
        dag_ids: Collection[str],
        operators: Collection[str],
        keys: PushedKeys,
        *,
        limit: int,
        offset: int = 0,
    ) -> list[TaskRow]:
        """Read the tasks of these DAGs whose model is known, the newest first."""
        statement = self._with_model(keys.model).where(self._ti.dag_id.in_(dag_ids), self._trains(operators, keys))
        return self._read(session, statement.limit(limit).offset(offset), keys)

    def of_run(
        self, session: Session, dag_id: str, run_id: str, operators: Collection[str], keys: PushedKeys
    ) -> list[TaskRow]:
        """Read all tasks of a run that train, also those that have not begun."""
        statement = self._tasks().where(
            self._ti.dag_id == dag_id, self._ti.run_id == run_id, self._trains(operators, keys)
        )
        return self._read(session, statement.order_by(self._ti.task_id, *self._order()), keys)

    def of_task(self, session: Session, key: TaskKey, keys: PushedKeys) -> list[TaskRow]:
        """Read one task instance of any operator; of a task in a loop all iterations, unless ``key`` names one."""
        statement = self._tasks().where(
            self._ti.dag_id == key.dag_id, self._ti.run_id == key.run_id, self._ti.task_id == key.task_id
        )
        return self._read(session, self._at(statement, key).order_by(*self._order()), keys)

    def _read(self, session: Session, statement: Select[Any], keys: PushedKeys) -> list[TaskRow]:
        found = cast("Sequence[SelectedTask]", session.execute(statement).all())
        if not found:
            return []
        wanted = {keys.model, *keys.trains, *keys.others}
        xcoms: dict[Owner, dict[str, object]] = {}
        for owner, key, value in self._xcoms(session, found, wanted):
            xcoms.setdefault(owner, {})[key] = _decoded(value)
        rendered = self._rendered_of(session, found)
        return [self._row(task, xcoms, rendered) for task in found]

    def _rendered_of(self, session: Session, tasks: Sequence[SelectedTask]) -> dict[Owner, RenderedFields]:
        """
        Read the rendered fields of each task.

        The database extracts them from the JSON, which fails if it cannot parse all of it: PostgreSQL at a NUL or half
        a surrogate, such as in the name of a folder that is not UTF-8, SQLite also at a NaN. Then the whole is read.
        """
        try:
            found = dict(self._rendered(session, tasks, rendered_columns))
        except DBAPIError:
            session.rollback()
            whole = dict(self._rendered(session, tasks, _whole_column))
            return {owner: _fields_of(_decoded(columns["whole"])) for owner, columns in whole.items()}
        return {
            owner: RenderedFields(
                **{name: columns[name] for name in _TEXTS}, parameters=_decoded(columns["parameters"])
            )
            for owner, columns in found.items()
        }

    def _row(
        self,
        task: SelectedTask,
        xcoms: Mapping[Owner, Mapping[str, object]],
        rendered: Mapping[Owner, RenderedFields],
    ) -> TaskRow:
        owner = self._owner(task)
        return TaskRow(
            key=self._key(task),
            label=task.label,
            operator=task.operator,
            state=task.state,
            try_number=task.try_number or 0,
            start_date=task.start_date,
            end_date=task.end_date,
            iteration=self._iteration(task),
            xcoms=xcoms.get(owner, {}),
            rendered=rendered.get(owner, RenderedFields()),
        )

    def _trains(self, operators: Collection[str], keys: PushedKeys) -> ColumnElement[bool]:
        """The second half finds subclasses with a ``custom_operator_name`` of their own, once they have started."""
        pushed = and_(*(self._has_pushed(key) for key in keys.trains))
        return or_(self._ti.custom_operator_name.in_(operators), pushed)

    def _fields(self) -> tuple[Any, ...]:
        ti = self._ti
        label = ti._rendered_map_index.label("label")
        return (
            ti.dag_id,
            ti.run_id,
            ti.task_id,
            label,
            ti.custom_operator_name.label("operator"),
            ti.state,
            ti.try_number,
            ti.start_date,
            ti.end_date,
        )

    @property
    @abstractmethod
    def _ti(self) -> Any:
        """The table of task instances."""

    @abstractmethod
    def _tasks(self) -> Select[Any]:
        """Select the task instances: of each its latest attempt."""

    @abstractmethod
    def _with_model(self, key: str) -> Select[Any]:
        """Select those that have pushed an XCom, the latest to push it first."""

    @abstractmethod
    def _has_pushed(self, key: str) -> ColumnElement[bool]:
        """Whether a selected task has pushed an XCom."""

    @abstractmethod
    def _at(self, statement: Select[Any], key: TaskKey) -> Select[Any]:
        """Restrict the tasks to a place within their task."""

    @abstractmethod
    def _order(self) -> Sequence[Any]:
        """Columns that put the instances of one task in order."""

    @abstractmethod
    def _xcoms(
        self, session: Session, tasks: Sequence[SelectedTask], keys: Collection[str]
    ) -> Iterable[tuple[Owner, str, str | None]]:
        """Read owner, key and value of the XComs of these tasks; those of some other tasks may be among them."""

    @abstractmethod
    def _rendered(
        self, session: Session, tasks: Sequence[SelectedTask], columns: Columns
    ) -> Iterable[tuple[Owner, Mapping[str, str | None]]]:
        """Read owner and rendered fields of these tasks; those of some other tasks may be among them."""

    @abstractmethod
    def _owner(self, task: Any) -> Owner:
        """Return the key by which its XComs and fields are found."""

    @abstractmethod
    def _key(self, task: Any) -> TaskKey: ...

    @abstractmethod
    def _iteration(self, task: Any) -> int | None: ...


def require(model: Any, *columns: str) -> None:
    """
    Check that a table still has the columns that an adapter reads.

    :raises TablesChangedError: it does not; the message names the missing columns.
    """
    if missing := [column for column in columns if not hasattr(model, column)]:
        raise TablesChangedError(f"{model.__name__} has no {', '.join(missing)}")


def rendered_columns(rendered_fields: Any) -> tuple[Any, ...]:
    """Return the columns to select of rendered fields, as text: their type differs between Airflow's minors."""
    fields = type_coerce(rendered_fields, JSON)
    return tuple(_cut(fields[name].as_string()).label(name) for name in (*_TEXTS, "parameters"))


def _whole_column(rendered_fields: Any) -> tuple[Any, ...]:
    return (_cut(sql_cast(rendered_fields, Text)).label("whole"),)


def _fields_of(rendered: object) -> RenderedFields:
    known = rendered if isinstance(rendered, dict) else {}
    texts = {name: value for name in _TEXTS if isinstance(value := known.get(name), str)}
    return RenderedFields(**texts, parameters=known.get("parameters"))


def xcom_column(value: Any) -> ColumnElement[str]:
    """Return the column of an XCom as text: a driver that decoded it would fail for all rows at one invalid value."""
    return _cut(sql_cast(value, Text))


def _cut(text: ColumnElement[str]) -> ColumnElement[str]:
    return func.substr(text, 1, LARGEST_VALUE + 1)


def _decoded(text: str | None) -> object:
    """
    Return an XCom as it was pushed; None if it cannot be read.

    What Airflow itself stores, such as a link, is JSON inside of JSON; what a task pushes is not.
    """
    value: object = None
    try:
        if isinstance(text, str) and len(text) <= LARGEST_VALUE:
            value = json.loads(text)
            value = json.loads(value) if isinstance(value, str) else value
    except ValueError:  # a text that a task has pushed, or not JSON at all
        pass
    except RecursionError:  # nested too deeply
        value = None
    return value


def database_session() -> AbstractContextManager[Session]:
    """
    Open a session of Airflow's database, which closes with the ``with`` block.

    Relies on ``create_session`` (3.1).
    """
    from airflow.utils.session import create_session

    return create_session(scoped=False)
