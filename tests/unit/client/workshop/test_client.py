from __future__ import annotations

import copy
import time
from datetime import UTC, datetime
from email.utils import formatdate
from typing import TYPE_CHECKING

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_scenario.client.defaults import WORKSHOP_URL
from airflow_provider_scenario.client.errors import (
    AuthenticationError,
    InvalidInputError,
    RequestRefusedError,
    ScenarioError,
    ServiceError,
    ThrottledError,
    WorkshopRefusalError,
)
from airflow_provider_scenario.client.workshop.client import ListingStatus, WorkshopClient
from airflow_provider_scenario.client.workshop.schemas import SessionParameters, read_tree
from airflow_provider_scenario.client.workshop.signing import string_to_sign
from tests.unit.client.conftest import ScriptedService
from tests.unit.client.workshop.test_schemas import NAMES, PAGE, anything

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.witness import Witness

KEY, SECRET, TOKEN = "app_key_of_the_tests", "app_secret_of_the_tests", "token+of/the=tests"
SYNC = "/scc/spSdModelSync"
DATA = {"modelId": "xxxxx", "modelVersionId": "xxxx", "modelFileId": "mf_1", "status": 5}


@pytest.fixture
def scripted(service: ScriptedService):
    """Makes a client that talks to the script."""

    def connect(**settings):
        session = requests.Session()
        session.mount("https://", service)
        return WorkshopClient.connect(
            **{"app_key": KEY, "app_secret": SECRET, "api_token": TOKEN, "session": session, "max_tries": 1, **settings}
        )

    return connect


@pytest.fixture
def workshop(emulator: Witness) -> Witness:
    emulator.set(fetch_files=False)
    return emulator


@pytest.fixture
def connect(workshop: Witness):
    clients = []

    def make(**settings):
        given = {"app_key": "demo", "app_secret": "demo", "api_token": "demo", "base_url": workshop.root, **settings}
        clients.append(WorkshopClient.connect(**given))
        return clients[-1]

    yield make
    for client in clients:
        client.close()


@pytest.fixture
def client(connect) -> Iterator[WorkshopClient]:
    return connect()


def message_of(call) -> str:
    with pytest.raises(ScenarioError) as caught:
        call()
    text = f"{caught.value} {caught.value.body} {caught.value!r}"
    assert not any(secret in text for secret in (KEY, SECRET, TOKEN, "token%2Bof"))
    return str(caught.value)


def envelope(data=None, **changes):
    return {"status": 10, "apiInvokeId": "i_42", "errCode": None, "subErrCode": None, "data": data, **changes}


# With the emulator


def test_a_model_is_synced_and_listed_some_time_later(client, workshop):
    first = client.sync_model(read_tree(PAGE))
    assert (first.model_id, first.model_version_id, first.status_name, first.parts) == (
        "xxxxx",
        "xxxx",
        "in-progress",
        (),
    )
    assert first.invoke_id.startswith("i_")
    workshop.advance(5)
    second = client.sync_model(PAGE)
    assert (second.status_name, second.model_file_id) == ("listed", first.model_file_id)
    totals = workshop.ledger()["totals"]
    assert (totals["models_synced"], totals["syncs"], totals["files_listed"]) == (1, 2, 1)


@pytest.mark.parametrize("place", ["body", "query"])
def test_the_token_goes_where_the_service_wants_it(connect, workshop, place):
    workshop.set(api_token_in=place)
    session = SessionParameters(role_id="ä&b", session_mode=20, expired_in_seconds=60)
    assert connect(api_token_in=place).sync_model(PAGE, session=session).status_name == "in-progress"
    other = "body" if place == "query" else "query"
    with pytest.raises(WorkshopRefusalError, match="EMULATOR_TOKEN_MISSING"):
        connect(api_token_in=other).sync_model(PAGE)


def test_a_failed_listing_is_reported(client, workshop):
    workshop.outcome(of="listing", fail_at=0)
    assert client.sync_model(PAGE).status_name == "failed"


def test_one_row_a_file_is_read_too_and_the_least_advanced_speaks(client, workshop):
    workshop.set(workshop_data="list")
    workshop.outcome(of="listing", fail_at=0, times=1)
    tree = copy.deepcopy(PAGE)
    tree["versions"].append({**tree["versions"][0], "modelVersionId": "other"})
    listing = client.sync_model(tree)
    assert (listing.status_name, listing.model_version_id) == ("failed", "xxxx")
    assert [(part.model_version_id, part.status_name) for part in listing.parts] == [
        ("xxxx", "failed"),
        ("other", "in-progress"),
    ]


