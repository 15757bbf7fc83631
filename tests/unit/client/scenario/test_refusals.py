from __future__ import annotations

import pytest
from requests.structures import CaseInsensitiveDict

from airflow_provider_scenario.client.decoding import decode
from airflow_provider_scenario.client.errors import (
    AlreadyTrainingError,
    AlreadyTrainingImageError,
    AuthenticationError,
    ConflictError,
    NotFoundError,
    PlanCeilingError,
    RequestRefusedError,
    ServiceError,
    ThrottledError,
)
from airflow_provider_scenario.client.refusals import Call, reason_in
from airflow_provider_scenario.client.scenario.refusals import refusal
from airflow_provider_scenario.client.texts import MAX_SERVICE_TEXT, plain

TRAIN = Call("train model model_8Xk", "PUT /models/model_8Xk/train", repeatable=False)


def refused(status, body=None, headers=None, call=TRAIN):
    return refusal(call, status, CaseInsensitiveDict(headers or {}), body, now=0)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"reason": "no images", "name": "SomeError", "details": {}, "trace_id": "1"}, "no images"),
        ({"message": "no images"}, "no images"),
        ({"Message": "no images"}, "no images"),
        ({"error": "no images"}, "no images"),
        ({"error": {"message": "no images"}}, "no images"),
        ({"errors": [{"message": "no"}, {"message": "images"}]}, "no; images"),
        ({"status": "error", "code": "bad_request", "message": "no images"}, "no images"),
        ({"statusCode": 400, "error": "Bad Request", "message": "no images"}, "no images"),
        ({"apiError": True, "error": "no images", "infos": {}, "id": "x"}, "no images"),
        ({"reason": "", "message": None, "error": "no images"}, "no images"),
        ({"reason": {"unexpected": 1}, "message": "no images"}, "no images"),
        ({"name": "NoImagesError"}, "NoImagesError"),
        ({"code": 17}, ""),
        ({}, ""),
        (["no images", {"message": "at all"}], "no images; at all"),
        ([], ""),
        ("no images", "no images"),
        ("<html><head><title>502 Bad Gateway</title></head><body>x</body></html>", "502 Bad Gateway"),
        ("<html><style>a{}</style><body><h1>no</h1> images</body></html>", "no images"),
        (None, ""),
        (17, ""),
        (True, ""),
    ],
    ids=str,
)
def test_the_services_words_are_found_in_every_shape_of_body(body, said):
    assert plain(reason_in(body)) == said


@pytest.mark.parametrize(
    ("content", "body"),
    [
        (b'{"a": 1}', {"a": 1}),
        (b"[1]", [1]),
        (b"plain", "plain"),
        (b"", None),
        (b"  \n", None),
        (b"\xff\xfe", "��"),
        (b"[" * 100_000, "[" * 20_000),
    ],
    ids=["object", "list", "text", "nothing", "white space", "binary", "nested without end"],
)
def test_any_bytes_can_be_a_body(content, body):
    assert decode(content) == body


@pytest.mark.parametrize(
    ("status", "body", "headers", "kind"),
    [
        (400, {"reason": '"name" must be a string'}, {}, RequestRefusedError),
        (409, {"message": "conflict"}, {}, ConflictError),
        (422, ["wrong"], {}, RequestRefusedError),
        (402, {"message": "pay"}, {}, RequestRefusedError),
        (405, None, {}, RequestRefusedError),
        (410, {"reason": "too old"}, {}, RequestRefusedError),
        (413, "<html><title>413</title></html>", {}, RequestRefusedError),
        (400, {"reason": "Model is already training"}, {}, AlreadyTrainingError),
        (400, {"message": "MODEL IS ALREADY TRAINING."}, {}, AlreadyTrainingError),
        (409, {"error": "already training"}, {}, AlreadyTrainingError),
        (
            400,
            {"reason": "The provided assetId is already a training image of this model"},
            {},
            AlreadyTrainingImageError,
        ),
        (401, {"message": "Unauthorized"}, {}, AuthenticationError),
        (403, {"message": "Forbidden"}, {}, AuthenticationError),
        (403, "<html>blocked</html>", {}, AuthenticationError),
        (404, {"reason": "Model model_8Xk not found"}, {}, NotFoundError),
        (404, None, {}, NotFoundError),
        (429, {"name": "PlanLimitReachedError"}, {}, PlanCeilingError),
        (429, {"name": "PlanLimitReachedError", "details": {"remainingSeconds": 5}}, {}, PlanCeilingError),
        (429, {"details": {"actionName": "train-model", "actionLimit": 1}}, {}, PlanCeilingError),
        (429, {"details": {"remainingSeconds": 5}}, {}, ThrottledError),
        (429, {"details": {"remainingSeconds": 5, "actionName": "train-model"}}, {}, ThrottledError),
        (429, {"message": "Too Many Requests"}, {}, ThrottledError),
        (429, None, {}, ThrottledError),
        (429, ["odd"], {}, ThrottledError),
        (408, None, {}, ServiceError),
        (500, {"message": None}, {}, ServiceError),
        (503, "", {}, ServiceError),
        (302, None, {}, ServiceError),
        (101, None, {}, ServiceError),
    ],
    ids=str,
)
def test_every_answer_has_its_error(status, body, headers, kind):
    error = refused(status, body, headers)
    assert type(error) is kind
    assert (error.status, error.request, error.body) == (status, "PUT /models/model_8Xk/train", body)


