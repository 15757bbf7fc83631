from __future__ import annotations

import http.server
import socket
import threading
import traceback
from concurrent.futures import ThreadPoolExecutor
from email.utils import formatdate

import pytest
import requests
from urllib3.exceptions import ConnectTimeoutError, MaxRetryError, NewConnectionError, ProtocolError, ReadTimeoutError

from airflow_provider_scenario.client.errors import (
    ConflictError,
    InvalidInputError,
    PlanCeilingError,
    RequestRefusedError,
    ScenarioError,
    ServiceError,
    ThrottledError,
)
from airflow_provider_scenario.client.scenario.client import ScenarioClient
from airflow_provider_scenario.client.transport import path
from tests.unit.client.conftest import KEY, NOW, READY, SECRET, ScenarioTransport

OVERLOADED = (503, {"message": "overloaded"})
SAID_TRUE, SAID_FALSE = {"x-should-retry": "true"}, {"x-should-retry": "false"}
TOO_MANY = (429, {"message": "Too Many Requests"})


def nothing_sent(kind: str) -> Exception:
    if kind == "refused":
        inner = NewConnectionError(None, "Failed to establish a new connection: [Errno 111] Connection refused")  # type: ignore[arg-type]
        return requests.ConnectionError(MaxRetryError(None, "/v1", inner))  # type: ignore[arg-type]
    return requests.ConnectTimeout(MaxRetryError(None, "/v1", ConnectTimeoutError("timed out")))  # type: ignore[arg-type]


def lost(kind: str) -> Exception:
    return {
        "timeout": requests.ReadTimeout(ReadTimeoutError(None, "/v1", "read timed out")),  # type: ignore[arg-type]
        "slow body": requests.ConnectionError(ReadTimeoutError(None, "/v1", "read timed out")),  # type: ignore[arg-type]
        "reset": requests.ConnectionError(ProtocolError("Connection aborted.", ConnectionResetError(104, "reset"))),
        "broken body": requests.exceptions.ChunkedEncodingError("broken"),
        "broken encoding": requests.exceptions.ContentDecodingError("broken"),
    }[kind]


LOST = ("timeout", "slow body", "reset", "broken body", "broken encoding")


def ask(transport, *, repeatable=True, method="GET"):
    return transport.request(method, "/things", action="do a thing", repeatable=repeatable)


# What goes over the wire


def test_a_request_carries_key_project_and_body_and_nothing_it_was_not_given(transport, service):
    transport.request(
        "PUT",
        "/models/m/train",
        action="train",
        repeatable=False,
        query={"dryRun": "true", "status": None, "types": ["a", "b"], "minimal": False, "empty": ""},
        json={"name": "Ährenfeld"},
    )
    sent = service.sent[0]
    assert (sent.method, sent.path, sent.body) == ("PUT", "/v1/models/m/train", {"name": "Ährenfeld"})
    assert sent.query == {"dryRun": "true", "types": "a,b", "minimal": "false", "projectId": "proj_1"}
    assert sent.headers["Authorization"].startswith("Basic ")
    assert sent.headers["Content-Type"] == "application/json"
    assert sent.headers["User-Agent"].startswith("airflow-provider-scenario/")


def test_a_request_without_a_body_has_no_content_type(transport, service):
    ask(transport)
    assert (service.sent[0].body, service.sent[0].headers.get("Content-Type")) == (None, None)


@pytest.mark.parametrize(("timeout", "used"), [(7, (5.0, 7.0)), ((1, 2), (1.0, 2.0)), (0.5, (5.0, 0.5))])
def test_one_timeout_is_the_time_to_wait_for_an_answer(service, timeout, used):
    session = requests.Session()
    session.mount("https://", service)
    ask(ScenarioTransport("https://scenario.test", KEY, SECRET, session=session, timeout=timeout))
    assert service.sent[0].kwargs["timeout"] == used


def test_switching_off_the_certificate_check_is_not_undone_by_the_environment(service, monkeypatch):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere")
    session = requests.Session()
    session.mount("https://", service)
    ask(ScenarioTransport("https://scenario.test", KEY, SECRET, session=session, verify=False))
    assert service.sent[0].kwargs["verify"] is False


def test_a_netrc_file_does_not_replace_the_key(service, transport, monkeypatch, tmp_path):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine scenario.test login other password other")
    monkeypatch.setenv("NETRC", str(netrc))
    ask(transport)
    before = service.sent[0].headers["Authorization"]
    monkeypatch.delenv("NETRC")
    ask(transport)
    assert service.sent[1].headers["Authorization"] == before


