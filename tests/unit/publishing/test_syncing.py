from __future__ import annotations

import signal
import threading
import time

import pytest

from airflow_provider_scenario.client.budget import RequestBudget
from airflow_provider_scenario.client.errors import (
    AuthenticationError,
    InvalidInputError,
    RequestRefusedError,
    ScenarioError,
    ServiceError,
    ThrottledError,
)
from airflow_provider_scenario.hooks.ai_creation_workshop import AICreationWorkshopHook
from airflow_provider_scenario.publishing.syncing import Syncer, failure_table
from tests.stopwatch import stopwatch

from .conftest import SHA, tree, with_file

SYNC = "/scc/spSdModelSync"


@pytest.fixture
def said():
    return []


@pytest.fixture
def syncer(emulator, said, tmp_path):
    emulator.set(fetch_files=False)

    def make(*, per_minute=60_000.0, sleep=lambda _: None, **changes):
        client = AICreationWorkshopHook().connect(max_tries=1, **changes)
        budget = RequestBudget(per_minute, "workshop", folder=tmp_path)
        return Syncer(client, budget=budget, url_expires_in=60, session=None, log=said.append, sleep=sleep)

    return make


def synced(emulator):
    return {model["model_id"]: model for model in emulator.ledger()["synced_models"]}


def test_a_tree_is_synced_and_its_outcome_is_plain(emulator, syncer):
    result = syncer().sync(tree())
    file = synced(emulator)["hero-1"]["files"][0]
    assert result == {
        "model_id": "hero-1",
        "model_version_id": "hero-1-1",
        "model_file_id": file["file_id"],
        "status": 5,
        "state": "in-progress",
        "invoke_id": result["invoke_id"],
        "files": ["https://example.com/hero-1.safetensors"],
    }


def test_what_the_service_does_not_list_beside_the_tree_is_warned_of_once(emulator, said, tmp_path):
    emulator.set(fetch_files=False)
    budget = RequestBudget(60_000.0, "workshop", folder=tmp_path)
    client = AICreationWorkshopHook().connect(max_tries=1)
    syncer = Syncer(
        client, budget=budget, url_expires_in=60, session={"region": "cn"}, log=said.append, sleep=lambda _: None
    )
    syncer.sync(tree()), syncer.sync(tree())
    assert [line.partition(":")[0] for line in said] == ["Session parameters"]


def test_the_table_is_short_whatever_is_in_the_trees():
    trees = [tree(modelId="x" * 1_000_000, name="a\nb" * 1_000_000)]
    lines = list(failure_table(trees, [InvalidInputError("wrong")]))
    assert all(len(line) < 500 and "\n" not in line for line in lines)


def test_the_same_again_changes_nothing(emulator, syncer):
    first = syncer().sync(tree())
    second = syncer().sync(tree())
    assert {**second, "invoke_id": None} == {**first, "invoke_id": None}
    assert (synced(emulator)["hero-1"]["syncs"], synced(emulator)["hero-1"]["changes"]) == (2, 1)


@pytest.mark.parametrize(
    "trouble",
    [
        {"kind": "close", "when": "before"},
        {"kind": "close", "when": "after"},
        {"kind": "status", "status": 503},
        {"kind": "garbage", "garbage": "truncated"},
    ],
)
def test_a_lost_answer_makes_no_second_model(emulator, syncer, trouble):
    emulator.fault(**trouble, route=SYNC, times=2)
    assert syncer().sync(tree())["state"] == "in-progress"
    assert emulator.ledger()["totals"]["models_synced"] == 1


def test_an_outage_ends_it_after_four_tries(emulator, syncer):
    emulator.fault(kind="status", status=503, route=SYNC, times=None)
    before = emulator.requests()
    with pytest.raises(ServiceError):
        syncer().sync(tree())
    assert emulator.requests() - before == 4


def test_what_is_refused_is_sent_once(emulator, syncer):
    before = emulator.requests()
    with pytest.raises(RequestRefusedError, match=r"baseModel.* The argument base_model of the operator sets it"):
        syncer().sync({**tree(), "versions": [{**tree()["versions"][0], "baseModel": "flux.9"}]})
    assert emulator.requests() - before == 1


def test_throttling_stops_all_for_as_long_as_it_is_asked(emulator, syncer):
    emulator.fault(kind="429", retry_after=1, route=SYNC, times=1)
    seconds = stopwatch()
    came = list(syncer(sleep=time.sleep).sync_all([tree(1), tree(2), tree(3)], threads=1))
    assert [outcome["model_id"] for outcome in came] == ["hero-1", "hero-2", "hero-3"]
    assert seconds() >= 1.0


