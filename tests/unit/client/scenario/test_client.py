from __future__ import annotations

import base64
import threading
from datetime import UTC, date, datetime, timedelta, timezone

import pytest

from airflow_provider_scenario.client import schema
from airflow_provider_scenario.client.errors import (
    AlreadyTrainingError,
    AlreadyTrainingImageError,
    InvalidInputError,
    NotFoundError,
    RequestRefusedError,
    ScenarioError,
    ServiceError,
)
from airflow_provider_scenario.client.scenario.client import UNSET, ScenarioClient
from airflow_provider_scenario.client.scenario.schemas import AssetWarning, TrainingImagePair
from airflow_provider_scenario.watch.decision import Snapshot
from tests.unit.client.conftest import READY

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 16
MODEL = {"model": {"id": "model_1", "status": "new"}}
IMAGE = {"trainingImage": {"id": "asset_1", "name": "a.png"}}
ALREADY = (400, {"reason": "The provided assetId is already a training image of this model"})
STARTED = {
    "job": {"jobId": "job_1", "status": "queued"},
    "model": {"id": "model_1", "status": "training"},
    "creativeUnitsCost": 1080,
    "creativeUnitsDiscount": 0,
    "costDetails": {"train-model": 1080},
}
QUOTED = (269, {"creativeUnitsCost": 1080, "creativeUnitsDiscount": 20, "costDetails": {"train-model": 1080}})

CALLS = [
    (
        lambda client: client.create_model(),
        MODEL,
        ("POST", "/v1/models", {}),
    ),
    (
        lambda client: client.create_model(
            name="hero",
            type="flux.2-dev-lora",
            short_description="s",
            class_slug="c",
            collection_ids=["x"],
            concepts=[{"model_id": "m", "scale": 1.5, "modelEpoch": "000001"}],
            base_model_id="b",
        ),
        MODEL,
        (
            "POST",
            "/v1/models",
            {
                "baseModelId": "b",
                "classSlug": "c",
                "collectionIds": ["x"],
                "concepts": [{"modelId": "m", "scale": 1.5, "modelEpoch": "000001"}],
                "name": "hero",
                "shortDescription": "s",
                "type": "flux.2-dev-lora",
            },
        ),
    ),
    (lambda client: client.get_model("model_1"), MODEL, ("GET", "/v1/models/model_1", None)),
    (
        lambda client: client.update_model("model_1", name="x", epoch=None, parameters={"nb_epochs": 3}),
        MODEL,
        ("PUT", "/v1/models/model_1", {"epoch": None, "name": "x", "parameters": {"nbEpochs": 3}}),
    ),
    (lambda client: client.update_model("model_1", name=UNSET), MODEL, ("PUT", "/v1/models/model_1", {})),
    (
        lambda client: client.get_models(["a", "b", "a"], minimal=True),
        {"models": []},
        ("POST", "/v1/models/get-bulk", {"minimal": True, "modelIds": ["a", "b"]}),
    ),
    (lambda client: client.delete_model("model_1"), {}, ("DELETE", "/v1/models/model_1", None)),
    (
        lambda client: client.update_tags("model_1", add=["a"], strict=False),
        {"added": ["a"], "deleted": []},
        ("PUT", "/v1/models/model_1/tags", {"add": ["a"], "strict": False}),
    ),
    (
        lambda client: client.get_description("model_1"),
        {"description": {"value": "# Hero"}},
        ("GET", "/v1/models/model_1/description", None),
    ),
    (
        lambda client: client.set_description("model_1", "# Hero"),
        {"description": {"value": "# Hero"}},
        ("PUT", "/v1/models/model_1/description", {"description": "# Hero"}),
    ),
    (
        lambda client: client.set_description("model_1", None),
        {"description": {"value": ""}},
        ("PUT", "/v1/models/model_1/description", {"description": None}),
    ),
    (
        lambda client: client.get_dataset_score("model_1"),
        {"modelId": "model_1", "score": 0.9, "status": "complete"},
        ("GET", "/v1/models/model_1/scores/training-dataset", None),
    ),
    (
        lambda client: client.add_training_image("model_1", data=PNG, name="a.png", preset="style"),
        IMAGE,
        (
            "POST",
            "/v1/models/model_1/training-images",
            {
                "data": "data:image/png;base64," + base64.b64encode(PNG).decode(),
                "name": "a.png",
                "preset": "style",
            },
        ),
    ),
    (
        lambda client: client.add_training_image("model_1", data=b"ID3", name="a.mp3", content_type="audio/mpeg"),
        IMAGE,
        (
            "POST",
            "/v1/models/model_1/training-images",
            {"data": "data:audio/mpeg;base64,SUQz", "name": "a.mp3"},
        ),
    ),
    (
        lambda client: client.replace_training_image("model_1", "asset_1", asset_id="asset_2"),
        IMAGE,
        ("PUT", "/v1/models/model_1/training-images/asset_1", {"assetId": "asset_2"}),
    ),
    (
        lambda client: client.delete_training_image("model_1", "asset_1"),
        {},
        ("DELETE", "/v1/models/model_1/training-images/asset_1", None),
    ),
    (
        lambda client: client.set_training_pairs(
            "model_1",
            [
                {"source_id": "a", "target_id": "b", "instruction": "red"},
                TrainingImagePair(source_id="c", target_id="d", instruction="blue"),
            ],
        ),
        {"count": 2, "pairs": [{"sourceId": "a"}]},
        (
            "PUT",
            "/v1/models/model_1/training-images/pairs",
            [
                {"sourceId": "a", "targetId": "b", "instruction": "red"},
                {"sourceId": "c", "targetId": "d", "instruction": "blue"},
            ],
        ),
    ),
    (
        lambda client: client.caption_asset("asset_1", "a hero"),
        {"asset": {"id": "asset_1"}},
        ("PUT", "/v1/assets/asset_1", {"description": "a hero"}),
    ),
    (lambda client: client.get_asset("asset_1"), {"asset": {"id": "asset_1"}}, ("GET", "/v1/assets/asset_1", None)),
    (lambda client: client.train("model_1", model=READY), STARTED, ("PUT", "/v1/models/model_1/train", {})),
    (
        lambda client: client.train("model_1", {"conceptPrompt": "hero", "nb_repeats": 20}, model=READY),
        STARTED,
        ("PUT", "/v1/models/model_1/train", {"parameters": {"conceptPrompt": "hero", "nbRepeats": 20}}),
    ),
    (
        lambda client: client.cancel_training("model_1"),
        MODEL,
        ("POST", "/v1/models/model_1/train/action", {"action": "cancel"}),
    ),
    (lambda client: client.get_job("job_1"), {"job": {"jobId": "job_1"}}, ("GET", "/v1/jobs/job_1", None)),
    (
        lambda client: client.download_model("model_1", epoch="000001"),
        {"jobId": "job_1"},
        ("POST", "/v1/models/model_1/download", {"modelEpoch": "000001"}),
    ),
    (lambda client: client.get_download("job_1"), {"jobId": "job_1"}, ("GET", "/v1/assets/download/job_1", None)),
]


