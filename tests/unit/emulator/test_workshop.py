from __future__ import annotations

import hashlib
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

import pytest

from tests.harness.waiting import eventually
from tests.unit.emulator.workshop_api import CONTENT, TREE, WorkshopApi, changed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_scenario.emulator.server import RunningEmulator

FILE = "versions.0.files.0"


@pytest.fixture
def api(emulator: RunningEmulator) -> Iterator[WorkshopApi]:
    """Files are believed, not fetched, unless a test says so."""
    api = WorkshopApi(emulator)
    api.set(fetch_files=False)
    yield api
    api.http.close()


class Elsewhere:
    """A web server with one file, which also takes events."""

    def __init__(self) -> None:
        self.content, self.status = CONTENT, 200
        self.events: list[tuple[dict[str, str], dict[str, object]]] = []
        self.url = ""


@pytest.fixture
def elsewhere() -> Iterator[Elsewhere]:
    site = Elsewhere()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(site.status)
            self.end_headers()
            self.wfile.write(site.content)

        def do_POST(self):
            content = self.rfile.read(int(self.headers["content-length"]))
            site.events.append((dict(parse_qsl(urlsplit(self.path).query)), json.loads(content)))
            self.send_response(site.status)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    site.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield site
    server.shutdown()
    server.server_close()


def totals(api, *names):
    found = api.ledger()["totals"]
    return tuple(found[name] for name in names)


def advance(api, seconds):
    api.emulator.switch("advance", seconds=seconds)


# Listing


def test_a_file_is_in_progress_first_and_listed_later(api):
    first = api.sync().json()
    assert first == {
        "status": 10,
        "apiInvokeId": first["apiInvokeId"],
        "errCode": None,
        "errMessage": None,
        "subErrCode": None,
        "subErrMessage": None,
        "startTime": None,
        "endTime": None,
        "data": {
            "modelId": "hero",
            "modelVersionId": "hero-1",
            "modelFileId": first["data"]["modelFileId"],
            "status": 5,
        },
    }
    assert first["apiInvokeId"].startswith("i_")
    advance(api, 4)
    assert api.status() == 5
    advance(api, 1)
    second = api.sync().json()
    assert second["data"] == {**first["data"], "status": 10}
    assert second["apiInvokeId"] != first["apiInvokeId"]


def test_the_same_tree_again_changes_nothing(api):
    for _ in range(3):
        api.sync()
    names = ("models_synced", "versions_synced", "files_synced", "syncs")
    assert totals(api, *names) == (1, 1, 1, 3)
    assert (api.ledger()["synced_models"][0]["syncs"], api.ledger()["synced_models"][0]["changes"]) == (3, 1)


def test_a_new_hash_is_listed_again_under_the_same_id(api):
    before = api.sync().json()["data"]
    advance(api, 5)
    assert api.status() == 10
    after = api.sync(changed(f"{FILE}.hash", "other")).json()["data"]
    assert after == before
    advance(api, 5)
    assert totals(api, "models_synced", "files_synced", "files_listed") == (1, 1, 1)


def test_a_new_description_does_not_list_the_file_again(api):
    api.sync()
    advance(api, 5)
    assert api.status(changed("modelDesc", "better")) == 10
    assert api.ledger()["synced_models"][0]["changes"] == 2


def test_an_outcome_can_make_a_listing_fail_and_it_stays_failed_for_the_same_tree(api):
    api.emulator.switch("outcomes", of="listing", model="he*", fail_at=0.5, error="no room", times=1)
    api.sync()
    advance(api, 2.5)
    assert [api.status(), api.status()] == [-10, -10]
    assert totals(api, "files_listed", "files_failed") == (0, 1)
    assert api.ledger()["synced_models"][0]["files"][0]["error"] == "no room"
    assert api.status(changed(f"{FILE}.downloadUrl", "https://example.com/again")) == 5
    advance(api, 5)
    assert totals(api, "files_listed", "files_failed") == (1, 0)


def test_an_outcome_of_trainings_does_not_change_listings(api):
    api.emulator.switch("outcomes", fail_at=0)
    api.sync()
    advance(api, 5)
    assert api.status() == 10


def test_an_outcome_can_make_a_listing_stall(api):
    api.emulator.switch("outcomes", of="listing", stall_at=0.5)
    api.sync()
    advance(api, 1e6)
    assert api.status() == 5


