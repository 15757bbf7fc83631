from __future__ import annotations

import io
import json
import struct

import httpx
import pytest
from PIL import Image, ImageStat

from .conftest import encoded, picture

FIVE_MB = 5 * 1024 * 1024


def test_an_uploaded_picture_can_be_read_and_fetched_without_credentials(api):
    body = {"name": "a.jpg", "image": encoded(picture(file_format="JPEG")), "collectionIds": ["c"], "hide": True}
    asset = api.call("POST", "/assets", body).json()["asset"]
    assert (asset["mimeType"], asset["kind"], asset["status"]) == ("image/jpeg", "image", "success")
    assert (asset["metadata"]["width"], asset["properties"]["height"]) == (64, 64)
    assert (asset["collectionIds"], asset["isHidden"]) == (["c"], True)
    fetched = httpx.get(asset["url"])
    assert (fetched.content, fetched.headers["content-type"]) == (picture(file_format="JPEG"), "image/jpeg")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"name": "a"}, 400),
        ({"image": encoded(picture())}, 400),
        ({"name": "a", "image": "?"}, 400),
        ({"name": "a", "image": encoded(b"%PDF-1.7")}, 400),
        ({"name": "a", "image": encoded(picture()), "parentId": "asset_none"}, 404),
    ],
)
def test_a_file_that_is_not_a_picture_is_refused(api, body, status):
    assert api.call("POST", "/assets", body).status_code == status


def test_many_assets_are_read_and_deleted_at_once(api):
    ids = [api.asset() for _ in range(3)]
    rows = api.call("POST", "/assets/get-bulk", {"assetIds": [ids[2], "asset_none", ids[0]]}).json()["assets"]
    assert [row["id"] for row in rows] == [ids[2], ids[0]]
    assert api.call("POST", "/assets/get-bulk", {"assetIds": ["a"] * 201}).status_code == 400
    assert api.call("DELETE", "/assets", {"assetIds": ["a"] * 101}).status_code == 400
    assert api.call("DELETE", "/assets", {"assetIds": ids[:2]}).json() == {}
    assert [api.call("GET", f"/assets/{asset_id}").status_code for asset_id in ids] == [404, 404, 200]


def test_a_deleted_asset_leaves_the_models_that_used_it(api):
    model_id = api.model(images=2)
    first, second = [image["id"] for image in api.read(model_id)["trainingImages"]]
    api.call("DELETE", "/assets", {"assetIds": [first]})
    assert [image["id"] for image in api.read(model_id)["trainingImages"]] == [second]


def test_a_file_needs_a_valid_signature(api):
    url = httpx.URL(api.call("GET", f"/assets/{api.asset()}").json()["asset"]["url"])
    other = httpx.URL(api.call("GET", f"/assets/{api.asset()}").json()["asset"]["url"])
    later = url.copy_set_param("Expires", "99999999999")
    assert [httpx.get(tried).status_code for tried in (url, url.copy_with(query=None), later)] == [200, 403, 403]
    assert httpx.get(url.copy_with(query=other.query)).status_code == 403
    assert httpx.get(url.copy_with(query=None), auth=("demo", "demo")).status_code == 403


def test_a_signed_url_expires(api):
    url = api.call("GET", f"/assets/{api.asset()}").json()["asset"]["url"]
    assert httpx.head(url).status_code == 200
    api.emulator.switch("advance", seconds=3700)
    assert (httpx.get(url).status_code, httpx.get(url).headers["content-type"]) == (403, "application/xml")


def begin_upload(api, sizes, **fields):
    body = {
        "fileName": "a.png",
        "contentType": "image/png",
        "kind": "image",
        "parts": len(sizes),
        "fileSize": sum(sizes),
        **fields,
    }
    return api.call("POST", "/uploads", body)


def send_parts(upload, content, sizes):
    begin = 0
    for part, size in zip(upload["parts"], sizes, strict=True):
        assert httpx.put(part["url"], content=content[begin : begin + size]).status_code == 200
        begin += size


def complete(api, upload_id):
    return api.call("POST", f"/uploads/{upload_id}/action", {"action": "complete"})


def test_a_big_file_arrives_in_parts_and_becomes_an_asset_after_a_while(api):
    content = picture() + b"\0" * FIVE_MB
    sizes = [FIVE_MB, len(content) - FIVE_MB]
    upload = begin_upload(api, sizes).json()["upload"]
    assert upload["status"] == "pending"
    send_parts(upload, content, sizes)
    assert complete(api, upload["id"]).json()["upload"]["status"] == "validating"
    seen = []
    for _ in range(2):
        api.emulator.switch("advance", seconds=0.1)
        seen.append(api.call("GET", f"/uploads/{upload['id']}").json()["upload"])
    assert [step["status"] for step in seen] == ["validated", "imported"]
    asset = api.call("GET", f"/assets/{seen[-1]['entityId']}").json()["asset"]
    assert asset["properties"]["size"] == len(content)
    assert api.call("GET", f"/jobs/{upload['jobId']}").json()["job"]["status"] == "success"


