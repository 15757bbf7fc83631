"""A LoRA that the emulated Scenario has trained, re-hosted on a disk and as a tree."""

from __future__ import annotations

import hashlib

import pytest
from PIL import Image

from airflow_provider_scenario.client.errors import InvalidInputError, ServiceError
from airflow_provider_scenario.client.workshop.schemas import read_tree
from airflow_provider_scenario.publishing.hosting import Hosting
from airflow_provider_scenario.publishing.lora import LoraTreeBuilder, Overrides, _safetensors, chosen_epochs

CDN = "https://cdn.example.com/loras"


@pytest.fixture
def said():
    return []


@pytest.fixture
def publish(emulator, scenario, tmp_path, said):
    def publish(model_id, epoch=None, *, pack_timeout=60.0, sleep=None, **overrides):
        builder = LoraTreeBuilder(
            scenario,
            Hosting(tmp_path, CDN),
            app_url="https://app.scenario.com",
            log=said.append,
            pack_timeout=pack_timeout,
            sleep=sleep or emulator.advance,
        )
        model = scenario.get_model(model_id)
        return builder.build(model, chosen_epochs(model, epoch), Overrides(**overrides))

    return publish


def hosted(tmp_path, address):
    return tmp_path / address.removeprefix(f"{CDN}/")


def downloads(emulator):
    return emulator.ledger()["requests"].get("POST /v1/models/{modelId}/download", 0)


def test_the_tree_says_what_scenario_knows(emulator, train, publish, scenario, tmp_path):
    model_id = train(name="Ink style", description="Loose <ink> drawings")
    tree = publish(model_id)
    model = scenario.get_model(model_id)
    samples = {epoch.epoch: epoch.assets[0].asset_id for epoch in model.epochs}

    def version(epoch):
        file = tmp_path / model_id / model.job_id / f"{epoch}.safetensors"
        cover = f"{CDN}/{model_id}/covers/{samples[epoch]}.jpeg"
        with Image.open(hosted(tmp_path, cover)) as picture:
            width, height = picture.size
        return {
            "modelVersionId": f"{model_id}-{epoch}",
            "name": f"epoch {epoch}",
            "baseModel": "flux.1",
            "triggerWords": ["inkwash"],
            "covers": [{"cover": cover, "coverFile": {"width": width, "height": height, "format": "jpeg"}}],
            "files": [
                {
                    "name": f"Ink-style-{epoch}.safetensors",
                    "aliasName": f"Ink-style-{epoch}",
                    "downloadUrl": f"{CDN}/{model_id}/{model.job_id}/{epoch}.safetensors",
                    "hash": hashlib.sha256(file.read_bytes()).hexdigest(),
                    "sizeKb": file.stat().st_size / 1024,
                    "isPrimary": True,
                }
            ],
        }

    assert tree == {
        "modelId": model_id,
        "name": "Ink style",
        "modelType": "lora",
        "modelDesc": "Loose &lt;ink&gt; drawings",
        "source": f"https://app.scenario.com/models/{model_id}",
        "sourceType": "internal",
        "versions": [version(epoch) for epoch in ("000001", "000002", "000003")],
    }
    assert read_tree(tree).to_body() == tree


def test_the_author_has_the_last_word(train, publish):
    tree = publish(
        train(),
        "last",
        name="水墨",
        description="<b>ink</b>",
        trigger_words=["ink", "wash"],
        alias="ink",
        base_model="vxl_1.0",
        source_type="hugging_face",
    )
    (version,) = tree["versions"]
    assert (tree["name"], tree["modelDesc"], tree["sourceType"]) == ("水墨", "<b>ink</b>", "hugging_face")
    assert (version["triggerWords"], version["baseModel"]) == (["ink", "wash"], "vxl_1.0")
    assert (version["files"][0]["aliasName"], version["files"][0]["name"]) == ("ink", "ink.safetensors")


def test_a_name_that_prompts_cannot_hold_gives_way_to_the_id(train, publish):
    model_id = train(name="水墨")
    assert publish(model_id, "last")["versions"][0]["files"][0]["aliasName"] == f"{model_id}-000003"


def test_what_airflow_has_written_into_the_description_is_not_published(train, publish):
    assert "modelDesc" not in publish(train(), "last")  # which DAG and run made it, and our marker
    assert publish(train(description="Ink"), "last")["modelDesc"] == "Ink"  # the marker alone


def test_again_it_is_the_same_tree_and_nothing_is_packed_or_fetched(emulator, train, publish):
    model_id = train()
    first = publish(model_id)
    before = emulator.ledger()["requests"]
    assert publish(model_id) == first
    after = emulator.ledger()["requests"]
    assert downloads(emulator) == 3
    assert [route for route in after if "/cdn/" in route and after[route] != before[route]] == []