@pytest.mark.parametrize(
    "wrong",
    [
        {"base_url": "scenario.test/v1"},
        {"base_url": "ftp://scenario.test"},
        {"base_url": "https://"},
        {"base_url": "https://[broken"},
        {"base_url": "https://user:secret-in-the-address@scenario.test"},
        {"base_url": "ftp://user:secret-in-the-address@scenario.test"},
        {"base_url": "https://scenario.test?key=secret-in-the-address"},
        {"api_key": ""},
        {"api_secret": ""},
        {"api_key": "\ud83d"},
        {"api_secret": "\ud83d"},
        {"timeout": 0},
        {"timeout": (1, -1)},
        {"timeout": float("nan")},
        {"verify": "/no/such/bundle.pem"},
    ],
)
def test_settings_that_cannot_work_are_refused_at_once(wrong):
    settings = {"base_url": "https://scenario.test", "api_key": KEY, "api_secret": SECRET, **wrong}
    with pytest.raises(InvalidInputError) as caught:
        ScenarioTransport(**settings)
    assert "secret-in-the-address" not in str(caught.value)


@pytest.mark.parametrize(
    ("base_url", "said"),
    [
        (
            "api.cloud.scenario.com/v1",
            "'api.cloud.scenario.com/v1' has no scheme: give 'https://api.cloud.scenario.com/v1'. Nothing was sent.",
        ),
        ("127.0.0.1:8321/v1", "has no scheme: give 'https://127.0.0.1:8321/v1'"),
        ("https//api.cloud.scenario.com/v1", "must be an http(s) address, such as https://api.cloud.scenario.com/v1"),
        ("https:/api.cloud.scenario.com/v1", "must be an http(s) address, such as https://api.cloud.scenario.com/v1"),
    ],
)
def test_the_message_about_a_base_url_without_a_scheme_shows_it_with_one(base_url, said):
    with pytest.raises(InvalidInputError) as caught:
        ScenarioTransport(base_url, KEY, SECRET)
    assert said in str(caught.value)


def test_white_space_around_a_base_url_does_not_count():
    assert ScenarioTransport(" https://scenario.test/v1/\n", KEY, SECRET).base_url == "https://scenario.test/v1"


@pytest.mark.parametrize("body", [{"scale": float("nan")}, {"when": object()}])
def test_a_body_that_json_cannot_hold_is_refused_before_anything_is_sent(transport, service, body):
    with pytest.raises(InvalidInputError, match="Nothing was sent"):
        transport.request("POST", "/models", action="create", repeatable=False, json=body)
    assert service.sent == []


def test_a_project_that_cannot_be_sent_is_refused_by_its_name(service):
    session = requests.Session()
    session.mount("https://", service)
    with pytest.raises(InvalidInputError, match=r"^project_id is not valid Unicode"):
        ask(ScenarioTransport("https://scenario.test", KEY, SECRET, project_id="\ud83d", session=session))
    assert service.sent == []


def test_a_token_in_a_query_is_not_in_the_message_that_it_cannot_be_sent(transport, service):
    with pytest.raises(InvalidInputError) as caught:
        transport.request("GET", "/x", action="ask", repeatable=True, query={"apiToken": "a-secret-token\ud83d"})
    assert "a-secret-token" not in str(caught.value)
    assert service.sent == []


# Ids stay ids


@pytest.mark.parametrize("model_id", ["model_8XkT", "flux.1-dev", "a:b", "ünïcode", "...", "a..b"])
def test_an_id_is_one_segment_of_the_path(model_id):
    assert path("models", model_id, "train").count("/") == 3


@pytest.mark.parametrize(
    "bad",
    [
        "",
        ".",
        "..",
        "a/b",
        "../projects",
        "a?dryRun=true",
        "a#b",
        "a\\b",
        "%2e%2e",
        "a%2fb",
        "a b",
        "a\n",
        "\x00",
        "\ud83d",
        "x" * 1001,
        "None",
    ],
)
def test_text_that_could_reach_another_endpoint_is_refused_as_an_id(transport, service, bad):
    with pytest.raises(InvalidInputError, match=r"^model_id ") as caught:
        ScenarioClient(transport).train(bad)
    assert service.sent == []
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("bad", [None, 5, ["model_1"]])
def test_a_value_that_is_not_text_is_refused_as_an_id(bad):
    with pytest.raises(InvalidInputError, match="model_id must be text"):
        path("models", bad)


