"""What waits before the queue: what is pending, and professional voice clones for their captcha."""

from __future__ import annotations

import pytest

from .direct import WAV, Direct


@pytest.fixture
def service():
    return Direct()


def clone(service, **parameters):
    model_id = service.model(name="narrator", type="elevenlabs-voice")
    service.add_image(model_id, WAV, "audio/wav")
    service.train(model_id, cloneType="professional", **parameters)
    return model_id


def progress(service, model_id):
    return service.read(model_id)["trainingProgress"]


def look(service, model_id):
    model = service.read(model_id)
    return model["status"], service.job(model["jobId"])["status"], model["trainingProgress"]["stage"]


def test_a_professional_voice_clone_waits_for_its_captcha_for_ever(service):
    model_id = clone(service)
    service.advance(50)
    assert look(service, model_id) == ("training", "pending", "pending-captcha")
    assert sorted(progress(service, model_id)) == ["captchaImageUrl", "progress", "stage", "updatedAt"]


def test_the_picture_of_the_captcha_can_be_fetched(service):
    url = progress(service, clone(service))["captchaImageUrl"]
    path, _, query = url.removeprefix("http://localhost").partition("?")
    got = service.call("GET", path, query=[tuple(pair.split("=")) for pair in query.split("&")])
    assert (got.status, got.content[:4]) == (200, b"\x89PNG")


def test_after_the_captcha_is_solved_the_training_takes_its_usual_time(service):
    model_id = clone(service)
    service.advance(5)
    assert service.switch("captcha", action="solve", model="narr*") == {"models": [model_id]}
    assert look(service, model_id) == ("training", "queued", "queued-for-train")
    service.advance(0.5)
    assert look(service, model_id) == ("training", "in-progress", "running-train")
    service.advance(0.5)
    assert look(service, model_id) == ("trained", "success", "running-train")
    job = service.job(service.read(model_id)["jobId"])
    assert job["metadata"] == {"input": {}, "outputModelId": model_id}
    assert [change["status"] for change in job["statusHistory"]][:2] == ["pending", "queued"]
    assert service.read(model_id)["trainingStats"]["queueDuration"] == pytest.approx(5200, abs=5)


def test_the_captcha_can_be_solved_after_a_set_time(service):
    service.switch("settings", captcha_seconds=500)
    model_id = clone(service)
    assert look(service, model_id)[2] == "pending-captcha"
    service.advance(0.6)
    assert look(service, model_id)[2] == "queued-for-train"
    service.advance(1)
    assert look(service, model_id)[0] == "trained"


def test_a_rejected_reading_shows_its_error_and_waits_for_another_captcha(service):
    model_id = clone(service)
    first = progress(service, model_id)["captchaImageUrl"]
    service.switch("captcha", action="reject", error="Too noisy")
    refused = progress(service, model_id)
    assert (refused["stage"], refused["retryableError"], refused["retryCount"]) == ("ready-for-captcha", "Too noisy", 1)
    assert "captchaImageUrl" not in refused
    service.switch("captcha", action="show")
    again = progress(service, model_id)
    assert (again["stage"], again["captchaImageUrl"] == first) == ("pending-captcha", False)
    service.switch("captcha", action="solve")
    service.advance(1)
    assert look(service, model_id)[0] == "trained"


def test_too_many_rejections_fail_the_training(service):
    model_id = clone(service)
    for _ in range(3):
        service.switch("captcha", action="reject", error="Too noisy")
    assert look(service, model_id) == ("failed", "failure", "ready-for-captcha")
    assert service.job(service.read(model_id)["jobId"])["metadata"]["error"] == "Too noisy"


def test_a_captcha_can_be_shown_on_request_only(service):
    service.switch("settings", captcha_shown=False)
    model_id = clone(service)
    assert progress(service, model_id)["stage"] == "ready-for-captcha"
    service.switch("captcha", action="show", model=model_id)
    assert progress(service, model_id)["stage"] == "pending-captcha"


def test_a_training_that_waits_for_its_captcha_can_be_cancelled(service):
    model_id = clone(service)
    service.v1("POST", f"/models/{model_id}/train/action", {"action": "cancel"})
    service.advance(5)
    assert look(service, model_id) == ("training-canceled", "canceled", "pending-captcha")


def test_an_instant_clone_needs_no_captcha(service):
    model_id = clone(service)
    service.v1("POST", f"/models/{model_id}/train/action", {"action": "cancel"})
    service.train(model_id, cloneType="instant")
    assert look(service, model_id)[2] == "queued-for-train"


def test_without_a_captcha_there_is_nothing_to_solve(service):
    assert service.call("POST", "/emulator/captcha", {"action": "solve"}).status == 404


def test_a_training_can_be_pending_before_it_is_queued(service):
    service.switch("settings", pending_seconds=100)
    model_id = service.model()
    service.add_image(model_id)
    service.train(model_id)
    assert look(service, model_id) == ("training", "pending", "pending")
    assert progress(service, model_id)["remainingTimeMs"] == pytest.approx(1_100_000, abs=5000)
    service.switch("advance", seconds=100)
    assert look(service, model_id) == ("training", "queued", "queued-for-train")
    service.advance(1)
    assert look(service, model_id)[0] == "trained"


@pytest.mark.parametrize(("body", "status"), [({}, "new"), ({"copyAsTrained": True}, "trained")])
def test_a_copy_is_copying_for_a_while(service, body, status):
    service.switch("settings", copy_seconds=10)
    original = service.model()
    service.add_image(original)
    service.train(original)
    service.advance(1)
    copy = service.v1("POST", f"/models/{original}/copy", body).json()["model"]
    assert copy["status"] == "copying"
    assert service.v1("PUT", f"/models/{copy['id']}/train", {}).status == 400
    service.switch("advance", seconds=10)
    assert service.read(copy["id"])["status"] == status
