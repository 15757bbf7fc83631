from __future__ import annotations

import asyncio
import gc
import logging
import threading
import time
import weakref

import pytest

from airflow_provider_scenario.client.budget import RequestBudget, WaitNotice
from airflow_provider_scenario.client.errors import AuthenticationError, ConflictError, NotFoundError, ServiceError
from airflow_provider_scenario.client.scenario.schemas import Job, Model
from airflow_provider_scenario.hooks.scenario import ScenarioHook
from airflow_provider_scenario.triggers.training import ScenarioTrainingTrigger
from airflow_provider_scenario.watch import shared
from airflow_provider_scenario.watch.polling import Poller
from airflow_provider_scenario.watch.shared import SharedPoller, shared_poller


class Client:
    """Counts what it is asked; knows every model but those that are ``gone``."""

    def __init__(self):
        self.bulks, self.singles, self.gone = [], [], set()
        self.trouble: list[BaseException] = []
        self.closed = False

    def get_models(self, ids, *, only_status):
        assert only_status  # thousands of models in full make garbage collections long
        self.bulks.append(ids)
        if self.trouble:
            raise self.trouble.pop(0)
        return [Model(id=each, status="training", job_id=f"job_of_{each}") for each in ids if each not in self.gone]

    def get_model(self, model_id, *, only_status=False):
        self.singles.append(model_id)
        if model_id in self.gone:
            raise NotFoundError(f"there is no model {model_id}")
        return Model(id=model_id, status="training", job_id=f"job_of_{model_id}")

    def get_job(self, job_id):
        self.singles.append(job_id)
        return Job(job_id=job_id, status="canceled")

    def close(self):
        self.closed = True


class Hook:
    """A hook of which only the making of clients and the renewal count."""

    def __init__(self, folder):
        self.client, self.connected, self.renewed = Client(), 0, []
        self.budget = RequestBudget(1_000_000, "here", folder=folder)

    def connect(self, **_):
        self.connected += 1
        return self.client

    def renew(self):
        self.renewed.append(True)
        return False


@pytest.fixture
def hook(tmp_path):
    return Hook(tmp_path)


@pytest.fixture
async def poller(hook):
    poller = SharedPoller(Poller(hook))
    yield poller
    await poller.close()
    assert hook.client.closed or not hook.connected


def ids(count):
    return [f"model_{number:04}" for number in range(count)]


async def all_of(poller, models, after=0.0):
    return await asyncio.gather(*(poller.poll(model, None, after=after) for model in models))


async def test_a_thousand_looks_are_twenty_requests_and_one_connection(hook, poller):
    seen = await all_of(poller, ids(1000))
    assert [model.id for model in seen] == ids(1000)
    assert [len(bulk) for bulk in hook.client.bulks] == [50] * 20
    assert (hook.client.singles, hook.connected) == ([], 1)


async def test_the_connection_is_not_looked_up_on_the_event_loop(hook, poller):
    """Each of thousands would stop it for the time of a question to Airflow."""
    on_loop = []

    class Watched:
        connect, renew = hook.connect, hook.renew

        @property
        def budget(self):
            on_loop.append(threading.current_thread() is threading.main_thread())
            return hook.budget

    poller.poller._hook = Watched()
    line = WaitNotice(lambda said: None)
    await asyncio.gather(*(poller.poll(model, None, after=0, wait_notice=line) for model in ids(100)))
    assert on_loop == [False] * 2  # one turn a request


async def test_alone_it_asks_for_the_one_model(hook, poller):
    await all_of(poller, ["model_1"])
    assert (hook.client.bulks, hook.client.singles) == ([], ["model_1"])


async def test_two_that_wait_for_one_model_share_one_look(hook, poller):
    await all_of(poller, ["model_1", "model_1", "model_2"])
    assert hook.client.bulks == [["model_1", "model_2"]]


async def test_room_in_a_request_is_given_to_those_whose_turn_comes_next(hook, poller):
    early = asyncio.gather(*(poller.poll(model, None, after=0.05) for model in ids(3)))
    late = asyncio.gather(*(poller.poll(f"late_{number:02}", None, after=3600 + number) for number in range(60)))
    await early
    assert len(hook.client.bulks[0]) == 50
    assert hook.client.bulks[0] == [*ids(3), *(f"late_{number:02}" for number in range(47))]
    late.cancel()


async def test_a_look_does_not_come_before_it_is_due(hook, poller):
    start = time.monotonic()
    await all_of(poller, ids(2), after=0.3)
    assert time.monotonic() - start > 0.29