@pytest.mark.parametrize(
    ("segments", "field"),
    [
        (("models", ""), "model_id"),
        (("models", "m", "training-images", ""), "training_image_id"),
        (("assets", ""), "asset_id"),
        (("jobs", ""), "job_id"),
        (("assets", "download", ""), "job_id"),
        (("projects", ""), "project_id"),
    ],
)
def test_a_bad_id_is_called_by_its_field(segments, field):
    with pytest.raises(InvalidInputError, match=f"^{field} is empty"):
        path(*segments)


# What is sent again


@pytest.mark.parametrize(
    ("answer", "repeatable", "tries"),
    [
        *((nothing_sent(kind), repeatable, 4) for kind in ("refused", "timeout") for repeatable in (True, False)),
        *((lost(kind), True, 4) for kind in LOST),
        *((lost(kind), False, 1) for kind in LOST),
        *(((status, {}), True, 4) for status in (408, 409, 500, 502, 503, 504, 599)),
        *(((status, {}), False, 1) for status in (408, 409, 500, 502, 503, 504, 599)),
        (TOO_MANY, True, 4),
        (TOO_MANY, False, 4),
        ((429, {"details": {"remainingSeconds": 5}}), False, 4),
        ((429, {"name": "PlanLimitReachedError", "details": {"actionName": "train-model"}}), True, 1),
        ((429, {"details": {"actionName": "parallel-training", "actionLimit": 1}}), True, 1),
        *(((status, {}), True, 1) for status in (301, 302, 307, 400, 401, 402, 403, 404, 405, 410, 413, 418, 422)),
        ((409, {"reason": "Model is already training"}), True, 1),
        *(((status, {}, SAID_TRUE), True, 4) for status in (400, 401, 403, 404, 409, 413, 422, 429, 500)),
        *(((status, {}, SAID_TRUE), False, 1) for status in (400, 401, 403, 404, 408, 409, 413, 422, 500)),
        *(((status, {}, SAID_FALSE), True, 1) for status in (400, 401, 408, 409, 429, 500, 503)),
        *(((status, {}, SAID_FALSE), False, 1) for status in (400, 408, 409, 429, 500)),
        ((500, {}, {"X-Should-Retry": " FALSE "}), True, 1),
        ((400, {}, {"x-should-retry": "perhaps"}), True, 1),
        ((500, {}, {"x-should-retry": "perhaps"}), True, 4),
        ((302, {}, SAID_TRUE), True, 1),
        ((429, {"name": "PlanLimitReachedError"}, SAID_TRUE), True, 1),
        ((400, {"reason": "Model is already training"}, SAID_TRUE), True, 1),
        ((200, b'{"model": {"id'), True, 4),
        ((200, b'{"model": {"id'), False, 1),
        ((200, b"<html>"), True, 1),
        ((200, b"<html>"), False, 1),
    ],
    ids=str,
)
def test_only_what_is_safe_and_may_help_is_sent_again(transport, service, answer, repeatable, tries):
    service.answers(answer)
    with pytest.raises(ScenarioError):
        ask(transport, repeatable=repeatable, method="PUT")
    assert len(service.sent) == tries


@pytest.mark.parametrize(
    "trouble", [OVERLOADED, TOO_MANY, (409, {}), (400, {}, SAID_TRUE), nothing_sent("refused"), lost("reset")], ids=str
)
def test_a_call_that_succeeds_at_the_last_try_succeeds(transport, service, trouble):
    service.answers(trouble, trouble, trouble, {"model": {"id": "m"}})
    assert ask(transport).json == {"model": {"id": "m"}}


def test_the_pauses_double_up_to_eight_seconds(service, slept):
    session = requests.Session()
    session.mount("https://", service)
    service.answers(OVERLOADED)
    long = ScenarioTransport(
        "https://x.test", KEY, SECRET, session=session, sleep=slept.append, jitter=lambda: 0.0, max_tries=7
    )
    with pytest.raises(ServiceError):
        ask(long)
    assert slept == [0.5, 1.0, 2.0, 4.0, 8.0, 8.0]


