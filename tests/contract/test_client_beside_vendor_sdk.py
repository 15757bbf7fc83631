"""Our client beside the vendor's own: they send the same requests, and read the same out of the same answers."""

from __future__ import annotations

import base64
import inspect
import json
from datetime import UTC, datetime
from operator import attrgetter
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
import scenario_sdk
from scenario_sdk import Scenario, types
from scenario_sdk.types.assets import download_get_status_response
from scenario_sdk.types.models import (
    description_retrieve_response,
    score_retrieve_training_dataset_response,
    train_trigger_params,
    train_trigger_response,
)

from airflow_provider_scenario.client.errors import (
    InvalidInputError,
    NotFoundError,
    PlanCeilingError,
    ServiceError,
)
from airflow_provider_scenario.client.scenario import models, schemas, training
from airflow_provider_scenario.client.scenario.client import ScenarioClient
from airflow_provider_scenario.client.scenario.parameters import PARAMETERS
from airflow_provider_scenario.client.scenario.schemas import TrainingImagePair
from airflow_provider_scenario.client.values import camel_case
from tests.contract.wire import Call, Recorder, Reply, Sent, api_names, differences, forward_to, recorder, repeat

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_scenario.emulator.server import RunningEmulator

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
DATA_URL = f"data:image/png;base64,{base64.b64encode(PNG).decode()}"
M, A, J, U = "model_8XkR-1_a", "asset_GTrL3mq4", "job_ocZCnG1D", "upload_5Jm-2"
UPLOAD = {"file_name": "ä.png", "content_type": "image/png", "kind": "image", "file_size": 20_000_001, "parts": 3}
IDS = [f"model_{number}" for number in range(120)]
ASSETS = [f"asset_{number}" for number in range(21)]
CONCEPT = {"model_id": "model_b", "scale": 0.8, "model_epoch": "000003"}
PAIR = {"source_id": "asset_a", "target_id": "asset_b", "instruction": "at night – bei Nacht"}


def a_value_of(name):
    parameter = PARAMETERS[camel_case(name)]
    numbers = {"a number": 0.0005, "a whole number": max(1, int(parameter.minimum or 0))}
    others = {"text": next(iter(parameter.choices), "a"), "true or false": True, "a list of text": ["a"]}
    return {**numbers, **others}[parameter.kind]


READY = schemas.Model(id=M, status="new", trainingImagesNumber=10)
"""As our caller has just read it: without it, ours reads the model first."""
EDITABLE = READY.model_copy(
    update={"type": "flux.2-dev-edit-lora", "training_image_pairs": [TrainingImagePair(**PAIR)] * 2}
)
EVERY_PARAMETER = {name: a_value_of(name) for name in train_trigger_params.Parameters.__annotations__}
NOON, NOON_TEXT = datetime(2026, 3, 1, 12, tzinfo=UTC), "2026-03-01T12:00:00.000Z"
ODD = "a b,c&d=e/ü+%"

