from __future__ import annotations

import logging
from dataclasses import replace

import pytest

from airflow_provider_scenario.client.errors import InvalidInputError
from airflow_provider_scenario.client.scenario.client import ScenarioClient
from airflow_provider_scenario.client.scenario.schemas import TrainingImagePair
from airflow_provider_scenario.datasets import (
    Dataset,
    DatasetImage,
    attach,
    check_kind,
    check_pairs,
    list_images,
    read_dataset,
    resolve_pairs,
)

from .conftest import MP3, PNG, write_files

LOG = logging.getLogger("tests.pairs")
AB = {"source": "a.png", "target": "b.png"}
IDS = {"a.png": "asset_a", "b.png": "asset_b", "again": "asset_a"}
EDIT = "flux.2-dev-edit-lora"

MALFORMED = [
    (5, "pairs is 5; give a list of"),
    (True, "pairs is True"),
    ("[]", r"pairs is '\[\]'; .*render_template_as_native_obj"),
    (b"ab", "pairs is b'ab'"),
    (AB, "pairs is {'source'"),
    (iter([AB]), "pairs is <list_iterator"),
    ([5], r"pairs\[1\] is 5; give 'source', 'target' and perhaps 'instruction'"),
    ([AB, ["a.png", "b.png"]], r"pairs\[2\] is \['a\.png'"),
    ([{"source": "a.png"}], r"pairs\[1\] is {'source': 'a\.png'}"),
    ([{**AB, "prompt": "x"}], r"pairs\[1\] is .*'prompt'"),
    ([{**AB, 5: "x"}], r"pairs\[1\] is"),
    ([{**AB, "target": None}], r"pairs\[1\] has the target None; give an image's name or asset id"),
    ([{**AB, "target": ""}], r"pairs\[1\] has the target ''"),
    ([{**AB, "source": ["a.png"]}], r"pairs\[1\] has the source \['a\.png'\]"),
    ([{**AB, "instruction": 7}], r"pairs\[1\] has the instruction 7; give text, or leave it out"),
    ([{**AB, "instruction": "\ud800"}], r"the instruction of pairs\[1\] is not valid Unicode"),
]
MISTAKES = [
    ([AB, {"source": "a.png", "target": "a.png"}], r"pairs\[2\] has 'a\.png' as its source and as its target"),
    ([AB, {"source": "b.png", "target": "a.png"}, AB], r"pairs\[3\] is given twice: pairs\[1\] has the same"),
    ([{**AB, "instruction": "x"}] * 2, r"pairs\[2\] is given twice"),
    ([{**AB, "instruction": " "}, AB], r"pairs\[2\] is given twice"),
]


class TestCheck:
    @pytest.mark.parametrize(("pairs", "said"), MALFORMED + MISTAKES)
    def test_what_is_wrong_is_told_by_its_place(self, pairs, said):
        with pytest.raises(InvalidInputError, match=said):
            check_pairs(pairs)

    def test_pairs_need_no_instruction(self):
        assert check_pairs([AB, {"source": "b.png", "target": "a.png", "instruction": None}]) == []
        assert check_pairs(()) == []

    def test_two_instructions_for_the_same_images_are_a_warning(self):
        night, day = {**AB, "instruction": "night"}, {**AB, "instruction": "day"}
        assert check_pairs([night, day, AB]) == [
            f"pairs[{n}] has the source and the target of pairs[1], with another instruction." for n in (2, 3)
        ]

    def test_a_long_value_is_cut_in_the_message(self):
        for pairs in ("x" * 10**7, [{**AB, "x" * 10**7: 1}], [{"source": "x" * 10**7, "target": "x" * 10**7}]):
            with pytest.raises(InvalidInputError) as told:
                check_pairs(pairs)
            assert len(str(told.value)) < 500


class TestResolve:
    def test_names_and_ids_become_ids_and_an_instruction_goes_along_where_there_is_one(self):
        night = {"source": "b.png", "target": "asset_a", "instruction": "night"}
        assert resolve_pairs([AB, night], IDS) == [
            {"source_id": "asset_a", "target_id": "asset_b"},
            {"source_id": "asset_b", "target_id": "asset_a", "instruction": "night"},
        ]

    @pytest.mark.parametrize(
        ("pairs", "said"),
        [
            ([{"source": "a.png", "target": "again"}], r"pairs\[1\] has 'asset_a' as its source and as its target"),
            ([{"source": "a.png", "target": "asset_a"}], r"pairs\[1\] has 'asset_a' as its source and as its target"),
            ([AB, {"source": "again", "target": "asset_b"}], r"pairs\[2\] is given twice"),
            (
                [{"source": "a.png", "target": "c.png"}],
                r"pairs\[1\] has target 'c\.png', which is not an image of this",
            ),
        ],
    )
    def test_two_names_of_one_image_are_one_image(self, pairs, said):
        with pytest.raises(InvalidInputError, match=said):
            resolve_pairs(pairs, IDS)

    def test_of_many_images_the_message_names_some(self):
        with pytest.raises(InvalidInputError, match=r"has target 'c\.png'") as told:
            resolve_pairs([{"source": "0.png", "target": "c.png"}], {f"{n}.png": str(n) for n in range(5000)})
        assert len(str(told.value)) < 1000


@pytest.fixture
def client(emulator):
    with ScenarioClient.connect(api_key="demo", api_secret="demo", base_url=emulator.url) as client:
        yield client


