"""The vendor's own client, validating every answer strictly, finds nothing wrong with the emulator."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import httpx
import pytest
import scenario_sdk
from scenario_sdk import Scenario

from airflow_provider_scenario.client.scenario.client import ScenarioClient

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_scenario.emulator.server import RunningEmulator

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
ENCODED = base64.b64encode(PNG).decode()
DATA_URL = f"data:image/png;base64,{ENCODED}"


@pytest.fixture
def vendor(emulator: RunningEmulator) -> Iterator[Scenario]:
    client = Scenario(
        base_url=emulator.url, api_key="demo", api_secret="demo", max_retries=0, _strict_response_validation=True
    )
    with client:
        yield client


@pytest.fixture
def lenient_vendor(emulator: RunningEmulator) -> Iterator[Scenario]:
    """
    The vendor's client with its default validation, for the 269 of a quote.

    Its response types require what a quote has not (``job`` and ``model``, or ``jobId``), so strictly they refuse it.
    """
    with Scenario(base_url=emulator.url, api_key="demo", api_secret="demo", max_retries=0) as client:
        yield client


def model_with_images(vendor: Scenario, images: int = 2, model_type: str = "flux.2-dev-lora") -> str:
    model_id = vendor.models.create(name="hero", type=model_type).model.id
    for number in range(images):
        vendor.models.training_images.add(model_id, data=DATA_URL, name=f"{number}.png")
    return model_id


def trained_model(vendor: Scenario, emulator: RunningEmulator, **parameters: object) -> str:
    model_id = model_with_images(vendor)
    vendor.models.train.trigger(model_id, parameters=parameters)
    emulator.switch("advance", seconds=1000)
    return model_id


def test_models_are_created_read_changed_and_deleted(vendor):
    created = vendor.models.create(name="hero", type="flux.1-lora", short_description="A hero").model
    assert (created.status, created.training_images_number) == ("new", 0)
    changed = vendor.models.update(created.id, name="villain", type="zimage-lora", project_id="proj_emulator").model
    assert (changed.name, changed.type) == ("villain", "zimage-lora")
    assert vendor.models.retrieve(created.id).model.to_dict() == changed.to_dict()
    vendor.models.delete(created.id)
    with pytest.raises(scenario_sdk.NotFoundError):
        vendor.models.retrieve(created.id)
    assert vendor.models.restore(created.id).model.id == created.id


def test_models_are_copied_tagged_and_described(vendor):
    model_id = model_with_images(vendor)
    assert vendor.models.copy(model_id, copy_examples=True).model.parent_model_id == model_id
    assert vendor.models.update_tags(model_id, add=["a", "b"]).added == ["a", "b"]
    assert vendor.models.update_tags(model_id, delete=["a"], strict=True).deleted == ["a"]
    assert vendor.models.description.update(model_id, description="# Hero").description.value == "# Hero"
    assert vendor.models.description.retrieve(model_id).description.value == "# Hero"
    assert vendor.models.prompt_guide.update(model_id, prompt_guide="a hero").prompt_guide.value == "a hero"
    assert vendor.models.prompt_guide.retrieve(model_id).prompt_guide.value == "a hero"


def test_models_are_listed_over_several_pages(vendor):
    ids = [vendor.models.create(type="flux.1-lora").model.id for _ in range(5)]
    rows = list(vendor.models.list(page_size=2, sort_by="createdAt", sort_direction="asc", status="new"))
    assert sorted(row.id for row in rows) == sorted(ids)
    assert [row.type for row in vendor.models.list(privacy="public", types=["flux.1", "gpt-image-1"])] == [
        "gpt-image-1",
        "flux.1",
    ]


def test_the_vendors_own_paging_stops_at_an_empty_page_though_more_follows(vendor, emulator):
    # Why a client should walk the raw pages until the token is gone.
    vendor.models.create(type="flux.1-lora")
    emulator.switch("settings", pages="empty")
    page = vendor.models.list()
    assert (page.models, page.next_pagination_token is None, list(page)) == ([], False, [])


def test_models_are_read_in_bulk(vendor, emulator):
    ids = [model_with_images(vendor, images=4), trained_model(vendor, emulator, sample_prompts=["a"])]
    rows = vendor.models.get_bulk(model_ids=[*ids, "model_none"], thumbnail=True, settings=True).models
    assert [row.id for row in rows] == ids
    assert [len(row.training_images or []) for row in rows] == [3, 2]
    (row,) = vendor.models.get_bulk(model_ids=ids[:1], all_training_images=True).models
    assert len(row.training_images or []) == 4
    (row,) = vendor.models.get_bulk(model_ids=ids[:1], minimal=True).models
    assert (row.name, row.status) == ("hero", None)


def test_training_images_are_added_replaced_paired_and_removed(vendor):
    model_id = model_with_images(vendor, images=2, model_type="flux.2-dev-edit-lora")
    asset_ids = [vendor.assets.upload(name="a.png", image=ENCODED).asset.id for _ in range(3)]
    images = vendor.models.training_images
    assert images.add(model_id, asset_id=asset_ids[0], preset="style").training_image.id == asset_ids[0]
    images.add(model_id, asset_ids=asset_ids[1:])
    replaced = images.replace(asset_ids[2], model_id=model_id, data=DATA_URL, name="b.png").training_image.id
    pairs = [{"source_id": asset_ids[0], "target_id": replaced, "instruction": "at night"}]
    assert images.replace_pairs(model_id, body=pairs).count == 1
    images.delete(asset_ids[1], model_id=model_id)
    model = vendor.models.retrieve(model_id).model
    assert (model.training_images_number, len(model.training_images or [])) == (4, 4)
    assert [pair.target_id for pair in model.training_image_pairs or []] == [replaced]
    with pytest.raises(scenario_sdk.BadRequestError, match="already a training image of this model"):
        images.add(model_id, asset_id=asset_ids[0])


def test_a_dataset_is_scored(vendor):
    model_id = model_with_images(vendor)
    score = vendor.models.scores.retrieve_training_dataset(model_id)
    assert (score.api_model_id, score.status) == (model_id, "incomplete")


def test_a_training_is_quoted_with_a_status_the_sdks_types_cannot_express(vendor, lenient_vendor):
    model_id = model_with_images(vendor)
    raw = lenient_vendor.models.train.with_raw_response.trigger(model_id, dry_run="true", parameters={"nb_epochs": 5})
    quote = raw.parse()
    assert (raw.status_code, quote.creative_units_cost, quote.cost_details.train_model) == (269, 60, 60)
    assert getattr(quote, "job", None) is None
    assert vendor.models.retrieve(model_id).model.status == "new"
    with pytest.raises(scenario_sdk.APIResponseValidationError):
        vendor.models.train.trigger(model_id, dry_run="api")


def test_a_training_is_watched_from_its_start_to_its_end(vendor, emulator):
    model_id = model_with_images(vendor)
    started = vendor.models.train.trigger(model_id, parameters={"sample_prompts": ["a", "b"], "nb_epochs": 3})
    assert (started.creative_units_cost, started.model.status) == (36, "training")
    seen = []
    for seconds in (0, 150, 100, 100, 600, 50):
        emulator.switch("advance", seconds=seconds)
        progress = vendor.models.retrieve(model_id).model.training_progress
        seen.append((vendor.jobs.retrieve(started.job.job_id).job.status, progress.stage))
    assert seen == [
        ("queued", "queued-for-train"),
        ("queued", "starting-train"),
        ("warming-up", "running-train"),
        ("in-progress", "running-train"),
        ("finalizing", "running-train"),
        ("success", "running-train"),
    ]
    model = vendor.models.retrieve(model_id).model
    assert (model.status, model.job_id, len(model.epochs or [])) == ("trained", started.job.job_id, 3)
    sample = model.epochs[0].assets[0]
    assert vendor.assets.retrieve(sample.asset_id).asset.metadata.prompt == "a"
    assert httpx.get(sample.url).headers["content-type"] == "image/jpeg"
    assert vendor.models.update(model_id, thumbnail=sample.asset_id).model.thumbnail.asset_id == sample.asset_id


def test_a_failed_training_says_why(vendor, emulator):
    emulator.switch(
        "outcomes", fail_at=0.5, error="CUDA out of memory", hint="Fewer images", retryable_error="GPU lost"
    )
    model_id = trained_model(vendor, emulator)
    model = vendor.models.retrieve(model_id).model
    assert (model.status, model.training_progress.retryable_error) == ("failed", "GPU lost")
    metadata = vendor.jobs.retrieve(model.job_id).job.metadata
    assert (metadata.error, metadata.hint) == ("CUDA out of memory", "Fewer images")


def test_a_training_is_cancelled_through_its_model_and_not_through_its_job(vendor):
    model_id = model_with_images(vendor)
    job_id = vendor.models.train.trigger(model_id).job.job_id
    with pytest.raises(scenario_sdk.BadRequestError, match="Cannot cancel this type of job"):
        vendor.jobs.trigger_action(job_id, action="cancel")
    assert vendor.models.train.action(model_id, action="cancel").model.status == "training-canceled"
    assert vendor.jobs.retrieve(job_id).job.status == "canceled"


def test_a_composition_is_trained_from_trained_models(vendor, emulator):
    lora = model_with_images(vendor, model_type="flux.1-lora")
    vendor.models.train.trigger(lora, parameters={"sample_prompts": ["a"]})
    emulator.switch("advance", seconds=1000)
    concepts = [{"model_id": lora, "scale": 0.8}]
    model_id = vendor.models.create(name="both", type="flux.1-composition", concepts=concepts).model.id
    assert vendor.models.train.trigger(model_id).job.job_type == "flux-model-training"
    emulator.switch("advance", seconds=1000)
    model = vendor.models.retrieve(model_id).model
    assert (model.status, len(model.example_asset_ids)) == ("trained", 1)


def test_jobs_are_listed_by_status_type_and_date(vendor):
    jobs = [vendor.models.train.trigger(model_with_images(vendor)).job.job_id for _ in range(3)]
    assert sorted(job.job_id for job in vendor.jobs.list(page_size=2)) == sorted(jobs)
    assert sorted(job.job_id for job in vendor.jobs.list(status="queued", types=["musubi-model-training"])) == sorted(
        jobs
    )
    assert list(vendor.jobs.list(created_after="2200-01-01T00:00:00Z")) == []


def test_assets_are_uploaded_captioned_read_and_deleted(vendor):
    asset = vendor.assets.upload(name="a.png", image=ENCODED).asset
    assert httpx.get(asset.url).content == PNG
    assert vendor.assets.update(asset.id, description="a castle").asset.description == "a castle"
    assert vendor.assets.retrieve(asset.id).asset.description == "a castle"
    assert [found.id for found in vendor.assets.get_bulk(asset_ids=[asset.id]).assets] == [asset.id]
    vendor.assets.delete_multiple(asset_ids=[asset.id])
    with pytest.raises(scenario_sdk.NotFoundError):
        vendor.assets.retrieve(asset.id)


def test_a_file_is_uploaded_in_parts(vendor, emulator):
    upload = vendor.uploads.create(
        file_name="a.png", content_type="image/png", kind="image", parts=1, file_size=len(PNG)
    ).upload
    assert httpx.put(upload.parts[0].url, content=PNG).status_code == 200
    vendor.uploads.trigger_action(upload.id, action="complete")
    emulator.switch("advance", seconds=1)
    imported = vendor.uploads.retrieve(upload.id).upload
    assert imported.status == "imported"
    assert vendor.assets.retrieve(imported.entity_id).asset.mime_type == "image/png"


def test_a_trained_model_is_downloaded(vendor, lenient_vendor, emulator):
    model_id = trained_model(vendor, emulator)
    job_id = vendor.models.download(model_id, model_epoch="000010").job_id
    emulator.switch("advance", seconds=1)
    assert vendor.jobs.retrieve(job_id).job.job_type == "model-download"
    status = vendor.assets.download.get_status(job_id)
    assert status.job_status == "success"
    assert httpx.get(status.download_url).status_code == 200
    assert lenient_vendor.models.with_raw_response.download(model_id, dry_run="true").status_code == 269


def test_the_project_of_the_key_is_read(vendor):
    assert vendor.projects.retrieve("proj_emulator").project.name == "Emulator project"
    assert [project.id for project in vendor.projects.list()] == ["proj_emulator"]
    with pytest.raises(scenario_sdk.PermissionDeniedError):
        vendor.teams.retrieve_limits("team_emulator")


@pytest.mark.parametrize(
    ("status", "error"), [(403, scenario_sdk.PermissionDeniedError), (401, scenario_sdk.AuthenticationError)]
)
def test_a_wrong_secret_is_refused(emulator, status, error):
    emulator.switch("settings", auth_status=status)
    stranger = Scenario(base_url=emulator.url, api_key="demo", api_secret="wrong", max_retries=0)
    with stranger, pytest.raises(error):
        stranger.models.list()


def test_plan_ceilings_come_as_429_which_the_vendors_client_would_retry(vendor, emulator):
    emulator.switch("settings", parallel_training=0)
    with pytest.raises(scenario_sdk.RateLimitError) as refused:
        vendor.models.train.trigger(model_with_images(vendor))
    assert refused.value.body["details"]["actionName"] == "parallel-training"


def test_the_vendors_client_repeats_a_creation_whose_answer_was_lost(vendor, emulator):
    # Why the provider reads before it acts again: by itself this client has now created two models.
    emulator.switch("faults", kind="close", when="after", method="POST", route="/models", times=1)
    vendor.with_options(max_retries=1).models.create(name="hero", type="flux.1-lora")
    assert emulator.ledger()["totals"]["models_created"] == 2


def test_a_base_model_shows_how_it_is_called_and_how_well_it_does(vendor):
    model = vendor.models.retrieve("gpt-image-1").model
    assert {given.type for given in model.inputs} >= {"string", "file", "model_array", "inputs_array"}
    assert (model.access_restrictions, model.performance_stats.default) == (50, "txt2img:1K")
    assert model.ui_config.trigger_generate.position == "bottom"


def test_a_professional_voice_clone_waits_for_a_person(vendor, emulator):
    model_id = vendor.models.create(name="narrator", type="elevenlabs-voice").model.id
    wav = base64.b64encode(b"RIFF\x24\x00\x00\x00WAVEfmt ").decode()
    vendor.models.training_images.add(model_id, data=f"data:audio/wav;base64,{wav}", name="a.wav")
    job_id = vendor.models.train.trigger(model_id, parameters={"clone_type": "professional"}).job.job_id
    waiting = vendor.models.retrieve(model_id).model.training_progress
    assert (waiting.stage, httpx.get(waiting.captcha_image_url).status_code) == ("pending-captcha", 200)
    emulator.switch("captcha", action="reject", error="Too noisy")
    refused = vendor.models.retrieve(model_id).model.training_progress
    assert (refused.stage, refused.retryable_error, refused.retry_count) == ("ready-for-captcha", "Too noisy", 1)
    emulator.switch("captcha", action="solve")
    emulator.switch("advance", seconds=1000)
    assert vendor.models.retrieve(model_id).model.status == "trained"
    assert vendor.jobs.retrieve(job_id).job.metadata.output_model_id == model_id


def test_a_class_and_a_copy_in_progress_are_read(vendor, emulator):
    emulator.switch("settings", copy_seconds=10)
    model_id = vendor.models.create(type="flux.1-lora", class_slug="characters-npcs").model.id
    assert vendor.models.retrieve(model_id).model.class_.slug == "characters-npcs"
    assert vendor.models.copy(model_id).model.status == "copying"


def test_fields_that_no_description_mentions_disturb_no_client(vendor, emulator):
    model_id = trained_model(vendor, emulator, sample_prompts=["a"])
    with ScenarioClient.connect(api_key="demo", api_secret="demo", base_url=emulator.url) as ours:

        def read() -> list[object]:
            model = ours.get_model(model_id)
            return [
                *(model, ours.get_job(model.job_id or ""), list(ours.list_models()), list(ours.list_jobs())),
                *(ours.get_models([model_id]), ours.get_dataset_score(model_id), list(ours.list_projects())),
                ours.quote_training(model_id).creative_units_cost,
            ]

        plain = read()
        emulator.switch("settings", unknown_fields=True)
        assert vendor.models.retrieve(model_id).model.to_dict()["emulatorUnknownField"] == {"since": "some day"}
        assert [repr(item) for item in read()] == [repr(item) for item in plain]
