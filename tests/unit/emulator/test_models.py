from __future__ import annotations

import pytest

from .conftest import encoded
from .direct import WAV

VALIDATION = '"parameters.validationFrequency" cannot be greater than maxTrainSteps value'


def test_a_created_model_is_new_and_costs_nothing(api):
    model = api.call("POST", "/models", {"name": "hero", "type": "flux.2-dev-lora"}).json()["model"]
    assert (model["status"], model["name"], model["trainingImagesNumber"]) == ("new", "hero", 0)
    assert model["createdAt"].endswith("Z")
    assert "jobId" not in model
    assert "trainingProgress" not in model
    assert api.totals()["creative_units_billed"] == 0


def test_every_object_has_undocumented_fields(api):
    assert "complianceMetadata" in api.read(api.model())


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"name": 5}, '"name" must be a string'),
        ({"name": "x" * 65}, '"name" length must be less than or equal to 64 characters long'),
        (
            {"shortDescription": "x" * 257},
            '"shortDescription" length must be less than or equal to 256 characters long',
        ),
        ({"collectionIds": "a"}, '"collectionIds" must be an array'),
        ({"concepts": [{"modelId": "flux.1-dev"}]}, '"concepts[0].scale" is required'),
        ({"concepts": [{"modelId": "flux.1-dev", "scale": 3}]}, '"concepts[0].scale" must be less than or equal to 2'),
    ],
)
def test_create_refuses_what_breaks_the_limits(api, body, reason):
    answer = api.call("POST", "/models", {"type": "flux.1-lora", **body})
    assert (answer.status_code, answer.json()["reason"]) == (400, reason)
    assert api.totals()["models_created"] == 0


def test_an_unknown_type_is_refused(api):
    assert api.call("POST", "/models", {"type": "sd-xl"}).status_code == 400


def test_unknown_fields_are_ignored_silently(api):
    model = api.call("POST", "/models", {"type": "flux.1-lora", "marker": "x"}).json()["model"]
    assert "marker" not in model


def test_an_update_changes_what_is_given_and_nothing_else(api):
    model_id = api.model(shortDescription="before")
    api.call("PUT", f"/models/{model_id}", {"name": "villain", "type": "zimage-lora"})
    model = api.read(model_id)
    assert (model["name"], model["type"], model["shortDescription"]) == ("villain", "zimage-lora", "before")


def test_a_refused_update_changes_nothing(api):
    model_id = api.model("before")
    assert api.call("PUT", f"/models/{model_id}", {"name": "after", "thumbnail": "asset_none"}).status_code == 404
    assert api.read(model_id)["name"] == "before"


def test_the_type_is_fixed_once_a_model_is_no_longer_new(api):
    model_id = api.trained()
    assert api.call("PUT", f"/models/{model_id}", {"type": "zimage-lora"}).status_code == 400
    assert api.call("PUT", f"/models/{model_id}", {"type": "flux.2-dev-lora"}).status_code == 200


def test_a_thumbnail_is_an_asset_that_exists_or_null(api):
    model_id, asset_id = api.model(), api.asset()
    answer = api.call("PUT", f"/models/{model_id}", {"thumbnail": asset_id})
    assert answer.json()["model"]["thumbnail"]["assetId"] == asset_id
    assert "thumbnail" not in api.call("PUT", f"/models/{model_id}", {"thumbnail": None}).json()["model"]


def test_a_sample_of_an_epoch_can_become_the_thumbnail(api):
    model_id = api.trained(samplePrompts=["a", "b"], nbEpochs=2)
    sample = api.read(model_id)["epochs"][0]["assets"][1]["assetId"]
    answer = api.call("PUT", f"/models/{model_id}", {"thumbnail": sample})
    assert answer.json()["model"]["thumbnail"]["assetId"] == sample


def test_an_epoch_can_be_chosen_only_on_trained_flux_loras(api):
    model_id = api.model(type="flux.1-lora", images=1)
    assert api.call("PUT", f"/models/{model_id}", {"epoch": "000001"}).status_code == 400
    api.train(model_id, samplePrompts=["a"], nbEpochs=2)
    api.advance(1)
    assert api.call("PUT", f"/models/{model_id}", {"epoch": "000001"}).json()["model"]["epoch"] == "000001"
    assert api.call("PUT", f"/models/{model_id}", {"epoch": "000009"}).status_code == 400
    assert "epoch" not in api.call("PUT", f"/models/{model_id}", {"epoch": None}).json()["model"]
    assert api.call("PUT", f"/models/{api.trained()}", {"epoch": "000010"}).status_code == 400


