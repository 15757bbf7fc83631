from __future__ import annotations

import asyncio
import hashlib
import json
import time

import pytest
from airflow.serialization.serialized_objects import BaseSerialization
from airflow.triggers.base import TaskSuccessEvent

from airflow_provider_scenario.publishing import listing
from airflow_provider_scenario.sensors.model_sync import AICreationWorkshopModelListingSensor
from airflow_provider_scenario.triggers.model_sync import AICreationWorkshopListingTrigger
from tests.harness.waiting import eventually_async
from tests.stopwatch import stopwatch
from tests.unit.conftest import workshop_connection
from tests.unit.publishing.conftest import tree

SYNC = "/scc/spSdModelSync"


@pytest.fixture(autouse=True)
def settings(emulator):
    emulator.set(fetch_files=False, listing_seconds=600)


def trigger(model=None, **changes):
    return AICreationWorkshopListingTrigger(
        **{"model": model or tree(), "poke_interval": 0.05, "url_expires_in": 60, **changes}
    )


async def event_of(trigger):
    async for event in trigger.run():
        return event.payload
    return None


def syncs(emulator):
    return sum(model["syncs"] for model in emulator.ledger()["synced_models"])


def test_it_is_the_same_after_a_journey_to_another_triggerer():
    before = trigger(
        deadline=12.5,
        session={"sessionMode": 10},
        end_from_trigger=True,
        do_xcom_push=True,
        ai_creation_workshop_conn_id="other",
    )
    path, kwargs = before.serialize()
    assert path == "airflow_provider_scenario.triggers.model_sync.AICreationWorkshopListingTrigger"
    travelled = BaseSerialization.deserialize(BaseSerialization.serialize(kwargs))
    assert AICreationWorkshopListingTrigger(**travelled).serialize() == before.serialize()


async def test_it_asks_again_until_the_file_is_listed(emulator):
    waiting = asyncio.ensure_future(event_of(trigger()))
    await eventually_async(lambda: syncs(emulator) >= 3)
    assert not waiting.done()
    emulator.advance(600)
    event = await asyncio.wait_for(waiting, 60)
    assert json.loads(json.dumps(event)) == event
    assert (event["outcome"], event["seen"]["model_id"], event["seen"]["status"]) == ("listed", "hero-1", 10)
    model = emulator.ledger()["synced_models"][0]
    assert (model["changes"], len(model["files"])) == (1, 1)


async def test_a_listing_ends_the_task_with_the_same_result_as_a_worker_would(emulator, context, stored):
    emulator.set(listing_seconds=0)
    event = await anext(trigger(end_from_trigger=True, do_xcom_push=True).run())
    assert isinstance(event, TaskSuccessEvent)
    sensor = AICreationWorkshopModelListingSensor(task_id="wait", model=tree())
    assert stored == {"return_value": sensor.execute_complete(context, event.payload)}


async def test_it_returns_nothing_where_the_task_does_not(emulator, stored):
    emulator.set(listing_seconds=0)
    assert isinstance(await anext(trigger(end_from_trigger=True).run()), TaskSuccessEvent)
    assert stored == {}


async def test_a_failure_is_a_workers_to_raise(emulator, stored):
    emulator.outcome(of="listing", fail_at=0.0)
    event = await anext(trigger(end_from_trigger=True, do_xcom_push=True).run())
    assert not isinstance(event, TaskSuccessEvent)
    assert (event.payload["outcome"], stored) == ("failed", {})


async def test_a_result_that_cannot_be_stored_is_left_to_a_worker(emulator):
    emulator.set(listing_seconds=0)
    event = await anext(trigger(end_from_trigger=True, do_xcom_push=True).run())  # nobody is there to tell
    assert not isinstance(event, TaskSuccessEvent)
    assert event.payload["outcome"] == "listed"


async def test_it_waits_before_it_asks(emulator):
    waiting = asyncio.ensure_future(event_of(trigger(poke_interval=60)))
    await asyncio.sleep(0.3)
    assert syncs(emulator) == 0
    waiting.cancel()


async def test_a_listing_that_fails_ends_it(emulator):
    emulator.outcome(of="listing", fail_at=0.0)
    event = await event_of(trigger())
    assert (event["outcome"], event["seen"]["status"]) == ("failed", -10)


async def test_an_outage_does_not_end_it(emulator):
    emulator.set(listing_seconds=0)
    for kind in ("close", "garbage", "status", "429"):
        emulator.fault(kind=kind, route=SYNC, times=1)
    assert (await event_of(trigger()))["outcome"] == "listed"


async def test_its_deadline_ends_it(emulator):
    event = await event_of(trigger(deadline=time.time() + 0.2))
    assert (event["outcome"], event["seen"]["status"]) == ("timed-out", 5)


async def test_a_rotated_secret_is_picked_up(emulator, monkeypatch):
    waiting = asyncio.ensure_future(event_of(trigger()))
    await eventually_async(lambda: syncs(emulator) >= 1)
    renewed = workshop_connection(host=emulator.root, password="a-new-secret")
    monkeypatch.setenv("AIRFLOW_CONN_AI_CREATION_WORKSHOP_DEFAULT", renewed)
    emulator.set(api_secret="a-new-secret")
    emulator.advance(600)
    assert (await asyncio.wait_for(waiting, 60))["outcome"] == "listed"


async def test_credentials_that_turn_bad_end_it(emulator):
    emulator.set(api_secret="a-new-secret")
    event = await event_of(trigger())
    assert event["outcome"] == "refused"
    assert "StringToSign" in event["error"].replace(" ", "") or "string to sign" in event["error"]
    assert "a-new-secret" not in event["error"]


async def test_a_file_in_a_bucket_is_signed_when_it_is_sent_and_nowhere_else(emulator, s3, bucket):
    s3.pipe_file(f"{bucket}/hero.safetensors", b"the weights")
    emulator.set(fetch_files=True, listing_seconds=0)
    model = tree()
    address = f"s3://{bucket}/hero.safetensors"
    sha = hashlib.sha256(b"the weights").hexdigest()
    model["versions"][0]["files"][0].update({"downloadUrl": address, "hash": sha, "sizeKb": 11 / 1024})
    waiting = trigger(model)
    event = await event_of(waiting)
    assert (event["outcome"], event["seen"]["files"]) == ("listed", [address])
    assert "Signature" not in json.dumps(event) + json.dumps(waiting.serialize()[1])


async def test_all_that_wait_share_one_connection_and_its_rate(emulator, monkeypatch):
    extra = {"api_token": "demo", "requests_per_minute": 1200}
    monkeypatch.setenv(
        "AIRFLOW_CONN_AI_CREATION_WORKSHOP_DEFAULT", workshop_connection(host=emulator.root, extra=extra)
    )
    looked_up = []
    original = listing.AICreationWorkshopHook.get_connection
    monkeypatch.setattr(
        listing.AICreationWorkshopHook,
        "get_connection",
        classmethod(lambda cls, conn_id: looked_up.append(conn_id) or original(conn_id)),
    )
    emulator.set(listing_seconds=0)
    seconds = stopwatch()
    events = await asyncio.gather(*(event_of(trigger(tree(number))) for number in range(21)))
    assert {event["outcome"] for event in events} == {"listed"}
    assert seconds() >= 1.0
    assert len(looked_up) == 1
    assert listing._workshops.by_loop[asyncio.get_running_loop()] == {}
