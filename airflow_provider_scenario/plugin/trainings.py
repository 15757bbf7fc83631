"""The trainings that Airflow's database knows of."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_scenario.airflow_compat.tables import PushedKeys, TaskKey, tables
from airflow_provider_scenario.client.errors import InvalidInputError
from airflow_provider_scenario.client.ids import check_id
from airflow_provider_scenario.client.scenario.trainers import without_secrets
from airflow_provider_scenario.hooks.scenario import ScenarioHook
from airflow_provider_scenario.operators.training import ScenarioTrainLoraOperator, ScenarioTrainModelOperator
from airflow_provider_scenario.plugin.publications import Publication, read_publications
from airflow_provider_scenario.plugin.values import SHORT, amount, cannot_show, text
from airflow_provider_scenario.provenance import SEALED, Place
from airflow_provider_scenario.sensors.training import ScenarioTrainingSensor

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from airflow_provider_scenario.airflow_compat.tables import TaskRow

TRAINING_OPERATORS = tuple(
    operator.custom_operator_name for operator in (ScenarioTrainModelOperator, ScenarioTrainLoraOperator)
)
"""Airflow stores this attribute with every task instance, also before it runs; rows from older versions have it too."""

ENDED = frozenset({"success", "failed", "skipped", "upstream_failed", "removed"})
"""States of a task that does nothing any more."""

_OPERATORS = (*TRAINING_OPERATORS, ScenarioTrainingSensor.custom_operator_name)
_TOTAL = "creative_units_total"
_KEYS = PushedKeys(model="model_id", trains=(SEALED, "job_id"), others=("creative_units_cost", _TOTAL, "return_value"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """
    A task that trains a model, as far as Airflow knows.

    :param region_id: of a task in a loop (Airflow 3.4), with ``region_index`` and ``iteration``, its place.
    :param label: what tells it from its siblings: the rendered map index.
    :param state: of the task; None before Airflow has looked at it.
    :param conn_id: the connection that the task uses.
    :param pushed_model_id: as an XCom says, which proves nothing; checked to be no more than an id.
    :param pushed_job_id: the same.
    :param given_model_id: what the worker has rendered the task's ``model_id`` to.
    :param given_job_id: the same of its ``job_id``.
    :param sealed: what :meth:`Claim.read` reads.
    :param model_id: once :mod:`.proof` has found it proven. Only such a model is asked for, shown and changed.
    :param job_id: the training's, where that is proven; None: whichever trains the model.
    :param may_act: whether the task has made the model or started its training, so that the page may change it.
    :param has_our_field: whether the worker has rendered a field that only our operators have.
    :param published: what it has published; None where it is not a task that publishes.
    :param unreadable: whether what the task has pushed cannot be read, so that only its place is known.
    :param refusal: why the page does not show the model, for people; a later look may find otherwise if it is
        ``undecided``.
    :param cost: creative units, as soon as the training has started.
    :param total: creative units of all attempts of the task together, where earlier ones have paid, too.
    :param status: of the model, in the API's words, where the task has returned it.
    """

    dag_id: str
    run_id: str
    task_id: str
    map_index: int = -1
    region_id: str | None = None
    region_index: int | None = None
    iteration: int | None = None
    label: str | None = None
    operator: str | None = None
    state: str | None = None
    try_number: int = 0
    started_at: datetime | None = None
    ended_at: datetime | None = None
    conn_id: str = ScenarioHook.default_conn_name
    pushed_model_id: str | None = None
    pushed_job_id: str | None = None
    given_model_id: str | None = None
    given_job_id: str | None = None
    sealed: Any = None
    model_id: str | None = None
    job_id: str | None = None
    may_act: bool = False
    refusal: str | None = None
    undecided: bool = False
    has_our_field: bool = False
    published: tuple[Publication, ...] | None = None
    unreadable: bool = False
    cost: float | None = None
    total: float | None = None
    name: str | None = None
    type: str | None = None
    status: str | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)

    @property
    def ended(self) -> bool:
        return self.state in ENDED

    @property
    def paid(self) -> float | None:
        """Creative units that the task has paid, in all attempts; None as long as no training has started."""
        return self.cost if self.total is None else self.total

    @property
    def is_ours(self) -> bool:
        """Whether it is of one of our operators, or of a subclass: they alone have our fields or a proven model."""
        return self.has_our_field or self.model_id is not None or self.operator in _OPERATORS

    @property
    def place(self) -> Place:
        """As the worker knows the task."""
        return Place(self.dag_id, self.run_id, self.task_id, self.map_index, self.iteration)

    @property
    def has_started(self) -> bool:
        """Whether there is a training, as far as Airflow knows. Only for the words of the page."""
        return bool(self.job_id or self.pushed_job_id)

    @property
    def address(self) -> dict[str, str]:
        """What leads to it, as query parameters."""
        address = {
            "dag_id": self.dag_id,
            "run_id": self.run_id,
            "task_id": self.task_id,
            "map_index": str(self.map_index),
        }
        return {**address, **self.region}

    @property
    def region(self) -> dict[str, str]:
        """What tells its iteration of a loop from the others, as query parameters, here and in Airflow's own API."""
        if self.region_id is None:
            return {}
        return {"region_id": self.region_id, "region_index": str(self.region_index)}


