from __future__ import annotations

from datetime import UTC, datetime

import pytest
from airflow.models import import_all_models
from airflow.models.taskinstance import TaskInstance
from airflow.models.trigger import TRIGGER_FAIL_REPR, TriggerFailureReason, handle_event_submit
from airflow.triggers.base import TriggerEvent
from sqlalchemy import create_engine, insert, select, update
from sqlalchemy.orm import Session, lazyload

from airflow_provider_scenario.airflow_compat.deferral import method_to_resume

TABLE = TaskInstance.__table__


@pytest.fixture
def engine(tmp_path):
    """A database with one deferred task."""
    engine = create_engine(f"sqlite:///{tmp_path / 'airflow.db'}")
    import_all_models()  # the table's foreign keys name their tables
    TABLE.metadata.create_all(engine, tables=[TABLE])
    task = {
        "dag_id": "a_dag",
        "run_id": "a_run",
        "task_id": "train",
        "map_index": -1,
        "try_number": 1,
        "max_tries": 0,
        "pool": "default_pool",
        "pool_slots": 1,
        "queue": "default",
        "priority_weight": 1,
        "executor_config": {},
        "span_status": "not_started",
        "state": "deferred",
        "next_method": "execute_complete",
        "next_kwargs": {"is_ours": True},
        "trigger_timeout": datetime(2020, 1, 1, tzinfo=UTC),
    }
    with engine.begin() as connection:  # not every minor has each of these columns
        connection.execute(insert(TABLE).values({name: task[name] for name in task if name in TABLE.columns}))
    return engine


def gives_up(engine):
    """As the scheduler's ``check_trigger_timeouts``."""
    end = {"next_method": TRIGGER_FAIL_REPR, "next_kwargs": {"error": TriggerFailureReason.TRIGGER_TIMEOUT}}
    with engine.begin() as connection:
        connection.execute(update(TABLE).where(TABLE.c.state == "deferred").values(state="scheduled", **end))


def test_an_event_that_meets_the_schedulers_timeout_counts(engine):
    """The triggerer has read the task; then the scheduler gives it up; then the triggerer stores the event."""
    with Session(engine) as session:
        task = session.scalars(select(TaskInstance).options(lazyload("*"))).one()
        gives_up(engine)
        handle_event_submit(TriggerEvent({"outcome": "timed-out"}), task_instance=task, session=session)
        session.commit()
    with Session(engine) as session:
        task = session.scalars(select(TaskInstance).options(lazyload("*"))).one()
        assert task.next_method == TRIGGER_FAIL_REPR
        assert "error" not in task.next_kwargs
        assert method_to_resume(task.next_method, task.next_kwargs) == "execute_complete"


def test_a_timeout_without_an_event_is_one(engine):
    gives_up(engine)
    with Session(engine) as session:
        task = session.scalars(select(TaskInstance).options(lazyload("*"))).one()
        assert method_to_resume(task.next_method, task.next_kwargs) == TRIGGER_FAIL_REPR


@pytest.mark.parametrize("kwargs", [None, {}, {"event": {}}])
def test_any_other_method_stays(kwargs):
    assert method_to_resume("a_method", kwargs) == "a_method"
