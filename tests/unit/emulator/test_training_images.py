from __future__ import annotations

import base64

import pytest

from airflow_provider_scenario.emulator import formats

PIXEL = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"
SOUND = "data:audio/wav;base64," + base64.b64encode(b"RIFF\x24\x00\x00\x00WAVEfmt ").decode()


def add(api, model_id, **body):
    return api.call("POST", f"/models/{model_id}/training-images", body)


def test_a_data_url_becomes_a_captioned_asset_of_the_same_id(api):
    model_id = api.model()
    image = add(api, model_id, data=PIXEL, name="castle.gif").json()["trainingImage"]
    assert (image["name"], image["description"]) == ("castle.gif", image["automaticCaptioning"])
    assert "castle" in image["description"]
    assert api.call("GET", f"/assets/{image['id']}").json()["asset"]["metadata"]["trainingImage"] is True
    assert api.read(model_id)["trainingImages"] == [image]


def test_a_caption_in_the_upload_is_ignored_silently(api):
    answer = add(api, api.model(), data=PIXEL, name="castle.gif", caption="a castle at night")
    assert "night" not in answer.json()["trainingImage"]["description"]


def test_the_description_of_the_asset_is_the_caption(api):
    model_id = api.model(images=1)
    image_id = api.read(model_id)["trainingImages"][0]["id"]
    api.call("PUT", f"/assets/{image_id}", {"description": "a castle at night"})
    image = api.read(model_id)["trainingImages"][0]
    assert image["description"] == "a castle at night"
    assert image["automaticCaptioning"] != "a castle at night"


def test_assets_are_added_one_or_ten_at_a_time(api):
    model_id, ids = api.model(), [api.asset() for _ in range(11)]
    assert add(api, model_id, assetId=ids[0]).json()["trainingImage"]["id"] == ids[0]
    refused = add(api, model_id, assetIds=[*ids[1:], ids[0]])
    assert refused.json()["reason"] == "Too many assetIds provided in a single request"
    assert add(api, model_id, assetIds=ids[1:]).json()["trainingImage"]["id"] == ids[1]
    assert [image["id"] for image in api.read(model_id)["trainingImages"]] == ids


def test_an_asset_can_be_added_once(api):
    model_id, ids = api.model(), [api.asset(), api.asset()]
    add(api, model_id, assetId=ids[0])
    refused = add(api, model_id, assetIds=ids)
    assert (refused.status_code, refused.json()["reason"]) == (
        400,
        "The provided assetId is already a training image of this model",
    )
    assert api.read(model_id)["trainingImagesNumber"] == 1


def test_data_and_name_are_ignored_if_an_asset_is_given(api):
    asset_id = api.asset("a.png")
    assert add(api, api.model(), assetId=asset_id, data="junk", name="b").json()["trainingImage"]["name"] == "a.png"


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        ({}, 400, '"data" is required'),
        ({"data": PIXEL}, 400, '"name" is required'),
        ({"data": "aGVsbG8=", "name": "a"}, 400, '"data" must be a valid dataUri string'),
        ({"data": "data:image/png;base64,aGVsbG8=", "name": "a"}, 400, "Unhandled file format"),
        ({"data": PIXEL, "name": "a", "preset": "anime"}, 400, '"preset" must be one of [default, style, subject]'),
        ({"assetId": "asset_none"}, 404, "Asset asset_none not found"),
        ({"assetIds": []}, 400, '"assetIds" must contain at least 1 items'),
        ({"assetIds": ["a"], "data": PIXEL}, 400, '"assetIds" conflicts with "assetId" and "data"'),
    ],
)
def test_an_invalid_training_image_is_refused(api, body, status, reason):
    answer = add(api, api.model(), **body)
    assert (answer.status_code, answer.json()["reason"]) == (status, reason)
    assert api.totals()["training_images_added"] == 0