def test_throttling_for_longer_than_a_minute_is_left_to_a_retry_of_the_task(emulator, syncer):
    emulator.fault(kind="429", retry_after=3600, route=SYNC, times=1)
    with pytest.raises(ThrottledError):
        syncer().sync(tree())


def test_warnings_are_logged(emulator, syncer, said):
    emulator.set(any_base_model=True, fetch_files=False)
    syncer().sync({**tree(), "versions": [{**tree()["versions"][0], "baseModel": "flux.1"}]})
    (line,) = [line for line in said if "baseModel is 'flux.1'" in line and "hero-1" in line]
    assert "The argument base_model of the operator sets it; in a tree of your own, baseModel of the version." in line


def test_a_bad_tree_stops_none_of_the_others(emulator, syncer):
    trees = [
        tree(1),
        {**with_file(hash=None, sizeKb=-1), "modelId": "bad"},
        "no tree at all",
        tree(2),
        {**tree(3), "modelType": "dora"},
    ]
    came = list(syncer().sync_all(trees, threads=2))
    assert [isinstance(outcome, InvalidInputError) for outcome in came] == [False, True, True, False, True]
    assert set(synced(emulator)) == {"hero-1", "hero-2"}
    assert "versions[0].files[0].hash" in str(came[1])
    assert "versions[0].files[0].sizeKb" in str(came[1])


def test_two_trees_of_one_model_would_replace_each_other_and_are_refused(emulator, syncer):
    came = list(syncer().sync_all([tree(1), {**tree(2), "modelId": "hero-1"}], threads=1))
    assert isinstance(came[1], InvalidInputError)
    assert "models[0]" in str(came[1])
    assert synced(emulator)["hero-1"]["versions"] == ["hero-1-1"]


def test_refused_credentials_are_not_tried_again_with_each_tree(emulator, syncer):
    before = emulator.requests()
    came = list(syncer(app_secret="another-secret").sync_all([tree(n) for n in range(20)], threads=2))
    assert all(isinstance(outcome, AuthenticationError) for outcome in came)
    assert emulator.requests() - before <= 2


def test_no_more_than_the_rate_is_sent_whatever_the_number_of_threads(emulator, syncer):
    seconds = stopwatch()
    came = list(syncer(per_minute=1200, sleep=time.sleep).sync_all([tree(number) for number in range(21)], threads=8))
    assert seconds() >= 1.0
    assert all(not isinstance(outcome, ScenarioError) for outcome in came)


def test_a_task_that_is_out_of_time_waits_for_nobodys_turn(emulator, syncer):
    rung = []

    def out_of_time(*_):
        rung.append(time.monotonic())
        raise TimeoutError("the task is out of time")

    def ring_after_the_first():
        while not emulator.ledger()["totals"]["models_synced"]:
            time.sleep(0.05)
        signal.pthread_kill(threading.main_thread().ident, signal.SIGALRM)

    before = signal.signal(signal.SIGALRM, out_of_time)
    ringing = threading.Thread(target=ring_after_the_first, daemon=True)
    ringing.start()
    try:
        with pytest.raises(TimeoutError):
            list(syncer(per_minute=1, sleep=None).sync_all([tree(number) for number in range(300)], threads=8))
        assert time.monotonic() - rung[0] < 30  # the next turn comes after a minute
    finally:
        ringing.join(60)
        signal.signal(signal.SIGALRM, before)
    assert emulator.ledger()["totals"]["models_synced"] == 1


def test_the_table_has_a_line_for_what_failed_and_none_for_what_did_not(syncer):
    trees = [tree(1), with_file(hash=None), tree(3), "no tree"]
    failed = {"state": "failed", "status": -10, "invoke_id": "i_1"}
    lines = list(
        failure_table(
            trees,
            [{"state": "listed"}, ServiceError("it is down", maybe_done=False), failed, InvalidInputError("wrong")],
        )
    )
    assert [line.split() for line in lines] == [
        ["models[…]", "modelId", "name", "what", "is", "wrong"],
        ["1", "hero-1", "Hero", "1", "it", "is", "down"],
        ["2", "hero-3", "Hero", "3", "its", "listing", "has", "failed", "(status", "-10,", "call", "i_1)"],
        ["3", "wrong"],
    ]


def test_hashes_that_are_none_are_told_too(emulator, syncer, said):
    syncer().sync(with_file(hash="md5-of-it"))
    assert any("hash" in line for line in said)
    said.clear()
    syncer().sync(with_file(hash=SHA))
    assert said == []