def test_a_token_can_be_read(client, workshop):
    assert client.check().token_expired_at == datetime(2035, 12, 30, tzinfo=UTC)
    assert workshop.ledger()["totals"]["models_synced"] == 0


def test_a_wrong_token_is_a_refusal_with_the_services_words_and_id(connect):
    with pytest.raises(WorkshopRefusalError) as caught:
        connect(api_token="wrong-token").check()
    error = caught.value
    assert (error.sub_err_code, error.err_code, error.status) == ("EMULATOR_TOKEN_UNKNOWN", "EMULATOR_SUB_ERROR", 200)
    assert error.trace_id.startswith("i_")
    assert not error.permanent
    assert str(error) == (
        "AI Creation Workshop refused to read the token: There is no such token (subErrCode EMULATOR_TOKEN_UNKNOWN, "
        "errCode EMULATOR_SUB_ERROR). Nothing was synced. The meaning of its codes is not published: check api_token "
        f"and what was sent. Sending it again is safe. [POST /scc/spQueryToken, 200, trace {error.trace_id}]"
    )


def test_a_refusal_with_another_status_is_the_same_words(connect, workshop):
    workshop.set(workshop_refusal_status=400)
    with pytest.raises(
        RequestRefusedError, match=r"There is no such token \(subErrCode EMULATOR_TOKEN_UNKNOWN"
    ) as caught:
        connect(api_token="wrong-token").check()
    assert caught.value.permanent


def test_a_wrong_secret_shows_both_strings_to_sign_and_that_they_are_the_same(connect):
    with pytest.raises(AuthenticationError) as caught:
        connect(app_secret="a-wrong-secret", api_token_in="query").sync_model(PAGE)
    text = str(caught.value)
    assert (
        "refused to sync model 'xxxxx': Invalid Signature. Nothing was synced. The gateway's string to sign is" in text
    )
    theirs, ours = text.split("string to sign is '")[1].split("', ours '")
    ours = ours.split("'. ")[0]
    assert ours.replace("#", "") == theirs
    assert "x-ca-key:***#x-ca-nonce" in ours
    assert ours.endswith("/scc/spSdModelSync?apiToken=***")
    assert "They are the same, so the AppSecret does not belong to this AppKey" in text
    assert "a-wrong-secret" not in text
    assert "demo" not in text


def test_a_wrong_key_is_refused(connect):
    with pytest.raises(AuthenticationError, match=r"Invalid AppKey\. Nothing was synced\. Check AppKey"):
        connect(app_key="another").check()


@pytest.mark.parametrize(("minutes", "word"), [(20, "behind"), (-20, "ahead")])
def test_a_clock_that_is_off_is_reported_with_both_times(connect, workshop, minutes, word):
    workshop.set(gateway_clock_skew=minutes * 60)
    ours, theirs = (
        datetime.fromtimestamp(time.time() + 60 * off, UTC).strftime("%Y-%m-%d %H:") for off in (0, minutes)
    )
    with pytest.raises(AuthenticationError) as caught:
        connect().sync_model(PAGE)
    text = str(caught.value)
    assert f"The clock of this machine shows {ours}" in text
    assert f"the service's {theirs}" in text
    assert f"ours is 20 min {word}, and the gateway allows 15. Set the clock." in text


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "close", "when": "after"},
        {"kind": "close"},
        {"kind": "status", "status": 502, "when": "after"},
        {"kind": "garbage", "garbage": "truncated"},
        {"kind": "429", "retry_after": 0},
    ],
)
def test_a_sync_whose_answer_is_lost_is_sent_again_with_a_nonce_of_its_own(client, workshop, fault):
    workshop.fault(**fault, route="/scc/spSdModelSync")
    assert client.sync_model(PAGE).status_name == "in-progress"
    assert workshop.ledger()["totals"]["models_synced"] == 1


def test_a_tree_that_is_wrong_is_not_sent(client, workshop):
    with pytest.raises(InvalidInputError, match="name is missing"):
        client.sync_model({name: value for name, value in PAGE.items() if name != "name"})
    with pytest.raises(InvalidInputError, match="sessionMode is 15"):
        client.sync_model(PAGE, session={"sessionMode": 15})
    assert workshop.requests() == 0


