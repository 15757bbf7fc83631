"""What is installed and alive: plugins, triggerers, pools, and the pools that tasks use."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_scenario.airflow_compat.configuration import conf

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

DEFAULT_POOL = "default_pool"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plugins:
    """
    The plugins that this Airflow has loaded.

    :param names: of those that work.
    :param errors: module or file → why it could not be imported.
    """

    names: frozenset[str]
    errors: Mapping[str, str]


def loaded_plugins() -> Plugins:
    """
    Load the plugins as each Airflow process does.

    Relies on ``get_plugin_info``, ``import_errors`` (3.1) and ``get_import_errors`` (3.2).
    """
    from airflow import plugins_manager

    manager: Any = plugins_manager
    names = frozenset(str(plugin["name"]) for plugin in manager.get_plugin_info(["source"]))
    errors = manager.get_import_errors() if hasattr(manager, "get_import_errors") else manager.import_errors
    return Plugins(names=names, errors=dict(errors))


@dataclass(frozen=True, slots=True, kw_only=True)
class Triggerers:
    """
    The triggerers of this Airflow.

    :param hosts: of those that are alive.
    :param last_heartbeat: of any, also of one that is dead; None if none has ever run.
    :param triggers: that wait in all of them together.
    :param capacity: triggers for which one triggerer has room, if it is configured as this process is.
    """

    hosts: list[str]
    last_heartbeat: datetime | None
    triggers: int
    capacity: int


def triggerers(session: Session) -> Triggerers:
    """Read the triggerers. Relies on the models ``Job``, with ``is_alive``, and ``Trigger`` (3.1)."""
    from airflow.jobs.job import Job
    from airflow.models.trigger import Trigger
    from sqlalchemy import func, select

    job: Any = Job
    jobs = session.scalars(
        select(job).where(job.job_type == "TriggererJob").order_by(job.latest_heartbeat.desc()).limit(100)
    ).all()
    last = jobs[0].latest_heartbeat if jobs else None
    return Triggerers(
        hosts=[str(each.hostname) for each in jobs if each.is_alive()],
        last_heartbeat=last if last is None or last.tzinfo else last.replace(tzinfo=UTC),
        triggers=session.scalar(select(func.count()).select_from(Trigger)) or 0,
        capacity=conf().getint("triggerer", "capacity", fallback=1000),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """
    A pool.

    :param slots: -1: any number.
    """

    name: str
    slots: int
    include_deferred: bool


def pools(session: Session) -> dict[str, Pool]:
    """Read all pools, by name. Relies on the model ``Pool`` (3.1)."""
    from airflow.models.pool import Pool as AirflowPool
    from sqlalchemy import select

    found: list[Any] = list(session.scalars(select(AirflowPool)))
    return {
        each.pool: Pool(name=each.pool, slots=each.slots, include_deferred=bool(each.include_deferred))
        for each in found
    }


def pools_of_tasks(session: Session, matches: Callable[[Mapping[str, Any]], bool]) -> dict[str, list[str]]:
    """
    Find the pools that tasks use.

    Reads the latest version of each serialized DAG one by one, without making DAGs of them. Relies on the models
    ``DagModel`` and ``SerializedDagModel``, and on how a task is serialized (3.1): ``pool`` is left out if it is the
    default pool, and is among ``partial_kwargs`` of a mapped task.

    :param matches: which tasks count; gets the serialized task.
    :return: pool → tasks, as ``dag_id.task_id``.
    """
    from airflow.models.dag import DagModel
    from airflow.models.serialized_dag import SerializedDagModel
    from sqlalchemy import select

    dag_model: Any = DagModel
    serialized: Any = SerializedDagModel
    found: defaultdict[str, list[str]] = defaultdict(list)
    for dag_id in session.scalars(select(dag_model.dag_id).where(dag_model.is_stale.is_(False))).all():
        row = session.scalar(serialized.latest_item_select_object(dag_id))
        for task in _tasks(row.data if row is not None else None):
            if matches(task):
                found[_pool_of(task)].append(f"{dag_id}.{task.get('task_id')}")
        session.expunge_all()  # thousands of DAGs would stay in memory
    return dict(found)


def _tasks(data: Any) -> Iterator[Mapping[str, Any]]:
    dag = data.get("dag") if isinstance(data, dict) else None
    tasks = dag.get("tasks") if isinstance(dag, dict) else None
    for task in tasks if isinstance(tasks, list) else ():
        if isinstance(task, dict) and isinstance(task.get("__var"), dict):
            yield task["__var"]


def _pool_of(task: Mapping[str, Any]) -> str:
    partial = task.get("partial_kwargs")
    own = partial.get("pool") if isinstance(partial, dict) else None
    return str(own or task.get("pool") or DEFAULT_POOL)
