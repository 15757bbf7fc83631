"""
Insert deferred tasks into the database of ``AIRFLOW_HOME`` without a worker, for ``benchmarks/waiting.py``.

    python deferred_rows.py < triggers.json     # [[class path, arguments], …], one task each
"""

from __future__ import annotations

import json
import sys
import uuid

from airflow.models.dag import DagModel
from airflow.models.dag_version import DagVersion
from airflow.models.dagbundle import DagBundleModel
from airflow.models.dagrun import DagRun
from airflow.models.taskinstance import TaskInstance
from airflow.models.trigger import Trigger
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, timezone
from airflow.serialization.serialized_objects import DagSerialization
from airflow.utils.session import create_session
from airflow.utils.state import DagRunState, TaskInstanceState
from airflow.utils.types import DagRunTriggeredByType, DagRunType


def add(triggers: list[tuple[str, dict[str, object]]]) -> None:
    """Insert a DAG run with one mapped task for each trigger, deferred to it."""
    name = f"waiting_{uuid.uuid4().hex[:8]}"
    with DAG(name, schedule=None) as dag:
        EmptyOperator(task_id="wait")
    task = DagSerialization.from_dict(DagSerialization.to_dict(dag)).get_task("wait")
    now = timezone.utcnow()
    with create_session() as session:
        session.add(DagBundleModel(name=name))
        session.flush()
        session.add(DagModel(dag_id=name, bundle_name=name, is_stale=False, max_active_tasks=len(triggers)))
        session.flush()
        version = DagVersion(dag_id=name, bundle_name=name, version_number=1)
        session.add(version)
        run = DagRun(
            name,
            "run",
            run_after=now,
            start_date=now,
            state=DagRunState.RUNNING,
            run_type=DagRunType.MANUAL,
            triggered_by=DagRunTriggeredByType.TEST,
        )
        session.add(run)
        session.flush()
        rows = [Trigger(classpath=path, kwargs=arguments) for path, arguments in triggers]
        session.add_all(rows)
        session.flush()
        for index, row in enumerate(rows):
            instance = TaskInstance(task, version.id, "run", TaskInstanceState.DEFERRED, index)
            instance.trigger_id, instance.try_number, instance.next_method = row.id, 1, "execute_complete"
            instance.next_kwargs, instance.start_date = {}, now
            session.add(instance)


if __name__ == "__main__":
    add(json.load(sys.stdin))