@pytest.mark.parametrize(
    ("call", "answer", "sent"), CALLS, ids=lambda value: value[1] if isinstance(value, tuple) else ""
)
def test_a_call_is_one_request_to_its_endpoint(client, service, call, answer, sent):
    service.answers(answer)
    call(client)
    [request] = service.sent
    assert (request.method, request.path, request.body) == sent
    assert request.query == {"projectId": "proj_1"}


NOT_REPEATABLE = [
    lambda client: client.create_model(name="x"),
    lambda client: client.train("model_1", model=READY),
    lambda client: client.add_training_image("model_1", data=PNG, name="a.png"),
    lambda client: client.add_training_assets("model_1", ["asset_1"]),
    lambda client: client.replace_training_image("model_1", "asset_1", data=PNG, name="a.png"),
    lambda client: client.update_tags("model_1", add=["a"]),
    lambda client: client.download_model("model_1"),
]


@pytest.mark.parametrize("call", NOT_REPEATABLE)
@pytest.mark.parametrize("answer", [(500, {}), (200, b"lost")], ids=str)
def test_what_costs_or_would_be_there_twice_is_sent_once(client, service, call, answer):
    service.answers(answer)
    with pytest.raises(ServiceError) as caught:
        call(client)
    assert (len(service.sent), caught.value.maybe_done) == (1, True)