@pytest.mark.parametrize("place", ["body", "query"])
def test_a_field_that_is_not_listed_arrives_and_is_warned_of_once_a_call(connect, workshop, caplog, place):
    tree = copy.deepcopy(PAGE)
    tree["versions"][0]["files"][0]["mirror"] = {"a": [1]}
    tree["versions"][0]["extra_fields"] = {"nme": None}
    session = {"region": ["cn", "ü&"], "extraFields": {"roleIds": {"a": True}, "dry": False}}
    connect(api_token_in=place).sync_model(tree, session=session)
    arrived = workshop.read("synced/xxxxx")
    version = arrived["tree"]["versions"][0]
    assert (version["files"][0]["mirror"], version["nme"]) == ({"a": [1]}, None)
    beside = {"region": ["cn", "ü&"], "roleIds": {"a": True}, "dry": False}
    if place == "body":
        assert beside.items() <= arrived["tree"].items()
    else:
        assert arrived["session"] == {"region": '["cn", "ü&"]', "roleIds": '{"a": true}', "dry": "false"}
    warnings = [record.message for record in caplog.records if "the service does not list this field" in record.message]
    assert [line.partition(":")[0] for line in warnings] == ["Model 'xxxxx'"] * 2
    assert "region" in warnings[0]
    assert "versions[0].files[0].mirror" in warnings[1]


def test_a_tree_that_was_read_before_is_not_warned_of_again(client, caplog):
    client.sync_model(read_tree({**PAGE, "new": 1}))
    assert caplog.records == []


@pytest.mark.parametrize("place", ["body", "query"])
def test_the_same_name_in_the_tree_and_beside_it_is_refused_before_anything_is_sent(connect, workshop, place):
    for tree, session in (({"new": 1}, {"new": 2}), ({}, {"extra_fields": {"name": "x"}})):
        with pytest.raises(
            InvalidInputError, match=r"is given in the tree and in the session parameters\. Nothing was sent"
        ):
            connect(api_token_in=place).sync_model({**PAGE, **tree}, session=session)
    assert workshop.requests() == 0


@given(tree=st.one_of(anything, st.tuples(st.sampled_from(NAMES), anything)), session=anything)
@pytest.mark.parametrize("place", ["body", "query"])
def test_whatever_is_given_is_sent_or_refused_in_few_words_before_anything_is_sent(place, tree, session):
    service = ScriptedService()
    service.answers(envelope(DATA))
    http = requests.Session()
    http.mount("https://", service)
    client = WorkshopClient.connect(
        app_key=KEY, app_secret=SECRET, api_token=TOKEN, api_token_in=place, session=http, max_tries=1
    )
    if isinstance(tree, tuple):
        tree = {**PAGE, tree[0]: tree[1]}
    refused = None
    try:
        client.sync_model(tree, session=session)
    except InvalidInputError as problem:
        refused = str(problem)
    assert len(service.sent) == (refused is None)
    assert len((refused or "").encode()) < 4_000


@pytest.mark.parametrize("wrong", [{"app_key": 5}, {"app_secret": b"x"}, {"api_token": ["x"]}])
def test_credentials_that_are_not_texts_are_refused(scripted, wrong):
    with pytest.raises(InvalidInputError, match="must be texts"):
        scripted(**wrong)


def test_half_an_emoji_is_refused_before_anything_is_sent(client, workshop):
    with pytest.raises(InvalidInputError, match="cannot be written as JSON"):
        client.sync_model({**PAGE, "modelDesc": "\ud83d"})
    assert workshop.requests() == 0


# What is sent


def test_token_and_session_are_sent_with_the_tree_or_in_the_query(scripted, service):
    service.answers(envelope(DATA))
    session = {"role_id": "r", "session_mode": 20}
    scripted().sync_model(PAGE, session=session)
    scripted(api_token_in="query").sync_model(PAGE, session=session)
    inside, outside = service.sent
    beside = {"apiToken": TOKEN, "roleId": "r", "sessionMode": 20}
    assert (inside.method, inside.path, inside.query, inside.body) == ("POST", SYNC, {}, {**beside, **PAGE})
    assert (outside.query, outside.body) == ({**beside, "sessionMode": "20"}, PAGE)
    assert inside.headers["Accept"] == inside.headers["Content-Type"] == "application/json; charset=utf-8"
    assert "Authorization" not in inside.headers


