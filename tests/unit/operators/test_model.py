from __future__ import annotations

import pytest

from airflow_provider_scenario.airflow_compat.exceptions import AirflowFailException
from airflow_provider_scenario.client.errors import InvalidInputError
from airflow_provider_scenario.operators.model import (
    ScenarioAddTrainingImagesOperator,
    ScenarioCreateModelOperator,
    ScenarioUpdateModelOperator,
)
from airflow_provider_scenario.operators.training import ScenarioTrainModelOperator
from airflow_provider_scenario.provenance import Claim, Place


def create(context, **fields):
    operator = ScenarioCreateModelOperator(**{"task_id": "create", "name": "ink", "type": "flux.2-dev-lora", **fields})
    return operator.execute(context)


def add_images(context, **fields):
    return ScenarioAddTrainingImagesOperator(**{"task_id": "images", **fields}).execute(context)


class TestCreate:
    def test_the_model_is_created_as_asked_and_its_id_returned(self, emulator, context):
        model_id = create(context, short_description="Loose ink drawings.", collection_ids=["collection_1"])
        model = emulator.model(model_id)
        assert (model["name"], model["type"], model["status"]) == ("ink", "flux.2-dev-lora", "new")
        assert model["shortDescription"] == "Loose ink drawings."

    def test_the_id_and_the_link_are_known_at_once(self, emulator, context):
        model_id = create(context)
        claim = Claim(model_id=model_id, is_ours=True)
        assert context["ti"].xcoms == {
            "scenario_model": claim.sealed(Place("a_dag", "a_run", "a_task", -1), "demo"),
            "model_id": model_id,
            "_link_ScenarioModelLink": f"https://app.scenario.com/models/{model_id}",
        }

    @pytest.mark.parametrize(
        ("fields", "said"),
        [
            ({"name": "x" * 65}, "name=.* has 65 characters.* at most 64"),
            ({"name": ""}, "name"),
            ({"short_description": "x" * 257}, "257 characters.* at most 256"),
            ({"type": ""}, "type must be a model type such as 'flux.2-dev-lora', not ''"),
            ({"collection_ids": True}, "collection_ids is True; give a list of collection ids"),
            ({"collection_ids": ""}, "collection_ids is ''; give a list of collection ids"),
            ({"collection_ids": [5]}, "collection_ids has 5; give text"),
            ({"concepts": False}, "concepts must be a list of dictionaries, not False"),
            ({"class_slug": 5}, "class_slug must be text, not 5"),
            ({"base_model_id": "a/b"}, "base_model_id is 'a/b'"),
            ({"name": "\ud800"}, "name is not valid Unicode"),
            ({"type": "flux.1-composition"}, "concepts is None; a flux.1-composition needs LoRAs"),
            ({"concepts": [{"model_id": "model_1", "scale": 3}]}, "scale must be a number from -2 to 2, not 3"),
            ({"concepts": [{"scale": 1}]}, "model"),
        ],
    )
    def test_bad_input_is_told_when_the_dag_is_parsed(self, fields, said):
        with pytest.raises(InvalidInputError, match=said):
            ScenarioCreateModelOperator(**{"task_id": "create", "name": "ink", "type": "flux.2-dev-lora", **fields})

    def test_bad_input_that_a_template_brings_is_told_before_anything_is_created(self, emulator, context):
        operator = ScenarioCreateModelOperator(task_id="create", name="{{ params.name }}", type="flux.2-dev-lora")
        operator.name = "x" * 65  # what rendering has made of it
        with pytest.raises(AirflowFailException, match="65 characters"):
            operator.execute(context)
        assert emulator.counts()["models"] == 0

    def test_a_type_of_next_month_is_tried(self, emulator, context):
        operator = ScenarioCreateModelOperator(task_id="create", name="ink", type="flux.3-lora")
        with pytest.raises(AirflowFailException, match='"type" must be one of'):  # the service's words, not ours
            operator.execute(context)