@pytest.mark.parametrize(
    "call",
    [
        lambda client: client.get_model("m"),
        lambda client: client.update_model("m", name="x"),
        lambda client: list(client.list_models()),
        lambda client: client.get_models(["m"]),
        lambda client: client.delete_model("m"),
        lambda client: client.update_tags("m", add=["a"], strict=False),
        lambda client: client.get_description("m"),
        lambda client: client.set_description("m", "x"),
        lambda client: client.get_dataset_score("m"),
        lambda client: client.delete_training_image("m", "a"),
        lambda client: client.set_training_pairs("m", []),
        lambda client: client.caption_asset("a", "x"),
        lambda client: client.get_asset("a"),
        lambda client: client.quote_training("m"),
        lambda client: client.cancel_training("m"),
        lambda client: client.get_job("j"),
        lambda client: list(client.list_jobs()),
        lambda client: client.get_download("j"),
        lambda client: list(client.list_projects()),
        lambda client: client.get_project("p"),
    ],
)
def test_what_is_the_same_when_sent_twice_is_sent_again(client, service, call):
    service.answers((503, {}))
    with pytest.raises(ServiceError) as caught:
        call(client)
    assert (len(service.sent), caught.value.maybe_done) == (4, False)


# Lists


def test_a_list_goes_on_through_short_and_empty_pages(client, service):
    service.answers(
        {"models": [{"id": "a"}], "nextPaginationToken": "1"},
        {"models": [], "nextPaginationToken": "2"},
        {"models": [], "nextPaginationToken": "3"},
        {"models": [{"id": "b"}], "nextPaginationToken": None},
    )
    assert [model.id for model in client.list_models()] == ["a", "b"]
    assert [sent.query.get("paginationToken") for sent in service.sent] == [None, "1", "2", "3"]


def test_a_list_that_leads_back_to_an_earlier_page_is_an_error_not_a_loop(client, service):
    service.answers(
        {"models": [{"id": "a"}], "nextPaginationToken": "1"},
        {"models": [], "nextPaginationToken": "2"},
        {"models": [], "nextPaginationToken": "1"},
    )
    with pytest.raises(ServiceError, match="has no end"):
        list(client.list_models())
    assert len(service.sent) == 3


def test_the_next_page_is_requested_only_when_it_is_needed(client, service):
    service.answers({"jobs": [{"jobId": "a"}], "nextPaginationToken": "1"})
    assert next(client.list_jobs()).job_id == "a"
    assert len(service.sent) == 1


def test_the_filters_are_sent_in_the_apis_spelling(client, service):
    service.answers({"models": []})
    list(
        client.list_models(
            page_size=500,
            sort_by="createdAt",
            created_after=datetime(2026, 7, 1, 10, tzinfo=UTC),
            types=["a", "b"],
            blacklisted=False,
            collection_id="c",
        )
    )
    assert service.sent[0].query == {
        "pageSize": "500",
        "sortBy": "createdAt",
        "createdAfter": "2026-07-01T10:00:00.000Z",
        "types": "a,b",
        "blacklisted": "false",
        "collectionId": "c",
        "projectId": "proj_1",
    }


@pytest.mark.parametrize(
    "call",
    [
        lambda client: client.list_models(pagesize=5),
        lambda client: client.list_jobs(model_id="m"),
        lambda client: client.get_models(["m"], all_images=True),
    ],
)
def test_an_unknown_filter_is_refused_because_the_service_would_ignore_it(client, service, call):
    with pytest.raises(TypeError, match="known: "):
        call(client)
    assert service.sent == []


HALF_AN_EMOJI = "\ud83d"


@pytest.mark.parametrize(
    "value",
    [
        HALF_AN_EMOJI,
        object(),
        {"a": 1},
        b"bytes",
        float("nan"),
        float("inf"),
        [HALF_AN_EMOJI],
        [object()],
        [["a"]],
        datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14))),
        HALF_AN_EMOJI * 10_000_000,
    ],
    ids=lambda value: repr(value).partition(" at 0x")[0][:40],
)
@pytest.mark.parametrize(
    ("field", "call"),
    [
        ("tags", lambda client, value: client.list_models(tags=value)),
        ("status", lambda client, value: client.list_models(status=value)),
        ("collection_id", lambda client, value: client.list_models(collection_id=value)),
        ("created_after", lambda client, value: client.list_models(created_after=value)),
        ("page_size", lambda client, value: client.list_jobs(page_size=value)),
        ("author_id", lambda client, value: client.list_jobs(author_id=value)),
        ("types", lambda client, value: client.list_jobs(types=value)),
    ],
)
def test_a_filter_that_cannot_be_sent_is_refused_by_its_name(client, service, field, call, value):
    with pytest.raises(InvalidInputError, match=f"^{field} is ") as caught:
        call(client, value)
    assert (service.sent, len(str(caught.value)) < 1000) == ([], True)