# Ours, and what the vendor's client must be asked for the same. Where ours sends several requests: several calls.
CASES = [
    (Call("create_model"), Call("models.create")),
    (Call("create_model", name="Ritter – 騎士"), Call("models.create", name="Ritter – 騎士")),
    (Call("create_model", name="hero", type="zimage-lora"), Call("models.create", name="hero", type="zimage-lora")),
    (Call("create_model", short_description=""), Call("models.create", short_description="")),
    (Call("create_model", class_slug="c", base_model_id="b"), Call("models.create", class_slug="c", base_model_id="b")),
    (Call("create_model", collection_ids=["x", "y"]), Call("models.create", collection_ids=["x", "y"])),
    (Call("create_model", concepts=[CONCEPT]), Call("models.create", concepts=[CONCEPT])),
    (Call("create_model", concepts=[]), Call("models.create", concepts=[])),
    (Call("create_model", name="x", original_assets=True), Call("models.create", name="x", original_assets=True)),
    (Call("get_model", M), Call("models.retrieve", M)),
    (Call("get_model", M, original_assets=True, only_status=True), Call("models.retrieve", M, original_assets=True)),
    (Call("get_model", M, original_assets=False), Call("models.retrieve", M, original_assets=False)),
    (Call("get_model", "größe"), Call("models.retrieve", "größe")),
    (Call("update_model", M), Call("models.update", M)),
    (Call("update_model", M, name="x", type="zimage-lora"), Call("models.update", M, name="x", type="zimage-lora")),
    (Call("update_model", M, epoch=None, thumbnail=None), Call("models.update", M, epoch=None, thumbnail=None)),
    (Call("update_model", M, epoch="000003", thumbnail=A), Call("models.update", M, epoch="000003", thumbnail=A)),
    (Call("update_model", M, class_slug=None, concepts=[]), Call("models.update", M, class_slug=None, concepts=[])),
    (Call("update_model", M, class_slug="c", concepts=[CONCEPT]),
     Call("models.update", M, class_slug="c", concepts=[CONCEPT])),
    (Call("update_model", M, prompt_embedding="p", negative_prompt_embedding="n", short_description="s"),
     Call("models.update", M, prompt_embedding="p", negative_prompt_embedding="n", short_description="s")),
    (Call("update_model", M, parameters={"nb_epochs": 3}), Call("models.update", M, parameters={"nb_epochs": 3})),
    (Call("update_model", M, name="x", original_assets=True),
     Call("models.update", M, name="x", original_assets=True)),
    (Call("list_models"), Call("models.list")),
    (Call("list_models", page_size=500, sort_by="createdAt", sort_direction="asc"),
     Call("models.list", page_size=500, sort_by="createdAt", sort_direction="asc")),
    (Call("list_models", status="new", collection_id="c"), Call("models.list", status="new", collection_id="c")),
    (Call("list_models", privacy="public", types=["flux.1", "custom"]),
     Call("models.list", privacy="public", types=["flux.1", "custom"])),
    (Call("list_models", type="flux.1-lora", tags=["a", "b"]), Call("models.list", type="flux.1-lora", tags="a,b")),
    (Call("list_models", tags=ODD, collection_ids=["x", "y"]), Call("models.list", tags=ODD, collection_ids="x,y")),
    (Call("list_models", created_after=NOON, created_before=NOON_TEXT),
     Call("models.list", created_after=NOON_TEXT, created_before=NOON_TEXT)),
    (Call("list_models", updated_after=NOON_TEXT, updated_before=NOON),
     Call("models.list", updated_after=NOON_TEXT, updated_before=NOON_TEXT)),
    (Call("list_models", blacklisted=True, loaded_only=False, original_assets=False),
     Call("models.list", blacklisted=True, loaded_only=False, original_assets=False)),
    (Call("get_models", [M], only_status=True), Call("models.get_bulk", model_ids=[M])),
    (Call("get_models", ["a", "b", "a"], minimal=True), Call("models.get_bulk", model_ids=["a", "b"], minimal=True)),
    (Call("get_models", [M], thumbnail=True, settings=False, all_training_images=True, training_images_preview=False),
     Call("models.get_bulk", model_ids=[M], thumbnail=True, settings=False, all_training_images=True,
          training_images_preview=False)),
    (Call("get_models", [M], original_assets=True), Call("models.get_bulk", model_ids=[M], original_assets=True)),
    (Call("get_models", IDS), *(Call("models.get_bulk", model_ids=IDS[at : at + 50]) for at in (0, 50, 100))),
    (Call("delete_model", M), Call("models.delete", M)),
    (Call("update_tags", M, add=["a", "ü b"]), Call("models.update_tags", M, add=["a", "ü b"])),
    (Call("update_tags", M, delete=["a"], strict=True), Call("models.update_tags", M, delete=["a"], strict=True)),
    (Call("update_tags", M, add=["a"], delete=["b"], strict=False),
     Call("models.update_tags", M, add=["a"], delete=["b"], strict=False)),
    (Call("get_description", M), Call("models.description.retrieve", M)),
    (Call("get_description", M, original_assets=True),
     Call("models.description.retrieve", M, original_assets=True)),
    (Call("set_description", M, "x", original_assets=False),
     Call("models.description.update", M, description="x", original_assets=False)),
    (Call("set_description", M, "# Ritter – 騎士\n{asset:asset_1}"),
     Call("models.description.update", M, description="# Ritter – 騎士\n{asset:asset_1}")),
    (Call("set_description", M, None), Call("models.description.update", M, description=None)),
    (Call("get_dataset_score", M), Call("models.scores.retrieve_training_dataset", M)),
    (Call("add_training_image", M, data=PNG, name="a.png"),
     Call("models.training_images.add", M, data=DATA_URL, name="a.png")),
    (Call("add_training_image", M, data=b"ID3", name="ä.mp3", content_type="audio/mpeg", preset="subject"),
     Call("models.training_images.add", M, data="data:audio/mpeg;base64,SUQz", name="ä.mp3", preset="subject")),
    (Call("add_training_image", M, data=PNG, name="a.png", original_assets=True),
     Call("models.training_images.add", M, data=DATA_URL, name="a.png", original_assets=True)),
    (Call("add_training_assets", M, [A]), Call("models.training_images.add", M, asset_id=A)),
    (Call("add_training_assets", M, ["a", "b", "a"], preset="style"),
     Call("models.training_images.add", M, asset_ids=["a", "b"], preset="style")),
    (Call("add_training_assets", M, ASSETS),
     *(Call("models.training_images.add", M, asset_ids=ASSETS[at : at + 10]) for at in (0, 10)),
     Call("models.training_images.add", M, asset_id=ASSETS[20])),
    (Call("replace_training_image", M, A, asset_id="asset_b", preset="default"),
     Call("models.training_images.replace", A, model_id=M, asset_id="asset_b", preset="default")),
    (Call("replace_training_image", M, A, data=PNG, name="a.png", content_type="image/png"),
     Call("models.training_images.replace", A, model_id=M, data=DATA_URL, name="a.png")),
    (Call("replace_training_image", M, A, asset_id="asset_b", original_assets=True),
     Call("models.training_images.replace", A, model_id=M, asset_id="asset_b", original_assets=True)),
    (Call("delete_training_image", M, A), Call("models.training_images.delete", A, model_id=M)),
    (Call("set_training_pairs", M, [PAIR]), Call("models.training_images.replace_pairs", M, body=[PAIR])),
    (Call("set_training_pairs", M, [TrainingImagePair(**PAIR), TrainingImagePair(source_id="a", target_id="b")]),
     Call("models.training_images.replace_pairs", M, body=[PAIR, {"source_id": "a", "target_id": "b"}])),
    (Call("set_training_pairs", M, []), Call("models.training_images.replace_pairs", M, body=[])),
    (Call("caption_asset", A, "ein „Held“\n"), Call("assets.update", A, description="ein „Held“\n")),
    (Call("get_asset", A), Call("assets.retrieve", A)),
    (Call("get_asset", A, original_assets=True), Call("assets.retrieve", A, original_assets=True)),
    (Call("name_asset", A, "größer.png"), Call("assets.update", A, name="größer.png")),
    (Call("create_upload", **UPLOAD), Call("uploads.create", **UPLOAD)),
    (Call("complete_upload", U), Call("uploads.trigger_action", U, action="complete")),
    (Call("get_upload", U), Call("uploads.retrieve", U)),
    (Call("quote_training", M), Call("models.train.trigger", M, dry_run="true")),
    (Call("quote_training", M, {"rank": 16}, tier="api", training_images_count=12),
     Call("models.train.trigger", M, parameters={"rank": 16}, dry_run="api", training_images_count=12)),
    (Call("quote_training", M, original_assets=True),
     Call("models.train.trigger", M, dry_run="true", original_assets=True)),
    (Call("train", M, model=READY), Call("models.train.trigger", M)),
    (Call("train", M, {"rank": 16}, original_assets=True, model=READY),
     Call("models.train.trigger", M, parameters={"rank": 16}, original_assets=True)),
    (Call("train", M, {}, model=READY), Call("models.train.trigger", M, parameters={})),
    (Call("train", M, {"learningRate": 1e-05, "samplePrompts": ["ä", ""], "scaleLr": False}, model=READY),
     Call("models.train.trigger", M, parameters={
         "learning_rate": 1e-05, "sample_prompts": ["ä", ""], "scale_lr": False})),
    (Call("train", M, EVERY_PARAMETER, model=READY), Call("models.train.trigger", M, parameters=EVERY_PARAMETER)),
    (Call("train", M, {"num_unet_train_steps": 1}, model=READY),
     Call("models.train.trigger", M, parameters={"num_u_net_train_steps": 1})),
    (Call("cancel_training", M), Call("models.train.action", M, action="cancel")),
    # The vendor's page has this query, its client does not.
    (Call("cancel_training", M, original_assets=True),
     Call("models.train.action", M, action="cancel", extra_query={"originalAssets": True})),
    (Call("get_job", J), Call("jobs.retrieve", J)),
    (Call("list_jobs"), Call("jobs.list")),
    (Call("list_jobs", page_size=100, status="queued", types=["musubi-model-training", "upload"], updated_after=NOON),
     Call("jobs.list", page_size=100, status="queued", types=["musubi-model-training", "upload"],
          updated_after=NOON_TEXT)),
    (Call("list_jobs", type="upload", workflow_id="w"), Call("jobs.list", type="upload", workflow_id="w")),
    (Call("list_jobs", author_id="api_ü", hide_results=False, created_after=NOON),
     Call("jobs.list", author_id="api_ü", hide_results=False, created_after=NOON_TEXT)),
    (Call("download_model", M), Call("models.download", M)),
    (Call("download_model", M, epoch="000003"), Call("models.download", M, model_epoch="000003")),
    (Call("get_download", J), Call("assets.download.get_status", J)),
    (Call("list_projects"), Call("projects.list")),
    (Call("get_project", "proj_1"), Call("projects.retrieve", "proj_1")),
]  # fmt: skip

