from __future__ import annotations

import asyncio
import time
from types import SimpleNamespace

import pytest
from airflow.serialization.serialized_objects import BaseSerialization
from airflow.triggers.base import TaskSuccessEvent

from airflow_provider_scenario.airflow_compat.attempt import Attempt
from airflow_provider_scenario.operators.model import ScenarioAddTrainingImagesOperator, ScenarioCreateModelOperator
from airflow_provider_scenario.operators.training import ScenarioTrainModelOperator
from airflow_provider_scenario.triggers.training import ScenarioTrainingTrigger
from airflow_provider_scenario.watch.decision import TrainingWatch


@pytest.fixture
def training(emulator, context, datasets):
    """A training that has just started: its model's and its job's id."""
    emulator.set(training_seconds=600)
    model_id = ScenarioCreateModelOperator(task_id="create", name="ink", type="flux.2-dev-lora").execute(context)
    image = next((datasets / "ink-style").glob("*.jpg"))
    ScenarioAddTrainingImagesOperator(task_id="images", model_id=model_id, images=[image]).execute(context)
    started = ScenarioTrainModelOperator(task_id="t", model_id=model_id, wait_for_completion=False).execute(context)
    return {"model_id": model_id, "job_id": started["job_id"]}


def trigger(training, **changes):
    return ScenarioTrainingTrigger(**{**training, "poke_interval": 0.05, "cancel_on_kill": True, **changes})


async def event_of(trigger):
    async for event in trigger.run():
        return event.payload
    return None


@pytest.fixture
def as_seen_by(monkeypatch):
    """The trigger of a task that is in this state, as Airflow's supervisor would tell."""

    def tell(trigger, state):
        trigger.task_instance = SimpleNamespace(dag_id="d", run_id="r", task_id="t", map_index=-1)
        monkeypatch.setattr(Attempt, "state", lambda _: state)
        return trigger

    return tell


def test_it_is_the_same_after_a_journey_to_another_triggerer():
    before = trigger({"model_id": "model_1", "job_id": "job_1"}, deadline=12.5, scenario_conn_id="other")
    path, kwargs = before.serialize()
    assert path == "airflow_provider_scenario.triggers.training.ScenarioTrainingTrigger"
    travelled = BaseSerialization.deserialize(BaseSerialization.serialize(kwargs))
    assert ScenarioTrainingTrigger(**travelled).serialize() == before.serialize()


async def test_it_ends_the_task_with_the_same_result_as_a_worker_would(emulator, training, context, stored):
    emulator.advance(900)
    ending = trigger(
        training,
        end_from_trigger=True,
        do_xcom_push=True,
        pushed_xcoms={"job_id": "job_old", "creative_units_cost": 60.0},
        paid_before=0.0,
    )
    event = await anext(ending.run())
    assert isinstance(event, TaskSuccessEvent)
    train = ScenarioTrainModelOperator(task_id="t", model_id=training["model_id"])
    assert stored["return_value"] == train.execute_complete(context, event.payload)
    assert stored["job_id"] == training["job_id"]
    assert "creative_units_cost" not in stored  # it has not changed


@pytest.mark.parametrize(("is_ours", "total"), [(True, 160), (False, 100)])
async def test_it_adds_up_what_all_attempts_have_paid(emulator, training, stored, is_ours, total):
    emulator.advance(900)
    ending = trigger(training, end_from_trigger=True, do_xcom_push=True, paid_before=100, is_ours=is_ours)
    await anext(ending.run())
    assert stored["return_value"]["creative_units_cost"] == 60
    assert stored["creative_units_total"] == stored["return_value"]["creative_units_total"] == total


async def test_it_returns_nothing_where_the_task_does_not(emulator, training, stored):
    emulator.advance(900)
    assert isinstance(await anext(trigger(training, end_from_trigger=True).run()), TaskSuccessEvent)
    assert stored == {}


async def test_a_failure_is_a_workers_to_raise(emulator, training, stored):
    emulator.cancel(training["model_id"])
    event = await anext(trigger(training, end_from_trigger=True, do_xcom_push=True).run())
    assert not isinstance(event, TaskSuccessEvent)
    assert (event.payload["outcome"], stored) == ("canceled", {})


async def test_a_result_that_cannot_be_stored_is_left_to_a_worker(emulator, training):
    emulator.advance(900)
    nobody_to_tell = trigger(training, end_from_trigger=True, do_xcom_push=True)
    event = await anext(nobody_to_tell.run())
    assert not isinstance(event, TaskSuccessEvent)
    assert event.payload["outcome"] == "trained"


async def test_it_fires_one_event_with_all_that_the_result_needs(emulator, training):
    emulator.advance(900)
    event = await event_of(trigger(training))
    started = emulator.ledger()["trainings"][0]
    assert event == {
        "outcome": "trained",
        **training,
        "model_name": "ink",
        "model_type": "flux.2-dev-lora",
        "status": "trained",
        "creative_units_cost": started["creative_units"],
        "train_seconds": event["train_seconds"],
        "epochs": [{"epoch": "000010", "asset_ids": event["epochs"][0]["asset_ids"]}],
        "error": None,
        "hint": None,
    }


async def test_a_poll_is_one_request(emulator, training, monkeypatch):
    polls = []
    after = TrainingWatch.after

    def counted(watch, *answer):
        polls.append(answer)
        return after(watch, *answer) if len(polls) < 4 else "timed-out"

    monkeypatch.setattr(TrainingWatch, "after", counted)
    before = emulator.requests()
    await event_of(trigger(training, poke_interval=0.02))
    assert emulator.requests() - before == len(polls) + 1  # at the end once the job (cost and reason)