def test_jitter_takes_up_to_a_quarter_off_a_pause_and_adds_half_a_second_to_a_retry_after(service, slept):
    session = requests.Session()
    session.mount("https://", service)
    service.answers(OVERLOADED, (429, {}, {"Retry-After": "3"}), {})
    ask(ScenarioTransport("https://x.test", KEY, SECRET, session=session, sleep=slept.append, jitter=lambda: 1.0))
    assert slept == [0.375, 3.5]


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    ("headers", "body", "wait"),
    [
        ({"Retry-After": "7"}, {}, 7.0),
        ({"retry-after": "1.5"}, {}, 1.5),
        ({"Retry-After-Ms": "1500"}, {}, 1.5),
        ({"Retry-After": formatdate(NOW + 20, usegmt=True)}, {}, 20.0),
        ({"Retry-After": formatdate(NOW - 20, usegmt=True)}, {}, 0.0),
        ({"Retry-After": "0"}, {}, 0.0),
        ({}, {"details": {"remainingSeconds": 12}}, 12.0),
        ({}, {"details": {"remainingSeconds": "12.5"}}, 12.5),
        ({"Retry-After": "5"}, {"details": {"remainingSeconds": 12}}, 12.0),
        ({"Retry-After": "60"}, {}, 60.0),
        ({"Retry-After": "soon"}, {}, 0.5),
        ({"Retry-After": "-5"}, {}, 0.5),
        ({"Retry-After": "nan"}, {}, 0.5),
        ({}, {"details": {"remainingSeconds": None}}, 0.5),
        ({}, {"details": "none"}, 0.5),
        ({}, [], 0.5),
    ],
)
def test_the_wait_the_service_asks_for_is_kept_in_every_spelling(
    transport, service, slept, status, headers, body, wait
):
    service.answers((status, body, headers), {})
    ask(transport)
    assert slept == [wait]


def test_a_conflict_is_tried_again_with_the_usual_pauses_and_passes_later_for_all_we_know(transport, service, slept):
    service.answers((409, {"reason": "The model is locked"}))
    with pytest.raises(ConflictError, match="The model is locked") as caught:
        ask(transport)
    assert (slept, caught.value.permanent, caught.value.money) == ([0.5, 1.0, 2.0], False, "none")


@pytest.mark.parametrize("repeatable", [True, False])
def test_a_refusal_that_the_service_says_may_pass_is_not_permanent(transport, service, repeatable):
    service.answers((400, {"reason": "not yet"}, SAID_TRUE))
    with pytest.raises(RequestRefusedError, match="may succeed later") as caught:
        ask(transport, repeatable=repeatable)
    assert (caught.value.permanent, caught.value.money) == (False, "none")


def test_a_plan_ceiling_stays_one_whatever_the_service_says_of_trying_again(transport, service):
    service.answers((429, {"name": "PlanLimitReachedError", "details": {"actionName": "train-model"}}, SAID_TRUE))
    with pytest.raises(PlanCeilingError) as caught:
        ask(transport)
    assert (len(service.sent), caught.value.permanent) == (1, True)


def test_a_wait_beyond_a_minute_is_the_callers_to_decide(transport, service, slept):
    service.answers((429, {"message": "slow down"}, {"Retry-After": "61"}))
    with pytest.raises(ThrottledError) as caught:
        ask(transport)
    assert (caught.value.retry_after, slept, len(service.sent)) == (61.0, [], 1)


def test_a_throttled_call_says_in_the_end_how_long_to_wait(transport, service):
    service.answers((429, {}, {"Retry-After": "2"}))
    with pytest.raises(ThrottledError) as caught:
        ask(transport)
    assert caught.value.retry_after == 2.0


def test_one_try_means_one_try(service):
    session = requests.Session()
    session.mount("https://", service)
    service.answers(OVERLOADED)
    with pytest.raises(ServiceError):
        ask(ScenarioTransport("https://x.test", KEY, SECRET, session=session, max_tries=1))
    assert len(service.sent) == 1


# What a lost answer means


@pytest.mark.parametrize(
    ("answer", "repeatable", "maybe_done"),
    [
        *((lost(kind), False, True) for kind in LOST),
        *((lost(kind), True, False) for kind in LOST),
        (nothing_sent("refused"), False, False),
        (nothing_sent("timeout"), False, False),
        ((500, {}), False, True),
        ((504, b"Endpoint request timed out"), False, True),
        ((408, {}), False, True),
        ((500, {}), True, False),
        ((200, b"<html>hello</html>"), False, True),
        ((200, b""), False, True),
        ((200, []), False, True),
        ((200, "text"), False, True),
        ((200, b"\xff\xfe\x00"), False, True),
        ((200, []), True, False),
        ((302, {}), False, False),
    ],
    ids=str,
)
def test_a_lost_answer_says_whether_it_may_have_been_done(transport, service, answer, repeatable, maybe_done):
    service.answers(answer)
    with pytest.raises(ServiceError) as caught:
        ask(transport, repeatable=repeatable, method="POST")
    assert (caught.value.maybe_done, caught.value.money) == (maybe_done, "unknown" if maybe_done else "none")