# Parts and files lie in the storage behind the API.
NO_ENDPOINTS = {"connect", "close", "put_part", "fetch_asset", "fetch_download"}
FILTERS = {
    "list_models": models.ModelFilters,
    "get_models": models.BulkSwitches,
    "list_jobs": training.JobFilters,
}

LEFT_OUT = {
    # One image is replaced by one; ``assetIds`` could only hold one as well.
    "models.training_images.replace": {"asset_ids"},
    # An archive of one's own model costs nothing.
    "models.download": {"dry_run"},
    "assets.retrieve": {"with_embedding", "with_quality_gate_details"},
    # A file on disk, for a dataset; the price of an upload is nothing.
    "uploads.create": {"asset_options", "civitai_model_url", "dry_run", "hugging_face_model_name", "url"},
    # Of an asset only the name and the caption matter to a training; the addresses in the answer are not read.
    "assets.update": {
        *("original_assets", "canvas", "disable_snapshot", "lock_expires_at", "lock_id", "thumbnail"),
    },
    "projects.list": {"page_size", "team_id"},
}
"""What the vendor's methods take and ours do not, on purpose."""

# More than any endpoint answers, so that one answer does for all of them.
ANSWER: dict[str, Any] = {
    "model": {"id": M},
    "asset": {"id": A},
    "upload": {"id": U},
    "trainingImage": {"id": A},
    "job": {"jobId": J},
    "jobId": J,
    "project": {"id": "proj_1"},
    **{rows: [{"id": M, "jobId": J}] for rows in ("models", "jobs", "projects")},
    **{rows: [] for rows in ("pairs", "added", "deleted")},
}
QUOTE = {"creativeUnitsCost": 60}
TOKEN = "eyJ+/=&ü"


def canned(sent: Sent) -> Reply:
    """Lists have two pages; a dry run has a price and no job."""
    if any(pair.startswith("dryRun=") for pair in sent.query):
        return Reply(269, json.dumps(QUOTE).encode())
    last = any(pair.startswith("paginationToken=") for pair in sent.query)
    return Reply(200, json.dumps(ANSWER if last else {**ANSWER, "nextPaginationToken": TOKEN}).encode())


@pytest.fixture(scope="module")
def wire_thread() -> Iterator[Recorder]:
    with recorder() as wire:
        yield wire


@pytest.fixture
def wire(wire_thread: Recorder) -> Recorder:
    """Answers as one long service of all endpoints would, and has heard nothing yet."""
    wire_thread.reply = canned
    wire_thread.take()
    return wire_thread


