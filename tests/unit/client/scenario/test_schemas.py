from __future__ import annotations

import logging
import subprocess
import sys
from datetime import UTC, datetime

import pytest

from airflow_provider_scenario.client import schema
from airflow_provider_scenario.client.errors import ServiceError
from airflow_provider_scenario.client.scenario.schemas import (
    Asset,
    Billing,
    Epoch,
    Job,
    Model,
    Project,
    TrainingProgress,
)

SIGNED = "https://cdn.test/a.png?Signature=signed-part"

WHOLE_MODEL = {
    "id": "model_1",
    "name": "hero-style",
    "status": "trained",
    "type": "flux.2-dev-lora",
    "shortDescription": "heroes",
    "jobId": "job_1",
    "parameters": {"nbEpochs": 10, "wandbKey": "key-of-wandb"},
    "trainingImages": [
        {
            "id": "asset_1",
            "name": "a.png",
            "description": "a hero",
            "automaticCaptioning": "hero",
            "downloadUrl": SIGNED,
            "createdAt": "2026-07-01T10:00:00.000Z",
        }
    ],
    "trainingImagePairs": [{"sourceId": "asset_1", "targetId": "asset_2", "instruction": "make it red"}],
    "trainingImagesNumber": 16,
    "trainingProgress": {
        "stage": "running-train",
        "progress": 0.43,
        "remainingTimeMs": 2_280_000,
        "startedAt": 1_750_000_000_000,
        "updatedAt": 1_750_000_600_000,
        "captchaImageUrl": SIGNED,
    },
    "trainingStats": {"startedAt": "2026-07-01T10:00:00Z", "queueDuration": 12.5, "trainDuration": 10320},
    "epochs": [{"epoch": "000001", "assets": [{"assetId": "asset_9", "url": SIGNED}]}],
    "concepts": [{"modelId": "model_2", "scale": 1, "modelEpoch": "000001"}],
    "thumbnail": {"assetId": "asset_9", "url": SIGNED},
    "class": {"slug": "art-style", "name": "Art style"},
    "tags": ["heroes"],
    "collectionIds": ["collection_1"],
    "ownerId": "proj_1",
    "createdAt": "2026-07-01T09:00:00.000Z",
    "updatedAt": "2026-07-01T12:00:00",
    "complianceMetadata": {"new": True, "url": SIGNED},
}


@pytest.fixture
def warnings(caplog, monkeypatch):
    monkeypatch.setattr(schema, "_warned", set())
    caplog.set_level(logging.WARNING, "airflow_provider_scenario.client")
    return lambda: [record.getMessage() for record in caplog.records]


def read(data, schema=Model):
    return schema.read(data, action="read it")


def test_a_model_is_read_whole(warnings):
    model = read(WHOLE_MODEL)
    assert (model.id, model.status, model.job_id, model.class_slug) == ("model_1", "trained", "job_1", "art-style")
    assert model.parameters["nbEpochs"] == 10
    assert [(image.id, image.description) for image in model.training_images] == [("asset_1", "a hero")]
    assert model.training_image_pairs[0].instruction == "make it red"
    assert model.training_progress is not None
    assert model.training_progress.updated_at == datetime(2025, 6, 15, 15, 16, 40, tzinfo=UTC)
    assert model.training_stats is not None
    assert model.training_stats.train_duration == 10320
    assert model.epochs[0].assets[0].asset_id == "asset_9"
    assert model.concepts[0].model_epoch == "000001"
    assert model.updated_at == datetime(2026, 7, 1, 12, tzinfo=UTC)
    assert warnings() == []


def test_the_first_models_may_be_read_in_many_threads_at_once():
    """Up to pydantic 2.12 two threads must not build a class at once."""
    script = """
import sys, threading
from concurrent.futures import ThreadPoolExecutor
from airflow_provider_scenario.client.scenario.schemas import Job, Model
sys.setswitchinterval(1e-6)
together = threading.Barrier(16)
def read(_):
    together.wait()
    Job.read({"jobId": "job_1", "billing": {"cuCost": 3}}, action="")
    return Model.read({"id": "m", "trainingImages": [{"id": "a"}], "epochs": [{"epoch": "1"}]}, action="").epochs
with ThreadPoolExecutor(16) as pool:
    assert all(pool.map(read, range(16)))
"""
    for _ in range(5):
        subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


def test_what_the_service_adds_is_kept():
    assert read(WHOLE_MODEL).model_dump(by_alias=True)["complianceMetadata"]["new"] is True


def test_nothing_signed_and_no_key_is_in_a_repr():
    asset = read({"id": "a", "url": SIGNED, "metadata": {"u": SIGNED}, "thumbnail": {"url": SIGNED}}, Asset)
    for shown in (repr(read(WHOLE_MODEL)), str(read(WHOLE_MODEL)), repr(asset)):
        assert "signed-part" not in shown
        assert "key-of-wandb" not in shown


def test_an_id_is_all_a_model_needs(warnings):
    model = read({"id": "model_1"})
    assert (model.status, model.training_images, model.training_progress, model.epochs) == (None, [], None, [])
    assert warnings() == []


