from __future__ import annotations

import json

import pytest

from airflow_provider_scenario.airflow_compat.exceptions import AirflowFailException
from airflow_provider_scenario.client.scenario.schemas import Job, Model
from airflow_provider_scenario.exceptions import (
    SecretChangedError,
    TrainingCanceledError,
    TrainingFailedError,
    TrainingNotStartedError,
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


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"error": None, "hint": None}, "Training 'ink' (model_1, job_1) failed: Scenario gave no reason."),
        (
            {"error": "No RTX.", "hint": "Try an RTX.", "creative_units_cost": 0.0},
            "Training 'ink' (model_1, job_1) failed: No RTX. Hint: Try an RTX. It cost 0 creative units.",
        ),
        (
            {"model_name": None, "model_id": None, "job_id": None, "error": "x", "creative_units_cost": 2.5},
            "Training (model unknown, job unknown) failed: x. It cost 2.5 creative units.",
        ),
    ],
)
def test_what_scenario_did_not_say_is_not_invented(changes, message):
    fields = {"model_name": "ink", "model_id": "model_1", "job_id": "job_1", **changes}
    with pytest.raises(TrainingFailedError) as failure:
        TrainingResult(outcome="failed", **fields).value_or_raise()
    assert str(failure.value) == message


@pytest.mark.parametrize(
    ("error", "time_limit", "message"),
    [
        (None, None, "Training (model_1, job_1) did not end in time."),
        (None, "timeout=60 s", "Training (model_1, job_1) did not end within timeout=60 s."),
        ("It was cancelled.", None, "Training (model_1, job_1) did not end in time. It was cancelled."),
    ],
)
def test_a_timeout_names_the_limit_and_what_became_of_the_training(error, time_limit, message):
    late = TrainingResult(outcome="timed-out", model_id="model_1", job_id="job_1", error=error)
    with pytest.raises(TrainingTimeoutError) as failure:
        late.value_or_raise(time_limit=time_limit)
    assert str(failure.value) == message


def test_a_training_that_a_person_has_stopped_is_not_paid_again_by_a_retry_and_says_what_it_cost():
    with pytest.raises(TrainingCanceledError) as failure:
        ended("canceled").value_or_raise()
    assert str(failure.value) == (
        "Training 'ink' (model_1, job_1) was cancelled. It cost 1080 creative units. The task is not retried; clear it "
        "to train again."
    )


def test_a_refused_start_fails_for_good_with_the_reason():
    with pytest.raises(TrainingNotStartedError, match=r"^The plan allows no training\.$") as failure:
        TrainingResult(outcome="not-started", error="The plan allows no training.").value_or_raise()
    assert isinstance(failure.value, AirflowFailException)


def test_a_changed_secret_says_that_nothing_was_billed_and_leaves_the_task_its_retries():
    with pytest.raises(SecretChangedError, match=r"model_1 waited.*Nothing was started or billed\.") as failure:
        TrainingResult(outcome="secret-changed", model_id="model_1").value_or_raise()
    assert not isinstance(failure.value, AirflowFailException)


def test_a_task_that_does_not_wait_returns_what_it_has_started():
    started = TrainingResult(outcome="started", model_id="model_1", job_id="job_1", creative_units_cost=60.0)
    assert started.value_or_raise() == {
        "model_id": "model_1",
        "job_id": "job_1",
        "status": "training",
        "creative_units_cost": 60.0,
        "epochs": [],
    }


@pytest.mark.parametrize("total", [0.0, 1140.0])
def test_what_all_attempts_have_paid_is_in_the_result(total):
    assert ended("trained").value_or_raise(creative_units_total=total)["creative_units_total"] == total


def test_of_the_model_alone_and_of_nothing_the_rest_is_unknown():
    model = Model.model_validate({"id": "model_1", "status": "failed", "jobId": "job_7"})
    alone = TrainingResult.of("failed", model, None, model_id="other")
    assert alone == TrainingResult(outcome="failed", model_id="model_1", job_id="job_7", status="failed", epochs=[])
    nothing = TrainingResult.of("timed-out", None, None, model_id="model_1")
    assert nothing == TrainingResult(outcome="timed-out", model_id="model_1", status="timed-out", epochs=[])


def test_the_models_own_status_is_reported():
    model = Model.model_validate({**MODEL, "status": "training-canceled"})
    assert TrainingResult.of("canceled", model, None, model_id="model_1").status == "training-canceled"


def test_of_the_job_alone_its_cost_and_its_error_are_known():
    job = TrainingResult.of("failed", None, Job.model_validate(JOB), model_id=None)
    assert (job.model_id, job.job_id, job.creative_units_cost, job.error, job.hint) == (
        None,
        "job_1",
        1080,
        "CUDA out of memory",
        "Use fewer images",
    )


def test_a_result_names_the_job_that_was_waited_for_and_not_the_models_last():
    job = Job.model_validate({**JOB, "jobId": "job_9"})
    assert TrainingResult.of("failed", Model.model_validate(MODEL), job, model_id="model_1").job_id == "job_9"


def test_a_start_without_a_model_names_none():
    assert TrainingResult(outcome="started").value_or_raise()["model_id"] == ""