def test_a_read_that_is_refused_does_not_speak_of_money_that_a_running_training_may_cost():
    reading = Call("read model model_8Xk", "GET /models/model_8Xk", repeatable=True, reads=True)
    error = refused(403, {"message": "Forbidden"}, call=reading)
    assert str(error).startswith("Scenario refused to read model model_8Xk: Forbidden. The request changed nothing. ")
    assert "billed" not in str(error)
    assert "Nothing was started or billed" in str(refused(403, {"message": "Forbidden"}))


def test_without_creative_units_it_says_what_to_do():
    error = refused(402, {"reason": "Not enough creative units"})
    assert "Nothing was started or billed. Buy creative units, then send it again." in str(error)
    assert error.permanent


APP = "<!doctype html><html><head><title>Scenario</title></head><body></body></html>"


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405])
@pytest.mark.parametrize(
    ("page", "headers"), [(APP, {}), ("<HTML>blocked</HTML>", {}), ("blocked", {"content-type": "text/html"})]
)
def test_a_web_page_is_named_as_one_and_not_as_a_refusal_of_the_service(status, page, headers):
    message = str(refused(status, page, headers))
    assert message.startswith("Could not train model model_8Xk: the answer is a web page (")
    assert "Nothing was started or billed. Most likely the base URL" in message
    assert "instead of the API, such as https://api.cloud.scenario.com/v1, or a proxy has answered." in message


@pytest.mark.parametrize("status", [408, 409, 413, 429, 502, 503])
def test_a_page_whose_status_says_enough_is_not_taken_for_a_wrong_address(status):
    assert "base URL" not in str(refused(status, APP))


@pytest.mark.parametrize(
    ("base_url", "body", "said"),
    [
        (
            "http://127.0.0.1:8321",
            {"detail": "Not Found"},
            "'http://127.0.0.1:8321' has no path; Scenario's ends in /v1",
        ),
        ("https://proxy.test/scenario", None, "'https://proxy.test/scenario' ends in '/scenario'; Scenario's ends"),
        ("https://proxy.test/scenario", {"reason": "Model not found", "trace_id": "1-68f"}, ""),
        ("https://proxy.test/scenario/v1", {"detail": "Not Found"}, ""),
        ("", {"detail": "Not Found"}, ""),
    ],
)
def test_a_base_url_of_another_path_is_named_where_something_else_than_the_service_finds_nothing(base_url, body, said):
    call = Call("read model model_8Xk", "GET /models/model_8Xk", repeatable=True, base_url=base_url)
    message = str(refusal(call, 404, {}, body, now=0))
    assert "Check the id" in message
    assert said in message if said else "what another project owns is not found. [GET /models/model_8Xk, 404" in message


def test_the_message_about_a_plan_ceiling_has_its_numbers_and_the_cost():
    body = {
        "name": "PlanLimitReachedError",
        "reason": "limit",
        "details": {"actionName": "train-model", "actionLimit": 10000, "actionValue": 9754, "limitScope": "team"},
        "trace_id": "1-68f",
    }
    error = refused(429, body)
    assert str(error) == (
        "Scenario refused to train model model_8Xk: plan ceiling 'train-model' (10000 creative units, 9754 used). "
        "Nothing was started or billed. The price of this training counts already: raise the plan, or train with fewer "
        "images or epochs. [PUT /models/model_8Xk/train, 429, trace 1-68f]"
    )
    assert (error.action, error.limit, error.used, error.frees_up) == ("train-model", 10000, 9754, False)


