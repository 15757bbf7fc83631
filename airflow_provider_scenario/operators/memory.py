"""
What a task knows of its earlier tries, so that nothing is made or paid twice.

Scenario is the record: a model carries the :class:`Marker` of the task that has made it, and a job says when it was
started. Airflow's task state, where there is one (3.3), is the shortcut to it, and knows what a try was about to do.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_scenario.exceptions import ChangedInputError
from airflow_provider_scenario.provenance import Marker, digest

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_scenario.client.scenario import ScenarioClient

OnClear = Literal["retrain", "reattach"]
"""What clearing a finished task means: train again, or take what an earlier attempt has made."""

_KEY = "scenario"

# How far the service's clock may be behind ours.
_CLOCK_SKEW = timedelta(minutes=10)


class Memory:
    """
    What the earlier tries of a task have done, and what this one does.

    :param asked: what the author asks for, as JSON.
    :param on_clear: whether to go on from what there was before a person cleared the task, too.
    :raises ChangedInputError: an earlier try was asked for something else.

    ``earlier`` is what the tries have recorded from which this one goes on, ``left_behind`` what was recorded before a
    person cleared the task to begin anew.
    """

    def __init__(
        self, context: Context, task_id: str, asked: Mapping[str, Any], *, on_clear: OnClear = "retrain"
    ) -> None:
        self.marker = Marker.of(context, task_id, asked)
        self._context = context
        self._on_clear = on_clear
        self._asked = {field: digest(value, 8) for field, value in asked.items()}
        recorded = recorded_by(context)
        marker = Marker.find(recorded.get("marker"))
        self.earlier = recorded if self.is_mine(marker, recorded) else {}
        self.left_behind = recorded if marker and marker.task == self.marker.task and not self.earlier else {}

    def is_mine(self, marker: Marker | None, recorded: Mapping[str, Any] | None = None) -> bool:
        """
        Whether a try of this task, from which this one goes on, has left the marker.

        :raises ChangedInputError: it has, but was asked for something else.
        """
        if marker is None or marker.task != self.marker.task:
            return False
        if marker.clearing != self.marker.clearing and self._on_clear != "reattach":
            return False
        if marker.asked != self.marker.asked:
            before = (recorded or {}).get("asked") or {}
            changed = [field for field, digest in self._asked.items() if before.get(field, digest) != digest]
            raise ChangedInputError(
                f"This try asks for something else ({', '.join(changed) or 'its input has changed'}) than an earlier "
                "try of this task, which has begun already. Nothing new was made or paid; a training that runs goes "
                "on, and so does its cost. Bring the old input back to go on from there, or clear the failed task to "
                "begin anew."
            )
        return True

    @property
    def is_blank(self) -> bool:
        """Whether it is certain that no try from which this one goes on has sent anything."""
        return keeps_state(self._context) and not self.earlier

    def record(self, **facts: Any) -> None:
        """Keep what is about to be done, or has been, for the next try. Below Airflow 3.3 Scenario alone keeps it."""
        self.earlier = {**self.earlier, "marker": str(self.marker), "asked": self._asked, **facts}
        if keeps_state(self._context):
            self._context["task_state_store"].set(_KEY, self.earlier)

    def has_trained(self, client: ScenarioClient, job_id: str, retries: int | None) -> bool:
        """Whether the job that has trained the model was started by a try from which this one goes on."""
        if keeps_state(self._context):
            return "job_before" in self.earlier and self.earlier["job_before"] != job_id
        goes_on = self._on_clear == "reattach" and self._context["ti"].try_number > 1
        if not (goes_on or is_retry(self._context, retries)):
            return False
        return _created_since(client, job_id, began(self._context, self._on_clear))


def keeps_state(context: Context) -> bool:
    """Whether Airflow keeps a task's state from try to try (3.3)."""
    return context.get("task_state_store") is not None


def recorded_by(context: Context) -> dict[str, Any]:
    """What this task instance has recorded last, also before it was cleared."""
    recorded = context["task_state_store"].get(_KEY) if keeps_state(context) else None
    return dict(recorded) if isinstance(recorded, dict) else {}


def has_started(context: Context, client: ScenarioClient, job_id: str) -> bool:
    """Whether this task instance, not somebody else, has started a job; below Airflow 3.3: whether its run can have."""
    if not keeps_state(context):
        return _created_since(client, job_id, began(context))
    recorded = recorded_by(context)
    return recorded.get("job_id") == job_id or recorded.get("job_before", job_id) != job_id


def began(context: Context, on_clear: OnClear = "retrain") -> datetime:
    """
    When the run began, by the service's clock at the earliest: nothing of this task can be older.

    Clearing a finished run lets it begin anew; what was made before that counts for ``reattach``.
    """
    run = context["dag_run"]
    began = run.start_date or context["ti"].start_date or datetime.now(UTC)
    if on_clear == "reattach":
        began = min(began, run.run_after)
    return began - _CLOCK_SKEW


def is_retry(context: Context, retries: int | None) -> bool:
    """
    Whether an earlier try of this task instance came before, since a person has last cleared it.

    Clearing a finished task raises ``max_tries`` to the tries made plus ``retries``; a retry leaves it alone.
    """
    ti = context["ti"]
    return bool(ti.try_number > ti.max_tries - (retries or 0) + 1)


def _created_since(client: ScenarioClient, job_id: str, moment: datetime) -> bool:
    created = client.get_job(job_id).created_at
    return created is not None and created >= moment
