"""The trainings that Airflow's database knows of: three statements for any of the views."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from airflow.models.renderedtifields import RenderedTaskInstanceFields as _Fields
from airflow.models.taskinstance import TaskInstance
from airflow.models.xcom import XComModel
from sqlalchemy import JSON, and_, exists, or_, select, tuple_, type_coerce
from sqlalchemy.orm import aliased

from airflow_provider_scenario.client.errors import InvalidInputError
from airflow_provider_scenario.client.ids import check_id
from airflow_provider_scenario.client.trainers import without_secrets
from airflow_provider_scenario.hooks.scenario import ScenarioHook
from airflow_provider_scenario.links import ScenarioModelLink

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Select
    from sqlalchemy.orm import Session

TRAINING_OPERATORS = ("ScenarioTrainModelOperator", "ScenarioTrainLoraOperator")
SENSOR = "ScenarioTrainingSensor"
ENDED = frozenset({"success", "failed", "skipped", "upstream_failed", "removed"})
"""States of a task that does nothing any more."""

_LINK = ScenarioModelLink().xcom_key
_KEYS = (_LINK, "job_id", "creative_units_cost", "return_value")
_ADDRESS = ("dag_id", "run_id", "task_id", "map_index")

_ti = TaskInstance
_link = aliased(XComModel)


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """
    A task that trains a model, as far as Airflow knows.

    :param label: what tells it from its siblings: the rendered map index.
    :param state: of the task; None before Airflow has looked at it.
    :param conn_id: the connection that the task uses.
    :param model_id: as soon as the task has told it, checked to be no more than an id.
    :param cost: creative units, as soon as the training has started.
    :param status: of the model, in the API's words, where the task has returned it.
    """

    dag_id: str
    run_id: str
    task_id: str
    map_index: int = -1
    label: str | None = None
    operator: str | None = None
    state: str | None = None
    try_number: int = 0
    started_at: datetime | None = None
    ended_at: datetime | None = None
    conn_id: str = ScenarioHook.default_conn_name
    model_id: str | None = None
    job_id: str | None = None
    cost: float | None = None
    name: str | None = None
    type: str | None = None
    status: str | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)

    @property
    def ended(self) -> bool:
        return self.state in ENDED

    @property
    def address(self) -> dict[str, str]:
        """What leads to it, as query parameters."""
        return {
            "dag_id": self.dag_id,
            "run_id": self.run_id,
            "task_id": self.task_id,
            "map_index": str(self.map_index),
        }


def newest(session: Session, dag_ids: Collection[str], *, limit: int, offset: int = 0) -> list[Training]:
    """The trainings of these DAGs whose model is known, the newest first."""
    return _read(
        session,
        _tasks()
        .join(_link, _is_of_task(_link, _LINK))
        .where(_ti.dag_id.in_(dag_ids), _trains())
        .order_by(_link.timestamp.desc(), _ti.task_id, _ti.map_index)
        .limit(limit)
        .offset(offset),
    )


def of_run(session: Session, dag_id: str, run_id: str) -> list[Training]:
    """All trainings of a run, also those that have not begun."""
    tasks = _tasks().where(_ti.dag_id == dag_id, _ti.run_id == run_id, _trains())
    return _read(session, tasks.order_by(_ti.task_id, _ti.map_index))


def of_task(session: Session, dag_id: str, run_id: str, task_id: str, map_index: int) -> Training | None:
    """What one task trains or waits for; None for a task that is not ours."""
    tasks = _tasks().where(
        _ti.dag_id == dag_id, _ti.run_id == run_id, _ti.task_id == task_id, _ti.map_index == map_index
    )
    found = next(iter(_read(session, tasks)), None)
    return found if found and (found.model_id or found.operator in (*TRAINING_OPERATORS, SENSOR)) else None


def _tasks() -> Select[Any]:
    fields: tuple[Any, ...] = (
        *(getattr(_ti, name) for name in _ADDRESS),
        _ti._rendered_map_index.label("label"),
        _ti.operator,
        _ti.state,
        _ti.try_number,
        _ti.start_date,
        _ti.end_date,
    )
    return select(*fields)


def _trains() -> ColumnElement[bool]:
    """A subclass of our operators has another name, but tells the same of its model and its job."""
    told = and_(*(exists().where(_is_of_task(aliased(XComModel), key)) for key in (_LINK, "job_id")))
    return or_(_ti.operator.in_(TRAINING_OPERATORS), told)


def _is_of_task(xcom: Any, key: str) -> ColumnElement[bool]:
    return and_(*(getattr(xcom, name) == getattr(_ti, name) for name in _ADDRESS), xcom.key == key)


def _read(session: Session, statement: Select[Any]) -> list[Training]:
    """
    The tasks, then what else is known of them: three statements, however many there are.

    Not one that joins them: a database that has not counted a new batch yet joins it row by row, each with all others.
    """
    tasks = session.execute(statement).all()
    if not tasks:
        return []
    of_them = partial(_is_of, tasks)
    pushed = select(*_address(XComModel), XComModel.key, XComModel.value)
    xcoms: dict[tuple[Any, ...], dict[str, Any]] = {}
    for *address, key, value in session.execute(pushed.where(of_them(XComModel), XComModel.key.in_(_KEYS))):
        xcoms.setdefault(tuple(address), {})[key] = _decoded(value)
    rendered = type_coerce(_Fields.rendered_fields, JSON)  # whatever this Airflow makes of it
    texts = (rendered[name].as_string().label(name) for name in ("scenario_conn_id", "name", "type"))
    wanted = select(*_address(_Fields), *texts, rendered["parameters"].label("parameters")).where(of_them(_Fields))
    fields = {tuple(row[:4]): dict(row._mapping) for row in session.execute(wanted)}
    return [_training(task, xcoms.get(tuple(task[:4]), {}), fields.get(tuple(task[:4]), {})) for task in tasks]


def _address(model: Any) -> tuple[Any, ...]:
    return tuple(getattr(model, name) for name in _ADDRESS)


def _is_of(tasks: Iterable[Any], model: Any) -> ColumnElement[bool]:
    """Whether a row is of one of the tasks; of some others too, which does no harm."""
    return and_(
        tuple_(model.dag_id, model.run_id).in_({(task.dag_id, task.run_id) for task in tasks}),
        model.task_id.in_({task.task_id for task in tasks}),
        model.map_index.in_({task.map_index for task in tasks}),
    )


def _training(task: Any, xcoms: Mapping[str, Any], fields: Mapping[str, Any]) -> Training:
    result = xcoms.get("return_value")
    result = result if isinstance(result, dict) and "model_id" in result and "status" in result else {}
    parameters = fields.get("parameters")
    return Training(
        dag_id=task.dag_id,
        run_id=task.run_id,
        task_id=task.task_id,
        map_index=task.map_index,
        label=task.label,
        operator=task.operator,
        state=task.state,
        try_number=task.try_number or 0,
        started_at=task.start_date,
        ended_at=task.end_date,
        conn_id=fields.get("scenario_conn_id") or ScenarioHook.default_conn_name,
        model_id=_id(_model_of(xcoms.get(_LINK))),
        job_id=_id(xcoms.get("job_id")) or _id(result.get("job_id")),
        cost=_number(xcoms.get("creative_units_cost", result.get("creative_units_cost"))),
        name=_text(result.get("name")) or fields.get("name"),
        type=_text(result.get("type")) or fields.get("type"),
        status="trained" if result.get("status") == "trained" else None,
        parameters=without_secrets(parameters) if isinstance(parameters, dict) else {},
    )


def _decoded(value: Any) -> Any:
    """An XCom as it was pushed: what Airflow itself stores is JSON inside of JSON, what a task pushes is not."""
    try:
        return json.loads(value) if isinstance(value, str) else value
    except ValueError:
        return value


def _model_of(link: Any) -> str | None:
    return unquote(link.rpartition("/")[2]) if isinstance(link, str) else None


def _id(value: Any) -> str | None:
    try:
        return check_id("id", value)
    except InvalidInputError:
        return None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
