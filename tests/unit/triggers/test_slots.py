from __future__ import annotations

import asyncio
import time
from types import SimpleNamespace

import pytest

from airflow_provider_scenario.airflow_compat.attempt import Attempt
from airflow_provider_scenario.airflow_compat.exceptions import AirflowFailException
from airflow_provider_scenario.exceptions import TrainingTimeoutError
from airflow_provider_scenario.operators.model import ScenarioAddTrainingImagesOperator, ScenarioCreateModelOperator
from airflow_provider_scenario.operators.training import ScenarioTrainModelOperator
from airflow_provider_scenario.triggers.training import ScenarioTrainingSlotTrigger, ScenarioTrainingTrigger
from airflow_provider_scenario.watch import slots
from tests.airflow_versions import TaskDeferred
from tests.harness.waiting import eventually_async


@pytest.fixture
def ready(emulator, another_task, datasets):
    """Make models that are ready to be trained; returns their ids."""
    emulator.set(training_seconds=600, parallel_training=1)
    image = next((datasets / "ink-style").glob("*.jpg"))

    def make(count):
        made = []
        for index in range(count):
            context = another_task(map_index=index)
            create = ScenarioCreateModelOperator(task_id="create", name=f"ink {index}", type="flux.2-dev-lora")
            made.append(create.execute(context))
            ScenarioAddTrainingImagesOperator(task_id="i", model_id=made[-1], images=[image]).execute(context)
        return made

    return make


def slot(model_id, **changes):
    return ScenarioTrainingSlotTrigger(
        **{"model_id": model_id, "parameters": {}, "since": time.time(), "poke_interval": 0.05, **changes}
    )


async def event_of(trigger):
    async for event in trigger.run():
        return event.payload
    return None


def occupy(model_id, context):
    ScenarioTrainModelOperator(task_id="t", model_id=model_id, wait_for_completion=False).execute(context)


def in_queue():
    """How many wait in this process."""
    return sum(map(len, slots._waiting.get(asyncio.get_running_loop(), {}).values()))


def test_a_task_without_a_slot_defers_instead_of_failing(emulator, ready, another_task):
    first, second = ready(2)
    occupy(first, another_task())
    with pytest.raises(TaskDeferred) as deferral:
        ScenarioTrainModelOperator(task_id="t", model_id=second, poke_interval=7).execute(another_task())
    trigger = deferral.value.trigger
    assert isinstance(trigger, ScenarioTrainingSlotTrigger)
    assert (trigger.model_id, trigger.poke_interval, trigger.cancel_on_kill) == (second, 7, True)


def test_blocking_it_waits_for_the_slot_too(emulator, ready, another_task):
    first, second = ready(2)
    emulator.set(training_seconds=0.5)
    occupy(first, another_task())
    train = ScenarioTrainModelOperator(task_id="t", model_id=second, deferrable=False, poke_interval=0.1)
    assert train.execute(another_task())["status"] == "trained"
    assert emulator.counts()["trainings"] == 2


@pytest.mark.parametrize("when", ["before", "after"])
def test_blocking_it_goes_on_waiting_when_the_service_stumbles(emulator, ready, another_task, when):
    first, second = ready(2)
    emulator.set(training_seconds=0.5)
    occupy(first, another_task())
    emulator.fault(kind="close", when=when, method="PUT", route="/models/*/train", skip=1, times=4)
    train = ScenarioTrainModelOperator(task_id="t", model_id=second, deferrable=False, poke_interval=0.2)
    assert train.execute(another_task())["status"] == "trained"
    assert emulator.counts()["trainings"] == 2


def test_a_start_whose_answer_was_lost_when_time_is_up_is_no_training_that_was_not_started(
    emulator, ready, another_task
):
    first, second = ready(2)
    occupy(first, another_task())
    emulator.fault(kind="close", method="PUT", route="/models/*/train", skip=1, times=None)
    train = ScenarioTrainModelOperator(task_id="t", model_id=second, deferrable=False, poke_interval=0.2, timeout=10)
    with pytest.raises(
        TrainingTimeoutError, match=r"free within timeout=10 s\. The last request may have started the training"
    ):
        train.execute(another_task())


def test_where_the_plan_has_no_slot_at_all_it_fails_at_once(emulator, ready, another_task):
    emulator.set(parallel_training=0)
    (model_id,) = ready(1)
    emulator.set(parallel_training=0)
    with pytest.raises(AirflowFailException, match="parallel-training"):
        ScenarioTrainModelOperator(task_id="t", model_id=model_id).execute(another_task())