def test_the_first_answer_can_be_not_listed(api):
    api.set(first_listing_status=0)
    assert [api.status(), api.status()] == [0, 5]


def test_one_object_for_all_files_has_the_lowest_status(api):
    tree = changed("versions", [*TREE["versions"], {**TREE["versions"][0], "modelVersionId": "hero-2"}])
    api.emulator.switch("outcomes", of="listing", fail_at=1, times=1)
    api.sync(tree)
    advance(api, 5)
    assert api.sync(tree).json()["data"]["status"] == -10
    assert totals(api, "versions_synced", "files_listed", "files_failed") == (2, 1, 1)
    api.set(workshop_data="list")
    rows = api.sync(tree).json()["data"]
    assert [(row["modelVersionId"], row["status"]) for row in rows] == [("hero-1", -10), ("hero-2", 10)]


def test_a_model_without_files_is_not_listed(api):
    assert api.sync(changed("versions", gone=True)).json()["data"] == {
        "modelId": "hero",
        "modelVersionId": None,
        "modelFileId": None,
        "status": 0,
    }


# Fetching


def at(site: Elsewhere, **changes):
    return changed(FILE, {**TREE["versions"][0]["files"][0], "downloadUrl": f"{site.url}/hero", **changes})


def test_a_file_is_fetched_and_its_hash_and_size_compared(api, elsewhere):
    api.set(fetch_files=True, listing_seconds=0)
    eventually(lambda: api.status(at(elsewhere)) == 10)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"hash": "0" * 64}, f"hash is not that of the file, whose SHA-256 is {hashlib.sha256(CONTENT).hexdigest()}"),
        ({"sizeKb": 12}, "sizeKb is 12, but the file has 0.0107422 KB"),
    ],
)
def test_a_file_with_another_hash_or_size_fails(api, elsewhere, changes, complaint):
    api.set(fetch_files=True, listing_seconds=0)
    eventually(lambda: api.status(at(elsewhere, **changes)) == -10)
    assert api.ledger()["synced_models"][0]["files"][0]["error"] == complaint


def test_a_hash_that_is_not_a_sha_256_is_not_compared(api, elsewhere):
    api.set(fetch_files=True, listing_seconds=0)
    eventually(lambda: api.status(at(elsewhere, hash="a9f3")) == 10)


def test_a_file_that_cannot_be_fetched_fails(api, elsewhere):
    api.set(fetch_files=True, listing_seconds=0)
    elsewhere.status = 403
    eventually(lambda: api.status(at(elsewhere)) == -10)
    assert "403" in api.ledger()["synced_models"][0]["files"][0]["error"]


# The event


@pytest.mark.parametrize(("fail_at", "status"), [(None, 10), (0.5, -10)])
def test_the_end_of_a_listing_is_sent_to_the_callback_url(api, elsewhere, fail_at, status):
    api.set(callback_url=f"{elsewhere.url}/events?tenant=us", listing_seconds=0.1)
    if fail_at is not None:
        api.emulator.switch("outcomes", of="listing", fail_at=fail_at)
    synced = api.sync().json()["data"]
    eventually(lambda: elsewhere.events)
    [(query, body)] = elsewhere.events
    assert body == {**synced, "status": status}
    assert (query["apiId"], query["tenant"]) == ("spSdModelSync", "us")
    assert {"bizType", "invokeId", "apiToken", "sign", "nonce", "timestamp"} <= set(query)
    assert "demo" not in query.values()
    eventually(lambda: [sent["answer"] for sent in api.ledger()["callbacks"]] == [200])


def test_the_same_tree_again_sends_no_second_event(api, elsewhere):
    api.set(callback_url=elsewhere.url, listing_seconds=0)
    api.sync(), api.sync()
    eventually(lambda: elsewhere.events)
    api.sync()
    time.sleep(0.2)
    assert totals(api, "callbacks") == (1,)


# Where the token is