async def test_who_comes_later_with_less_patience_is_not_kept_waiting(hook, poller):
    patient = asyncio.ensure_future(poller.poll("model_1", None, after=60))
    await asyncio.sleep(0.05)
    await asyncio.wait_for(poller.poll("model_2", None, after=0.05), 30)
    assert patient.done()  # it was given the room left


async def test_a_model_that_was_deleted_is_told_to_its_own_waiter_only(hook, poller):
    hook.client.gone = {"model_0001"}
    seen = await all_of(poller, ids(3))
    assert [type(each) for each in seen] == [Model, NotFoundError, Model]
    assert "model_0001" in str(seen[1])
    assert hook.client.singles == ["model_0001"]


async def test_a_model_that_another_job_trains_by_now_is_told_by_its_own_job(hook, poller):
    looks = [poller.poll("model_1", "job_before", after=0), poller.poll("model_2", "job_of_model_2", after=0)]
    first, second = await asyncio.gather(*looks)
    assert (first.job_id, first.status) == ("job_before", "canceled")
    assert second.status == "training"


async def test_who_knows_only_the_job_is_told_by_the_job(hook, poller):
    seen = await asyncio.gather(poller.poll(None, "job_1", after=0), poller.poll("model_1", None, after=0))
    assert [type(each) for each in seen] == [Job, Model]


async def test_an_outage_is_told_to_each_and_is_over_with_the_next_look(hook, poller):
    hook.client.trouble = [ServiceError("503", maybe_done=False)]
    assert {type(each) for each in await all_of(poller, ids(3))} == {ServiceError}
    assert {type(each) for each in await all_of(poller, ids(3))} == {Model}


async def test_refused_credentials_are_told_to_all_after_the_connection_was_read_again(hook, poller):
    hook.client.trouble = [AuthenticationError("403")]
    assert {type(each) for each in await all_of(poller, ids(3))} == {AuthenticationError}
    assert hook.renewed == [True]


async def test_a_conflict_is_told_to_all_and_not_asked_about_one_by_one(hook, poller):
    hook.client.trouble = [ConflictError("Scenario refused to read 2 models: locked.")]
    assert {type(seen) for seen in await all_of(poller, ids(2))} == {ConflictError}
    assert hook.client.singles == []


async def test_polls_wait_for_their_turn_in_the_budget(hook, poller):
    hook.budget.throttled(0.4)
    start = time.monotonic()
    await all_of(poller, ids(2))
    assert time.monotonic() - start > 0.35


async def test_who_closes_a_poller_does_not_wait_for_its_turn(hook):
    hook.budget.throttled(60)
    poller = SharedPoller(Poller(hook))
    look = asyncio.ensure_future(poller.poll("model_1", None, after=0))
    await asyncio.sleep(0.1)
    look.cancel()
    before = threading.active_count()
    await asyncio.wait_for(poller.close(), 30)
    deadline = time.monotonic() + 5
    while threading.active_count() > before and time.monotonic() < deadline:
        await asyncio.sleep(0.01)
    assert (hook.client.singles, hook.client.bulks) == ([], [])


async def test_the_pollers_own_death_is_told_to_all_and_the_next_look_makes_another(hook, poller):
    hook.client.trouble = [MemoryError("out of it")]
    seen = await all_of(poller, ids(60))
    dead = [each for each in seen if isinstance(each, ServiceError)]
    assert dead
    assert "The shared poller stopped: MemoryError" in str(dead[0])
    assert not dead[0].permanent
    assert {type(each) for each in await all_of(poller, ids(3))} == {Model}


async def test_a_waiter_that_is_cancelled_disturbs_no_other(hook, poller):
    looks = [asyncio.ensure_future(poller.poll(model, None, after=0.1)) for model in ids(3)]
    await asyncio.sleep(0)
    looks[1].cancel()
    first, second, third = await asyncio.gather(*looks, return_exceptions=True)
    assert (first.id, third.id) == ("model_0000", "model_0002")
    assert isinstance(second, asyncio.CancelledError)
    assert hook.client.bulks == [["model_0000", "model_0002"]]