def test_the_message_about_a_lost_answer_names_the_cost(transport, service):
    service.answers(lost("timeout"))
    with pytest.raises(ServiceError) as caught:
        ScenarioClient(transport).train("model_8Xk", model=READY)
    assert str(caught.value) == (
        "Scenario was requested to train model model_8Xk, but no answer came within 60 s from scenario.test. It may "
        "have been started and billed: read the model before starting it again. [PUT /models/model_8Xk/train]"
    )


def test_the_message_without_a_connection_says_that_nothing_was_started(transport, service):
    service.answers(nothing_sent("refused"))
    with pytest.raises(ServiceError) as caught:
        ScenarioClient(transport).train("model_8Xk", model=READY)
    assert str(caught.value) == (
        "Could not train model model_8Xk: no connection ([Errno 111] Connection refused) at scenario.test. Nothing was "
        "started or billed. Try again later, or check the base URL. [PUT /models/model_8Xk/train]"
    )


def test_an_answer_without_content_is_an_answer(transport, service):
    service.answers((204, b""))
    assert ask(transport).json == {}


def test_a_status_that_is_accepted_needs_a_json_object(transport, service):
    service.answers((402, {"estimatedCost": 5}))
    assert transport.request("PUT", "/x", action="quote", repeatable=True, accept=(402,)).json == {"estimatedCost": 5}
    service.answers((402, b"pay"))
    with pytest.raises(RequestRefusedError):
        transport.request("PUT", "/x", action="quote", repeatable=True, accept=(402,))


# Nothing leaks


SIGNED = "https://cdn.test/a.png?Signature=signed-part&Key=1"
LEAKS = [
    (403, {"message": f"bad Authorization for {KEY}:{SECRET}"}),
    (400, {"reason": f"cannot fetch {SIGNED} for you"}),
    (302, {}, {"Location": f"https://user:{SECRET}@evil.test/?token=signed-part"}),
    (500, f"<html><title>Error {SIGNED} {SECRET}</title></html>".encode()),
    (429, {"name": "PlanLimitReachedError", "reason": SIGNED, "details": {"actionName": SECRET}}),
    (200, b"not json"),
    lost("timeout"),
    nothing_sent("refused"),
    requests.exceptions.ProxyError(f"http://user:{SECRET}@proxy.test refused {SIGNED}"),
]


@pytest.mark.parametrize("answer", LEAKS, ids=str)
def test_no_secret_is_in_an_error_its_traceback_or_its_causes(transport, service, answer):
    service.answers(answer)
    with pytest.raises(ScenarioError) as caught:
        ask(transport, repeatable=False, method="PUT")
    error = caught.value
    text = "".join(traceback.format_exception(error)) + str(error) + repr(error)
    authorization = service.sent[0].headers["Authorization"].removeprefix("Basic ")
    for secret in (SECRET, KEY, authorization, "signed-part"):
        assert secret not in text
    assert (error.__cause__, error.__context__) == (None, None)


def test_no_secret_is_in_the_repr_of_what_holds_it(transport):
    for shown in (repr(transport), repr(ScenarioClient(transport))):
        assert "scenario.test" in shown
        assert SECRET not in shown
        assert KEY not in shown


def test_an_answer_does_not_show_what_it_holds(transport, service):
    service.answers({"url": SIGNED})
    assert "signed-part" not in repr(ask(transport))


# On a real socket