@pytest.mark.parametrize(
    ("place", "in_body", "in_query", "passes"),
    [
        ("either", True, False, True),
        ("either", False, True, True),
        ("body", True, False, True),
        ("body", False, True, False),
        ("query", True, False, False),
        ("query", False, True, True),
        ("either", False, False, False),
    ],
)
def test_the_token_is_read_where_the_settings_allow_it(api, place, in_body, in_query, passes):
    api.set(api_token_in=place)
    body = {"apiToken": "demo", **TREE} if in_body else TREE
    answer = api.call("/scc/spSdModelSync", body, query="apiToken=demo" if in_query else "").json()
    assert (answer["status"], answer["subErrCode"]) == ((10, None) if passes else (20, "EMULATOR_TOKEN_MISSING"))


@pytest.mark.parametrize("token", ["other", "", 5])
def test_an_unknown_token_is_refused(api, token):
    assert api.refusal({**TREE, "apiToken": token})[0] == "EMULATOR_TOKEN_UNKNOWN"
    assert totals(api, "models_synced", "syncs") == (0, 0)


def test_a_token_can_be_queried(api):
    token = api.call("/scc/spQueryToken", {"apiToken": "demo"}).json()["data"]
    assert token == {"apiToken": "demo", "tokenExpiredAt": token["tokenExpiredAt"], "usedSessionTimeInSeconds": 0}
    assert len(str(token["tokenExpiredAt"])) == 13
    assert api.call("/scc/spQueryToken", {"apiToken": "x"}).json()["subErrCode"] == "EMULATOR_TOKEN_UNKNOWN"


# What is refused


REQUIRED = [
    *("modelId", "name", "modelType", "sourceType"),
    *("versions.0.modelVersionId", "versions.0.name", "versions.0.baseModel"),
    *("versions.0.covers.0.cover", "versions.0.covers.0.coverFile"),
    *("versions.0.covers.0.coverFile.width", "versions.0.covers.0.coverFile.height"),
    *(f"{FILE}.{field}" for field in ("name", "aliasName", "downloadUrl", "hash", "sizeKb")),
]
OPTIONAL = [
    *("modelDesc", "source", "isOriginal", "originalCreator", "originalCreatorHomepage", "versions"),
    *("versions.0.versionDesc", "versions.0.triggerWords", "versions.0.isAutoCollection", "versions.0.covers"),
    *("versions.0.files", "versions.0.covers.0.coverFile.format", f"{FILE}.isPrimary"),
]


def bracketed(path):
    return "".join(f"[{step}]" if step.isdigit() else f".{step}" for step in path.split(".")).removeprefix(".")


@pytest.mark.parametrize("path", REQUIRED)
def test_what_the_page_requires_is_required(api, path):
    assert api.refusal(changed(path, gone=True)) == ("EMULATOR_INVALID_PARAMETER", f'"{bracketed(path)}" is required')
    assert totals(api, "models_synced", "syncs") == (0, 0)


@pytest.mark.parametrize("path", OPTIONAL)
def test_what_the_page_does_not_require_may_be_left_out(api, path):
    assert api.sync(changed(path, gone=True)).json()["status"] == 10


@pytest.mark.parametrize(
    ("path", "value", "complaint"),
    [
        ("modelId", 5, '"modelId" must be a string'),
        ("name", " ", '"name" is not allowed to be empty'),
        ("name", None, '"name" must be a string'),
        ("modelType", "LORA", '"modelType" must be one of [checkpoint, lora, textualinversion, vae]'),
        ("sourceType", "civitai", '"sourceType" must be one of [liblib, civitia, hugging_face, internal]'),
        ("source", "example.com", '"source" must be a valid uri'),
        ("isOriginal", "true", '"isOriginal" must be a boolean'),
        ("versions", {}, '"versions" must be an array'),
        ("versions.0", "x", '"versions[0]" must be an object'),
        ("versions.0.triggerWords", ["a", 5], '"versions[0].triggerWords" must be an array of strings'),
        ("versions.0.covers.0.coverFile", [], '"versions[0].covers[0].coverFile" must be an object'),
        ("versions.0.covers.0.coverFile.width", "1", '"versions[0].covers[0].coverFile.width" must be a number'),
        (f"{FILE}.sizeKb", 0, '"versions[0].files[0].sizeKb" must be a positive number'),
        (f"{FILE}.sizeKb", True, '"versions[0].files[0].sizeKb" must be a number'),
        (f"{FILE}.downloadUrl", "s3://bucket/key", '"versions[0].files[0].downloadUrl" must be a valid uri'),
        (f"{FILE}.isPrimary", 1, '"versions[0].files[0].isPrimary" must be a boolean'),
    ],
)
def test_what_the_page_does_not_allow_is_refused(api, path, value, complaint):
    assert api.refusal(changed(path, value)) == ("EMULATOR_INVALID_PARAMETER", complaint)