@pytest.mark.parametrize(
    ("value", "sent"),
    [("50", "50"), (50, "50"), (True, "true"), (date(2026, 3, 1), "2026-03-01"), (["a", 1], "a,1"), ({"a"}, "a")],
)
def test_a_filter_may_be_text_a_number_a_date_or_a_list(client, service, value, sent):
    service.answers({"jobs": []})
    list(client.list_jobs(types=value))
    assert service.sent[0].query["types"] == sent


@pytest.mark.parametrize(
    ("field", "call"),
    [
        ("name", lambda client: client.create_model(name=HALF_AN_EMOJI)),
        ("short_description", lambda client: client.update_model("m", short_description=f"a {HALF_AN_EMOJI}")),
        ("add[1]", lambda client: client.update_tags("m", add=["a", HALF_AN_EMOJI])),
        ("description", lambda client: client.caption_asset("a", HALF_AN_EMOJI)),
        (
            "concepts[0]: modelId",
            lambda client: client.create_model(concepts=[{"model_id": HALF_AN_EMOJI, "scale": 1}]),
        ),
        ("name", lambda client: client.add_training_image("m", data=PNG, name=HALF_AN_EMOJI)),
        (
            "parameters: sample_prompts",
            lambda client: client.train("m", {"sample_prompts": ["a", HALF_AN_EMOJI]}, model=READY),
        ),
        (
            "[0].instruction",
            lambda client: client.set_training_pairs(
                "m", [{"source_id": "a", "target_id": "b", "instruction": HALF_AN_EMOJI}]
            ),
        ),
    ],
)
def test_half_an_emoji_in_a_body_is_refused_by_the_name_of_its_field(client, service, field, call):
    with pytest.raises(InvalidInputError) as caught:
        call(client)
    assert f"{field} is not valid Unicode" in str(caught.value)
    assert service.sent == []


LONG = "x" * 10_000_000


@pytest.mark.parametrize(
    "call",
    [
        lambda client: client.get_model(LONG),
        lambda client: client.get_model([LONG]),
        lambda client: client.get_models(LONG),
        lambda client: client.get_models([[LONG]]),
        lambda client: client.add_training_image("m", data=b"?", name=LONG),
        lambda client: client.list_models(tags=[[LONG]]),
        lambda client: client.create_model(name=LONG),
        lambda client: client.get_model("m", original_assets=LONG),
    ],
)
def test_no_message_repeats_ten_megabytes_of_input(client, service, call):
    service.answers((400, {"reason": "too long"}))
    with pytest.raises(ScenarioError) as caught:
        call(client)
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize("value", [True, 5, None, b"a", {"a": 1}, [1], [["a"]], [None]], ids=repr)
def test_a_value_that_is_not_a_list_of_texts_is_refused_by_its_name(client, service, value):
    with pytest.raises(InvalidInputError, match=r"^model_ids must be a list"):
        client.get_models(value)
    assert service.sent == []


@pytest.mark.parametrize("value", ["true", "", 1, 0, [True]])
def test_a_switch_is_true_or_false(client, service, value):
    for switch in ("minimal", "original_assets"):
        with pytest.raises(InvalidInputError, match=f"^{switch} is .* give True or False"):
            client.get_models(["m"], **{switch: value})
    assert service.sent == []


def test_a_warning_names_a_status_filter_that_the_service_ignores(client, service, caplog, monkeypatch):
    monkeypatch.setattr(schema, "_warned", set())
    service.answers({"models": []})
    list(client.list_models(status="training-canceled"))
    assert "ignores the status filter 'training-canceled'" in caplog.text


@pytest.mark.parametrize("answer", [{}, {"models": None}, {"models": {"a": 1}}])
def test_an_answer_without_its_list_is_unreadable_not_empty(client, service, answer):
    service.answers(answer)
    with pytest.raises(ServiceError, match="no list of models"):
        list(client.list_models())


def test_many_models_are_read_fifty_a_call(client, service):
    service.answers({"models": [{"id": "a"}]}, {"models": []}, {"models": [{"id": "b"}]})
    found = client.get_models((f"model_{n}" for n in range(101)), all_training_images=True)
    assert [model.id for model in found] == ["a", "b"]
    assert [len(sent.body["modelIds"]) for sent in service.sent] == [50, 50, 1]