def test_a_model_that_is_trained_again_has_new_files_under_the_same_ids(emulator, train, publish, scenario):
    model_id = train(nb_epochs=1)
    first = publish(model_id)
    scenario.train(model_id, {"nbEpochs": 1})
    emulator.advance(900)
    second = publish(model_id)
    (old,), (new,) = first["versions"], second["versions"]
    assert old["modelVersionId"] == new["modelVersionId"]
    assert old["files"][0]["downloadUrl"] != new["files"][0]["downloadUrl"]
    assert downloads(emulator) == 2


@pytest.mark.parametrize(
    ("epoch", "chosen"),
    [
        (None, ["000001", "000002", "000003"]),
        ("last", ["000003"]),
        ("000002", ["000002"]),
        (2, ["000002"]),
        ("2", ["000002"]),
    ],
)
def test_epochs_are_chosen(train, scenario, epoch, chosen):
    model = scenario.get_model(train())
    assert [found.epoch for found in chosen_epochs(model, epoch)] == chosen


@pytest.mark.parametrize("epoch", [7, "", "None", "first"])
def test_an_epoch_that_is_not_there_is_told_with_those_that_are(train, scenario, epoch):
    model = scenario.get_model(train())
    with pytest.raises(InvalidInputError, match="has: 000001, 000002, 000003"):
        chosen_epochs(model, epoch)


def test_a_model_without_samples_has_one_version_and_its_thumbnail_for_a_cover(train, publish, scenario):
    model_id = train(sample_prompts=[])
    (version,) = publish(model_id)["versions"]
    assert scenario.get_model(model_id).thumbnail.asset_id in version["covers"][0]["cover"]


def test_what_is_not_trained_or_no_lora_is_refused(emulator, scenario):
    new = scenario.create_model(name="new", type="flux.1-lora")
    with pytest.raises(InvalidInputError, match=f"Model {new.id} has the status 'new'; only a trained model"):
        chosen_epochs(new, None)
    with pytest.raises(InvalidInputError, match="only a LoRA"):
        chosen_epochs(scenario.get_model("flux.1-dev"), None)


@pytest.mark.parametrize(
    "trouble", [{"kind": "status", "status": 403}, {"kind": "close"}, {"kind": "status", "status": 503}]
)
@pytest.mark.parametrize("route", ["/cdn/downloads/*", "/cdn/assets/*"])
def test_a_file_that_cannot_be_fetched_is_fetched_again(emulator, train, publish, said, trouble, route):
    model_id = train(nb_epochs=1)
    emulator.fault(**trouble, route=route, times=2)
    publish(model_id)
    assert downloads(emulator) == 1
    assert sum("The file is fetched again" in line for line in said) == 2
    assert "Signature" not in "".join(said)


def test_after_three_tries_it_is_left_to_a_retry_of_the_task(emulator, train, publish, tmp_path):
    model_id = train(nb_epochs=1)
    emulator.fault(kind="status", status=503, route="/cdn/downloads/*", times=None)
    with pytest.raises(ServiceError, match="503") as told:
        publish(model_id)
    assert "Signature" not in str(told.value)
    emulator.clear_faults()
    publish(model_id)


def test_packing_that_takes_too_long_is_told(emulator, train, publish):
    emulator.set(training_seconds=600)
    with pytest.raises(ServiceError, match=r"has not packed epoch 000001 of model_\w+ within 0.2 s"):
        publish(train(), pack_timeout=0.2, sleep=lambda _: None)


@pytest.mark.parametrize("blocks", [[b"12345678{}"], [b"1", b"2345678", b"{", b"}"], [b"12345678{" + b"x" * 100, b"y"]])
def test_a_safetensors_file_passes_unchanged(blocks):
    assert b"".join(_safetensors(blocks, "it")) == b"".join(blocks)


def test_an_archive_is_refused():
    with pytest.raises(InvalidInputError, match="gave a ZIP archive"):
        list(_safetensors([b"PK\3\4 and so on"], "it"))


@pytest.mark.parametrize("blocks", [[], [b""], [b"<html>a proxy</html>"], [b"1234567"]])
def test_something_else_is_refused_for_now(blocks):
    with pytest.raises(ServiceError, match=r"is not a \.safetensors"):
        list(_safetensors(blocks, "it"))


def test_a_service_that_ignores_the_epoch_is_noticed(train, publish, monkeypatch):
    monkeypatch.setattr("airflow_provider_scenario.emulator.files.safetensors", lambda *_: b"12345678{the same}")
    with pytest.raises(InvalidInputError, match="gave the same file for epoch 000001 and epoch 000002"):
        publish(train())