@pytest.fixture(scope="module", params=[None, "proj_emulator"], ids=["the key's project", "a project"])
def project_id(request: pytest.FixtureRequest) -> str | None:
    return request.param


@pytest.fixture(scope="module")
def ours_in_a_project(wire_thread: Recorder, project_id: str | None) -> Iterator[ScenarioClient]:
    with ScenarioClient.connect(
        api_key="demo", api_secret="demo", base_url=wire_thread.url, project_id=project_id
    ) as client:
        yield client


@pytest.fixture(scope="module")
def ours(wire_thread: Recorder) -> Iterator[ScenarioClient]:
    with ScenarioClient.connect(api_key="demo", api_secret="demo", base_url=wire_thread.url) as client:
        yield client


@pytest.fixture(scope="module")
def vendor(wire_thread: Recorder) -> Iterator[Scenario]:
    with Scenario(api_key="demo", api_secret="demo", base_url=wire_thread.url, max_retries=0) as client:
        yield client


def in_project(call: Call, vendor: Scenario, project_id: str | None) -> Any:
    """Ours says the project once, when it connects; the vendor's client with every call that takes one."""
    takes = "project_id" in inspect.signature(method(vendor, call.name)).parameters
    own = call.name.startswith("projects.")
    return call.on(vendor, **({"project_id": project_id} if project_id and takes and not own else {}))


def method(client: Any, name: str) -> Any:
    for part in name.split("."):
        client = getattr(client, part)
    return client


@pytest.mark.parametrize("case", CASES, ids=lambda case: repr(case[0]))
def test_our_client_sends_what_the_vendors_client_sends(case, wire, ours_in_a_project, vendor, project_id):
    our_call, *vendor_calls = case
    our_call.on(ours_in_a_project)
    sent_by_us, _ = wire.take()
    for call in vendor_calls:
        in_project(call, vendor, project_id)
    assert sent_by_us == wire.take()[0] != []


def test_every_endpoint_of_our_client_is_in_the_table():
    endpoints = {name for name in vars_of(ScenarioClient) if not name.startswith("_")} - NO_ENDPOINTS
    assert {our_call.name for our_call, *_ in CASES} == endpoints


def vars_of(cls: type) -> set[str]:
    return {name for base in cls.__mro__ if base is not object for name in vars(base)}


def test_every_argument_of_every_endpoint_is_in_the_table():
    used = {our_call.name: set[str]() for our_call, *_ in CASES}
    for our_call, *_ in CASES:
        bound = inspect.signature(getattr(ScenarioClient, our_call.name)).bind(None, *our_call.args, **our_call.kwargs)
        used[our_call.name] |= (set(bound.arguments) | set(our_call.kwargs)) - {"self", "filters", "switches"}
    assert used == {name: arguments_of(name) for name in used}


def arguments_of(name: str) -> set[str]:
    parameters = inspect.signature(getattr(ScenarioClient, name)).parameters.values()
    named = {parameter.name for parameter in parameters if parameter.kind is not parameter.VAR_KEYWORD} - {"self"}
    takes_filters = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters)
    return named | set(FILTERS[name].__annotations__) if takes_filters else named


def test_what_the_vendors_methods_take_beyond_the_table_is_left_out_on_purpose(vendor):
    everywhere = {"extra_headers", "extra_query", "extra_body", "timeout", "project_id", "pagination_token"}
    left: dict[str, set[str]] = {}
    for call in (call for _, *calls in CASES for call in calls):
        signature = inspect.signature(method(vendor, call.name))
        unused = left.setdefault(call.name, set(signature.parameters) - everywhere)
        unused -= set(signature.bind(*call.args, **call.kwargs).arguments)
    assert {name: unused for name, unused in left.items() if unused} == LEFT_OUT


def test_the_training_parameters_we_check_are_those_the_vendor_sends(wire, vendor):
    vendor.models.train.trigger(M, parameters=EVERY_PARAMETER)
    (sent,), _ = wire.take()
    assert set(json.loads(sent.body)["parameters"]) == set(PARAMETERS)


def test_the_filters_that_may_hold_anything_are_sent_in_one_piece(wire, ours, vendor):
    # The table compares what is sent before it is decoded; this is what the service decodes.
    Call("list_models", tags=ODD).on(ours)
    Call("models.list", tags=ODD).on(vendor)
    assert [sent.query for sent in wire.take()[0]] == 2 * [
        ("tags=a+b%2Cc%26d%3De%2F%C3%BC%2B%25",),
        ("paginationToken=eyJ%2B%2F%3D%26%C3%BC", "tags=a+b%2Cc%26d%3De%2F%C3%BC%2B%25"),
    ]


# --- what they read


