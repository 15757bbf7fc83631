"""
Which model a task may show and change: only one that is proven to be its own. No I/O.

Whoever may write XComs or task state in one DAG could otherwise see and cancel the trainings of all others.
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
    "Where it did, the connection's API secret was changed since: mark the task as failed to cancel its training."
)
NO_PROOF = (
    "Airflow has no proof that this task made the model {model_id}, so it is not shown. XComs, which many may write, "
    "prove nothing. Either one was changed, or the connection or its API secret was changed since the task ran."
)


NOT_KNOWN = (
    "Whether this task made the model {model_id} is not known yet: the connection or Scenario cannot be asked now."
)


def by_airflow(training: Training, secret: str | None) -> Training:
    """
    The training with its model, where what Airflow has stored proves that the model belongs to the task.

    That does what the task's worker has sealed, and for looking also what it has rendered: only workers write
    rendered fields.

    :param secret: of the training's connection; None where it cannot be read.
    """
    claim = Claim.read(training.sealed, training.place, secret) if secret else None
    if claim and _is_id(claim.model_id) and (claim.job_id is None or _is_id(claim.job_id)):
        return replace(training, model_id=claim.model_id, job_id=claim.job_id, may_act=claim.is_ours)
    if training.has_our_field and training.given_model_id:
        return replace(training, model_id=training.given_model_id, job_id=training.given_job_id)
    return training


def by_marker(training: Training, sight: Snapshot | None) -> Training:
    """
    The same, where the model says at Scenario which task has made it; else with the reason why there is no model.

    :param sight: of the model that the task's XCom names. Of another's model nothing else of it is used.
    """
    if training.model_id or not training.pushed_model_id:
        return training
    if sight and sight.made_by == training.place.digest:
        return replace(training, model_id=training.pushed_model_id, may_act=True)
    reason = NO_PROOF if sight else NOT_KNOWN
    return replace(training, refusal=reason.format(model_id=training.pushed_model_id), undecided=sight is None)


def _is_id(value: str) -> bool:
    try:
        check_id("id", value)
    except InvalidInputError:
        return False
    return True