class TestAddImages:
    def test_a_folder_is_uploaded_with_its_captions(self, emulator, context, datasets):
        model_id = create(context)
        ids = add_images(context, model_id=model_id, images=str(datasets / "ink-style"))
        images = emulator.model(model_id)["trainingImages"]
        assert {image["id"] for image in images} == set(ids)
        assert len(ids) == 10
        (first,) = [image for image in images if image["id"] == ids[0]]
        assert first["name"] == "01-mountains.jpg"
        assert first["description"].startswith("Ink wash painting of three misty mountain ridges")

    def test_files_names_captions_and_assets_can_be_given_one_by_one(self, emulator, context, datasets):
        ink = sorted((datasets / "ink-style").glob("*.jpg"))
        first = create(context)
        asset = add_images(context, model_id=first, images=[ink[0]])[0]
        second = create(context)
        add_images(
            context,
            model_id=second,
            images=[{"path": str(ink[1]), "name": "b", "caption": "two"}, {"asset_id": asset, "caption": "one"}],
        )
        images = {image["id"]: image for image in emulator.model(second)["trainingImages"]}
        assert images[asset]["description"] == "one"
        assert {image["name"] for image in images.values()} >= {"b"}

    def test_a_retry_uploads_only_what_is_missing(self, emulator, context, datasets):
        model_id = create(context)
        emulator.fault(kind="status", method="POST", route="/models/*/training-images", status=500, skip=4, times=1)
        with pytest.raises(Exception, match="500"):
            add_images(context, model_id=model_id, images=str(datasets / "ink-style"), threads=1)
        assert emulator.counts()["images"] == 4
        add_images(context, model_id=model_id, images=str(datasets / "ink-style"))
        assert emulator.counts()["images"] == 10
        assert len(emulator.model(model_id)["trainingImages"]) == 10

    def test_an_image_whose_answer_was_lost_is_not_there_twice_after_a_retry(self, emulator, context, datasets):
        model_id = create(context)
        emulator.fault(kind="close", method="POST", route="/models/*/training-images", when="after", skip=2, times=1)
        with pytest.raises(Exception, match="training image"):
            add_images(context, model_id=model_id, images=str(datasets / "ink-style"))
        add_images(context, model_id=model_id, images=str(datasets / "ink-style"))
        assert emulator.counts()["images"] == 10

    def test_pairs_are_set_by_the_names_of_their_images(self, emulator, context, datasets):
        model_id = create(context, type="flux.2-dev-edit-lora")
        names = [path.name for path in sorted((datasets / "ink-style").glob("*.jpg"))]
        ids = add_images(
            context,
            model_id=model_id,
            images=str(datasets / "ink-style"),
            pairs=[
                {"source": names[0], "target": names[1], "instruction": "make it rain"},
                {"source": names[2], "target": names[3], "instruction": "make it snow"},
            ],
        )
        assert emulator.model(model_id)["trainingImagePairs"] == [
            {"sourceId": ids[0], "targetId": ids[1], "instruction": "make it rain"},
            {"sourceId": ids[2], "targetId": ids[3], "instruction": "make it snow"},
        ]

    @pytest.mark.parametrize(
        ("images", "said"),
        [
            ([], "images is empty; give at least one"),
            (["a/x.png", "b/x.png"], "the name 'x.png' more than once"),
            ([{"path": "x.png", "capton": "y"}], r"images\[1\] has 'capton'; known: path, asset_id, name, caption"),
            ([{"name": "x"}], "give either 'path' or 'asset_id'"),
            ([7], r"images\[1\] is 7"),
        ],
    )
    def test_a_bad_list_is_told_when_the_dag_is_parsed(self, images, said):
        with pytest.raises(InvalidInputError, match=said):
            ScenarioAddTrainingImagesOperator(task_id="images", model_id="model_1", images=images)

    @pytest.mark.parametrize(
        ("name", "content", "said"),
        [
            ("notes.png", b"these are not pixels", "'notes.png' is not an image"),
            ("empty.png", b"", "'empty.png' is empty"),
            (
                "huge.png",
                b"\x89PNG\r\n\x1a\n" + bytes(5_000_000),
                r"'huge\.png' cannot be decoded: it is cut off after 5000008",
            ),
            ("drawing.svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG"),
        ],
    )
    def test_a_file_that_is_no_usable_image_is_told_before_anything_is_sent(
        self, emulator, context, datasets, tmp_path, name, content, said
    ):
        model_id = create(context)
        (tmp_path / name).write_bytes(content)
        good = next((datasets / "ink-style").glob("*.jpg"))
        with pytest.raises(AirflowFailException, match=said):
            add_images(context, model_id=model_id, images=[str(good), str(tmp_path / name)])
        assert emulator.counts()["images"] == 0

    @pytest.mark.parametrize(
        ("images", "said"),
        [
            ("/nowhere/at/all", "The folder '/nowhere/at/all' does not exist"),
            (["/nowhere/a.png"], "The file '/nowhere/a.png' does not exist"),
        ],
    )
    def test_what_is_missing_is_told_by_its_name(self, emulator, context, images, said):
        with pytest.raises(AirflowFailException, match=said):
            add_images(context, model_id=create(context), images=images)

    def test_a_folder_without_images_is_told(self, emulator, context, tmp_path):
        with pytest.raises(AirflowFailException, match="the folder has no images"):
            add_images(context, model_id=create(context), images=str(tmp_path))

    def test_a_pair_of_an_image_that_is_not_there_is_told_before_anything_is_sent(self, emulator, context, datasets):
        model_id = create(context, type="flux.2-dev-edit-lora")
        with pytest.raises(AirflowFailException, match=r"pairs\[1\] has target 'nope.jpg', which is not an image"):
            add_images(
                context,
                model_id=model_id,
                images=str(datasets / "ink-style"),
                pairs=[{"source": "01-mountains.jpg", "target": "nope.jpg", "instruction": "x"}],
            )
        assert emulator.counts()["images"] == 0

    @pytest.mark.parametrize(
        ("pairs", "said"),
        [
            (5, "pairs is 5; give a list"),
            ([{"source": "a.jpg"}], r"pairs\[1\] is"),
            ([{"source": "a.jpg", "target": "a.jpg"}], "as its source and as its target"),
            ([{"source": "a.jpg", "target": "b.jpg"}] * 2, r"pairs\[2\] is given twice"),
        ],
    )
    def test_bad_pairs_are_told_when_the_dag_is_parsed_and_when_a_template_brings_them(
        self, emulator, context, datasets, pairs, said
    ):
        fields = {"task_id": "images", "model_id": "model_1", "images": str(datasets / "ink-style")}
        with pytest.raises(InvalidInputError, match=said):
            ScenarioAddTrainingImagesOperator(**fields, pairs=pairs)
        operator = ScenarioAddTrainingImagesOperator(**fields, pairs="{{ params.pairs }}")
        operator.pairs = pairs
        before = emulator.requests()
        with pytest.raises(AirflowFailException, match=said):
            operator.execute(context)
        assert emulator.requests() == before

    @pytest.mark.parametrize(
        ("type_", "name", "said"),
        [
            ("elevenlabs-voice", "a.jpg", r"'a\.jpg' is an image; elevenlabs-voice learns from recordings"),
            ("flux.2-dev-lora", "a.mp3", r"'a\.mp3' is a recording; flux\.2-dev-lora learns from images"),
        ],
    )
    def test_files_of_the_other_kind_are_told_before_anything_is_sent(
        self, emulator, context, datasets, tmp_path, type_, name, said
    ):
        picture = next((datasets / "ink-style").glob("*.jpg")).read_bytes()
        (tmp_path / name).write_bytes(picture if name.endswith("jpg") else b"ID3\4" + bytes(100))
        model_id = create(context, type=type_)
        with pytest.raises(AirflowFailException, match=said):
            add_images(context, model_id=model_id, images=str(tmp_path))
        assert emulator.counts()["images"] == 0
        assert "POST /v1/models/{modelId}/training-images" not in emulator.ledger()["requests"]

    def test_an_unknown_model_is_told(self, emulator, context, datasets):
        with pytest.raises(AirflowFailException, match="model_nope"):
            add_images(context, model_id="model_nope", images=str(datasets / "ink-style"))

    def test_the_plans_ceiling_is_told_with_its_numbers(self, emulator, context, datasets):
        emulator.set(add_training_image=3)
        with pytest.raises(AirflowFailException, match=r"add-training-image.*3"):
            add_images(context, model_id=create(context), images=str(datasets / "ink-style"))


