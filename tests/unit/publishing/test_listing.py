from __future__ import annotations

import asyncio

import pytest

from airflow_provider_scenario.airflow_compat.exceptions import AirflowFailException, AirflowSensorTimeout
from airflow_provider_scenario.client.errors import (
    AuthenticationError,
    ServiceError,
    ThrottledError,
    WorkshopRefusalError,
)
from airflow_provider_scenario.exceptions import ListingFailedError
from airflow_provider_scenario.hooks.ai_creation_workshop import AICreationWorkshopHook
from airflow_provider_scenario.publishing.listing import ListingWatch, Workshop, listing_event, value_or_raise
from airflow_provider_scenario.publishing.trees import SignedTree
from tests.unit.conftest import workshop_connection
from tests.unit.publishing.conftest import tree

DOWN = ServiceError("it is down", maybe_done=False)
REFUSED = WorkshopRefusalError("no", err_code=None, sub_err_code=None)


def seen(status, state):
    return {"model_id": "hero", "status": status, "state": state, "invoke_id": "i_1", "files": ["s3://bucket/a"]}


def watch(**changes):
    return ListingWatch(**{"label": "hero", "deadline": 1000.0, "poke_interval": 300.0, **changes})


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (seen(10, "listed"), "listed"),
        (seen(-10, "failed"), "failed"),
        (seen(5, "in-progress"), None),
        (seen(0, "not-listed"), None),
        (seen(7, "unknown"), None),
        (DOWN, None),
        (ThrottledError("slower", retry_after=None), None),
        (AuthenticationError("wrong key"), "refused"),
        (REFUSED, "refused"),
    ],
)
def test_what_one_answer_means(answer, outcome):
    assert watch().after(answer, 0) == outcome


def test_a_refusal_after_an_answer_may_pass():
    watching = watch()
    watching.after(seen(5, "in-progress"), 0)
    assert watching.after(REFUSED, 0) is None
    assert watch(answered=True).after(REFUSED, 0) is None


@pytest.mark.parametrize(("answer", "outcome"), [(seen(10, "listed"), "listed"), (seen(5, "in-progress"), "timed-out")])
def test_at_the_deadline_only_an_end_counts(answer, outcome):
    assert watch().after(answer, 1000.0) == outcome


@pytest.mark.parametrize(
    ("answer", "now", "pause"),
    [
        (seen(5, "in-progress"), 0, 300),
        (seen(5, "in-progress"), 900, 100),  # the deadline comes first
        (DOWN, 0, 300),
        (ThrottledError("slower", retry_after=400), 0, 400),
        (ThrottledError("slower", retry_after=4), 0, 300),
    ],
)
def test_pauses_are_long(answer, now, pause):
    watching = watch()
    watching.after(answer, now)
    assert watching.pause == pause


def test_only_what_has_changed_is_worth_a_line():
    watching = watch()
    lines = []
    for answer in [seen(0, "not-listed"), *[seen(5, "in-progress")] * 3, *[DOWN] * 5, seen(5, "in-progress")]:
        watching.after(answer, 0)
        lines.append(watching.log_line)
    told = [line is not None for line in lines]
    assert told == [True, True, False, False, True, True, False, True, False, True]
    assert "in-progress (status 5)" in lines[1]
    assert "it is down" in lines[4]


def test_the_end_crosses_processes():
    assert value_or_raise(listing_event("listed", seen(10, "listed")), "hero") == seen(10, "listed")


@pytest.mark.parametrize(
    ("outcome", "answer", "error", "said"),
    [
        ("failed", seen(-10, "failed"), ListingFailedError, r"status -10.*i_1.*s3://bucket/a"),
        ("timed-out", seen(5, "in-progress"), AirflowSensorTimeout, r"in-progress \(status 5\)"),
        ("timed-out", DOWN, AirflowSensorTimeout, "it is down"),
        ("refused", AuthenticationError("wrong key"), AirflowFailException, "wrong key"),
    ],
)
def test_an_end_that_is_none_is_told_with_what_is_known(outcome, answer, error, said):
    with pytest.raises(error, match=said):
        value_or_raise(listing_event(outcome, answer), "hero")


@pytest.mark.parametrize("event", [None, {}, "listed", {"outcome": "great"}, {"outcome": "listed"}])
def test_nothing_odd_passes_for_success(event):
    with pytest.raises(ValueError, match="not the result of a listing"):
        value_or_raise(event, "hero")


async def test_a_rotated_secret_is_picked_up_by_all_that_are_refused_at_once(emulator, monkeypatch):
    emulator.set(fetch_files=False, listing_seconds=0)
    workshop = Workshop(AICreationWorkshopHook())
    emulator.set(api_secret="a-new-secret")
    tree_to_send = SignedTree(tree(), 60)
    assert isinstance(workshop.poll(tree_to_send, None), AuthenticationError)
    renewed = workshop_connection(host=emulator.root, password="a-new-secret")
    monkeypatch.setenv("AIRFLOW_CONN_AI_CREATION_WORKSHOP_DEFAULT", renewed)
    emulator.fault(kind="slow", seconds=0.3, route="/scc/**", times=8)
    looks = [asyncio.to_thread(workshop.poll, tree_to_send, None) for _ in range(8)]
    assert [seen["state"] for seen in await asyncio.gather(*looks)] == ["listed"] * 8