@pytest.mark.parametrize(
    ("details", "advice", "frees_up"),
    [
        ({"actionName": "parallel-training", "actionLimit": 0}, "The plan does not include training", False),
        ({"actionName": "parallel-training", "actionLimit": "2"}, "A slot is free when", True),
        ({"actionName": "add-training-image", "actionLimit": 25}, "(limit 25). Nothing was", False),
        ({"actionName": "models", "actionLimit": 1e6}, "Raise the plan; waiting does not help", False),
        ({}, "Raise the plan; waiting does not help", False),
    ],
)
def test_a_plan_ceiling_says_whether_waiting_helps(details, advice, frees_up):
    error = refused(429, {"name": "PlanLimitReachedError", "details": details})
    assert advice in str(error)
    assert error.frees_up is frees_up


@pytest.mark.parametrize(
    ("status", "body", "headers", "advice"),
    [
        (403, {"Message": "denied"}, {"x-amzn-errortype": "AccessDeniedException"}, "key or the secret is wrong"),
        (403, None, {"X-Amzn-ErrorType": "AccessDeniedException:http://x"}, "key or the secret is wrong"),
        (401, None, {}, "key or the secret is wrong"),
        (403, None, {"x-amzn-errortype": "MissingAuthenticationTokenException"}, "no such path"),
        (403, {"message": "Forbidden"}, {}, "Most often the project is wrong"),
        (
            403,
            {
                "name": "ModelAccessRestrictedError",
                "reason": "no",
                "details": {"currentPlan": "free", "requiredPlan": "pro"},
            },
            {},
            "needs the plan pro, the team has free",
        ),
        (403, {"name": "ModelAccessRestrictedError"}, {}, "needs the plan ?, the team has ?"),
    ],
)
def test_a_403_says_what_to_check(status, body, headers, advice):
    assert advice in str(refused(status, body, headers))


@pytest.mark.parametrize(
    ("headers", "body", "trace"),
    [
        ({}, {"trace_id": "1-68f"}, "1-68f"),
        ({"x-amzn-RequestId": "abc"}, {}, "abc"),
        ({"X-Amzn-Trace-Id": "Root=1-5"}, {}, "Root=1-5"),
        ({"x-amzn-requestid": "abc"}, {"trace_id": "1-68f"}, "1-68f"),
        ({}, {"trace_id": 17}, None),
        ({}, [], None),
    ],
)
def test_the_id_to_quote_to_the_support_is_kept(headers, body, trace):
    assert refused(500, body, headers).trace_id == trace


def test_foreign_text_is_one_line_of_bounded_length():
    text = plain("a\nb\t\x1b[31mred\x00 " + "x" * 1000)
    assert text.startswith("a b [31mred xxx")
    assert len(text) == MAX_SERVICE_TEXT


def test_foreign_text_keeps_no_signed_address():
    text = plain("see https://user:pass@cdn.test/a.png?Signature=s#t, and http://x.test/plain.")
    assert text == "see https://cdn.test/a.png?… and http://x.test/plain."


@pytest.mark.parametrize(
    ("call", "consequence"),
    [
        (Call("read", "GET /x", repeatable=True, reads=True), "Reading changes nothing and costs nothing."),
        (Call("change", "PUT /x", repeatable=True), "Sending it again is safe."),
        (Call("train", "PUT /x", repeatable=False, if_lost="It may run."), "It may run."),
    ],
)
def test_a_failure_of_the_service_names_what_may_have_happened(call, consequence):
    assert consequence in str(refused(502, {"message": "Bad Gateway"}, call=call))


CEILING = {"name": "PlanLimitReachedError"}


