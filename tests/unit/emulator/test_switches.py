from __future__ import annotations

import httpx
import pytest


def test_the_index_has_every_switch_with_a_description(emulator):
    index = httpx.get(f"{emulator.address}/emulator").json()
    assert {"GET /emulator/ledger", "POST /emulator/reset", "POST /emulator/faults"} <= index.keys()
    assert all(index.values())


@pytest.mark.parametrize(
    ("switch", "payload"),
    [
        ("settings", {"training_second": 1}),
        ("settings", {"auth_status": 404}),
        ("faults", {"kind": "explode"}),
        ("faults", {"kind": "close", "rout": "/models"}),
        ("outcomes", {"fail_at": 2}),
        ("advance", {"seconds": -1}),
    ],
)
def test_a_misspelt_switch_is_refused(emulator, switch, payload):
    assert httpx.post(f"{emulator.address}/emulator/{switch}", json=payload).status_code == 422


def test_a_setting_stays_until_it_is_changed_or_reset(api):
    changed = api.emulator.switch("settings", cooldown_seconds=3)
    assert changed["cooldown_seconds"] == 3
    assert api.emulator.switch("settings", pages="short")["cooldown_seconds"] == 3
    api.emulator.switch("reset")
    assert api.emulator.switch("settings")["cooldown_seconds"] == 0


def test_a_reset_deletes_everything(api):
    api.trained()
    api.emulator.switch("faults", kind="status", times=None)
    api.emulator.switch("outcomes", fail_at=0)
    api.emulator.switch("reset")
    assert api.emulator.ledger() == {
        "models": [],
        "training_images": [],
        "trainings": [],
        "synced_models": [],
        "callbacks": [],
        "requests": {},
        "answers": {},
        "totals": dict.fromkeys(api.totals(), 0),
    }
    assert api.call("GET", "/models").json() == {"models": []}
    assert httpx.get(f"{api.emulator.address}/emulator/outcomes").json() == {}


def test_the_ledger_counts_the_requests_of_each_route(api):
    model_id = api.model(images=2)
    api.read(model_id), api.read(model_id), api.call("GET", "/nowhere")
    assert api.emulator.ledger()["requests"] == {
        "GET /v1/(no such route)": 1,
        "GET /v1/models/{modelId}": 2,
        "POST /v1/models": 1,
        "POST /v1/models/{modelId}/training-images": 2,
    }


def test_the_ledger_counts_the_answers_of_each_status(api):
    model_id = api.model()
    api.read(model_id), api.call("GET", "/nowhere")
    api.emulator.switch("faults", kind="429")
    api.call("GET", f"/models/{model_id}")
    assert api.emulator.ledger()["answers"] == {"200": 2, "403": 1, "429": 1}


def test_the_ledger_lists_what_was_created(api):
    model_id = api.model("hero", images=1)
    ledger = api.emulator.ledger()
    assert [(entry["model_id"], entry["name"], entry["type"]) for entry in ledger["models"]] == [
        (model_id, "hero", "flux.2-dev-lora")
    ]
    assert [(entry["model_id"], entry["name"]) for entry in ledger["training_images"]] == [(model_id, "0.png")]


def objects(value):
    if isinstance(value, dict):
        return [value, *(found for item in value.values() for found in objects(item))]
    return [found for item in value for found in objects(item)] if isinstance(value, list) else []


def test_every_object_of_every_answer_can_have_an_undocumented_field(api):
    api.emulator.switch("settings", unknown_fields=True)
    model_id = api.trained(samplePrompts=["a"])
    answers = [
        api.call("GET", f"/models/{model_id}"),
        api.call("GET", "/models"),
        api.call("GET", "/jobs"),
        api.call("GET", "/models/model_none"),
        api.call("GET", "/models", projectId="proj_other"),
        api.call("PUT", f"/models/{model_id}/train", {}, dryRun="true"),
    ]
    found = [each for answer in answers for each in objects(answer.json())]
    own = {"since": "some day"}
    assert [each for each in found if each != own and "emulatorUnknownField" not in each] == []
    assert answers[-1].json()["costDetails"]["emulatorUnknownField"] == 0


def test_fields_of_models_and_jobs_can_be_overridden(api):
    api.emulator.switch("overrides", model="hero", fields={"privacy": "unlisted", "trainingProgress": {"stage": "x"}})
    api.emulator.switch("overrides", of="job", fields={"status": "new-status"})
    hero, other = api.model("hero", images=1), api.model("other", images=1)
    job_id = api.train(hero)["job"]["jobId"]
    assert (api.read(hero)["privacy"], api.read(other)["privacy"]) == ("unlisted", "private")
    progress = api.read(hero)["trainingProgress"]
    assert (progress["stage"], progress["position"]) == ("x", 3)
    assert api.call("GET", f"/jobs/{job_id}").json()["job"]["status"] == "new-status"
    httpx.delete(f"{api.emulator.address}/emulator/overrides")
    assert api.read(hero)["privacy"] == "private"