def test_a_netrc_does_not_replace_the_signature(scripted, service, monkeypatch, tmp_path):
    (tmp_path / "netrc").write_text("machine openai.edu-aliyun.com login other password other")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    service.answers(envelope(DATA))
    scripted().sync_model(PAGE)
    assert "x-ca-signature" in service.sent[0].headers
    assert "Authorization" not in service.sent[0].headers


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"app_key": ""}, "key is missing"),
        ({"app_secret": ""}, "secret is missing"),
        ({"api_token": ""}, "api_token is missing"),
        ({"api_token_in": "header"}, "api_token_in must be 'body' or 'query', not 'header'"),
        ({"app_key": "key\n"}, "AppKey holds white space"),
        ({"app_secret": " secret"}, "AppSecret holds white space"),
        ({"api_token": "tökén"}, "api_token holds white space or characters that are not ASCII"),
        ({"base_url": "openai.edu-aliyun.com"}, "no scheme: give 'https://openai.edu-aliyun.com'"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_sent(scripted, wrong, message):
    assert message in message_of(lambda: scripted(**wrong))


def test_the_client_shows_neither_key_nor_token(scripted):
    client = scripted()
    assert repr(client) == f"WorkshopClient(Transport({WORKSHOP_URL!r}, project_id=None))"
    with client as same:
        assert same is client


# What comes back


@pytest.mark.parametrize(
    ("status", "state"),
    [(0, "not-listed"), (5, "in-progress"), (10, "listed"), (-10, "failed"), (7, "unknown"), ("10", "listed")],
)
def test_a_status_of_the_data_has_a_name(scripted, service, status, state):
    service.answers(envelope({**DATA, "status": status}))
    assert scripted().sync_model(PAGE).status_name == state


def test_the_data_without_an_envelope_is_an_answer_too(scripted, service):
    service.answers({"data": DATA})
    assert scripted().sync_model(PAGE) == ListingStatus(**DATA)


def test_ids_that_are_numbers_or_missing_do_not_matter(scripted, service):
    service.answers(envelope({"modelId": 7, "status": 10, "new": "field"}))
    assert scripted().sync_model(PAGE) == ListingStatus(model_id="7", status=10, invoke_id="i_42")


@pytest.mark.parametrize("statuses", [[10, 5], [5, 0], [0, 7], [7, -10], [10, 5, 0, 7, -10]])
def test_of_a_list_the_least_advanced_speaks(scripted, service, statuses):
    service.answers(envelope([{**DATA, "status": status} for status in statuses]))
    listing = scripted().sync_model(PAGE)
    assert (listing.status, listing.invoke_id) == (statuses[-1], "i_42")
    assert [part.status for part in listing.parts] == statuses


@pytest.mark.parametrize("data", [None, [], {}, {"status": None}, {"status": "soon"}, "listed", [DATA, None]])
def test_data_that_cannot_be_read_is_no_success(scripted, service, data):
    service.answers(envelope(data))
    text = message_of(lambda: scripted().sync_model(PAGE))
    assert text.startswith(
        "AI Creation Workshop was requested to sync model 'xxxxx'; the ListingStatus in its answer is unreadable"
    )
    assert text.endswith("Sending it again is safe. [POST /scc/spSdModelSync, 200, trace i_42]")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"status": 20}, "status 20 and no reason"),
        ({"status": "20"}, "status 20 and no reason"),
        ({"errCode": "E1"}, "errCode E1"),
        ({"errCode": "E1", "errMessage": "outer."}, "outer (errCode E1)"),
        ({"subErrCode": "S1", "errMessage": "outer"}, "outer (subErrCode S1)"),
        (
            {"errCode": "E1", "errMessage": "outer", "subErrCode": 5, "subErrMessage": "inner"},
            "inner (subErrCode 5, errCode E1)",
        ),
        ({"status": 20, "subErrMessage": f"no token {TOKEN}"}, "no token ***"),
    ],
)
def test_a_refusal_inside_a_success_of_http_is_an_error(scripted, service, changes, words):
    service.answers(envelope(DATA, **changes))
    text = message_of(lambda: scripted(max_tries=3).sync_model(PAGE))
    assert text.startswith(f"AI Creation Workshop refused to sync model 'xxxxx': {words}. Nothing was synced.")
    assert text.endswith("[POST /scc/spSdModelSync, 200, trace i_42]")
    assert len(service.sent) == 1


