"""Trainings, as Airflow's database has them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from airflow_provider_scenario.airflow_compat.tables import PushedKeys, TaskKey, tables
from airflow_provider_scenario.client.errors import InvalidInputError
from airflow_provider_scenario.client.ids import check_id
from airflow_provider_scenario.client.scenario.secret_parameters import without_secrets
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
"""States of a task that has ended."""

_OPERATORS = (*TRAINING_OPERATORS, ScenarioTrainingSensor.custom_operator_name)
_TOTAL = "creative_units_total"
_KEYS = PushedKeys(model="model_id", trains=(SEALED, "job_id"), others=("creative_units_cost", _TOTAL, "return_value"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """
    A task that trains a model, as far as Airflow knows.

    :param region_id: with ``region_index`` and ``iteration`` the place of a task in a loop (Airflow 3.4).
    :param label: the rendered map index.
    :param operator: the operator's ``custom_operator_name``.
    :param state: of the task; None before the scheduler has reached it.
    :param conn_id: the connection that the task uses.
    :param pushed_model_id: from an XCom, which proves nothing; checked to be an id.
    :param pushed_job_id: the same.
    :param rendered_model_id: from the ``model_id`` that the worker has rendered.
    :param rendered_job_id: the same of its ``job_id``.
    :param sealed: what :meth:`Claim.read` reads.
    :param model_id: set by :mod:`.proof` once it is proven. Only such a model is polled, shown and changed.
    :param job_id: the training's, if that is proven; None: whichever trains the model.
    :param may_act: whether the task has made the model or started its training, so that the page may change it.
    :param has_our_field: whether the worker has rendered a field that only our operators have.
    :param published: what it has published; None if the task does not publish.
    :param unreadable: whether the stored values cannot be read, so that only its place is known.
    :param refusal: why the page does not show the model, as a sentence.
    :param is_undecided: whether a later refresh may find a proof.
    :param cost: creative units of the latest training, once it has started.
    :param total: creative units of all attempts of the task, if earlier ones were billed too.
    :param status: ``trained`` if the task has returned that.
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
    rendered_model_id: str | None = None
    rendered_job_id: str | None = None
    sealed: object = None
    model_id: str | None = None
    job_id: str | None = None
    may_act: bool = False
    refusal: str | None = None
    is_undecided: bool = False
    has_our_field: bool = False
    published: tuple[Publication, ...] | None = None
    unreadable: bool = False
    cost: float | None = None
    total: float | None = None
    name: str | None = None
    type: str | None = None
    status: str | None = None
    parameters: Mapping[str, object] = field(default_factory=dict)

    @property
    def ended(self) -> bool:
        """Whether the task has ended."""
        return self.state in ENDED

    @property
    def is_skipped(self) -> bool:
        """Whether Airflow has skipped or removed the task."""
        return self.state in ("skipped", "removed")

    @property
    def billed(self) -> float | None:
        """Creative units that the task was billed, in all attempts; None until a training has started."""
        return self.cost if self.total is None else self.total

    @property
    def is_ours(self) -> bool:
        """Whether the operator is one of ours or a subclass: only those have our fields or a proven model."""
        return self.has_our_field or self.model_id is not None or self.operator in _OPERATORS

    @property
    def place(self) -> Place:
        """The place of the task, as its worker has sealed it."""
        return Place(self.dag_id, self.run_id, self.task_id, self.map_index, self.iteration)

    @property
    def has_started(self) -> bool:
        """Whether a training has started, as far as Airflow knows. Not proven: only for the words of the page."""
        return bool(self.job_id or self.pushed_job_id)

    @property
    def address(self) -> dict[str, str]:
        """Query parameters of its pages."""
        address = {
            "dag_id": self.dag_id,
            "run_id": self.run_id,
            "task_id": self.task_id,
            "map_index": str(self.map_index),
        }
        return {**address, **self.region}

    @property
    def region(self) -> dict[str, str]:
        """Query parameters for its iteration of a loop, of our pages and of Airflow's API."""
        if self.region_id is None:
            return {}
        return {"region_id": self.region_id, "region_index": str(self.region_index)}


def newest(session: Session, dag_ids: Collection[str], *, limit: int, offset: int = 0) -> list[Training]:
    """Read the tasks of these DAGs that have pushed a model, the newest first; see :attr:`Training.is_ours`."""
    rows = tables().newest(session, dag_ids, TRAINING_OPERATORS, _KEYS, limit=limit, offset=offset)
    return [_training(row) for row in rows]


def of_run(session: Session, dag_id: str, run_id: str) -> list[Training]:
    """Read all trainings of a run, also those that have not begun; see :attr:`Training.is_ours`."""
    return [_training(row) for row in tables().of_run(session, dag_id, run_id, TRAINING_OPERATORS, _KEYS)]


def of_task(session: Session, key: TaskKey) -> list[Training]:
    """
    Read the training of one task, or several if it is in a loop and ``key`` names no iteration.

    Also of a task that is not ours; see :attr:`Training.is_ours`.
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
    return Training(
        **row.key._asdict(),
        iteration=row.iteration,
        label=text(row.label, SHORT),
        operator=row.operator,
        state=row.state,
        try_number=row.try_number,
        started_at=row.start_date,
        ended_at=row.end_date,
        conn_id=text(fields.scenario_conn_id, SHORT) or ScenarioHook.default_conn_name,
        pushed_model_id=_id(xcoms.get("model_id")),
        pushed_job_id=_id(xcoms.get("job_id")) or _id(result.get("job_id")),
        rendered_model_id=_id(fields.model_id),
        rendered_job_id=_id(fields.job_id),
        sealed=xcoms.get(SEALED),
        has_our_field=bool(fields.scenario_conn_id),
        published=read_publications(xcoms.get("return_value")) if fields.ai_creation_workshop_conn_id else None,
        cost=amount(xcoms.get("creative_units_cost", result.get("creative_units_cost"))),
        total=amount(xcoms.get(_TOTAL)),
        name=text(result.get("name"), SHORT) or text(fields.name, SHORT),
        type=text(result.get("type"), SHORT) or text(fields.type, SHORT),
        status="trained" if result.get("status") == "trained" else None,
        parameters=without_secrets(fields.parameters) if isinstance(fields.parameters, dict) else {},
    )


def _id(value: object) -> str | None:
    if not isinstance(value, str) or len(value) > SHORT:
        return None
    try:
        return check_id("id", value)
    except InvalidInputError:
        return None