def test_who_asks_for_the_status_reads_a_model_in_full_only_when_it_is_not_being_trained_any_more(client, service):
    """What is not read is not kept: answers of thousands would make garbage collections long."""
    progress = {"stage": "running-train", "progress": 0.4, "remainingTimeMs": 1000}
    more = {"parameters": {"nbEpochs": 3}, "trainingImages": [{"id": "i"}], "tags": ["t"], "epochs": [{"epoch": "1"}]}
    models = [
        {"id": "a", "name": "A", "status": "training", "jobId": "job_a", "trainingProgress": progress, **more},
        {"id": "b", "name": "B", "status": "trained", "jobId": "job_b", "trainingProgress": progress, **more},
        "odd",
    ]
    service.answers({"models": models}, {"models": models})
    training, trained = client.get_models(["a", "b", "c"], only_status=True)
    in_full = client.get_models(["a", "b", "c"])
    assert trained == in_full[1]
    assert Snapshot.of_model(training) == Snapshot.of_model(in_full[0])
    assert (training.parameters, training.training_images, training.tags, training.epochs) == ({}, [], [], [])


def test_no_models_are_read_without_a_call(client, service):
    assert client.get_models([]) == []
    assert service.sent == []


@pytest.mark.parametrize(
    "call",
    [
        lambda client: client.get_models("model_1"),
        lambda client: client.add_training_assets("model_1", "asset_1"),
        lambda client: client.update_tags("model_1", add="tag"),
        lambda client: client.create_model(collection_ids="collection_1"),
    ],
)
def test_a_text_is_not_read_as_a_list_of_letters(client, service, call):
    with pytest.raises(InvalidInputError, match="a list"):
        call(client)
    assert service.sent == []


# Datasets


def test_assets_go_ten_a_call_and_a_single_one_under_its_own_name(client, service):
    service.answers(IMAGE)
    client.add_training_assets("m", [f"asset_{n}" for n in range(21)], preset="style")
    assert [list(sent.body) for sent in service.sent] == [["assetIds", "preset"]] * 2 + [["assetId", "preset"]]
    assert [len(sent.body.get("assetIds", [])) for sent in service.sent] == [10, 10, 0]


def test_assets_of_which_one_is_there_already_go_one_by_one(client, service):
    service.answers(ALREADY, IMAGE, ALREADY, IMAGE)
    client.add_training_assets("m", ["a", "b", "a", "c"])
    assert [sent.body for sent in service.sent] == [
        {"assetIds": ["a", "b", "c"]},
        {"assetId": "a"},
        {"assetId": "b"},
        {"assetId": "c"},
    ]


def test_an_asset_that_is_there_already_counts_as_put_there(client, service):
    service.answers(ALREADY)
    client.add_training_assets("m", ["a"])
    assert len(service.sent) == 1


def test_the_batch_answer_is_not_trusted(client, service):
    service.answers({"anything": 1})
    client.add_training_assets("m", ["a", "b"])


def test_an_uploaded_image_that_the_dataset_has_raises(client, service):
    service.answers(ALREADY)
    with pytest.raises(AlreadyTrainingImageError):
        client.add_training_image("m", data=PNG, name="a.png")


def test_data_that_is_not_an_image_is_not_sent_without_a_content_type(client, service):
    with pytest.raises(InvalidInputError, match=r"'a\.txt'"):
        client.add_training_image("m", data=b"hello", name="a.txt")
    assert service.sent == []


@pytest.mark.parametrize("wrong", [{}, {"data": PNG}, {"name": "a"}, {"data": PNG, "name": "a", "asset_id": "b"}])
def test_an_image_is_replaced_by_a_file_or_by_an_asset(client, service, wrong):
    with pytest.raises(InvalidInputError):
        client.replace_training_image("m", "i", **wrong)
    assert service.sent == []


# Training


def test_a_started_training_tells_its_job_and_its_price(client, service):
    service.answers(STARTED)
    started = client.train("model_1", model=READY)
    assert (started.job.job_id, started.creative_units_cost, started.cost_details) == (
        "job_1",
        1080,
        {"train-model": 1080},
    )
    assert started.model is not None
    assert started.model.status == "training"