async def test_its_deadline_ends_it(emulator, training):
    event = await event_of(trigger(training, deadline=time.time()))
    assert (event["outcome"], event["status"]) == ("timed-out", "training")


async def test_an_outage_does_not_end_it(emulator, training):
    emulator.advance(900)
    for kind in ("close", "garbage", "status", "429"):
        emulator.fault(kind=kind, route="/models/*", times=1)
    event = await event_of(trigger(training, poke_interval=0.01))
    assert event["outcome"] == "trained"


async def test_credentials_that_turn_bad_end_it_and_say_that_the_training_goes_on(emulator, training):
    body = {"message": "Forbidden"}
    emulator.fault(kind="status", route="/models/*", status=403, body=body, times=None)
    event = await event_of(trigger(training))
    assert event["outcome"] == "refused"
    assert "403" in event["error"]


async def test_when_the_model_is_trained_by_a_later_job_its_own_job_counts(emulator, training, another_task):
    emulator.cancel(training["model_id"])
    ScenarioTrainModelOperator(task_id="t", model_id=training["model_id"], wait_for_completion=False).execute(
        another_task()
    )
    event = await event_of(trigger(training))
    assert (event["outcome"], event["job_id"]) == ("canceled", training["job_id"])


@pytest.mark.parametrize("state", ["failed", "success", "running", "queued", "up_for_retry", None])
async def test_a_person_who_ends_the_task_cancels_the_training(emulator, training, state, as_seen_by):
    await as_seen_by(trigger(training), state).on_kill()
    assert emulator.counts()["canceled"] == 1


@pytest.mark.parametrize("route", ["/models/*", "/models/*/train/action"])
@pytest.mark.parametrize("trouble", [{"kind": "close"}, {"kind": "garbage"}, {"kind": "status"}, {"kind": "429"}])
async def test_a_service_that_stumbles_then_still_cancels_it(emulator, training, as_seen_by, route, trouble):
    emulator.fault(**trouble, route=route)
    await as_seen_by(trigger(training), "failed").on_kill()
    assert emulator.counts()["canceled"] == 1


async def test_a_kill_in_the_middle_of_a_poll_is_still_known_as_one(emulator, training):
    emulator.fault(kind="slow", seconds=2, route="/models/*", times=None)
    polling = asyncio.ensure_future(event_of(trigger(training)))
    while not emulator.fault_has_hit():
        await asyncio.sleep(0.02)
    polling.cancel("said by Airflow")
    with pytest.raises(asyncio.CancelledError, match="said by Airflow"):
        await polling


async def test_a_kill_that_is_told_again_and_again_is_still_seen_to_its_end(emulator, training, as_seen_by, capsys):
    emulator.fault(kind="slow", seconds=1, route="/models/*")
    killed = as_seen_by(trigger(training), "failed")
    killing = asyncio.ensure_future(asyncio.wait_for(killed.on_kill(), timeout=30))  # as Airflow does
    for _ in range(3):
        await asyncio.sleep(0.2)
        killing.cancel("said by Airflow")
    await asyncio.wait([killing])
    await killed.cleanup()
    assert emulator.counts()["canceled"] == 1
    assert "was cancelled" in capsys.readouterr().out


async def test_moving_to_another_triggerer_cancels_nothing(emulator, training, as_seen_by):
    await as_seen_by(trigger(training), "deferred").on_kill()
    assert emulator.counts()["canceled"] == 0


async def test_where_the_task_is_deferred_the_log_names_both_reasons(training, as_seen_by, capsys):
    """A clear ends a trigger too, and by the time it asks, the next attempt may have deferred in the same triggerer."""
    await as_seen_by(trigger(training), "deferred").on_kill()
    log = capsys.readouterr().out
    assert "this trigger has moved to another triggerer, or the task was cleared and has deferred again" in log
    assert f"Nothing is cancelled here; the task continues with {training['model_id']}, or cancels it." in log


async def test_where_on_kill_is_certain_airflow_is_not_asked_again(emulator, training, as_seen_by, monkeypatch):
    monkeypatch.setattr("airflow_provider_scenario.triggers.training.on_kill_means_task_ended", lambda: True)
    await as_seen_by(trigger(training), "deferred").on_kill()
    assert emulator.counts()["canceled"] == 1


async def test_where_the_tasks_state_cannot_be_had_nothing_is_cancelled(emulator, training, capsys):
    await trigger(training).on_kill()  # knows no task instance
    assert emulator.counts()["canceled"] == 0
    assert "The task's state cannot be read" in capsys.readouterr().out


async def test_without_cancel_on_kill_nothing_is_cancelled(emulator, training, as_seen_by):
    await as_seen_by(trigger(training, cancel_on_kill=False), "failed").on_kill()
    assert emulator.counts()["canceled"] == 0


async def test_once_it_has_fired_a_kill_asks_nothing(emulator, training, as_seen_by):
    emulator.advance(900)
    waiting = as_seen_by(trigger(training), "failed")
    await event_of(waiting)
    before = emulator.requests()
    await waiting.on_kill()
    assert emulator.requests() == before


async def test_a_later_training_of_the_same_model_is_not_cancelled(emulator, training, as_seen_by):
    await as_seen_by(trigger({**training, "job_id": "job_of_yesterday"}), "failed").on_kill()
    assert emulator.counts()["canceled"] == 0