VENDORS_TYPES = [
    (schemas.Model, types.model_retrieve_response.Model),
    (schemas.Model, types.model_list_response.ModelListResponse),
    (schemas.Model, types.model_get_bulk_response.Model),
    (schemas.Model, train_trigger_response.Model),
    (schemas.TrainingProgress, types.model_retrieve_response.ModelTrainingProgress),
    (schemas.TrainingStats, types.model_retrieve_response.ModelTrainingStats),
    (schemas.TrainingImage, types.model_retrieve_response.ModelTrainingImage),
    (schemas.TrainingImagePair, types.model_retrieve_response.ModelTrainingImagePair),
    (schemas.Epoch, types.model_retrieve_response.ModelEpoch),
    (schemas.EpochAsset, types.model_retrieve_response.ModelEpochAsset),
    (schemas.Concept, types.model_retrieve_response.ModelConcept),
    (schemas.Thumbnail, types.model_retrieve_response.ModelThumbnail),
    (schemas.ModelClass, types.model_retrieve_response.ModelClass),
    (schemas.Job, types.job_retrieve_response.Job),
    (schemas.Job, types.job_list_response.JobListResponse),
    (schemas.Job, train_trigger_response.Job),
    (schemas.JobMetadata, types.job_retrieve_response.JobMetadata),
    (schemas.JobStatusChange, types.job_retrieve_response.JobStatusHistory),
    (schemas.Billing, types.job_retrieve_response.JobBilling),
    (schemas.StartedTraining, train_trigger_response.TrainTriggerResponse),
    (schemas.Quote, train_trigger_response.TrainTriggerResponse),
    (schemas.Asset, types.asset_retrieve_response.Asset),
    (schemas.Upload, types.upload_retrieve_response.Upload),
    (schemas.UploadPart, types.upload_create_response.UploadPart),
    (schemas.Project, types.project_retrieve_response.Project),
    (schemas.TagChange, types.model_update_tags_response.ModelUpdateTagsResponse),
    (schemas.Description, description_retrieve_response.Description),
    (schemas.DatasetScore, score_retrieve_training_dataset_response.ScoreRetrieveTrainingDatasetResponse),
    (schemas.AssetWarning, score_retrieve_training_dataset_response.AssetsWarning),
    (schemas.AssetCoupleWarning, score_retrieve_training_dataset_response.AssetCouplesWarning),
    (schemas.Download, download_get_status_response.DownloadGetStatusResponse),
]


@pytest.mark.parametrize(("schema", "theirs"), VENDORS_TYPES, ids=lambda cls: f"{cls.__module__}.{cls.__name__}")
def test_every_field_we_read_is_one_the_vendor_writes(schema, theirs):
    assert set(api_names(schema)) <= set(api_names(theirs))


class Both:
    """
    Asks the emulator through one client, then lets the other read the very same answers.

    Every call is compared: what was sent, and what was read. Returns what ours has read.
    """

    def __init__(self, wire: Recorder, emulator: RunningEmulator, *, ours_first: bool) -> None:
        self._wire, self._emulator, self._ours_first = wire, emulator, ours_first
        login = {"api_key": "demo", "api_secret": "demo", "base_url": wire.url}
        self.ours = ScenarioClient.connect(**login)
        self._vendor = Scenario(**login, max_retries=0, _strict_response_validation=True)
        # The types of a training's answer require what a quote has not (job and model): strictly they refuse it.
        self._lenient_vendor = Scenario(**login, max_retries=0)
        self.calls: list[str] = []

    def close(self) -> None:
        for client in (self.ours, self._vendor, self._lenient_vendor):
            client.close()

    def __call__(self, ours: Call, vendors: Call, part: str | None = None) -> Any:
        """
        :param part: where the vendor's client wraps what ours gives: ``model`` of ``{"model": …}``, ``a.b`` deeper in.
        """
        self.calls.append(ours.name)
        vendor = self._lenient_vendor if ours.name == "quote_training" else self._vendor
        read: dict[Call, Any] = {}
        sent: list[list[Sent]] = []
        self._wire.take()
        self._wire.reply = forward_to(self._emulator.address)
        turns = [(self.ours, ours), (vendor, vendors)]
        for client, call in turns if self._ours_first else reversed(turns):
            try:
                read[call] = call.on(client)
            except (NotFoundError, scenario_sdk.NotFoundError) as refused:
                read[call] = refused
            requests, replies = self._wire.take()
            sent.append(requests)
            self._wire.reply = repeat(replies)
        assert sent[0] == sent[1] != []
        mine, theirs = read[ours], read[vendors]
        if isinstance(mine, Exception):
            assert (mine.status, mine.body) == (theirs.status_code, theirs.body)
            return mine
        if mine is not None:
            assert differences(mine, attrgetter(part)(theirs) if part else theirs) == []
        return mine


def tell(both: Both, emulator: RunningEmulator) -> None:
    """All that happens to some models, from their creation to their end: trained, cancelled, failed."""
    edit_model(both, emulator)
    cancelled = small_model(both, "cancelled")
    both(Call("train", cancelled, model=READY), Call("models.train.trigger", cancelled))
    emulator.switch("advance", seconds=400)
    both(Call("get_model", cancelled), Call("models.retrieve", cancelled), "model")
    job_id = both(
        Call("cancel_training", cancelled), Call("models.train.action", cancelled, action="cancel"), "model"
    ).job_id
    assert both(Call("get_job", job_id), Call("jobs.retrieve", job_id), "job").status == "canceled"
    failed = small_model(both, "failed", parameters={"seed": 1})
    emulator.switch("outcomes", fail_at=0.5, error="CUDA out of memory", hint="Fewer images", retryable_error="GPU")
    job_id = both(Call("train", failed, model=READY), Call("models.train.trigger", failed)).job.job_id
    emulator.switch("advance", seconds=500)
    both(Call("get_model", failed), Call("models.retrieve", failed), "model")
    emulator.switch("advance", seconds=600)
    assert both(Call("get_model", failed), Call("models.retrieve", failed), "model").status == "failed"
    assert both(Call("get_job", job_id), Call("jobs.retrieve", job_id), "job").metadata.hint == "Fewer images"
    new = {"name": "all", "type": "flux.1-composition", "concepts": [{"model_id": failed, "scale": 0.8}]}
    both(Call("create_model", **new), Call("models.create", **new), "model")
    lists(both, emulator)
    both(Call("delete_model", failed), Call("models.delete", failed))
    assert both(Call("get_model", failed), Call("models.retrieve", failed)).status == 404
    (row,) = both(Call("list_models", status="deleted"), Call("models.list", status="deleted"))
    assert row.deleted_at is not None
    both(Call("list_projects"), Call("projects.list"))
    both(Call("get_project", "proj_emulator"), Call("projects.retrieve", "proj_emulator"), "project")