def header(message: str, **more: str) -> dict[str, str]:
    return {"X-Ca-Error-Message": message, "X-Ca-Request-Id": "R-1", **more}


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        ((403, b"", header("Throttled by APP Flow Control")), ThrottledError, "Throttled by APP Flow Control"),
        ((429, {"message": "Slow down"}), ThrottledError, "Slow down"),
        ((400, b"", header("Invalid AppKey")), AuthenticationError, "Check AppKey and AppSecret"),
        ((404, b"", header("Empty Signature")), AuthenticationError, "Check AppKey and AppSecret"),
        ((403, b"", header("Unauthorized")), AuthenticationError, "Check AppKey and AppSecret"),
        ((401, {}), AuthenticationError, "with status 401 and no reason"),
        ((400, b"", header("Invalid Url")), RequestRefusedError, "check the base URL"),
        (
            (404, b"<html><title>Not here</title></html>"),
            RequestRefusedError,
            "Not here. Nothing was synced. This route",
        ),
        ((400, envelope(errCode="E", errMessage="Bad name")), RequestRefusedError, "Bad name (errCode E)"),
        ((400, b"", header("Timestamp Expired")), AuthenticationError, "check for a proxy that delays it"),
        ((400, b"", header("Nonce Used")), ServiceError, "Nonce Used. Sending it again is safe"),
        (
            (500, envelope(errMessage="x", subErrMessage="Out of order")),
            ServiceError,
            "status 500, Out of order. Sending",
        ),
        ((503, b""), ServiceError, "failed to sync model 'xxxxx': status 503. Sending it again is safe"),
        (
            (302, b"", {"Location": "https://elsewhere.test/x?y"}),
            ServiceError,
            "redirects to https://elsewhere.test/x?…",
        ),
    ],
)
def test_each_way_to_say_no_is_an_error_of_its_kind(scripted, service, answer, kind, words):
    service.answers(answer)
    with pytest.raises(kind) as caught:
        scripted().sync_model(PAGE)
    assert words in str(caught.value)
    assert "Scenario" not in str(caught.value)


def test_the_id_of_the_call_is_always_there(scripted, service):
    service.answers((400, b"", header("Invalid AppKey")), (500, envelope()), (400, envelope()), envelope("?"))
    traces = ["R-1", "i_42", "i_42", "i_42"]
    assert [message_of(scripted().check).rpartition("trace ")[2].rstrip("]") for _ in traces] == traces


@pytest.mark.parametrize("mark", ["`", ""])
@pytest.mark.parametrize("break_", ["#", ""])
def test_strings_to_sign_are_compared_however_the_gateway_writes_line_breaks(scripted, service, mark, break_):
    """What is public shows both ways of writing."""

    def with_string(change):
        def send(request, **kwargs):
            signed = change(string_to_sign("POST", request.headers, request.path_url)).replace("\n", break_)
            service.script = [(400, b"", header(f"Invalid Signature, Server StringToSign:{mark}{signed}{mark}"))]
            return type(service).send(service, request, **kwargs)

        return send

    client = scripted()
    client._transport._session.get_adapter("https://x").send = with_string(lambda signed: signed)
    same = message_of(lambda: client.sync_model(PAGE))
    assert "They are the same, so the AppSecret does not belong to this AppKey" in same
    assert "x-ca-key:***" in same
    client._transport._session.get_adapter("https://x").send = with_string(lambda text: text.replace("POST", "PUT"))
    assert "They differ: something on the way, such as a proxy, has changed the request" in message_of(
        lambda: client.sync_model(PAGE)
    )


def test_a_gateway_that_does_not_send_its_string_to_sign_gets_ours_shown(scripted, service):
    service.answers((400, b"", header("Invalid Signature")))
    assert "does not hold what it would have signed; we have signed 'POST#application/json" in message_of(
        scripted().check
    )


def test_a_clock_that_is_off_is_reported_whatever_the_gateway_calls_it(scripted, service):
    late = formatdate(time.time() - 3600, usegmt=True)
    service.answers((403, b"", header("Request Time Too Skewed", Date=late)))
    assert "ours is 60 min ahead, and the gateway allows 15. Set the clock." in message_of(scripted().check)


@pytest.mark.parametrize("date", ["", "yesterday", "ten minutes ago"])
def test_no_clock_is_blamed_without_a_reason(scripted, service, date):
    if date == "ten minutes ago":
        date = formatdate(time.time() - 600, usegmt=True)
    service.answers((403, b"", header("Unauthorized", Date=date)))
    assert "clock" not in message_of(scripted().check)


def test_secrets_the_service_repeats_are_masked_in_the_body_of_the_error(scripted, service):
    for answer in ((500, {"echo": [KEY, SECRET, TOKEN]}), envelope(status=20, echo=[KEY, SECRET, TOKEN])):
        service.answers(answer)
        with pytest.raises(ScenarioError) as caught:
            scripted().check()
        assert caught.value.body["echo"] == ["***", "***", "***"]