def test_an_unlisted_base_model_is_refused_by_default(api):
    tree = changed("versions.0.baseModel", "flux.2")
    assert '"versions[0].baseModel" must be one of [v1.4, v1.5,' in api.refusal(tree)[1]
    api.set(any_base_model=True)
    assert api.sync(tree).json()["status"] == 10


@pytest.mark.parametrize(("field", "value"), [("modelType", "controlnet"), ("sourceType", "tenant")])
def test_an_unlisted_type_is_refused_by_default(api, field, value):
    assert f'"{field}" must be one of [' in api.refusal({**TREE, field: value})[1]
    api.set(any_model_or_source_type=True)
    assert api.sync({**TREE, field: value}).json()["status"] == 10


OBJECTS = ["", "versions.0.", "versions.0.covers.0.", "versions.0.covers.0.coverFile.", f"{FILE}."]


@pytest.mark.parametrize("where", OBJECTS)
def test_an_undocumented_field_is_kept_or_refused_in_every_object(api, where):
    tree = changed(f"{where}new", {"a": [1, None]})
    assert api.sync(tree).json()["status"] == 10
    assert api.synced("hero") == {"tree": tree, "session": {}}
    api.set(workshop_unknown_fields="refuse")
    assert api.refusal(tree) == ("EMULATOR_INVALID_PARAMETER", f'"{bracketed(f"{where}new")}" is not allowed')
    assert api.sync().json()["status"] == 10


def test_an_undocumented_parameter_is_kept_or_refused_in_the_query_too(api):
    query = "apiToken=demo&new=1&sessionMode=20"
    assert api.call("/scc/spSdModelSync", TREE, query=query).json()["status"] == 10
    assert api.synced("hero")["session"] == {"new": "1", "sessionMode": 20}
    api.set(workshop_unknown_fields="refuse")
    answer = api.call("/scc/spSdModelSync", TREE, query=query)
    assert answer.json()["subErrMessage"] == '"new" is not allowed'


@pytest.mark.parametrize("status", [0, 5, 10, -10, 7])
@pytest.mark.parametrize("tree", [TREE, changed("versions", gone=True)])
def test_every_status_can_be_produced(api, status, tree):
    api.set(listing_status=status)
    assert [api.status(tree), api.status(tree)] == [status, status]


@pytest.mark.parametrize(
    "envelope", [{"startTime": 1, "endTime": 2}, {"status": 20, "errCode": "E"}, {"apiInvokeId": None, "data": [1]}]
)
def test_every_envelope_can_be_produced(api, envelope):
    api.set(workshop_envelope=envelope)
    assert envelope.items() <= api.sync().json().items()
    assert envelope.items() <= api.call("/scc/spQueryToken", {"apiToken": "x"}).json().items()


@pytest.mark.parametrize("data", ["object", "list"])
def test_every_object_of_an_answer_can_have_an_undocumented_field(api, data):
    api.set(workshop_extra_in_answers=True, workshop_data=data)
    synced, refused = api.sync().json(), api.sync({**TREE, "apiToken": "x"}).json()
    asked = api.call("/scc/spQueryToken", {"apiToken": "demo"}).json()
    rows = synced["data"] if data == "list" else [synced["data"]]
    for part in (synced, *rows, refused, asked, asked["data"]):
        assert part["emulatorExtra"] == {"listedBy": ["no", "page"]}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (f"{FILE}.sizeKb", 10**400),
        (f"{FILE}.sizeKb", -(10**400)),
        ("versions.0.covers.0.coverFile.width", 10**4000),
        ("expiredInSeconds", 10**4000),
        ("sessionMode", 1e308),
        ("new", [[[[10**4000]]]]),
        ("versions.0.triggerWords", "\ud83d"),
    ],
)
def test_unusual_values_are_accepted_or_refused_and_break_nothing(api, path, value):
    answer = api.call("/scc/spSdModelSync", json.dumps({"apiToken": "demo", **changed(path, value)}).encode())
    assert (answer.status_code, answer.json()["status"] in (10, 20)) == (200, True)


