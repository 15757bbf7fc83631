from __future__ import annotations

import pytest


def look(api, model_id, job_id):
    """What a poll sees: model status, job status, stage."""
    model, job = api.read(model_id), api.call("GET", f"/jobs/{job_id}").json()["job"]
    return model["status"], job["status"], model["trainingProgress"]["stage"]


def test_a_training_passes_through_its_stages_and_the_stage_runs_ahead_of_the_job(api):
    model_id = api.model(images=1)
    job_id = api.train(model_id)["job"]["jobId"]
    seen = []
    for share in (0.0, 0.15, 0.06, 0.02, 0.06, 0.67, 0.05):
        api.advance(share)
        seen.append(look(api, model_id, job_id))
    assert seen == [
        ("training", "queued", "queued-for-train"),
        ("training", "queued", "starting-train"),
        ("training", "queued", "running-train"),
        ("training", "warming-up", "running-train"),
        ("training", "in-progress", "running-train"),
        ("training", "finalizing", "running-train"),
        ("trained", "success", "running-train"),
    ]


def test_the_position_in_the_queue_falls_and_then_progress_rises(api):
    model_id = api.model(images=1)
    api.train(model_id)
    steps = []
    for share in (0, 0.05, 0.05, 0.2, 0.3):
        api.advance(share)
        steps.append(api.read(model_id)["trainingProgress"])
    assert [step.get("position") for step in steps] == [3, 2, 1, None, None]
    assert [round(step["progress"], 1) for step in steps] == [0, 0, 0, 0.1, 0.5]
    assert [round(step["remainingTimeMs"], -4) for step in steps] == [1_000_000, 950_000, 900_000, 700_000, 400_000]
    assert ["startedAt" in step for step in steps] == [False, False, False, True, True]


def test_a_trained_model_keeps_its_progress_and_job_and_gets_statistics(api):
    model_id = api.trained()
    model = api.read(model_id)
    assert (model["status"], model["trainingProgress"]["progress"]) == ("trained", 1)
    assert "jobId" in model
    assert model["trainingStats"]["queueDuration"] == 200
    assert model["trainingStats"]["trainDuration"] == 800


def test_with_sample_prompts_every_epoch_has_a_picture_for_each_prompt(api):
    model = api.read(api.trained(samplePrompts=["a", "b"], nbEpochs=3))
    assert [(epoch["epoch"], len(epoch["assets"])) for epoch in model["epochs"]] == [
        ("000001", 2),
        ("000002", 2),
        ("000003", 2),
    ]
    last = [asset["assetId"] for asset in model["epochs"][-1]["assets"]]
    assert (model["exampleAssetIds"], model["thumbnail"]["assetId"]) == (last, last[0])


def test_without_sample_prompts_there_is_one_epoch_and_no_picture(api):
    model = api.read(api.trained(nbEpochs=3))
    assert (model["epochs"], model["exampleAssetIds"]) == ([{"epoch": "000003", "assets": []}], [])
    assert model["thumbnail"]["assetId"] == model["trainingImages"][0]["id"]


def test_an_outcome_can_make_a_training_fail_with_error_and_hint_and_it_stays_billed(api):
    api.emulator.switch("outcomes", model="hero-*", fail_at=0.5, error="CUDA out of memory", hint="Fewer images")
    doomed, fine = api.model("hero-1", images=1), api.model("villain", images=1)
    job_id = api.train(doomed)["job"]["jobId"]
    api.train(fine)
    api.advance(1)
    job = api.call("GET", f"/jobs/{job_id}").json()["job"]
    assert (job["status"], job["metadata"]) == (
        "failure",
        {"input": {}, "error": "CUDA out of memory", "hint": "Fewer images"},
    )
    model = api.read(doomed)
    assert (model["status"], model["trainingProgress"]["progress"]) == ("failed", 0.5)
    assert api.read(fine)["status"] == "trained"
    assert (api.totals()["trainings_failed"], api.totals()["creative_units_billed"]) == (1, 120)


def test_an_outcome_can_make_a_training_stall_until_it_is_cancelled(api):
    api.emulator.switch("outcomes", stall_at=0.4)
    model_id = api.model(images=1)
    api.train(model_id)
    api.advance(50)
    before = api.read(model_id)
    api.advance(50)
    assert (before["status"], before["trainingProgress"]["progress"]) == ("training", 0.4)
    assert api.read(model_id)["trainingProgress"] == before["trainingProgress"]
    answer = api.call("POST", f"/models/{model_id}/train/action", {"action": "cancel"}).json()
    assert answer["model"]["status"] == "training-canceled"


def test_a_retryable_error_is_shown_and_the_training_still_succeeds(api):
    api.emulator.switch("outcomes", retryable_error="GPU lost", retry_count=2)
    model_id = api.model(images=1)
    api.train(model_id)
    assert "retryableError" not in api.read(model_id)["trainingProgress"]
    api.advance(0.5)
    progress = api.read(model_id)["trainingProgress"]
    assert (progress["retryableError"], progress["retryCount"]) == ("GPU lost", 2)
    api.advance(0.5)
    assert api.read(model_id)["status"] == "trained"


def test_an_outcome_can_be_for_one_training_only(api):
    api.emulator.switch("outcomes", fail_at=0.1, times=1)
    first, second = api.model(images=1), api.model(images=1)
    api.train(first), api.train(second)
    api.advance(1)
    assert (api.read(first)["status"], api.read(second)["status"]) == ("failed", "trained")


def test_the_duration_can_be_set_for_models_by_name(api):
    api.emulator.switch("settings", training_seconds_by_model={"slow-*": 10_000})
    slow, fast = api.model("slow-1", images=1), api.model("fast", images=1)
    api.train(slow), api.train(fast)
    api.advance(1)
    assert (api.read(slow)["status"], api.read(fast)["status"]) == ("training", "trained")


def test_a_training_of_0_seconds_ends_when_it_starts(api):
    api.emulator.switch("settings", training_seconds=0)
    model_id = api.model(images=1)
    job_id = api.train(model_id)["job"]["jobId"]
    assert look(api, model_id, job_id) == ("trained", "success", "running-train")


@pytest.mark.parametrize("end", ["trained", "training-canceled"])
def test_the_ledger_has_the_status_of_each_training(api, end):
    model_id = api.model("hero", images=1)
    job_id = api.train(model_id)["job"]["jobId"]
    if end == "training-canceled":
        api.call("POST", f"/models/{model_id}/train/action", {"action": "cancel"})
    api.advance(1)
    (entry,) = api.emulator.ledger()["trainings"]
    assert entry == {
        "model_id": model_id,
        "model_name": "hero",
        "type": "flux.2-dev-lora",
        "job_id": job_id,
        "creative_units": 60,
        "started_at": entry["started_at"],
        "status": end,
        "ended_at": entry["ended_at"],
    }
    assert entry["started_at"] <= entry["ended_at"]