def upload_in_parts(both: Both, emulator: RunningEmulator) -> None:
    """The part itself goes to the storage, which only ours knows how to reach."""
    file = {**UPLOAD, "file_size": len(PNG), "parts": 1}
    upload = both(Call("create_upload", **file), Call("uploads.create", **file), "upload")
    address = urlsplit(upload.parts[0].url)
    upload.parts[0].url = f"{emulator.address}{address.path}?{address.query}"
    both.ours.put_part(upload, 1, PNG)
    both(Call("complete_upload", upload.id), Call("uploads.trigger_action", upload.id, action="complete"), "upload")
    emulator.switch("advance", seconds=1)
    done = both(Call("get_upload", upload.id), Call("uploads.retrieve", upload.id), "upload")
    assert (done.status, done.parts) == ("imported", [])
    both(Call("name_asset", done.entity_id, "a"), Call("assets.update", done.entity_id, name="a"), "asset")


def edit_model(both: Both, emulator: RunningEmulator) -> None:
    new = {"name": "Ritter – 騎士", "type": "flux.2-dev-edit-lora", "collection_ids": ["collection_1"]}
    model = both(Call("create_model", **new), Call("models.create", **new), "model").id
    images = [upload(both, model, f"{number}.png", preset="style") for number in range(5)]
    other = upload(both, small_model(both, "other"), "a.png")
    # The vendor's answer names one training image even where several were added; ours reads nothing of it.
    both(Call("add_training_assets", model, [other]), Call("models.training_images.add", model, asset_id=other))
    replaced = both(
        Call("replace_training_image", model, other, data=PNG, name="b.png"),
        Call("models.training_images.replace", other, model_id=model, data=DATA_URL, name="b.png"),
        "training_image",
    ).id
    both(
        Call("delete_training_image", model, replaced),
        Call("models.training_images.delete", replaced, model_id=model),
    )
    caption = "ein „Held“"
    both(Call("caption_asset", images[0], caption), Call("assets.update", images[0], description=caption), "asset")
    both(Call("get_asset", images[0]), Call("assets.retrieve", images[0]), "asset")
    upload_in_parts(both, emulator)
    pairs = [{"source_id": images[a], "target_id": images[b], "instruction": "at night"} for a, b in ((0, 1), (2, 3))]
    both(Call("set_training_pairs", model, pairs), Call("models.training_images.replace_pairs", model, body=pairs),
         "pairs")  # fmt: skip
    both(Call("update_tags", model, add=["a", "b"]), Call("models.update_tags", model, add=["a", "b"]))
    both(Call("update_tags", model, delete=["b"]), Call("models.update_tags", model, delete=["b"]))
    both(Call("get_dataset_score", model), Call("models.scores.retrieve_training_dataset", model))
    page = f"# Ritter – 騎士\n{{asset:{images[0]}}}"
    for text in (page, None):
        both(Call("set_description", model, text), Call("models.description.update", model, description=text),
             "description.value")  # fmt: skip
        described = both(
            Call("get_description", model), Call("models.description.retrieve", model), "description.value"
        )
        assert described == (text or "")
    change = {"thumbnail": images[1], "short_description": "A knight"}
    both(Call("update_model", model, **change), Call("models.update", model, **change), "model")
    parameters = {"nb_epochs": 3, "sample_prompts": ["x"], "sample_source_images": [images[0]], "learning_rate": 1e-4}
    quote = both(
        Call("quote_training", model, parameters),
        Call("models.train.trigger", model, parameters=parameters, dry_run="true"),
    )
    started = both(
        Call("train", model, parameters, model=EDITABLE), Call("models.train.trigger", model, parameters=parameters)
    )
    assert started.creative_units_cost == quote.creative_units_cost
    seen = []
    for seconds in (0, 150, 100, 100, 600, 50):
        emulator.switch("advance", seconds=seconds)
        job_id = both(Call("get_model", model), Call("models.retrieve", model), "model").job_id
        seen.append(both(Call("get_job", job_id), Call("jobs.retrieve", job_id), "job").status)
    assert seen == ["queued", "queued", "warming-up", "in-progress", "finalizing", "success"]
    trained = both(Call("get_model", model), Call("models.retrieve", model), "model")
    assert (trained.status, len(trained.epochs), len(trained.training_images)) == ("trained", 3, 5)
    job_id = archive(both, model, trained.epochs[0].epoch)
    assert not both(Call("get_download", job_id), Call("assets.download.get_status", job_id)).download_url
    emulator.switch("advance", seconds=2)
    assert both(Call("get_download", job_id), Call("assets.download.get_status", job_id)).download_url


def small_model(both: Both, name: str, **changes: Any) -> str:
    new = {"name": name, "type": "flux.1-lora"}
    model = both(Call("create_model", **new), Call("models.create", **new), "model").id
    upload(both, model, "a.png")
    if changes:
        both(Call("update_model", model, **changes), Call("models.update", model, **changes), "model")
    return model


