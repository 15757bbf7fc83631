from __future__ import annotations

import time
from collections import Counter

import httpx
import pytest

from airflow_provider_scenario.emulator.faults import Faults
from airflow_provider_scenario.emulator.settings import Fault
from tests.harness.waiting import eventually

TRAIN = {"method": "PUT", "route": "/models/*/train"}


def test_a_lost_answer_leaves_a_training_that_was_started_and_billed(api):
    api.emulator.switch("faults", kind="close", when="after", **TRAIN)
    model_id = api.model(images=1)
    with pytest.raises(httpx.RemoteProtocolError):
        api.call("PUT", f"/models/{model_id}/train", {})
    assert api.read(model_id)["status"] == "training"
    assert api.totals()["trainings_started"] == 1


def test_a_connection_dropped_before_acting_leaves_nothing(api):
    api.emulator.switch("faults", kind="close", **TRAIN)
    model_id = api.model(images=1)
    with pytest.raises(httpx.RemoteProtocolError):
        api.call("PUT", f"/models/{model_id}/train", {})
    assert api.totals()["trainings_started"] == 0
    assert api.call("PUT", f"/models/{model_id}/train", {}).status_code == 200


def test_a_status_fault_is_applied_as_often_as_set_and_the_request_has_no_effect(api):
    api.emulator.switch("faults", kind="status", status=503, method="POST", route="/models", times=2, body={"a": 1})
    answers = [api.call("POST", "/models", {"type": "flux.1-lora"}) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [503, 503, 200]
    assert answers[0].json() == {"a": 1}
    assert api.totals()["models_created"] == 1


def test_a_5xx_can_also_hide_that_the_request_had_its_effect(api):
    api.emulator.switch("faults", kind="status", status=502, when="after", method="POST", route="/models")
    assert api.call("POST", "/models", {"type": "flux.1-lora"}).status_code == 502
    assert api.totals()["models_created"] == 1


@pytest.mark.parametrize(("retry_after", "header"), [(None, None), (2, "2"), (0.5, "0.5")])
def test_a_429_has_retry_after_only_if_set(api, retry_after, header):
    api.emulator.switch("faults", kind="429", retry_after=retry_after)
    answer = api.call("GET", "/models")
    assert (answer.status_code, answer.headers.get("retry-after")) == (429, header)


@pytest.mark.parametrize("garbage", ["html", "text", "truncated", "empty"])
def test_garbage_is_a_200_without_valid_json(api, garbage):
    model_id = api.model()
    api.emulator.switch("faults", kind="garbage", garbage=garbage, route="/models/*")
    answer = api.call("GET", f"/models/{model_id}")
    assert answer.status_code == 200
    with pytest.raises(ValueError):  # noqa: PT011 - the message is the JSON parser's business
        answer.json()
    assert api.call("GET", f"/models/{model_id}").json()["model"]["id"] == model_id


def test_a_hanging_request_has_no_effect_and_no_answer(api):
    api.emulator.switch("faults", kind="hang", seconds=5, method="POST", route="/models")
    with pytest.raises(httpx.ReadTimeout):
        api.http.post("/models", json={}, timeout=0.2)
    assert api.totals()["models_created"] == 0


def test_a_slow_request_has_its_effect_and_its_answer_in_the_end(api):
    api.emulator.switch("faults", kind="slow", seconds=0.2, method="POST", route="/models")
    begin = time.monotonic()
    assert api.call("POST", "/models", {"type": "flux.1-lora"}).status_code == 200
    assert time.monotonic() - begin >= 0.2


@pytest.mark.parametrize(("when", "acted"), [("before", 0), ("after", 1)])
def test_a_slow_request_has_its_effect_before_or_after_the_wait(api, when, acted):
    api.emulator.switch("faults", kind="slow", seconds=60, method="POST", route="/models", when=when)
    with pytest.raises(httpx.ReadTimeout):
        api.http.post("/models", json={"type": "flux.1-lora"}, timeout=1)
    eventually(lambda: api.totals()["models_created"] == acted, seconds=30, pause=0.05)


def test_a_slow_request_does_not_hold_up_the_others(api):
    api.emulator.switch("faults", kind="hang", seconds=60, route="/jobs")
    with pytest.raises(httpx.ReadTimeout):
        api.http.get("/jobs", timeout=0.1)
    begin = time.monotonic()
    assert api.call("GET", "/models").status_code == 200
    assert time.monotonic() - begin < 30


@pytest.mark.parametrize(
    ("route", "hit"),
    [
        ("/models/*", True),
        ("/v1/models/*", True),
        ("/models/{modelId}", True),
        ("**", True),
        ("/models", False),
        ("/models/*/train", False),
        ("*", False),
    ],
)
def test_one_star_matches_one_segment_and_two_match_any_number(api, route, hit):
    model_id = api.model()
    api.emulator.switch("faults", kind="status", route=route)
    assert api.call("GET", f"/models/{model_id}").status_code == (500 if hit else 200)


def test_a_fault_can_be_for_models_of_a_name(api):
    hero, villain = api.model("hero-1"), api.model("villain")
    job_id = api.train(api.model("hero-2", images=1))["job"]["jobId"]
    api.emulator.switch("faults", kind="status", model="hero-*", times=None)
    assert api.call("GET", f"/models/{villain}").status_code == 200
    assert api.call("GET", f"/models/{hero}").status_code == 500
    assert api.call("GET", f"/jobs/{job_id}").status_code == 500
    assert api.call("POST", "/models/get-bulk", {"modelIds": [villain, hero]}).status_code == 500
    assert api.call("POST", "/models", {"name": "hero-3"}).status_code == 500
    assert api.call("POST", "/models/get-bulk", {"modelIds": [villain]}).status_code == 200


def test_a_fault_can_let_some_requests_pass_first(api):
    api.emulator.switch("faults", kind="status", skip=2)
    assert [api.call("GET", "/models").status_code for _ in range(4)] == [200, 200, 500, 200]


def hits(faults, requests, method="GET", path="/models"):
    """Which of so many requests go wrong, and how."""
    picked = [faults.pick(method, [path], list) for _ in range(requests)]
    return {number: fault.kind for number, fault in enumerate(picked) if fault}


def random_faults(*kinds, **fields):
    """Each with a seed of its own."""
    faults = Faults()
    for seed, kind in enumerate(kinds):
        faults.add(Fault(**{"kind": kind, "times": None, "probability": 0.1, "seed": seed, **fields}))
    return faults


def test_a_random_fault_is_applied_to_its_share_of_the_requests():
    assert 80 <= len(hits(random_faults("close"), 1000)) <= 120


@pytest.mark.parametrize(("probability", "share"), [(0, 0), (1, 50)])
def test_the_share_can_be_0_and_1(probability, share):
    assert len(hits(random_faults("close", probability=probability), 50)) == share


def test_of_several_random_faults_each_has_its_share():
    kinds = Counter(hits(random_faults("close", "status", "429", "garbage", "slow"), 1000).values())
    assert set(kinds) == {"close", "status", "429", "garbage", "slow"}
    assert all(60 <= count <= 120 for count in kinds.values()), kinds


def test_the_same_seed_repeats_the_faults_and_another_seed_does_not():
    faults = random_faults("close", "slow")
    again, other = random_faults("close", "slow"), random_faults("close", "slow", seed=8)
    first = hits(faults, 200)
    assert first == hits(again, 200) != hits(other, 200)
    assert first != hits(faults, 200)  # it goes on; it does not begin anew


def test_requests_that_do_not_match_do_not_change_a_random_fault():
    faults = random_faults("close", method="PUT", route="/models/*/train")
    assert hits(faults, 500) == hits(faults, 500, "PUT") == {}
    assert hits(faults, 100, "PUT", "/models/a/train") == hits(random_faults("close"), 100)


def test_times_limits_a_random_fault_and_skip_is_counted_first():
    always = list(hits(random_faults("close"), 200))
    assert list(hits(random_faults("close", times=3), 200)) == always[:3]
    assert list(hits(random_faults("close", skip=5), 205)) == [number + 5 for number in always]


def test_a_probability_is_from_0_to_1(api):
    root = f"{api.emulator.address}/emulator/faults"
    assert httpx.post(root, json={"kind": "close", "probability": 1.1}).status_code == 422
    api.emulator.switch("faults", kind="status", times=None, probability=0.5, seed=1)
    assert {api.call("GET", "/models").status_code for _ in range(20)} == {200, 500}


def test_faults_are_listed_with_their_hits_and_can_be_removed(api):
    root = f"{api.emulator.address}/emulator/faults"
    first = api.emulator.switch("faults", kind="status", times=None)["id"]
    second = api.emulator.switch("faults", kind="429", times=None)["id"]
    api.call("GET", "/models")
    assert [(fault["id"], fault["hits"]) for fault in httpx.get(root).json()] == [(first, 1), (second, 0)]
    assert httpx.delete(f"{root}/{first}").status_code == 200
    assert httpx.delete(f"{root}/{first}").status_code == 404
    assert api.call("GET", "/models").status_code == 429
    httpx.delete(root)
    assert api.call("GET", "/models").status_code == 200