def test_a_training_is_checked_against_the_model_before_it_is_requested(client, service, caplog):
    service.answers(
        {"model": {"id": "model_1", "status": "new", "type": "zimage-lora", "trainingImagesNumber": 4}}, STARTED
    )
    client.train("model_1", {"concept_prompt": "x" * 21})
    assert [request.method for request in service.sent] == ["GET", "PUT"]
    assert "Training model_1: parameters: concept_prompt" in caplog.text
    assert "Training model_1: The dataset has 4 images; 5 to 15 are recommended." in caplog.text


@pytest.mark.parametrize(
    ("model", "parameters"),
    [
        ({"type": "flux.1-lora", "trainingImagesNumber": 10}, {"dryRun": True}),
        ({"type": "flux.1-lora", "trainingImagesNumber": 10}, {"nb_epoch": 3}),
        ({"type": "flux.1-lora", "trainingImagesNumber": 10}, {"age": "young"}),
        ({"type": "flux.1-lora", "trainingImagesNumber": 10}, ""),
        ({"type": "flux.2-dev-lora", "trainingImagesNumber": 10}, {"concept_prompt": "x" * 21}),
        ({"type": "flux.1-lora"}, None),
        ({"type": "flux.1-composition"}, None),
        ({"type": "flux.2-dev-edit-lora", "trainingImagesNumber": 10}, None),
    ],
)
def test_a_training_that_would_be_refused_or_a_mistake_is_never_requested(client, service, model, parameters):
    service.answers({"model": {"id": "model_1", "status": "new", **model}})
    with pytest.raises(InvalidInputError):
        client.train("model_1", parameters)
    assert [request.method for request in service.sent] == ["GET"]


@pytest.mark.parametrize(
    "fields",
    [
        {"name": ""},
        {"name": "x" * 65},
        {"short_description": "x" * 257},
        {"class_slug": 5},
        {"class_slug": ""},
        {"thumbnail": "a/b"},
        {"epoch": True},
        {"prompt_embedding": 5},
        {"negative_prompt_embedding": ["x"]},
        {"parameters": ""},
        {"parameters": {"nb_epochs": "many"}},
        {"concepts": [{"scale": 1}]},
        {"type": ""},
        {"name": "\ud800"},
    ],
)
def test_a_wrong_field_of_a_model_is_refused_before_anything_is_sent(client, service, fields):
    with pytest.raises(InvalidInputError):
        client.update_model("model_1", **fields)
    assert service.sent == []


@pytest.mark.parametrize("tier", [None, "", "false", "True", "api ", True, False, 0, []])
def test_a_quote_is_never_sent_without_the_word_that_makes_it_one(client, service, tier):
    with pytest.raises(InvalidInputError, match="tier is"):
        client.quote_training("model_1", tier=tier)
    assert service.sent == []


@pytest.mark.parametrize("count", [-1, 1.5, True, "abc", "5"])
def test_a_quote_is_for_a_whole_number_of_images(client, service, count):
    with pytest.raises(InvalidInputError, match="training_images_count is"):
        client.quote_training("model_1", training_images_count=count)
    assert service.sent == []


@pytest.mark.parametrize(
    "pairs",
    [
        [None],
        [{}],
        [{"instruction": "x"}],
        [{"source": "a", "target": "b"}],
        [{"source_id": "a", "target_id": "b"}, {"source_id": "a", "target_id": "b", "instruction": " "}],
    ],
)
def test_pairs_that_are_none_never_replace_those_that_are_there(client, service, pairs):
    with pytest.raises(InvalidInputError, match="pairs"):
        client.set_training_pairs("model_1", pairs)
    assert service.sent == []


@pytest.mark.parametrize(
    "fields", [{"collection_ids": iter(["a"])}, {"concepts": iter([{"model_id": "a", "scale": 1}])}]
)
def test_an_iterator_is_refused_since_the_check_would_empty_it(client, service, fields):
    with pytest.raises(InvalidInputError, match="list"):
        client.create_model(name="x", **fields)
    assert service.sent == []


def test_an_update_sends_what_a_template_has_made_text_of_as_the_api_has_it(client, service):
    service.answers(MODEL)
    client.update_model("model_1", epoch=3, parameters={"nb_epochs": "4", "extra_parameters": {"nbEpoch": 1}})
    assert service.sent[0].body == {"epoch": "000003", "parameters": {"nbEpochs": 4, "nbEpoch": 1}}