def upload(both: Both, model: str, name: str, **options: str) -> str:
    return both(
        Call("add_training_image", model, data=PNG, name=name, **options),
        Call("models.training_images.add", model, data=DATA_URL, name=name, **options),
        "training_image",
    ).id


def archive(both: Both, model: str, epoch: str) -> str:
    return both(Call("download_model", model, epoch=epoch), Call("models.download", model, model_epoch=epoch), "job_id")


def lists(both: Both, emulator: RunningEmulator) -> None:
    for pages in ("full", "short", "empty"):
        emulator.switch("settings", pages=pages)
        filters = {"page_size": 2, "sort_by": "createdAt", "sort_direction": "asc"}
        found = both(Call("list_models", **filters), Call("models.list", **filters))
        assert [row.name for row in found] == ["Ritter – 騎士", "other", "cancelled", "failed", "all"]
        assert len(both(Call("list_jobs", page_size=1), Call("jobs.list", page_size=1))) == 5
        both(Call("list_jobs", status="failure"), Call("jobs.list", status="failure"))
        both(Call("list_models", privacy="public"), Call("models.list", privacy="public"))
    ids = [row.id for row in found]
    for switches in ({}, {"minimal": True}, {"all_training_images": True, "thumbnail": True, "settings": True}):
        both(Call("get_models", ids, **switches), Call("models.get_bulk", model_ids=ids, **switches), "models")


@pytest.mark.parametrize("ours_first", [True, False], ids=["ours asks first", "the vendor's asks first"])
def test_both_clients_send_and_read_the_same_through_the_whole_life_of_models(wire, emulator, ours_first):
    both = Both(wire, emulator, ours_first=ours_first)
    try:
        tell(both, emulator)
    finally:
        both.close()
    assert set(both.calls) == {our_call.name for our_call, *_ in CASES}


# What the emulator never sends.
RARE = {
    "model": {
        "id": M,
        "status": "training",
        "class": {"slug": "art-style", "name": "Art style"},
        "parentModelId": "model_parent",
        "concepts": [{"modelId": "model_b", "scale": -2, "modelEpoch": "000003"}],
        "epoch": "000002",
        "trainingProgress": {"stage": "pending-captcha", "updatedAt": 1772366400000, "captchaImageUrl": "https://a/b"},
    },
    "job": {
        "jobId": J,
        "billing": {"cuCost": 62, "cuDiscount": 3.5, "cuCostDetails": {"train-model": 60, "quality-gate": 2}},
        "metadata": {"assetIds": ["asset_a"], "output": {"any": [1]}, "outputModelId": "model_c", "input": {"a": None}},
    },
    "ipDetection": {"action": "warned", "creativeUnitsCharged": 2},
}


@pytest.mark.parametrize(
    ("our_call", "vendors_call", "part"),
    [
        (Call("get_model", M), Call("models.retrieve", M), "model"),
        (Call("get_job", J), Call("jobs.retrieve", J), "job"),
        (Call("train", M, model=READY), Call("models.train.trigger", M), None),
    ],
    ids=repr,
)
def test_both_clients_read_the_same_out_of_what_is_rare(wire, ours, vendor, our_call, vendors_call, part):
    wire.reply = lambda _: Reply(200, json.dumps(RARE).encode())
    read = vendors_call.on(vendor)
    assert differences(our_call.on(ours), getattr(read, part) if part else read) == []


def test_what_is_read_differently_is_found(ours, vendor, wire):
    mine = ours.get_model(M).model_copy(update={"name": "a", "tags": ["b"]})
    wire.reply = lambda _: Reply(200, json.dumps({"model": {"id": "model_b", "tags": ["c"]}}).encode())
    assert differences(mine, vendor.models.retrieve(M).model) == [
        f".id: {M!r} and 'model_b'",
        ".name: 'a' and nothing",
        ".tags[0]: 'b' and 'c'",
    ]


# --- where they differ on purpose


def hang_up(_: Sent) -> Reply:
    return Reply(0, b"")


def outage(_: Sent) -> Reply:
    return Reply(503, b'{"message": "Service Unavailable"}', {"retry-after-ms": "1"})


def plan_ceiling(_: Sent) -> Reply:
    body = {"name": "PlanLimitReachedError", "details": {"actionName": "train-model", "actionLimit": 1}}
    return Reply(429, json.dumps(body).encode(), {"retry-after-ms": "1"})


NOT_TWICE = [
    (Call("train", M, model=READY), Call("models.train.trigger", M)),
    (Call("create_model"), Call("models.create")),
    (Call("download_model", M), Call("models.download", M)),
    (Call("add_training_image", M, data=PNG, name="a.png"), Call("models.training_images.add", M, data=DATA_URL)),
    (Call("add_training_assets", M, [A]), Call("models.training_images.add", M, asset_id=A)),
    (Call("replace_training_image", M, A, asset_id="b"),
     Call("models.training_images.replace", A, model_id=M, asset_id="b")),
    (Call("update_tags", M, add=["a"]), Call("models.update_tags", M, add=["a"])),
]  # fmt: skip


@pytest.mark.parametrize(("our_call", "vendors_call"), NOT_TWICE, ids=repr)
@pytest.mark.parametrize("lost", [hang_up, outage])
def test_ours_never_repeats_what_may_have_been_done_and_the_vendors_does(
    wire, ours, vendor, our_call, vendors_call, lost
):
    # A training whose answer was lost may be running and billed.
    wire.reply = lost
    with pytest.raises(ServiceError) as failure:
        our_call.on(ours)
    assert (failure.value.maybe_done, len(wire.take()[0])) == (True, 1)
    with pytest.raises((scenario_sdk.APIConnectionError, scenario_sdk.InternalServerError)):
        vendors_call.on(vendor.with_options(max_retries=1))
    assert len(wire.take()[0]) == 2