def test_a_whole_number_of_thousands_of_digits_in_the_query_is_refused(api):
    answer = api.call("/scc/spSdModelSync", TREE, query=f"apiToken=demo&expiredInSeconds={'9' * 5000}")
    assert answer.json()["subErrMessage"] == '"expiredInSeconds" must be an integer'


def test_a_second_primary_file_is_refused(api):
    [file] = TREE["versions"][0]["files"]
    second = changed("versions.0.files", [file, {**file, "name": "b.safetensors"}])
    assert api.refusal(second)[1] == '"versions[0].files" must have only one primary model file'
    assert (
        api.sync(changed("versions.0.files", [file, {**file, "name": "b", "isPrimary": False}])).json()["status"] == 10
    )


def test_a_version_belongs_to_one_model(api):
    api.sync()
    assert api.refusal(changed("modelId", "villain"))[0] == "EMULATOR_VERSION_TAKEN"
    twice = changed("versions", TREE["versions"] * 2)
    assert api.refusal(twice)[1] == '"versions[1].modelVersionId" must be unique'


@pytest.mark.parametrize(
    ("session", "complaint"),
    [
        ({"sessionMode": 15}, '"sessionMode" has a value that is not allowed'),
        ({"sessionMode": "10"}, '"sessionMode" has a value that is not allowed'),
        ({"expiredInSeconds": 0}, '"expiredInSeconds" has a value that is not allowed'),
        ({"roleId": 5}, '"roleId" must be a string'),
    ],
)
def test_session_parameters_are_checked(api, session, complaint):
    assert api.refusal({**TREE, **session})[1] == complaint


def test_session_parameters_may_be_in_body_and_query(api):
    session = {"roleId": "r", "sessionMode": 20, "expiredInSeconds": 60, "customResourceConfigId": "a,b"}
    assert api.sync({**TREE, **session}).json()["status"] == 10
    query = "apiToken=demo&sessionMode=20"
    assert api.call("/scc/spSdModelSync", TREE, query=query).json()["status"] == 10
    assert api.call("/scc/spSdModelSync", TREE, query="apiToken=demo&sessionMode=x").json()["status"] == 20
    assert api.ledger()["synced_models"][0]["changes"] == 1


@pytest.mark.parametrize("body", [b"{", b"[]", b'"x"'])
def test_a_body_that_is_not_an_object_is_refused(api, body):
    assert api.call("/scc/spSdModelSync", body).json()["status"] == 20


def test_another_media_type_is_refused(api):
    assert api.refusal(content_type="text/plain")[0] == "EMULATOR_MEDIA_TYPE"


def test_refusals_have_the_status_that_is_set(api):
    api.set(workshop_refusal_status=400)
    answer = api.sync({**TREE, "apiToken": "x"})
    assert (answer.status_code, answer.json()["status"], answer.json()["errCode"]) == (400, 20, "EMULATOR_SUB_ERROR")


# Faults


def test_a_lost_answer_leaves_a_synced_model_and_a_retry_creates_no_second_one(api):
    api.emulator.switch("faults", kind="status", status=502, when="after", route="/spSdModelSync", model="hero")
    assert api.sync().status_code == 502
    assert totals(api, "models_synced", "syncs") == (1, 1)
    assert api.status() == 5
    assert totals(api, "models_synced", "syncs") == (1, 2)


def test_a_fault_can_be_for_one_model(api):
    api.emulator.switch("faults", kind="status", status=503, route="/spSdModelSync", model="villain")
    assert api.sync().status_code == 200
    villain = changed("modelId", "villain")
    villain["versions"][0]["modelVersionId"] = "villain-1"
    assert [api.sync(villain).status_code for _ in range(2)] == [503, 200]


def test_a_refusal_in_the_body_of_a_200_can_be_injected(api):
    body = {"status": 20, "apiInvokeId": "i_1", "subErrCode": "BUSY", "subErrMessage": "busy", "data": None}
    api.emulator.switch("faults", kind="status", status=200, body=body, route="/spSdModelSync")
    assert api.sync().json() == body
    assert totals(api, "syncs") == (0,)