def test_a_public_model_can_be_read_but_not_changed(api):
    assert api.read("flux.1-dev")["privacy"] == "public"
    assert api.call("PUT", "/models/flux.1-dev", {"name": "mine"}).status_code == 403
    assert api.call("DELETE", "/models/flux.1-dev").status_code == 403


def test_bulk_leaves_out_unknown_and_deleted_models(api):
    kept, deleted = api.model("kept"), api.model("deleted")
    api.call("DELETE", f"/models/{deleted}")
    rows = api.call("POST", "/models/get-bulk", {"modelIds": ["model_none", kept, deleted]}).json()["models"]
    assert [row["id"] for row in rows] == [kept]


@pytest.mark.parametrize(
    ("switches", "images"),
    [({}, 3), ({"allTrainingImages": True}, 4), ({"allTrainingImages": True, "trainingImagesPreview": True}, 3)],
)
def test_bulk_shows_three_images_by_default(api, switches, images):
    model_id = api.model(images=4)
    (row,) = api.call("POST", "/models/get-bulk", {"modelIds": [model_id], **switches}).json()["models"]
    assert (len(row["trainingImages"]), row["trainingImagesNumber"]) == (images, 4)


def test_bulk_shows_a_thumbnail_only_on_request_and_defaults_to_the_first_image(api):
    model_id = api.model(images=1)
    ask = {"modelIds": [model_id]}
    assert "thumbnail" not in api.call("POST", "/models/get-bulk", ask).json()["models"][0]
    row = api.call("POST", "/models/get-bulk", {**ask, "thumbnail": True}).json()["models"][0]
    assert row["thumbnail"]["assetId"] == row["trainingImages"][0]["id"]


def test_bulk_minimal_rows_have_four_fields(api):
    rows = api.call("POST", "/models/get-bulk", {"modelIds": [api.model()], "minimal": True}).json()["models"]
    assert sorted(rows[0]) == ["id", "name", "privacy", "type"]


def test_a_deleted_model_is_gone_until_it_is_restored_without_its_tags(api):
    model_id = api.model()
    api.call("PUT", f"/models/{model_id}/tags", {"add": ["a"]})
    assert api.call("POST", f"/models/{model_id}/restore").status_code == 400
    assert api.call("DELETE", f"/models/{model_id}").json() == {}
    assert api.call("GET", f"/models/{model_id}").status_code == 404
    assert api.call("POST", f"/models/{model_id}/restore").json()["model"]["tags"] == []
    assert api.call("GET", f"/models/{model_id}").status_code == 200


def test_a_model_deleted_more_than_30_days_ago_cannot_be_restored(api):
    model_id = api.model()
    api.call("DELETE", f"/models/{model_id}")
    api.emulator.switch("advance", seconds=31 * 24 * 3600)
    assert api.call("POST", f"/models/{model_id}/restore").status_code == 410


def test_deleting_a_model_stops_its_training(api):
    model_id = api.model(images=1)
    api.train(model_id)
    api.call("DELETE", f"/models/{model_id}")
    assert api.call("POST", f"/models/{model_id}/restore").json()["model"]["status"] == "training-canceled"


def test_a_copy_is_a_new_model_with_the_same_images(api):
    model_id = api.trained(samplePrompts=["a"])
    shell = api.call("POST", f"/models/{model_id}/copy", {}).json()["model"]
    twin = api.call("POST", f"/models/{model_id}/copy", {"copyAsTrained": True}).json()["model"]
    assert (shell["status"], twin["status"]) == ("new", "trained")
    assert (shell["trainingImagesNumber"], shell["parentModelId"]) == (2, model_id)
    assert ("epochs" in shell, "epochs" in twin) == (False, True)