def test_ours_gives_up_at_a_plan_ceiling_and_the_vendors_asks_again(wire, ours, vendor):
    # 429 has three meanings, and waiting does not help against this one.
    wire.reply = plan_ceiling
    with pytest.raises(PlanCeilingError):
        ours.train(M, model=READY)
    assert len(wire.take()[0]) == 1
    with pytest.raises(scenario_sdk.RateLimitError):
        vendor.with_options(max_retries=2).models.train.trigger(M)
    assert len(wire.take()[0]) == 3


def test_ours_lists_beyond_an_empty_page_and_the_vendors_does_not(wire, ours, vendor, emulator):
    # The service may answer an empty page with a token: a retry must find the model that an earlier try has created.
    wire.reply = forward_to(emulator.address)
    model_id = ours.create_model(name="hero", type="flux.1-lora").id
    emulator.switch("settings", pages="empty")
    assert [model.id for model in ours.list_models()] == [model_id]
    assert [model.id for model in vendor.models.list()] == []


def test_ours_reads_a_quote_and_the_vendors_types_have_no_place_for_it(wire, ours):
    # They require the job and the model, which a dry run has not.
    assert ours.quote_training(M).creative_units_cost == 60
    with (
        Scenario(
            api_key="demo", api_secret="demo", base_url=wire.url, max_retries=0, _strict_response_validation=True
        ) as strict,
        pytest.raises(scenario_sdk.APIResponseValidationError),
    ):
        strict.models.train.trigger(M, dry_run="true")


def test_ours_takes_no_training_without_a_job_for_started_and_the_vendors_does(wire, ours, vendor):
    # An operator that goes on with an answer like this waits for ever.
    wire.reply = lambda _: Reply(200, b"{}")
    with pytest.raises(ServiceError, match="without a job"):
        ours.train(M, model=READY)
    assert getattr(vendor.models.train.trigger(M), "job", None) is None


def test_ours_shows_no_progress_beyond_the_end_and_the_vendors_does(wire, ours, vendor):
    # Seen live; a bar or a percentage made of it would be wrong.
    wire.reply = lambda _: Reply(200, json.dumps({"job": {"jobId": J, "progress": 1.02}}).encode())
    assert (ours.get_job(J).progress, vendor.jobs.retrieve(J).job.progress) == (1.0, 1.02)


def test_ours_sends_a_part_to_its_signed_address_with_nothing_of_its_own(wire, ours):
    # A storage that is shown two ways to authenticate refuses both, and the key is none of its business.
    wire.reply = lambda _: Reply(200, b"", {"Content-Type": "application/xml"})
    part = {"number": 1, "url": f"{wire.url}/bucket/part?Expires=1&Signature=a%2Bb"}
    ours.put_part(schemas.Upload(id=U, parts=[part]), 1, PNG)
    (sent,), _ = wire.take()
    assert (sent.method, sent.target, sent.body) == ("PUT", "/v1/bucket/part?Expires=1&Signature=a%2Bb", PNG)
    assert (sent.authorization, sent.content_type) == (None, None)


def test_ours_names_no_content_type_where_there_is_no_content_and_the_vendors_does(wire, ours, vendor):
    # Which is why the comparison looks at content types of bodies only.
    ours.delete_model(M)
    vendor.models.delete(M)
    assert [sent.headers.get("content-type") for sent in wire.take()[0]] == [None, "application/json"]


def test_ours_sends_no_id_that_would_be_another_address_and_the_vendors_encodes_it(wire, ours, vendor):
    # An id comes from a template or an XCom; a slash in it is a mistake whose 404 would read like a deleted model.
    with pytest.raises(InvalidInputError, match="an id holds no"):
        ours.get_model("models/a")
    vendor.models.retrieve("models/a")
    assert [sent.path for sent in wire.take()[0]] == ["/v1/models/models%2Fa"]


def test_ours_follows_no_redirect_and_the_vendors_does(wire, ours, vendor):
    # A paid call must not end up at an address that is not configured.
    def moved(sent: Sent) -> Reply:
        if sent.path.endswith("/elsewhere"):
            return canned(sent)
        return Reply(307, b"", {"Location": f"{wire.url}/elsewhere"})

    wire.reply = moved
    with pytest.raises(ServiceError, match="redirects to"):
        ours.train(M, model=READY)
    assert [sent.path for sent in wire.take()[0]] == [f"/v1/models/{M}/train"]
    vendor.models.train.trigger(M)
    assert [sent.path for sent in wire.take()[0]] == [f"/v1/models/{M}/train", "/v1/elsewhere"]


def test_ours_takes_a_secret_beyond_ascii_and_the_vendors_does_not(wire):
    # A mistyped secret should be refused by the service, not end in a UnicodeEncodeError.
    login = {"api_key": "demo", "api_secret": "geheim–ß", "base_url": wire.url}
    with ScenarioClient.connect(**login) as ours:
        ours.get_model(M)
    (sent,), _ = wire.take()
    assert base64.b64decode(str(sent.authorization).removeprefix("Basic ")).decode() == "demo:geheim–ß"
    with Scenario(**login) as vendor, pytest.raises(UnicodeEncodeError):
        vendor.models.retrieve(M)