class TestUpdate:
    def test_only_what_is_given_changes(self, emulator, context):
        model_id = create(context, short_description="before")
        ScenarioUpdateModelOperator(task_id="update", model_id=model_id, name="ink 2").execute(context)
        model = emulator.model(model_id)
        assert (model["name"], model["shortDescription"]) == ("ink 2", "before")

    def test_what_is_unset_is_emptied(self, emulator, context, datasets):
        model_id = create(context)
        asset = add_images(context, model_id=model_id, images=[next((datasets / "ink-style").glob("*.jpg"))])[0]
        ScenarioUpdateModelOperator(task_id="update", model_id=model_id, thumbnail=asset).execute(context)
        assert emulator.model(model_id)["thumbnail"]["assetId"] == asset
        ScenarioUpdateModelOperator(task_id="update", model_id=model_id, unset=["thumbnail"]).execute(context)
        assert emulator.model(model_id).get("thumbnail", {}).get("assetId") != asset

    @pytest.mark.parametrize(
        ("fields", "said"),
        [
            ({}, "Nothing to update; give at least one of: name"),
            ({"unset": "epoch"}, "unset is 'epoch'; give a list with any of: class_slug, epoch, thumbnail"),
            ({"unset": 5}, "unset is 5; give a list"),
            ({"unset": [["epoch"]]}, "these fields can be emptied"),
            ({"class_slug": 5}, "class_slug must be text, not 5"),
            ({"class_slug": ""}, "class_slug is empty"),
            ({"epoch": True}, "epoch is True; give an epoch such as '000003', 3 or 'last'"),
            ({"thumbnail": 7}, "thumbnail must be text, not 7"),
            ({"prompt_embedding": 7}, "prompt_embedding must be text, not 7"),
            ({"negative_prompt_embedding": ["x"]}, "negative_prompt_embedding must be text"),
            ({"parameters": {"nb_epochs": "many"}}, "nb_epochs must be a whole number from 1 to 100, not 'many'"),
            ({"parameters": ""}, "parameters must be a dictionary, not ''"),
            ({"parameters": 0}, "parameters must be a dictionary, not 0"),
            ({"unset": ["name"]}, "these fields can be emptied: class_slug, epoch, thumbnail"),
            ({"thumbnail": "asset_1", "unset": ["thumbnail"]}, "thumbnail is given and also in unset"),
            ({"name": "x" * 65}, "65 characters"),
            ({"model_id": "a/train?x", "name": "y"}, "model_id is 'a/train"),
            ({"unset": ["description"], "description": "x"}, "description is given and also in unset"),
            ({"description": " "}, "description is empty; give text"),
            ({"add_tags": "hero"}, "add_tags is 'hero'; give a list of tags. A template gives text unless"),
            ({"add_tags": {"hero": 1}}, "add_tags is {'hero': 1}; give a list of tags.$"),
            ({"delete_tags": ["hero", ""]}, "delete_tags has ''; give text"),
            ({"delete_tags": [7]}, "delete_tags has 7; give text"),
            ({"add_tags": ["a", "b"], "delete_tags": ["b"]}, "'b' is in add_tags and in delete_tags"),
            ({"thumbnail_from_epoch": "last", "thumbnail": "asset_1"}, "thumbnail too; choose one"),
            ({"thumbnail_from_epoch": "last", "unset": ["thumbnail"]}, "thumbnail too; choose one"),
            ({"thumbnail_from_epoch": 0}, "thumbnail_from_epoch is 0; give an epoch such as '000003', 3 or 'last'"),
        ],
    )
    def test_bad_input_is_told_when_the_dag_is_parsed(self, fields, said):
        with pytest.raises(InvalidInputError, match=said):
            ScenarioUpdateModelOperator(**{"task_id": "update", "model_id": "model_1", **fields})

    def test_nothing_to_unset_may_be_none(self, emulator, context):
        model_id = create(context)
        update(context, model_id=model_id, name="ink 2", unset=None)
        assert emulator.model(model_id)["name"] == "ink 2"

    def test_parameters_are_sent_as_what_a_template_has_made_text_of(self, emulator, context):
        model_id = create(context)
        update(context, model_id=model_id, parameters={"nb_epochs": "4", "learning_rate": "5e-5"})
        assert emulator.model(model_id)["parameters"] == {"nbEpochs": 4, "learningRate": 5e-5}

    @pytest.mark.parametrize(
        ("epoch", "chosen"), [("000002", "000002"), (2, "000002"), ("2", "000002"), ("last", None)]
    )
    def test_an_epoch_is_called_as_when_it_is_published(self, emulator, context, datasets, epoch, chosen):
        parameters = {"nb_epochs": 3, "sample_prompts": ["a boat"]}
        model_id = trained(context, datasets, model_type="flux.1-lora", parameters=parameters)
        update(context, model_id=model_id, epoch="000001")
        update(context, model_id=model_id, epoch=epoch)
        assert emulator.model(model_id).get("epoch") == chosen

    def test_what_a_template_brings_is_not_judged_before_it_is_there(self):
        operator = ScenarioUpdateModelOperator(
            task_id="update",
            model_id="{{ params.id }}",
            add_tags="{{ params.tags }}",
            delete_tags=["{{ params.tag }}"],
            thumbnail_from_epoch="{{ params.epoch }}",
        )
        assert {"description", "add_tags", "delete_tags", "thumbnail_from_epoch"} < set(operator.template_fields)

    def test_the_page_of_the_model_is_written_and_removed(self, emulator, context):
        model_id = create(context)
        update(context, model_id=model_id, description="# Ink\nLoose drawings.")
        assert emulator.get(f"models/{model_id}/description")["description"]["value"] == "# Ink\nLoose drawings."
        update(context, model_id=model_id, unset=["description"])
        assert emulator.get(f"models/{model_id}/description")["description"]["value"] == ""

    def test_tags_are_added_and_deleted_and_a_retry_is_no_error(self, emulator, context):
        model_id = create(context)
        update(context, model_id=model_id, add_tags=["draft", "ink"])
        for _ in range(2):
            update(context, model_id=model_id, add_tags=["hero"], delete_tags=["draft"])
        assert emulator.model(model_id)["tags"] == ["ink", "hero"]

    def test_a_list_of_tags_that_turns_out_empty_changes_nothing(self, emulator, context):
        model_id = create(context)
        before = emulator.requests()
        update(context, model_id=model_id, add_tags=[])
        assert emulator.requests() == before

    def test_a_request_is_sent_only_for_what_is_asked(self, emulator, context):
        model_id = create(context)
        before = emulator.requests()
        update(context, model_id=model_id, add_tags=["ink"])
        assert emulator.requests() == before + 1
        update(context, model_id=model_id, name="ink 2", description="# Ink", delete_tags=["ink"])
        assert emulator.requests() == before + 4

    @pytest.mark.parametrize(("epoch", "at"), [("000002", 1), ("last", 2)])
    def test_the_thumbnail_is_the_first_sample_of_an_epoch(self, emulator, context, datasets, epoch, at):
        model_id = trained(context, datasets, parameters={"nb_epochs": 3, "sample_prompts": ["a boat", "a tree"]})
        update(context, model_id=model_id, thumbnail_from_epoch=epoch)
        model = emulator.model(model_id)
        assert model["thumbnail"]["assetId"] == model["epochs"][at]["assets"][0]["assetId"]

    def test_an_epoch_that_is_not_there_is_told_with_those_that_are_before_anything_changes(
        self, emulator, context, datasets
    ):
        model_id = trained(context, datasets, parameters={"nb_epochs": 2, "sample_prompts": ["a boat"]})
        with pytest.raises(AirflowFailException, match=r"'000007'.* epochs with samples: 000001, 000002"):
            update(context, model_id=model_id, thumbnail_from_epoch="000007", name="never", add_tags=["never"])
        assert (emulator.model(model_id)["name"], emulator.model(model_id)["tags"]) == ("ink", [])

    def test_a_model_without_samples_is_told(self, emulator, context, datasets):
        for model_id in (create(context), trained(context, datasets)):
            with pytest.raises(AirflowFailException, match=r"no epoch has a sample.* sample_prompts"):
                update(context, model_id=model_id, thumbnail_from_epoch="last")


def update(context, **fields):
    return ScenarioUpdateModelOperator(task_id="update", **fields).execute(context)


def trained(context, datasets, model_type="flux.2-dev-lora", **fields):
    model_id = create(context, type=model_type)
    add_images(context, model_id=model_id, images=[next((datasets / "ink-style").glob("*.jpg"))])
    ScenarioTrainModelOperator(
        task_id="train", model_id=model_id, deferrable=False, poke_interval=0.05, **fields
    ).execute(context)
    return model_id