class TestRegistry:
    async def test_all_of_one_connection_share_one_poller(self):
        async with shared_poller("a") as first, shared_poller("a") as second, shared_poller("b") as third:
            assert first is second
            assert first is not third

    async def test_who_comes_when_the_last_has_left_gets_a_new_one(self):
        async with shared_poller("a") as first:
            pass
        async with shared_poller("a") as second:
            assert first is not second

    async def test_a_thousand_that_leave_at_once_leave_nothing_behind(self, emulator):
        triggers = [ScenarioTrainingTrigger(model_id=f"model_{number}", poke_interval=60) for number in range(1000)]
        before = set(asyncio.all_tasks())
        waiting = [asyncio.ensure_future(anext(trigger.run())) for trigger in triggers]
        await asyncio.sleep(0.05)
        for each in waiting:
            each.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        assert shared._pollers.by_loop[asyncio.get_running_loop()] == {}
        deadline = time.monotonic() + 60
        while set(asyncio.all_tasks()) - before:  # a request that was under way comes to its end
            assert time.monotonic() < deadline
            await asyncio.sleep(0.01)

    def test_each_event_loop_has_its_own_and_takes_it_along_when_it_ends(self):
        async def one():
            async with shared_poller("a") as poller:
                return id(poller)

        asyncio.run(one())
        asyncio.run(one())
        gc.collect()
        assert not [loop for loop in shared._pollers.by_loop if loop.is_closed()]


async def test_triggers_look_up_one_connection_and_log_each_for_itself(emulator, monkeypatch, caplog):
    looked_up = []
    look_up = ScenarioHook.get_connection
    monkeypatch.setattr(
        ScenarioHook, "get_connection", staticmethod(lambda conn_id: looked_up.append(conn_id) or look_up(conn_id))
    )
    made = [ScenarioHook().client.create_model(name=f"m {number}", type="flux.2-dev-lora").id for number in range(5)]
    looked_up.clear()
    before = emulator.requests()
    triggers = [
        ScenarioTrainingTrigger(model_id=model_id, poke_interval=0.05, deadline=time.time() + 0.2) for model_id in made
    ]
    with caplog.at_level(logging.INFO):
        events = await asyncio.gather(*(anext(trigger.run()) for trigger in triggers))
    assert {event.payload["outcome"] for event in events} == {"timed-out"}
    assert looked_up == ["scenario_default"]
    # A look each 50 ms would be 20 or more; each end is read once more by itself.
    assert emulator.requests() - before <= 6 + 2 * len(made)


def test_the_ends_of_many_share_one_connection(hook):
    poller = Poller(hook)
    for model in ids(3):
        poller.fetch_result("failed", Model(id=model, status="failed"), model, f"job_of_{model}")
    assert (hook.connected, hook.client.closed) == (1, False)
    poller.close()
    assert hook.client.closed


async def test_no_answer_is_kept_while_the_next_is_waited_for(hook, monkeypatch):
    answers = []

    def get_model(model_id, **_):
        assert [answer() for answer in answers] == [None] * len(answers)
        model = Model(id=model_id, status="training" if len(answers) < 3 else "failed")
        answers.append(weakref.ref(model))
        return model

    monkeypatch.setattr(hook.client, "get_model", get_model)
    trigger = ScenarioTrainingTrigger(model_id="model_1", job_id="job_1", poke_interval=0.01)
    end = await trigger._end(SharedPoller(Poller(hook)))
    assert (end.outcome, len(answers)) == ("failed", 4)


async def test_who_looks_again_is_told_each_answer_and_returns_with_the_last(poller, hook):
    told = []
    seen = await poller.poll(
        "model_1", None, after=0, on_answer=lambda model: told.append(model) or (0.0 if len(told) < 3 else None)
    )
    assert [model.id for model in told] == hook.client.singles == ["model_1"] * 3
    assert seen is told[-1]


async def test_an_error_while_one_is_told_is_the_error_of_that_one_alone(poller):
    def fail(_):
        raise ZeroDivisionError

    looks = [poller.poll("model_1", None, after=0, on_answer=fail), poller.poll("model_2", None, after=0)]
    failed, seen = await asyncio.gather(*looks, return_exceptions=True)
    assert (type(failed), seen.id) == (ZeroDivisionError, "model_2")


async def test_who_looks_again_hears_of_a_crash_of_the_poller_as_of_an_outage_and_goes_on(poller, hook):
    told = []
    hook.client.trouble = [ZeroDivisionError()]
    looks = [
        poller.poll(model, None, after=0, on_answer=lambda seen: told.append(seen) or (0.0 if len(told) < 3 else None))
        for model in ids(2)
    ]
    seen = await asyncio.wait_for(asyncio.gather(*looks), 60)
    assert [type(each) for each in told[:2]] == [ServiceError] * 2
    assert [each.id for each in seen] == ids(2)
