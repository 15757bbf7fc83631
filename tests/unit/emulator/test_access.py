from __future__ import annotations

import httpx
import pytest


@pytest.mark.parametrize("auth", [("demo", "wrong"), ("wrong", "demo"), ("", ""), None])
def test_a_wrong_key_gets_the_gateways_403(emulator, auth):
    answer = httpx.get(f"{emulator.url}/models", auth=auth)
    assert (answer.status_code, list(answer.json())) == (403, ["message"])
    assert answer.headers["x-amzn-errortype"] == "AccessDeniedException"


def test_a_wrong_key_gets_401_if_that_is_set(emulator):
    emulator.switch("settings", auth_status=401)
    answer = httpx.get(f"{emulator.url}/models", auth=("demo", "wrong"))
    assert (answer.status_code, answer.json()) == (401, {"message": "Unauthorized"})


@pytest.mark.parametrize("header", ["Bearer demo", "Basic", "Basic !!!", "Basic ZGVtbw=="])
def test_only_basic_authentication_passes(emulator, header):
    assert httpx.get(f"{emulator.url}/models", headers={"authorization": header}).status_code == 403


def test_a_project_the_key_does_not_belong_to_is_refused(api):
    model_id = api.model()
    answer = api.call("GET", f"/models/{model_id}", projectId="proj_other")
    assert (answer.status_code, answer.json()["name"]) == (403, "ForbiddenError")
    assert api.call("GET", f"/models/{model_id}", projectId="proj_emulator").status_code == 200


def test_errors_carry_a_reason_and_the_trace_and_every_answer_a_request_id(api):
    answer = api.call("GET", "/models/model_none")
    assert answer.status_code == 404
    assert answer.json() == {
        "reason": "Model model_none not found",
        "name": "ModelNotFoundError",
        "trace_id": answer.json()["trace_id"],
    }
    assert answer.json()["trace_id"].startswith("1-")
    assert answer.headers["x-amzn-requestid"] != api.call("GET", "/models").headers["x-amzn-requestid"]


def test_an_unknown_route_gets_the_gateways_403(api):
    model_id = api.model()
    for method, path in (("GET", f"/models/{model_id}/training-images"), ("PATCH", "/models"), ("GET", "/models/")):
        answer = api.call(method, path)
        assert (answer.status_code, answer.json()) == (403, {"message": "Missing Authentication Token"}), path


def test_an_encoded_slash_does_not_lead_to_another_route(api):
    model_id = api.model()
    assert api.call("GET", f"/models/x%2F..%2F{model_id}").status_code == 404
    assert api.call("PUT", f"/models/{model_id}%2Ftrain", {}).status_code == 404
    assert api.call("GET", f"%2Fmodels/{model_id}").status_code == 403
    assert api.totals()["trainings_started"] == 0


def test_a_body_beyond_6_mb_gets_413(api):
    model_id = api.model()
    answer = api.call("POST", f"/models/{model_id}/training-images", {"data": "x" * (6 * 1024 * 1024), "name": "a"})
    assert (answer.status_code, answer.json()) == (413, {"message": "Request Too Long"})


@pytest.mark.parametrize("body", [b"{", b"[]", b'"x"', b'{"a": NaN}'])
def test_a_body_that_is_not_an_object_is_refused(api, body):
    assert api.http.post("/models", content=body).status_code == 400


def test_an_api_key_can_read_neither_a_user_nor_the_limits_of_the_team(api):
    assert list(api.call("GET", "/me").json()) == ["message"]
    assert api.call("GET", "/me").status_code == 403
    assert api.call("GET", "/teams/team_emulator/limits").status_code == 403


def test_the_project_of_the_key_can_be_read_and_no_other(api):
    assert api.call("GET", "/projects/proj_emulator").json()["project"]["name"] == "Emulator project"
    assert [project["id"] for project in api.call("GET", "/projects").json()["projects"]] == ["proj_emulator"]
    assert api.call("GET", "/projects/proj_other").status_code == 403


@pytest.mark.parametrize("send", [True, False])
def test_too_many_requests_a_minute_are_throttled_and_retry_after_is_sent_only_if_set(api, send):
    api.emulator.switch("settings", requests_per_minute=2, send_retry_after=send)
    statuses = [api.call("GET", "/models") for _ in range(3)]
    assert [answer.status_code for answer in statuses] == [200, 200, 429]
    assert ("retry-after" in statuses[-1].headers) is send
    api.emulator.switch("advance", seconds=60)
    assert api.call("GET", "/models").status_code == 200