class TestSent:
    """Against the emulator, whose ledger says what was sent."""

    def test_pairs_without_an_instruction_are_set(self, emulator, client, tmp_path):
        files = {"a.png": PNG, "b.png": PNG, "metadata.jsonl": '{"source": "a.png", "target": "b.png"}'}
        model = client.create_model(name="hero", type=EDIT)
        a, b = attach(client, model, read_dataset(write_files(tmp_path, files)), log=LOG)
        assert emulator.model(model.id)["trainingImagePairs"] == [{"sourceId": a, "targetId": b}]

    def test_an_asset_of_two_names_is_told_before_anything_is_sent(self, emulator, client):
        images = list_images([{"asset_id": "asset_1", "name": "x"}, {"asset_id": "asset_1", "name": "y"}])
        dataset = Dataset(images=images, pairs=[{"source": "x", "target": "y"}])
        model = client.create_model(name="hero", type=EDIT)
        before = emulator.requests()
        with pytest.raises(InvalidInputError, match="'asset_1' as its source and as its target"):
            attach(client, model, dataset, log=LOG)
        assert emulator.requests() == before

    def test_a_file_that_is_called_like_an_asset_is_another_image(self, emulator, client, tmp_path):
        write_files(tmp_path, {"a": PNG})
        model = client.create_model(name="hero", type=EDIT)
        (asset,) = attach(client, model, read_dataset([tmp_path / "a"]), log=LOG)
        other = client.create_model(name="other", type=EDIT)
        images = read_dataset([{"asset_id": asset, "name": "x"}, {"path": tmp_path / "a", "name": asset}]).images
        pairs = [{"source": "x", "target": asset}]
        ids = attach(client, other, Dataset(images=images, pairs=pairs), log=LOG)
        assert emulator.model(other.id)["trainingImagePairs"] == [{"sourceId": ids[0], "targetId": ids[1]}]

    def test_two_instructions_for_the_same_images_are_logged_and_sent(self, emulator, client, tmp_path, caplog):
        pairs = [{**AB, "instruction": "night"}, {**AB, "instruction": "day"}]
        dataset = replace(read_dataset(write_files(tmp_path, {"a.png": PNG, "b.png": PNG})), pairs=pairs)
        model = client.create_model(name="hero", type=EDIT)
        attach(client, model, dataset, log=LOG)
        assert len(emulator.model(model.id)["trainingImagePairs"]) == 2
        assert "pairs[2] has the source and the target of pairs[1], with another instruction" in caplog.text

    @pytest.mark.parametrize(
        ("pairs", "said"),
        [
            (5, "pairs must be a list of .* not 5"),
            ("ab", "pairs must be a list"),
            ([5], r"pairs\[1\] must be a dictionary, not 5"),
            ([{5: "a"}], r"pairs\[1\]: a key must be text, not 5"),
            ([{"source_id": 5}], r"pairs\[1\]: sourceId must be text, not 5"),
            ([{"source_id": "a", "target_id": "a"}], r"pairs\[1\] has 'a' as its source and as its target"),
            ([TrainingImagePair(source_id="a", target_id="a")], r"pairs\[1\] has 'a' as its source"),
            ([{"source_id": "a", "target_id": "b"}, {"sourceId": "a", "targetId": "b"}], r"pairs\[2\] is given twice"),
            ([{"source_id": "x" * 10**7, "target_id": "x" * 10**7}], r"pairs\[1\] has 'xxx"),
        ],
    )
    def test_the_client_itself_sends_no_mistake(self, emulator, client, pairs, said):
        before = emulator.requests()
        with pytest.raises(InvalidInputError, match=said) as told:
            client.set_training_pairs("model_1", pairs)
        assert len(str(told.value)) < 500
        assert emulator.requests() == before

    def test_the_client_sends_what_the_api_does_not_require_and_what_it_does_not_know(self, emulator, client, tmp_path):
        model = client.create_model(name="hero", type=EDIT)
        a, b = attach(client, model, read_dataset(write_files(tmp_path, {"a.png": PNG, "b.png": PNG})), log=LOG)
        client.set_training_pairs(model.id, [{"source_id": a}, {"source_id": b, "target_id": a, "weight": 2}])
        kept = [{"sourceId": a}, {"sourceId": b, "targetId": a}]
        assert emulator.model(model.id)["trainingImagePairs"] == kept


class TestKind:
    @pytest.fixture
    def pictures(self, tmp_path):
        return read_dataset(write_files(tmp_path / "pictures", {"a.png": PNG}))

    @pytest.fixture
    def recordings(self, tmp_path):
        return read_dataset(write_files(tmp_path / "recordings", {"a.mp3": MP3}))

    @pytest.mark.parametrize("model_type", ["flux.2-dev-lora", EDIT, "flux.1-lora", "sd-xl-lora"])
    def test_an_image_type_learns_from_pictures(self, pictures, recordings, model_type):
        check_kind(pictures, model_type)
        with pytest.raises(InvalidInputError, match=rf"'a\.mp3' is a recording; {model_type} learns from images"):
            check_kind(recordings, model_type)

    def test_a_voice_learns_from_recordings(self, pictures, recordings):
        check_kind(recordings, "elevenlabs-voice")
        with pytest.raises(InvalidInputError, match=r"'a\.png' is an image; elevenlabs-voice learns from recordings"):
            check_kind(pictures, "elevenlabs-voice")

    @pytest.mark.parametrize("model_type", ["a-type-of-next-year", None, "flux.1-composition", ""])
    def test_nothing_is_said_of_a_type_that_may_learn_from_either(self, pictures, recordings, model_type):
        check_kind(pictures, model_type)
        check_kind(recordings, model_type)

    @pytest.mark.parametrize("model_type", ["elevenlabs-voice", "flux.2-dev-lora"])
    def test_of_an_asset_only_the_service_knows_the_kind(self, model_type):
        check_kind(Dataset(images=[DatasetImage(name="x", asset_id="asset_1")]), model_type)