def test_a_voice_is_trained_on_sound_and_other_types_on_pictures(api):
    assert add(api, api.model(type="elevenlabs-voice"), data=SOUND, name="a.wav").status_code == 200
    assert add(api, api.model(type="elevenlabs-voice"), data=PIXEL, name="a.gif").status_code == 400
    assert add(api, api.model(), data=SOUND, name="a.wav").status_code == 400


def test_an_image_above_the_plans_limit_is_refused(api):
    api.emulator.switch("settings", add_training_image=2)
    model_id = api.model(images=1)
    answer = add(api, model_id, assetIds=[api.asset(), api.asset()])
    assert (answer.status_code, answer.json()["name"], answer.json()["details"]) == (
        429,
        "PlanLimitReachedError",
        {"actionName": "add-training-image", "actionLimit": 2, "actionValue": 1, "limitScope": "team"},
    )
    assert add(api, model_id, data=PIXEL, name="a").status_code == 200


def test_replacing_or_removing_an_image_removes_its_pairs(api):
    model_id = api.model(type="qwen-image-edit-lora", images=3)
    one, two, three = [image["id"] for image in api.read(model_id)["trainingImages"]]
    api.call("PUT", f"/models/{model_id}/training-images/pairs", [{"sourceId": one, "targetId": two}])
    answer = api.call("PUT", f"/models/{model_id}/training-images/{two}", {"data": PIXEL, "name": "b"})
    other = answer.json()["trainingImage"]["id"]
    assert api.call("DELETE", f"/models/{model_id}/training-images/{three}").json() == {}
    model = api.read(model_id)
    assert [image["id"] for image in model["trainingImages"]] == [one, other]
    assert "trainingImagePairs" not in model
    assert api.call("DELETE", f"/models/{model_id}/training-images/{three}").status_code == 404


def test_pairs_are_an_array_that_replaces_all_pairs(api):
    model_id = api.model(type="flux.2-dev-edit-lora", images=2)
    one, two = [image["id"] for image in api.read(model_id)["trainingImages"]]
    path = f"/models/{model_id}/training-images/pairs"
    pair = {"sourceId": one, "targetId": two, "instruction": "make it night"}
    assert api.call("PUT", path, {"pairs": [pair]}).status_code == 400
    assert api.call("PUT", path, [pair]).json() == {"count": 1, "pairs": [pair]}
    assert api.call("PUT", path, [pair, {"sourceId": two}]).json()["count"] == 2
    assert api.read(model_id)["trainingImagePairs"] == [pair, {"sourceId": two}]


def test_members_of_a_pair_must_be_training_images_of_the_model(api):
    model_id, stranger = api.model(type="flux.2-dev-edit-lora", images=1), api.asset()
    answer = api.call("PUT", f"/models/{model_id}/training-images/pairs", [{"sourceId": stranger}])
    assert (answer.status_code, answer.json()["reason"]) == (
        400,
        f"Asset {stranger} is not a training image of this model",
    )


@pytest.mark.parametrize(
    ("content", "mime_type"),
    [
        (b"\x89PNG\r\n\x1a\n", "image/png"),
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "image/webp"),
        (b"\0\0\0\x1cftypavif", "image/avif"),
        (b'<?xml version="1.0"?><svg xmlns="x">', "image/svg+xml"),
        (b"ID3\x03", "audio/mpeg"),
        (b"%PDF-1.7", None),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic", "image/heic"),
        (b"\0\0\0\x10ftypisom\0\0\0\0hdlr\0\0\0\0\0\0\0\0vide", "video/mp4"),
        (b"\0\0\0\x10ftypisom\0\0\0\0hdlr\0\0\0\0\0\0\0\0soun", "audio/m4a"),
        (b"\xff\xf1\x50\x80", "audio/aac"),
        (b"\xff\xff\xff\xff", None),
    ],
)
def test_the_format_is_detected_from_the_first_bytes(content, mime_type):
    assert formats.mime_type(content) == mime_type