def test_an_upload_with_a_missing_part_cannot_be_completed(api):
    upload = begin_upload(api, [10]).json()["upload"]
    assert complete(api, upload["id"]).status_code == 400
    assert api.call("GET", f"/jobs/{upload['jobId']}").json()["job"]["status"] == "queued"


@pytest.mark.parametrize(
    ("content", "sizes", "told"),
    [(picture(), [40, len(picture()) - 40], None), (b"%PDF-1.7", [8], None), (picture(), [len(picture())], 7)],
    ids=["a part that is not the last below 5 MB", "no picture", "another size than announced"],
)
def test_an_invalid_file_fails_only_at_validation(api, content, sizes, told):
    upload = begin_upload(api, sizes, **({"fileSize": told} if told else {})).json()["upload"]
    send_parts(upload, content, sizes)
    assert complete(api, upload["id"]).json()["upload"]["status"] == "validating"
    api.emulator.switch("advance", seconds=1)
    failed = api.call("GET", f"/uploads/{upload['id']}").json()["upload"]
    assert (failed["status"], "entityId" in failed, bool(failed["errorMessage"])) == ("failed", False, True)
    assert api.call("GET", f"/jobs/{upload['jobId']}").json()["job"]["status"] == "failure"


def test_a_part_goes_to_its_signed_url_without_the_authorization_header(api):
    url = begin_upload(api, [4]).json()["upload"]["parts"][0]["url"]
    assert httpx.put(url, content=b"abcd", auth=("demo", "demo")).status_code == 400
    assert httpx.put(url.partition("?")[0], content=b"abcd").status_code == 403
    assert httpx.put(url, content=b"abcd").status_code == 200


@pytest.mark.parametrize("fields", [{"kind": "film"}, {"parts": 10001}, {"fileSize": None}, {"fileName": ""}])
def test_an_upload_with_invalid_fields_is_refused(api, fields):
    assert begin_upload(api, [10], **fields).status_code == 400


def download(api, model_id, **body):
    job_id = api.call("POST", f"/models/{model_id}/download", body).json()["jobId"]
    before = api.call("GET", f"/assets/download/{job_id}").json()
    api.emulator.switch("advance", seconds=1)
    return before, api.call("GET", f"/assets/download/{job_id}").json()


def test_a_trained_model_can_be_downloaded_once_its_job_is_done(api):
    model_id = api.trained(samplePrompts=["a"], nbEpochs=2, conceptPrompt="hero")
    before, after = download(api, model_id)
    assert ("downloadUrl" in before, after["jobStatus"]) == (False, "success")
    content = httpx.get(after["downloadUrl"]).content
    length = struct.unpack("<Q", content[:8])[0]
    header = json.loads(content[8 : 8 + length])
    assert header.pop("__metadata__")["ss_trigger_word"] == "hero"
    assert max(tensor["data_offsets"][1] for tensor in header.values()) == len(content) - 8 - length
    assert httpx.get(download(api, model_id)[1]["downloadUrl"]).content == content
    assert httpx.get(download(api, model_id, modelEpoch="000001")[1]["downloadUrl"]).content != content


def test_a_download_can_be_quoted_and_needs_a_trained_model_and_a_known_epoch(api):
    model_id = api.trained()
    assert api.call("POST", f"/models/{model_id}/download", {}, dryRun="true").status_code == 269
    assert api.call("POST", f"/models/{model_id}/download", {"modelEpoch": "000001"}).status_code == 400
    assert api.call("POST", f"/models/{api.model()}/download", {}).status_code == 400


def colourfulness(url):
    answer = httpx.get(url)
    assert answer.headers["content-type"] == "image/jpeg"
    saturation = Image.open(io.BytesIO(answer.content)).convert("HSV").getchannel("S")
    return ImageStat.Stat(saturation).mean[0]


def test_the_samples_of_an_early_epoch_are_pale_and_those_of_the_last_one_are_not(api):
    model_id = api.model(images=1)
    api.train(model_id, samplePrompts=["a red square"], nbEpochs=10)
    api.advance(1)
    seen = [colourfulness(epoch["assets"][0]["url"]) for epoch in api.read(model_id)["epochs"]]
    assert seen == sorted(seen)
    assert seen[0] < seen[-1] / 1.5


def test_a_composition_shows_all_its_concepts(api):
    concepts = []
    for colour in ("red", "blue"):
        model_id = api.model(colour, type="flux.1-lora")
        asset = {"name": colour, "image": encoded(picture(colour, side=256))}
        asset_id = api.call("POST", "/assets", asset).json()["asset"]["id"]
        api.call("POST", f"/models/{model_id}/training-images", {"assetId": asset_id})
        api.train(model_id, samplePrompts=["a", "b"], nbEpochs=2)
        concepts.append({"modelId": model_id, "scale": 1})
    api.advance(1)
    composition = api.model(type="flux.1-composition", concepts=concepts)
    api.train(composition, samplePrompts=["both"])
    api.advance(1)
    sample = httpx.get(api.read(composition)["epochs"][0]["assets"][0]["url"]).content
    image = Image.open(io.BytesIO(sample)).convert("RGB")
    corners = [image.getpixel((8, 8)), image.getpixel((image.width - 8, image.height - 8))]
    assert {"red" if red > blue else "blue" for red, _, blue in corners} == {"red", "blue"}