def test_tags_are_strict_by_default(api):
    path = f"/models/{api.model()}/tags"
    assert api.call("PUT", path, {"add": ["a", "b"]}).json() == {"added": ["a", "b"], "deleted": []}
    assert api.call("PUT", path, {"add": ["a"]}).status_code == 400
    assert api.call("PUT", path, {"delete": ["z"]}).status_code == 400
    answer = api.call("PUT", path, {"add": ["a", "c"], "delete": ["z", "b"], "strict": False})
    assert answer.json() == {"added": ["c"], "deleted": ["b"]}


def test_the_description_is_kept_until_null_removes_it(api):
    path = f"/models/{api.model()}/description"
    assert api.call("PUT", path, {}).status_code == 400
    api.call("PUT", path, {"description": "# Hero"})
    assert api.call("GET", path).json()["description"] == {"value": "# Hero", "assets": [], "models": []}
    assert api.call("PUT", path, {"description": None}).json()["description"]["value"] == ""


def test_the_score_warns_of_small_and_identical_pictures(api):
    model_id = api.model(images=2)
    score = api.call("GET", f"/models/{model_id}/scores/training-dataset").json()
    assert (score["modelId"], score["score"], score["status"]) == (model_id, 0, "incomplete")
    assert {message for row in score["assetsWarnings"] for message in row["message"]} == {
        "Width and height must be larger than 1024"
    }
    assert [row["message"] for row in score["assetCouplesWarnings"]] == [["Same asset"]]


PARAMETERS = [
    ({"nbEpochs": 31}, '"parameters.nbEpochs" must be less than or equal to 30'),
    ({"rank": "8"}, '"parameters.rank" must be a number'),
    ({"seed": 10**400}, '"parameters.seed" must be a safe number'),
    ({"maxTrainSteps": 10, "validationFrequency": 11}, VALIDATION),
]


@pytest.mark.parametrize(("parameters", "reason"), PARAMETERS, ids=lambda value: str(value)[:40])
def test_parameters_of_an_update_are_checked_like_those_of_a_training(api, parameters, reason):
    model_id = api.model(type="flux.1-lora")
    answer = api.call("PUT", f"/models/{model_id}", {"parameters": parameters})
    assert (answer.status_code, answer.json()["reason"]) == (400, reason)
    assert api.read(model_id)["parameters"] == {}


def test_a_training_uses_the_parameters_of_its_model(api):
    model_id = api.model(images=1)
    api.call("PUT", f"/models/{model_id}", {"parameters": {"maxTrainSteps": 10}})
    answer = api.call("PUT", f"/models/{model_id}/train", {"parameters": {"validationFrequency": 11}})
    assert (answer.status_code, answer.json()["reason"]) == (400, VALIDATION)
    assert api.totals()["trainings_started"] == 0


def test_a_recording_cannot_be_a_thumbnail(api):
    voice = api.model(type="elevenlabs-voice")
    wav = "data:audio/wav;base64," + encoded(WAV)
    answer = api.call("POST", f"/models/{voice}/training-images", {"data": wav, "name": "a.wav"})
    thumbnail = answer.json()["trainingImage"]["id"]
    assert api.call("PUT", f"/models/{voice}", {"thumbnail": thumbnail}).status_code == 400


@pytest.mark.parametrize("epoch", [1, [], {}, ["000001"], True, "", "1", "000003"])
def test_only_an_existing_epoch_can_be_chosen(api, epoch):
    model_id = api.trained(type="flux.1-lora", samplePrompts=["a"], nbEpochs=2)
    assert api.call("PUT", f"/models/{model_id}", {"epoch": epoch}).status_code == 400
    concept = {"modelId": model_id, "scale": 1, "modelEpoch": epoch}
    composition = api.call("POST", "/models", {"type": "flux.1-composition", "concepts": [concept]})
    started = composition.status_code == 200 and api.call(
        "PUT", f"/models/{composition.json()['model']['id']}/train", {}
    )
    assert not started or started.status_code == 400


def test_a_base_model_id_is_text(api):
    assert api.call("POST", "/models", {"type": "flux.1-lora", "baseModelId": 5}).status_code == 400
    assert api.call("POST", "/models", {"type": "flux.1-lora", "baseModelId": "flux.1-dev"}).status_code == 200
