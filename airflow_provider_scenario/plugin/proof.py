"""
Decides which model a task may show and change: only one that is proven to be its own. No I/O.

XComs and task state prove nothing: anyone who may write them in one DAG could otherwise see and cancel the trainings of
all other DAGs.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from airflow_provider_scenario.client.errors import InvalidInputError
from airflow_provider_scenario.client.ids import check_id
from airflow_provider_scenario.provenance import Claim

if TYPE_CHECKING:
    from airflow_provider_scenario.plugin.trainings import Training
    from airflow_provider_scenario.watch.decision import Snapshot

CANNOT_ACT = (
    "Airflow has no proof that this task made the model {model_id} or started its training, so nothing was changed. "
    "If it did, the connection's API secret was changed since: mark the task as failed to cancel its training."
)
NO_PROOF = (
    "Airflow has no proof that this task made the model {model_id}, so it is not shown. XComs, which many may write, "
    "prove nothing. Either one was changed, or the connection or its API secret was changed since the task ran."
)

NOT_KNOWN = (
    "Whether this task made the model {model_id} is not known yet: the connection or Scenario cannot be read now."
)


def by_airflow(training: Training, secret: str | None) -> Training:
    """
    Return the training with its model, if Airflow's database proves that the model belongs to the task.

    The worker's sealed claim proves it. Rendered fields prove it for showing only: only workers write them, but a
    template may have rendered a forged XCom.

    :param secret: of the training's connection; None if it cannot be read.
    """
    claim = Claim.read(training.sealed, training.place, secret) if secret else None
    if claim and _is_id(claim.model_id) and (claim.job_id is None or _is_id(claim.job_id)):
        return replace(training, model_id=claim.model_id, job_id=claim.job_id, may_act=claim.is_ours)
    if training.has_our_field and training.rendered_model_id:
        return replace(training, model_id=training.rendered_model_id, job_id=training.rendered_job_id)
    return training


def by_marker(training: Training, snapshot: Snapshot | None) -> Training:
    """
    Return the same, if the model's marker at Scenario names this task; else with the reason why there is no model.

    :param snapshot: of the model that the task's XCom names. If the model is not the task's, only the marker is used.
    """
    if training.model_id or not training.pushed_model_id:
        return training
    if snapshot and snapshot.made_by == training.place.digest:
        return replace(training, model_id=training.pushed_model_id, may_act=True)
    reason = NO_PROOF if snapshot else NOT_KNOWN
    return replace(training, refusal=reason.format(model_id=training.pushed_model_id), is_undecided=snapshot is None)


def _is_id(value: str) -> bool:
    try:
        check_id("id", value)
    except InvalidInputError:
        return False
    return True