def test_null_is_absent(warnings):
    nulls = dict.fromkeys(field.alias or "" for name, field in Model.model_fields.items() if name != "id")
    assert read({**nulls, "id": "model_1"}) == read({"id": "model_1"})
    assert warnings() == []


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        ("status", 17),
        ("name", {"en": "x"}),
        ("parameters", "none"),
        ("trainingProgress", "running"),
        ("trainingProgress", {"progress": "half"}),
        ("trainingStats", []),
        ("epochs", {"000001": []}),
        ("tags", "a,b"),
        ("trainingImagesNumber", "many"),
        ("createdAt", "yesterday"),
        ("concepts", [{"scale": 1}]),
    ],
)
def test_an_optional_field_of_another_shape_counts_as_absent_and_is_logged_once(warnings, field, wrong):
    for _ in range(3):
        assert read({"id": "model_1", field: wrong}).id == "model_1"
    assert len(warnings()) == 1


@pytest.mark.parametrize(
    ("data", "named"),
    [
        ({}, "id"),
        ({"id": None}, "id"),
        ({"id": ""}, "id"),
        ({"id": 5}, "id"),
        (None, "everything"),
        ([], "everything"),
        ("model", "everything"),
        ({"id": "m", "trainingImages": [{"name": "a.png"}]}, "trainingImages.0.id"),
        ({"id": "m", "trainingImages": {"a": 1}}, "trainingImages"),
        ({"id": "m", "trainingImagePairs": "none"}, "trainingImagePairs"),
    ],
)
def test_an_object_without_what_it_must_have_is_unreadable(data, named):
    with pytest.raises(ServiceError, match="unreadable") as caught:
        read(data)
    assert named in str(caught.value)
    assert (caught.value.__cause__, caught.value.__context__) == (None, None)


@pytest.mark.parametrize("maybe_done", [True, False])
def test_an_unreadable_object_says_whether_the_call_may_have_been_done(maybe_done):
    with pytest.raises(ServiceError) as caught:
        Model.read({}, action="create a model", maybe_done=maybe_done)
    assert caught.value.maybe_done is maybe_done


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ("success", "success"),
        ("SUCCESS", "success"),
        ("succeeded", "success"),
        ("Completed", "success"),
        ("failed", "failure"),
        ("Failure", "failure"),
        ("cancelled", "canceled"),
        ("CANCELED", "canceled"),
        ("In-Progress", "in-progress"),
    ],
)
def test_the_status_of_a_job_is_read_in_every_spelling(warnings, sent, status):
    assert (Job.model_validate({"jobId": "j", "status": sent}).status, warnings()) == (status, [])


def test_the_status_of_a_model_is_read_in_any_letter_case(warnings):
    assert (Model.model_validate({"id": "m", "status": "Training-Canceled"}).status, warnings()) == (
        "training-canceled",
        [],
    )


def test_an_unknown_status_is_kept_and_logged_once(warnings):
    for _ in range(3):
        assert read({"id": "m", "status": "hibernating"}).status == "hibernating"
        assert read({"jobId": "j", "status": "hibernating"}, Job).status == "hibernating"
        assert read({"stage": "hibernating"}, TrainingProgress).stage == "hibernating"
    assert len(warnings()) == 3
    assert warnings()[0] == "Scenario sent a model status this provider does not know: 'hibernating'."


@pytest.mark.parametrize(
    ("sent", "progress"),
    [(0.43, 0.43), (1.02, 1.0), (-0.1, 0.0), (1, 1.0), (float("nan"), 0.0), (float("inf"), 1.0), (None, None)],
)
def test_progress_is_between_0_and_1(sent, progress):
    assert read({"progress": sent}, TrainingProgress).progress == progress
    assert read({"jobId": "j", "progress": sent}, Job).progress == progress


def test_a_failed_job_tells_why_and_what_it_cost():
    job = read(
        {
            "jobId": "job_1",
            "jobType": "musubi-model-training",
            "status": "failure",
            "progress": 0.2,
            "metadata": {"error": "bad image", "hint": "use PNG", "input": {"modelId": "model_1"}},
            "billing": {"cuCost": 1080, "cuDiscount": 0, "cuCostDetails": {"quality-gate": 1}},
            "statusHistory": [{"status": "queued", "date": "2026-07-01T10:00:00Z"}],
        },
        Job,
    )
    assert (job.metadata.error, job.metadata.hint) == ("bad image", "use PNG")
    assert job.billing == Billing(cu_cost=1080, cu_discount=0, cu_cost_details={"quality-gate": 1})
    assert job.status_history[0].status == "queued"


def test_a_job_without_metadata_has_empty_metadata():
    assert read({"jobId": "j"}, Job).metadata.error is None


def test_objects_are_made_by_field_name_too():
    assert Project(id="p", name="n").model_dump(by_alias=True) == {"id": "p", "name": "n"}
    assert Epoch(epoch="000001").assets == []


def test_a_count_that_comes_as_a_float_is_a_whole_number():
    assert read({"id": "m", "trainingImagesNumber": 16.0}).training_images_number == 16