@pytest.mark.parametrize(
    ("status", "body", "what", "advice"),
    [
        (400, {"reason": "No RTX."}, ": No RTX.", "Change the request: the same one cannot succeed."),
        (400, None, " with status 400 and no reason.", "Change the request: the same one cannot succeed."),
        (409, {"reason": "locked"}, ": locked.", "Scenario works on the same object at the moment: try again later."),
        (400, {"reason": "already a training image"}, ": already a training image.", "The dataset has the image."),
        (
            413,
            None,
            ": the request is too large.",
            "Scenario takes about 6 MB in one request: send a smaller file, or upload it as an asset and give its id.",
        ),
        (429, {"message": "Rate exceeded"}, ": too many requests (Rate exceeded).", "Try again later."),
        (429, {"details": {"remainingSeconds": 5}}, ": cool-down between launches.", "Try again in 5 s."),
        (
            429,
            {**CEILING, "reason": "Monthly limit"},
            ": plan ceiling: Monthly limit.",
            "Raise the plan; waiting does not help.",
        ),
        (
            429,
            {**CEILING, "details": {"actionName": "add-training-image", "actionValue": 25}},
            ": plan ceiling 'add-training-image' (25 used).",
            "The plan allows no more images in this dataset: use fewer, or raise it.",
        ),
        (
            429,
            {**CEILING, "details": {"actionName": "parallel-training", "actionLimit": 2}},
            ": plan ceiling 'parallel-training' (limit 2).",
            "A slot is free when another training of the team ends.",
        ),
        (
            429,
            {**CEILING, "details": {"actionName": "parallel-training", "actionLimit": 0}},
            ": plan ceiling 'parallel-training' (limit 0).",
            "The plan does not include training: raise it.",
        ),
    ],
)
def test_a_refusal_says_what_it_means_for_the_cost_and_what_to_do(status, body, what, advice):
    assert str(refused(status, body)) == (
        f"Scenario refused to train model model_8Xk{what} Nothing was started or billed. {advice} "
        f"[PUT /models/model_8Xk/train, {status}]"
    )


def test_a_cool_down_says_how_long_it_takes():
    assert refused(429, {"details": {"remainingSeconds": 5}}).retry_after == 5
    assert refused(429).retry_after is None


def test_a_refusal_that_may_pass_is_not_permanent_and_says_so():
    error = refused(400, {"reason": "busy"}, {"x-should-retry": "true"})
    assert error.permanent is False
    assert "Scenario says that the same request may succeed later: try again. [" in str(error)
    assert refused(400, {"reason": "busy"}, {"x-should-retry": "false"}).permanent


@pytest.mark.parametrize(
    "body", [{"reason": "Model is already training"}, {"name": "PlanLimitReachedError"}], ids=["training", "ceiling"]
)
def test_what_no_further_try_can_change_stays_permanent(body):
    status = 429 if "name" in body else 400
    assert refused(status, body, {"x-should-retry": "true"}).permanent


@pytest.mark.parametrize(("repeatable", "maybe_done", "money"), [(False, True, "unknown"), (True, False, "none")])
def test_after_a_failure_of_the_service_a_paid_request_may_have_been_carried_out(repeatable, maybe_done, money):
    error = refused(503, call=Call("train", "PUT /x", repeatable=repeatable))
    assert (error.maybe_done, error.money) == (maybe_done, money)


@pytest.mark.parametrize(
    ("status", "kind"), [(401, AuthenticationError), (403, AuthenticationError), (404, NotFoundError)]
)
def test_a_page_keeps_the_meaning_of_its_status(status, kind):
    assert type(refused(status, APP)) is kind
    assert type(refused(402, APP)) is type(refused(405, APP)) is RequestRefusedError


def test_a_page_without_a_title_and_a_page_of_a_failure():
    assert "a web page (without a title), not JSON." in str(refused(400, "<html></html>"))
    assert "web page" not in str(refused(500, APP))


@pytest.mark.parametrize("status", [401, 403])
def test_the_caller_says_where_key_and_secret_are(status):
    error = refusal(TRAIN, status, {}, None, now=0, credentials="login and password of the connection")
    assert "login and password of the connection" in str(error)


@pytest.mark.parametrize(
    ("base_url", "said"),
    [
        ("https://x.test/v2", "check the base URL 'https://x.test/v2'; Scenario's"),
        ("", "check the base URL; Scenario's"),
    ],
)
def test_an_unknown_path_names_the_base_url(base_url, said):
    call = Call("train", "PUT /x", repeatable=False, base_url=base_url)
    headers = {"x-amzn-errortype": "MissingAuthenticationTokenException:http://x"}
    assert said in str(refusal(call, 403, headers, None, now=0))


def test_a_date_to_wait_for_is_counted_from_now():
    error = refusal(TRAIN, 429, {"retry-after": "Thu, 01 Jan 1970 00:01:40 GMT"}, None, now=40)
    assert error.retry_after == 60


@pytest.mark.parametrize("header", ["x-amzn-requestid", "x-amzn-trace-id"])
def test_an_id_for_the_support_is_in_a_header_of_the_gateway(header):
    assert refusal(TRAIN, 500, {header: "1-68f"}, None, now=0).trace_id == "1-68f"


def test_an_id_for_the_support_is_of_bounded_length():
    assert len(refused(500, {"trace_id": "x" * 200}).trace_id) == 120