@pytest.mark.parametrize(
    "answer",
    [
        {"job": {"id": "job_1", "type": "musubi-model-training"}, "creativeUnits": {"estimatedCreativeUnits": 150}},
        {"job": {"jobId": None, "id": "job_1", "jobType": "", "type": "musubi-model-training"}, "estimatedCost": 150},
        {
            "job": {"jobId": "job_1", "jobType": "musubi-model-training"},
            "creativeUnitsCost": None,
            "creativeUnits": {"estimatedCreativeUnits": 150},
        },
        {"jobId": "job_1", "job": {"jobType": "musubi-model-training"}, "creativeUnitsCost": 150},
    ],
    ids=["the guide's answer", "null in one spelling", "a mix", "the job's id alone"],
)
def test_a_started_training_is_read_in_every_spelling(client, service, answer):
    service.answers(answer)
    started = client.train("model_1", model=READY)
    assert (started.job.job_id, started.job.job_type) == ("job_1", "musubi-model-training")
    assert started.creative_units_cost == 150


@pytest.mark.parametrize("job", [{}, {"job": None}, {"job": {}}])
def test_a_training_that_only_the_model_tells_of_is_started(client, service, job):
    service.answers({**job, "model": {"id": "model_1", "status": "training", "jobId": "job_1"}})
    assert client.train("model_1", model=READY).job.job_id == "job_1"


def test_a_dry_run_of_a_model_in_training_is_not_read_as_a_started_training(client, service):
    service.answers((269, {"model": {"id": "model_1", "status": "training", "jobId": "job_1"}, "creativeUnitsCost": 5}))
    with pytest.raises(ServiceError, match="without a job"):
        client.train("model_1", model=READY)


def test_a_job_is_read_in_either_spelling(client, service):
    service.answers({"job": {"id": "job_1", "type": "upload"}}, {"jobs": [{"id": "job_2", "status": "Succeeded"}]})
    job = client.get_job("job_1")
    [listed] = client.list_jobs()
    assert (job.job_id, job.job_type, listed.job_id, listed.status) == ("job_1", "upload", "job_2", "success")


@pytest.mark.parametrize("answer", [{"jobId": "job_1"}, {"job": {"id": "job_1"}}, {"job": {"jobId": "job_1"}}])
def test_the_job_of_a_download_is_read_in_either_spelling(client, service, answer):
    service.answers(answer)
    assert client.download_model("model_1") == "job_1"


def test_a_dataset_that_cannot_be_read_fails_who_needs_it_and_not_who_only_waits(client, service):
    service.answers({"model": {"id": "model_1", "status": "trained", "trainingImages": [{"id": None}]}})
    with pytest.raises(ServiceError, match="trainingImages"):
        client.get_model("model_1")
    assert client.get_model("model_1", only_status=True).status == "trained"


def test_a_second_training_is_refused_by_name(client, service):
    service.answers((400, {"reason": "Model is already training"}))
    with pytest.raises(AlreadyTrainingError, match="billed nothing"):
        client.train("model_1", model=READY)


@pytest.mark.parametrize(
    ("answer", "maybe_done"),
    [
        (QUOTED, False),
        ((200, {}), True),
        ((200, {"job": None, "model": {"id": "m"}}), True),
        ((200, {"job": {}, "model": {"id": "m"}}), True),
        ((200, {"job": {"jobId": ""}}), True),
        ((204, b""), True),
    ],
    ids=str,
)
def test_an_answer_without_a_job_is_not_read_as_a_started_training(client, service, answer, maybe_done):
    service.answers(answer)
    with pytest.raises(ServiceError, match="without a job") as caught:
        client.train("model_1", model=READY)
    assert caught.value.maybe_done is maybe_done


def test_a_training_the_copyright_check_blocks_is_refused(client, service):
    service.answers((200, {"ipDetection": {"action": "blocked", "creativeUnitsCharged": 3}}))
    with pytest.raises(RequestRefusedError, match="may be billed \\(3 creative units\\)"):
        client.train("model_1", model=READY)


def test_a_started_training_with_an_unreadable_model_is_still_started(client, service):
    service.answers({**STARTED, "model": {"id": None}})
    assert client.train("model_1", model=READY).job.job_id == "job_1"