async def test_it_trains_when_the_slot_is_free_and_tells_the_end(emulator, ready, another_task):
    first, second = ready(2)
    occupy(first, another_task())
    waiting = asyncio.create_task(event_of(slot(second)))
    await asyncio.sleep(0.3)
    assert emulator.counts()["trainings"] == 1
    emulator.cancel(first)
    await eventually_async(lambda: emulator.counts()["trainings"] == 2)
    emulator.advance(900)
    event = await waiting
    assert (event["outcome"], event["model_id"]) == ("trained", second)
    assert event["creative_units_cost"] == emulator.ledger()["trainings"][1]["creative_units"]


async def test_who_came_first_is_served_first(emulator, ready, another_task):
    first, second, third = ready(3)
    occupy(first, another_task())
    later = asyncio.create_task(event_of(slot(third, since=200.0)))
    await eventually_async(lambda: in_queue() == 1)
    earlier = asyncio.create_task(event_of(slot(second, since=100.0)))
    await eventually_async(lambda: in_queue() == 2)
    before = emulator.requests()
    # A look and a try may be under way for the one who was alone; all after that is by the one who came earlier.
    await eventually_async(lambda: emulator.requests() >= before + 4)
    emulator.cancel(first)
    await eventually_async(lambda: emulator.counts()["trainings"] == 2)
    assert emulator.ledger()["trainings"][1]["model_id"] == second
    for task in (earlier, later):
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_only_the_first_in_the_queue_asks(emulator, ready, another_task):
    models = ready(5)
    occupy(models[0], another_task())
    waiting = [asyncio.create_task(event_of(slot(model_id))) for model_id in models[1:]]
    await eventually_async(lambda: in_queue() == 4)
    before, begun = emulator.requests(), time.monotonic()
    await asyncio.sleep(1)
    asked, seconds = emulator.requests() - before, time.monotonic() - begun
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    # One look at the model and one try a round of 0.05 s, by one of the four.
    assert asked <= 2 * seconds / 0.05 * 1.2


async def test_a_triggerer_that_died_after_the_start_is_followed_by_one_that_adopts(emulator, ready):
    (model_id,) = ready(1)
    started = asyncio.create_task(event_of(slot(model_id)))
    await eventually_async(lambda: emulator.counts()["trainings"] == 1)
    started.cancel()
    await asyncio.gather(started, return_exceptions=True)
    emulator.advance(900)  # the training ends while nobody looks
    assert (await event_of(slot(model_id)))["outcome"] == "trained"
    assert emulator.counts()["trainings"] == 1


async def test_a_lost_answer_is_not_followed_by_a_second_training(emulator, ready):
    (model_id,) = ready(1)
    emulator.fault(kind="close", method="PUT", route="/models/*/train", when="after")
    waiting = asyncio.create_task(event_of(slot(model_id)))
    await eventually_async(lambda: emulator.counts()["trainings"] == 1)
    await asyncio.sleep(0.3)
    emulator.advance(900)
    assert (await waiting)["outcome"] == "trained"
    assert emulator.counts()["trainings"] == 1


async def test_another_ceiling_ends_it_without_a_training(emulator, ready):
    (model_id,) = ready(1)
    emulator.set(train_model=10)
    event = await event_of(slot(model_id))
    assert event["outcome"] == "not-started"
    assert "train-model" in event["error"]


async def test_its_deadline_ends_it(emulator, ready, another_task):
    first, second = ready(2)
    occupy(first, another_task())
    event = await event_of(slot(second, deadline=time.time() + 0.2))
    assert (event["outcome"], event["error"]) == (
        "timed-out",
        "No slot of the plan was free. Nothing was started or billed.",
    )


async def test_without_waiting_for_the_end_it_fires_once_started(emulator, ready):
    (model_id,) = ready(1)
    event = await event_of(slot(model_id, wait_for_completion=False))
    assert (event["outcome"], event["job_id"]) == ("started", emulator.ledger()["trainings"][0]["job_id"])


async def test_a_kill_in_the_middle_of_the_start_cancels_what_was_started(emulator, ready, monkeypatch):
    (model_id,) = ready(1)
    emulator.fault(kind="slow", method="PUT", route="/models/*/train", seconds=2)
    trigger = slot(model_id, cancel_on_kill=True)
    trigger.task_instance = SimpleNamespace(dag_id="d", run_id="r", task_id="t", map_index=-1)
    monkeypatch.setattr(Attempt, "state", lambda _: "failed")
    waiting = asyncio.create_task(event_of(trigger))
    await eventually_async(emulator.fault_has_hit)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    await trigger.on_kill()
    assert emulator.counts() == {"models": 1, "images": 1, "trainings": 1, "canceled": 1}


def test_it_is_the_same_after_a_journey_to_another_triggerer():
    before = slot("model_1", parameters={"nbEpochs": 3}, previous_job_id="job_0", since=5.0, deadline=9.0)
    path, kwargs = before.serialize()
    assert path.endswith(".ScenarioTrainingSlotTrigger")
    assert ScenarioTrainingSlotTrigger(**kwargs).serialize() == before.serialize()
    assert isinstance(before, ScenarioTrainingTrigger)
