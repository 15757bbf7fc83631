"""Snapshots and details for the page, with values that HTML can show."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_provider_scenario.plugin.values import SHORT, number, text
from airflow_provider_scenario.provenance import Marker
from airflow_provider_scenario.watch.decision import FINAL_STATUSES, Snapshot

if TYPE_CHECKING:
    from airflow_provider_scenario.client.scenario.schemas import DatasetScore, Job, Model


def page_snapshot(model: Model, at: float) -> Snapshot:
    """
    Make a snapshot of a model whose texts and numbers may be hostile.

    :param at: when the answer came, as a Unix time in seconds.
    """
    marker = Marker.find(text(model.short_description))
    running = model.training_progress if model.status == "training" else None
    left = number(running.remaining_time_ms) if running else None
    position = number(running.position) if running else None
    return Snapshot(
        at=at,
        model_id=model.id,
        status=model.status,
        name=text(model.name, SHORT),
        type=text(model.type, SHORT),
        job_id=model.job_id,
        stage=text(running.stage, SHORT) if running else None,
        progress=number(running.progress) if running else None,
        position=int(position) if position is not None else None,
        seconds_left=left / 1000 if left is not None else None,
        retryable_error=text(running.retryable_error) if running else None,
        made_by=marker.task if marker else None,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Details:
    """
    All that Scenario has about one training.

    :param complete: False if the page had no request left for the job or the score.
    """

    at: float
    model: Model
    job: Job | None = None
    score: DatasetScore | None = None
    complete: bool = True

    @property
    def is_final(self) -> bool:
        """Whether later requests return the same."""
        return self.complete and self.model.status in FINAL_STATUSES