def test_a_quote_asks_in_the_query_and_spends_nothing(client, service):
    service.answers(QUOTED)
    quote = client.quote_training("model_1", {"nb_epochs": 3}, training_images_count=18, tier="api")
    assert (quote.creative_units_cost, quote.creative_units_discount) == (1080, 20)
    [sent] = service.sent
    assert (sent.method, sent.path, sent.body) == (
        "PUT",
        "/v1/models/model_1/train",
        {"parameters": {"nbEpochs": 3}},
    )
    assert sent.query == {"dryRun": "api", "trainingImagesCount": "18", "projectId": "proj_1"}


@pytest.mark.parametrize(
    "answer",
    [
        (269, {"creativeUnitsCost": 5}),
        (269, {"creativeUnitsCost": 5, "job": {}}),
        (269, {"creativeUnitsCost": 5, "job": None}),
        (200, {"creativeUnitsCost": 5.0}),
        (402, {"creativeUnitsCost": 5}),
        (402, {"estimatedCost": 5}),
        (200, {"creativeUnits": {"estimatedCreativeUnits": 5}}),
    ],
    ids=str,
)
def test_a_price_is_found_in_every_answer_that_names_one(client, service, answer):
    service.answers(answer)
    assert client.quote_training("m").creative_units_cost == 5


def test_a_free_training_has_a_price_of_nothing(client, service):
    service.answers((269, {"creativeUnitsCost": 0}))
    assert client.quote_training("m").creative_units_cost == 0


@pytest.mark.parametrize(
    "answer", [(269, {}), (200, {"creativeUnitsCost": "many"}), (402, {"message": "pay"})], ids=str
)
def test_an_answer_without_a_price_is_not_read_as_a_quote(client, service, answer):
    service.answers(answer)
    with pytest.raises(ServiceError, match="names no price"):
        client.quote_training("m")


@pytest.mark.parametrize("answer", [STARTED, {"jobId": "job_1"}, {"job": {"id": "job_1"}, "creativeUnitsCost": 5}])
def test_a_quote_that_starts_a_training_is_an_error_about_money(client, service, answer):
    service.answers(answer)
    with pytest.raises(ServiceError, match="started job job_1, which is billed") as caught:
        client.quote_training("m")
    assert (caught.value.money, caught.value.maybe_done) == ("spent", True)


# The rest


@pytest.mark.parametrize("answer", [{}, {"description": None}, {"description": {}}, {"description": {"value": None}}])
def test_a_model_without_a_page_has_an_empty_one(client, service, answer):
    service.answers(answer)
    assert client.get_description("model_1") == ""


def test_a_score_of_another_shape_says_what_can_be_read(client, service):
    service.answers({"score": 1.02, "assetsWarnings": [{"message": "Missing caption"}], "details": None, "new": 1})
    score = client.get_dataset_score("model_1")
    assert (score.score, score.status, score.asset_couples_warnings, score.details) == (1.0, None, [], {})
    assert score.assets_warnings == [AssetWarning(asset_id=None, message=[])]


def test_projects_are_requested_without_a_project(client, service):
    service.answers({"projects": [{"id": "proj_1", "name": "Heroes"}]})
    assert [project.name for project in client.list_projects()] == ["Heroes"]
    service.answers({"project": {"id": "proj_1"}})
    assert client.get_project("proj_1").id == "proj_1"
    assert [(sent.path, sent.query) for sent in service.sent] == [("/v1/projects", {}), ("/v1/projects/proj_1", {})]


def test_what_is_not_there_is_called_by_name(client, service):
    service.answers((404, {"reason": "Model model_9 not found"}))
    with pytest.raises(NotFoundError) as caught:
        client.get_model("model_9")
    assert str(caught.value).startswith("Scenario refused to read model model_9: Model model_9 not found.")


@pytest.mark.parametrize("answer", [{}, {"model": None}, {"model": {"name": "x"}}])
def test_an_answer_without_its_object_is_unreadable(client, service, answer):
    service.answers(answer)
    with pytest.raises(ServiceError, match="unreadable"):
        client.get_model("m")


def test_a_client_closes_what_it_has_opened():
    with ScenarioClient.connect(api_key="key", api_secret="secret", project_id="p", max_tries=1) as client:
        assert repr(client) == "ScenarioClient(Transport('https://api.cloud.scenario.com/v1', project_id='p'))"


def test_one_client_serves_many_threads(client, service):
    service.answers(MODEL)
    threads = [threading.Thread(target=client.get_model, args=("model_1",)) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(service.sent) == 20