def newest(session: Session, dag_ids: Collection[str], *, limit: int, offset: int = 0) -> list[Training]:
    """The tasks of these DAGs that have pushed a model, the newest first; see :attr:`Training.is_ours`."""
    rows = tables().newest(session, dag_ids, TRAINING_OPERATORS, _KEYS, limit=limit, offset=offset)
    return [_training(row) for row in rows]


def of_run(session: Session, dag_id: str, run_id: str) -> list[Training]:
    """All trainings of a run, also those that have not begun; see :attr:`Training.is_ours`."""
    return [_training(row) for row in tables().of_run(session, dag_id, run_id, TRAINING_OPERATORS, _KEYS)]


def of_task(session: Session, key: TaskKey) -> list[Training]:
    """
    What one task trains or waits for: one training, or several where it is in a loop and ``key`` names no iteration.

    Of a task that is not ours too; see :attr:`Training.is_ours`.
    """
    return [_training(row) for row in tables().of_task(session, key, _KEYS)]


def _training(row: TaskRow) -> Training:
    try:
        return _read(row)
    except Exception as problem:
        cannot_show(row.key, problem)
        return Training(**row.key._asdict(), iteration=row.iteration, operator=row.operator, unreadable=True)


def _read(row: TaskRow) -> Training:
    xcoms, fields = row.xcoms, row.rendered
    result = xcoms.get("return_value")
    result = result if isinstance(result, dict) and "model_id" in result and "status" in result else {}
    parameters = fields.get("parameters")
    return Training(
        **row.key._asdict(),
        iteration=row.iteration,
        label=text(row.label, SHORT),
        operator=row.operator,
        state=row.state,
        try_number=row.try_number,
        started_at=row.start_date,
        ended_at=row.end_date,
        conn_id=text(fields.get("scenario_conn_id"), SHORT) or ScenarioHook.default_conn_name,
        pushed_model_id=_id(xcoms.get("model_id")),
        pushed_job_id=_id(xcoms.get("job_id")) or _id(result.get("job_id")),
        given_model_id=_id(fields.get("model_id")),
        given_job_id=_id(fields.get("job_id")),
        sealed=xcoms.get(SEALED),
        has_our_field=bool(fields.get("scenario_conn_id")),
        published=read_publications(xcoms.get("return_value")) if fields.get("ai_creation_workshop_conn_id") else None,
        cost=amount(xcoms.get("creative_units_cost", result.get("creative_units_cost"))),
        total=amount(xcoms.get(_TOTAL)),
        name=text(result.get("name"), SHORT) or text(fields.get("name"), SHORT),
        type=text(result.get("type"), SHORT) or text(fields.get("type"), SHORT),
        status="trained" if result.get("status") == "trained" else None,
        parameters=without_secrets(parameters) if isinstance(parameters, dict) else {},
    )


def _id(value: Any) -> str | None:
    try:
        return check_id("id", value) if len(value) <= SHORT else None
    except TypeError:
        return None
    except InvalidInputError:
        return None
