from __future__ import annotations

import json

import pytest

from airflow_provider_scenario.airflow_compat.exceptions import AirflowFailException
from airflow_provider_scenario.client.scenario.schemas import Job, Model
from airflow_provider_scenario.exceptions import (
    TrainingCanceledError,
    TrainingFailedError,
    TrainingTimeoutError,
    WatchingRefusedError,
)
from airflow_provider_scenario.watch.result import TrainingResult

MODEL = {
    "id": "model_1",
    "name": "ink",
    "type": "flux.1-lora",
    "status": "trained",
    "jobId": "job_1",
    "trainingStats": {"trainDuration": 6600, "queueDuration": 12},
    "epochs": [{"epoch": "000001", "assets": [{"assetId": "asset_1", "url": "https://cdn/asset_1?Signature=SECRET"}]}],
}
JOB = {
    "jobId": "job_1",
    "jobType": "flux-model-training",
    "status": "success",
    "metadata": {"error": "CUDA out of memory", "hint": "Use fewer images"},
    "billing": {"cuCost": 1080},
}


def ended(outcome):
    return TrainingResult.of(outcome, Model.model_validate(MODEL), Job.model_validate(JOB), model_id="model_1")


def test_the_result_holds_what_a_downstream_task_needs():
    assert ended("trained").value_or_raise() == {
        "model_id": "model_1",
        "job_id": "job_1",
        "status": "trained",
        "name": "ink",
        "type": "flux.1-lora",
        "creative_units_cost": 1080,
        "train_seconds": 6600,
        "epochs": [{"epoch": "000001", "asset_ids": ["asset_1"]}],
    }


def test_an_event_comes_back_the_same_after_json():
    assert TrainingResult.from_event(json.loads(json.dumps(ended("trained").to_event()))) == ended("trained")


def test_no_signed_address_travels():
    assert "SECRET" not in json.dumps(ended("trained").to_event())


def test_an_event_of_a_newer_version_is_understood():
    assert TrainingResult.from_event({**ended("trained").to_event(), "new_field": 1}) == ended("trained")


@pytest.mark.parametrize("event", [None, [], "trained", {}, {"outcome": "triumph"}, {"status": "trained"}])
def test_anything_else_is_no_end(event):
    with pytest.raises(ValueError, match="not the result of a training"):
        TrainingResult.from_event(event)


@pytest.mark.parametrize(
    ("outcome", "error"),
    [
        ("failed", TrainingFailedError),
        ("canceled", TrainingCanceledError),
        ("timed-out", TrainingTimeoutError),
        ("refused", WatchingRefusedError),
    ],
)
def test_every_other_outcome_is_an_error_that_names_model_and_job(outcome, error):
    with pytest.raises(error, match=r"'ink' \(model_1, job_1\)"):
        ended(outcome).value_or_raise()


def test_a_failure_carries_error_hint_and_cost():
    with pytest.raises(TrainingFailedError) as failure:
        ended("failed").value_or_raise()
    assert str(failure.value) == (
        "Training 'ink' (model_1, job_1) failed: CUDA out of memory. Hint: Use fewer images. "
        "It cost 1080 creative units."
    )


@pytest.mark.parametrize("outcome", ["canceled", "refused"])
def test_what_a_retry_cannot_mend_is_not_retried(outcome):
    with pytest.raises(AirflowFailException):
        ended(outcome).value_or_raise()


def test_without_the_job_the_outcome_stands():
    assert (
        TrainingResult.of("trained", Model.model_validate(MODEL), None, model_id="model_1").value_or_raise()["status"]
        == "trained"
    )