class Recorder(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    received: list[tuple[str, str | None]]

    def do_GET(self) -> None:
        type(self).received.append((self.path, self.headers.get("Authorization")))
        if self.path.startswith("/v1/elsewhere"):
            self.send_response(302)
            self.send_header("Location", f"http://localhost:{self.server.server_port}/stolen")  # type: ignore[attr-defined]
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(200)
        self.send_header("Set-Cookie", "sticky=1")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def local():
    handler = type("OwnRecorder", (Recorder,), {"received": []})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        server.url = f"http://127.0.0.1:{server.server_port}/v1"  # type: ignore[attr-defined]
        server.received = handler.received  # type: ignore[attr-defined]
        yield server
        server.shutdown()


def connected(local, **settings):
    return ScenarioTransport(local.url, KEY, SECRET, sleep=lambda _: None, **settings)


def test_the_key_does_not_follow_a_redirect(local):
    with pytest.raises(ServiceError, match="redirects to http://localhost"):
        connected(local).request("GET", "/elsewhere", action="read", repeatable=True)
    assert [target for target, _ in local.received] == ["/v1/elsewhere"]


@pytest.mark.parametrize("model_id", ["...", "a:b", "ünïcode", "flux.1-dev", "a;b=c", "a,b", "a&b"])
def test_no_layer_below_changes_the_segment_of_an_id(local, model_id):
    connected(local).request("GET", path("models", model_id), action="read", repeatable=True)
    [(target, _)] = local.received
    assert target == path("models", model_id).replace("/models", "/v1/models")


def test_many_threads_may_share_one_transport(local):
    shared = connected(local, pool_size=4)
    with ThreadPoolExecutor(8) as pool:
        answers = list(
            pool.map(
                lambda n: shared.request("GET", "/things", action="read", repeatable=True, query={"n": n}), range(100)
            )
        )
    shared.close()
    assert len(answers) == 100
    assert sorted(int(target.rpartition("=")[2]) for target, _ in local.received) == list(range(100))
    assert len({authorization for _, authorization in local.received}) == 1


def test_a_cookie_of_the_service_is_not_kept(local):
    shared = connected(local)
    ask(shared)
    assert len(shared._session.cookies) == 0


def test_a_closed_port_means_that_nothing_was_sent():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    pauses: list[float] = []
    transport = ScenarioTransport(f"http://127.0.0.1:{port}", KEY, SECRET, sleep=pauses.append)
    with pytest.raises(ServiceError, match="no connection") as caught:
        ask(transport, repeatable=False, method="PUT")
    assert (caught.value.maybe_done, len(pauses)) == (False, 3)


def test_a_host_without_an_address_means_that_nothing_was_sent():
    transport = ScenarioTransport("http://scenario.invalid", KEY, SECRET, sleep=lambda _: None, max_tries=1)
    with pytest.raises(ServiceError, match="no connection") as caught:
        ask(transport, repeatable=False, method="PUT")
    assert caught.value.maybe_done is False


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{", None], ids=str)
def test_a_connection_that_breaks_or_falls_silent_is_a_lost_answer(answer):
    with socket.create_server(("127.0.0.1", 0)) as server:
        served = []

        def serve() -> None:
            connection, _ = server.accept()
            served.append(connection.recv(65536))
            if answer is None:
                served.append(connection)  # type: ignore[arg-type]
            else:
                connection.sendall(answer)
                connection.close()

        threading.Thread(target=serve, daemon=True).start()
        transport = ScenarioTransport(f"http://127.0.0.1:{server.getsockname()[1]}", KEY, SECRET, timeout=0.3)
        with pytest.raises(ServiceError) as caught:
            ask(transport, repeatable=False, method="PUT")
    assert caught.value.maybe_done is True
    assert b"Authorization: Basic" in served[0]


def test_no_request_is_sent_again_after_a_certificate_that_is_not_trusted(service, transport, slept):
    import ssl

    problem = requests.exceptions.SSLError(
        MaxRetryError(None, "/v1", ssl.SSLCertVerificationError(1, "certificate verify failed"))  # type: ignore[arg-type]
    )
    service.answers(problem)
    with pytest.raises(ServiceError, match="name the trusted certificates in 'verify'") as caught:
        ask(transport, repeatable=False, method="PUT")
    assert (caught.value.maybe_done, len(service.sent), slept) == (False, 1, [])


def test_no_request_is_sent_again_with_a_missing_ca_bundle(service, transport):
    service.answers(OSError("Could not find a suitable TLS CA certificate bundle, invalid path: /nowhere"))
    with pytest.raises(ServiceError, match="/nowhere") as caught:
        ask(transport, repeatable=False, method="PUT")
    assert (caught.value.maybe_done, len(service.sent)) == (False, 1)


def test_a_session_that_was_passed_in_stays_open(service):
    class Session(requests.Session):
        closed = False

        def close(self) -> None:
            self.closed = True

    session = Session()
    with ScenarioClient.connect(api_key=KEY, api_secret=SECRET, session=session):
        pass
    assert session.closed is False


def test_a_plan_ceiling_is_distinguished_from_throttling_before_any_pause(transport, service, slept):
    service.answers((429, {"name": "PlanLimitReachedError", "details": {"actionName": "x"}}, {"Retry-After": "5"}))
    with pytest.raises(PlanCeilingError):
        ask(transport)
    assert slept == []
