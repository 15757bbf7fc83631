"""The methods by which OpenLineage's listener asks an operator for inputs, outputs and facets."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from airflow_provider_scenario.airflow_compat.deferral import is_reported_to_open_lineage
from airflow_provider_scenario.airflow_compat.open_lineage import operator_lineage
from airflow_provider_scenario.lineage.notes import LineageNotes

if TYPE_CHECKING:
    from airflow_provider_scenario.airflow_compat.types import Lineage, Logger


Moment: TypeAlias = Literal["start", "complete", "failure"]

LINEAGE = "lineage"
"""Key of the notes among the arguments that Airflow stores while a task is deferred."""


class ReportsLineage:
    """
    Base of operators and sensors that report to OpenLineage.

    The listener calls these methods in a fork of the task's process, which it kills after some seconds. So they send no
    request, not even to Airflow: they use what the task has noted.
    """

    if TYPE_CHECKING:

        @property
        def log(self) -> Logger: ...

    @cached_property
    def lineage_notes(self) -> LineageNotes:
        """What the task notes for its events."""
        return LineageNotes()

    def get_openlineage_facets_on_start(self) -> Lineage | None:
        """Return what is known before the task runs."""
        return self._lineage_or_none("start")

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> Lineage | None:  # noqa: ARG002
        """Return inputs, outputs and facets of a success."""
        return self._lineage_or_none("complete")

    def get_openlineage_facets_on_failure(self, task_instance: Any) -> Lineage | None:  # noqa: ARG002
        """Return inputs and facets of a failure: what was billed nevertheless."""
        return self._lineage_or_none("failure")

    def deferred_lineage(self) -> dict[str, Any]:
        """Return what to add to the arguments that Airflow stores during a deferral: nothing without OpenLineage."""
        return {LINEAGE: self.lineage_notes.to_json()} if is_reported_to_open_lineage(self) else {}  # type: ignore[arg-type]

    def restore_lineage(self, next_kwargs: dict[str, Any] | None) -> None:
        """Take the notes out of the arguments that Airflow has stored during a deferral."""
        self.lineage_notes.restore((next_kwargs or {}).pop(LINEAGE, None))

    def _lineage_at(self, moment: Moment) -> Lineage:  # noqa: ARG002
        return operator_lineage()  # then the listener reports the author's inlets and outlets

    def _lineage_or_none(self, moment: Moment) -> Lineage | None:
        try:
            return self._lineage_at(moment)
        except Exception as error:
            self.log.warning(
                "OpenLineage gets no inputs, outputs and facets of this task (%s at its %s). The task is not affected.",
                type(error).__name__,
                moment,
            )
            return None
