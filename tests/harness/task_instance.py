"""A task instance for operators that run without Airflow's processes."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime
from typing import Any


class FakeTaskInstance:
    """The attributes and methods of a task instance that operators use."""

    def __init__(self) -> None:
        self.xcoms: dict[str, Any] = {}
        self.dag_id, self.run_id, self.task_id = "a_dag", "a_run", "a_task"
        self.map_index = -1
        self.region_id = uuid.UUID(int=0)
        self.try_number, self.max_tries = 1, 0
        self.start_date = datetime.now(UTC)

    def xcom_push(self, key: str, value: Any) -> None:
        self.xcoms[key] = json.loads(json.dumps(value))

    def xcom_pull(self, *, task_ids: str, key: str, map_indexes: int) -> Any:
        return self.xcoms.get(key)
