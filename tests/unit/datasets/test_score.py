from __future__ import annotations

from airflow_provider_scenario.client.errors import ServiceError
from airflow_provider_scenario.client.scenario.schemas import DatasetScore, Model
from airflow_provider_scenario.datasets.score import dataset_warnings
from airflow_provider_scenario.hooks.scenario import ScenarioHook

MODEL = {
    "id": "model_1",
    "trainingImages": [{"id": f"asset_{letter}", "name": f"{letter}.png"} for letter in "abcde"] + [{"id": "asset_x"}],
    "trainingImagePairs": [{"sourceId": "asset_a", "targetId": "asset_b", "instruction": "at night"}],
}


class Scored:
    """A client that knows one model and what the service thinks of its dataset."""

    def __init__(self, images=(), couples=(), model=MODEL):
        self.answer = {
            "assetsWarnings": [{"assetId": f"asset_{image}", "message": said} for image, said in images],
            "assetCouplesWarnings": [
                {"couple": [f"asset_{one}", f"asset_{other}"], "message": [said]} for (one, other), said in couples
            ],
        }
        self.model = model
        self.asked = []

    def get_dataset_score(self, model_id):
        self.asked.append("score")
        if isinstance(self.answer, Exception):
            raise self.answer
        return DatasetScore.read(self.answer, action="score")

    def get_model(self, model_id):
        self.asked.append("model")
        return Model.read(self.model, action="read")


def test_a_dataset_with_nothing_against_it_has_no_warnings_and_costs_one_request():
    client = Scored()
    assert dataset_warnings(client, "model_1") == []
    assert client.asked == ["score"]


def test_each_flaw_is_one_line_with_the_names_of_its_images():
    small, missing, empty = "Width and height must be larger than 1024", "Missing caption", "Empty caption"
    client = Scored(images=[("a", [small, missing]), ("b", [small]), ("x", [small]), ("c", [empty])])
    assert dataset_warnings(client, "model_1") == [
        "Dataset: 3 images smaller than the recommended 1024 pixels on a side: a.png, asset_x, b.png.",
        "Dataset: 1 image without a caption: a.png.",
        "Dataset: 1 image with an empty caption: c.png.",
    ]


def test_what_was_said_before_the_upload_is_not_said_again():
    small, missing = "Width and height must be larger than 1024", "Missing caption"
    client = Scored(images=[("a", [small, missing])], couples=[("ab", "Same asset")])
    assert dataset_warnings(client, "model_1", already_logged={small, "Same asset"}) == [
        "Dataset: 1 image without a caption: a.png."
    ]


def test_images_that_are_alike_are_shown_together():
    identical = "Captions are identical"
    client = Scored(couples=[("ab", identical), ("de", identical), ("bc", identical), ("ac", identical)])
    assert dataset_warnings(client, "model_1") == [
        "Dataset: 5 images with identical captions: a.png = b.png = c.png, d.png = e.png."
    ]


def test_source_and_target_of_an_edit_may_be_alike_but_not_the_same():
    client = Scored(couples=[("ab", "Similarity is too high"), ("bc", "Similarity is too high"), ("ab", "Same asset")])
    assert dataset_warnings(client, "model_1") == [
        "Dataset: 2 images that are too alike: b.png = c.png.",
        "Dataset: 2 images that are the same: a.png = b.png.",
    ]


def test_a_flaw_of_next_month_is_told_in_the_services_words():
    assert dataset_warnings(Scored(images=[("a", ["Too blue"])]), "model_1") == [
        "Dataset: 1 image about which Scenario says 'Too blue': a.png."
    ]


def test_a_long_list_of_images_is_cut():
    model = {"id": "model_1", "trainingImages": [{"id": f"asset_{n}", "name": f"{n:02d}.png"} for n in range(13)]}
    client = Scored(images=[(str(n), ["Missing caption"]) for n in range(13)], model=model)
    (line,) = dataset_warnings(client, "model_1")
    assert line.startswith("Dataset: 13 images without a caption: 00.png, 01.png")
    assert line.endswith("09.png and 3 more.")


def test_a_model_that_was_read_already_is_not_read_again():
    client = Scored(images=[("a", ["Missing caption"])])
    dataset_warnings(client, "model_1", model=Model.read(MODEL, action="read"))
    assert client.asked == ["score"]


def test_a_score_that_cannot_be_had_is_no_warning_and_no_error(caplog):
    client = Scored()
    client.answer = ServiceError("down", maybe_done=False)
    with caplog.at_level("DEBUG"):
        assert dataset_warnings(client, "model_1") == []
    assert [record.levelname for record in caplog.records] == ["DEBUG"]


def test_the_service_is_asked_and_understood(emulator, datasets):
    client = ScenarioHook().client
    model = client.create_model(name="ink", type="flux.2-dev-lora")
    one, other = (path.read_bytes() for path in sorted((datasets / "ink-style").glob("*.jpg"))[:2])
    for name, data, caption in (("one", one, "a boat"), ("again", one, "the boat"), ("other", other, "a boat")):
        client.caption_asset(client.add_training_image(model.id, data=data, name=name).id, caption)
    assert dataset_warnings(client, model.id)[-2:] == [
        "Dataset: 2 images that are the same: again = one.",
        "Dataset: 2 images with identical captions: one = other.",
    ]


def test_a_service_without_scores_is_no_error(emulator):
    emulator.fault(kind="status", method="GET", route="/models/*/scores/training-dataset", status=403, times=1)
    assert dataset_warnings(ScenarioHook().client, "model_1") == []
