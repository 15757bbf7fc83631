"""While other work uses the budget of requests up: who waits for a turn says so, and gives up on time."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from airflow_provider_scenario.airflow_compat.exceptions import AirflowSensorTimeout
from airflow_provider_scenario.client.budget import RequestBudget, WaitNotice
from airflow_provider_scenario.client.scenario.client import ScenarioClient
from airflow_provider_scenario.exceptions import TrainingTimeoutError
from airflow_provider_scenario.hooks.scenario import ScenarioHook
from airflow_provider_scenario.operators.model import ScenarioAddTrainingImagesOperator
from airflow_provider_scenario.operators.training import ScenarioTrainModelOperator
from airflow_provider_scenario.sensors.training import ScenarioTrainingSensor
from airflow_provider_scenario.triggers.training import FIRST_POLL, ScenarioTrainingSlotTrigger, ScenarioTrainingTrigger
from airflow_provider_scenario.watch.decision import TrainingWatch
from airflow_provider_scenario.watch.polling import wait_for_training
from tests.unit.client.conftest import ScenarioTransport
from tests.unit.conftest import connection

LONG = 60.0
"""Seconds until the next turn, where the budget is used up."""

ON_TIME = 30.0
"""Much longer than a deadline of these tests is away, and much shorter than the turn."""


@pytest.fixture
def _default_budget(emulator, monkeypatch):
    extra = {"project_id": "proj_emulator", "requests_per_minute": 80}
    monkeypatch.setenv("AIRFLOW_CONN_SCENARIO_DEFAULT", connection(host=emulator.url, extra=extra))


@pytest.fixture
def training(_default_budget, training):
    return training


@pytest.fixture
def used_up(training):
    """As uploads of a batch leave it."""
    ScenarioHook().budget.throttled(LONG)
    return training


@pytest.fixture
def on_time():
    """Fails a test that has waited for the turn instead of the deadline."""
    start = time.monotonic()
    yield
    assert time.monotonic() - start < ON_TIME


class TestDeadline:
    @pytest.mark.parametrize("poke_interval", [0.1, 30])
    async def test_a_trigger_keeps_it(self, emulator, used_up, on_time, poke_interval):
        before = emulator.requests()
        trigger = ScenarioTrainingTrigger(**used_up, poke_interval=poke_interval, deadline=time.time() + 0.3)
        event = (await anext(trigger.run())).payload
        assert (event["outcome"], event["model_id"], event["job_id"]) == ("timed-out", *used_up.values())
        assert emulator.requests() == before

    async def test_of_many_triggers_each_keeps_its_own(self, used_up, on_time):
        patient = ScenarioTrainingTrigger(**used_up, deadline=time.time() + 3600)
        waiting = asyncio.ensure_future(anext(patient.run()))
        hasty = [ScenarioTrainingTrigger(**used_up, deadline=time.time() + 0.1 * number) for number in range(5)]
        events = await asyncio.gather(*(anext(trigger.run()) for trigger in hasty))
        assert {event.payload["outcome"] for event in events} == {"timed-out"}
        assert not waiting.done()
        waiting.cancel()

    def test_a_task_that_holds_a_worker_keeps_it_and_cancels_its_training(self, emulator, used_up, context, on_time):
        operator = ScenarioTrainModelOperator(
            task_id="t", model_id=used_up["model_id"], deferrable=False, timeout=0.5, poke_interval=0.1, retries=1
        )
        context["ti"].try_number += 1
        with pytest.raises(TrainingTimeoutError, match="was cancelled"):
            operator.execute(context)
        assert emulator.counts()["canceled"] == 1

    def test_a_training_that_is_only_watched_is_given_up_on_time(self, used_up, on_time):
        watch = TrainingWatch(label="ink", deadline=time.time() + 0.3, poke_interval=0.1)
        assert wait_for_training(ScenarioHook(), watch, **used_up, log=lambda _: None).outcome == "timed-out"

    def test_a_sensor_keeps_it(self, used_up, context, on_time):
        sensor = ScenarioTrainingSensor(task_id="s", **used_up, deferrable=False, timeout=0.5, poke_interval=0.1)
        with pytest.raises(AirflowSensorTimeout):
            sensor.execute(context)

    async def test_a_trigger_that_waits_for_a_slot_keeps_it(self, emulator, training, another_task, datasets, on_time):
        emulator.set(parallel_training=1)
        other = ScenarioHook().client.create_model(name="waits", type="flux.2-dev-lora").id
        image = next((datasets / "ink-style").glob("*.jpg"))
        ScenarioAddTrainingImagesOperator(task_id="i", model_id=other, images=[image]).execute(another_task())
        trigger = ScenarioTrainingSlotTrigger(
            model_id=other, parameters={}, since=time.time(), poke_interval=300, deadline=time.time() + 0.3
        )
        assert (await anext(trigger.run())).payload["outcome"] == "timed-out"

    async def test_the_last_look_is_made_where_its_turn_is_near(self, training):
        ScenarioHook().budget.throttled(1.0)
        trigger = ScenarioTrainingTrigger(**training, deadline=time.time() + 0.1)
        event = (await anext(trigger.run())).payload
        assert (event["outcome"], event["status"]) == ("timed-out", "training")

    def test_a_cancellation_that_was_throttled_is_sent_again_without_waiting_for_a_turn(
        self, emulator, used_up, context, on_time
    ):
        emulator.fault(kind="429", route="/models/*/train/action")
        operator = ScenarioTrainModelOperator(
            task_id="t", model_id=used_up["model_id"], deferrable=False, timeout=0.5, poke_interval=0.1, retries=1
        )
        context["ti"].try_number += 1
        with pytest.raises(TrainingTimeoutError, match="was cancelled"):
            operator.execute(context)


WAITING = (
    "all requests that 'requests_per_minute' (80) allows are used up by uploads and other tasks of this machine, or "
    "the service has sent Retry-After."
)


class TestLog:
    async def test_a_trigger_says_once_that_it_waits_for_its_turn(self, used_up, capsys):
        trigger = ScenarioTrainingTrigger(**used_up, poke_interval=0.1, deadline=time.time() + 0.5)
        await anext(trigger.run())
        assert capsys.readouterr().out.count(WAITING) == 1

    async def test_one_that_comes_while_others_wait_for_the_turn_says_so_too(self, used_up, capsys):
        first = asyncio.ensure_future(anext(ScenarioTrainingTrigger(**used_up, deadline=time.time() + 3600).run()))
        said = ""
        async with asyncio.timeout(60):
            while "Waiting about" not in said:
                await asyncio.sleep(0.02)
                said += capsys.readouterr().out
        await anext(ScenarioTrainingTrigger(**used_up, deadline=time.time() + 0.2).run())
        first.cancel()
        assert capsys.readouterr().out.count("Waiting about") == 1

    async def test_it_says_nothing_where_its_turn_is_near(self, training, capsys):
        await anext(ScenarioTrainingTrigger(**training, poke_interval=0.1, deadline=time.time() + 0.3).run())
        assert "Waiting about" not in capsys.readouterr().out

    def test_a_task_that_holds_a_worker_says_it_once(self, used_up):
        log: list[str] = []
        watch = TrainingWatch(label="ink", deadline=time.time() + 0.3, poke_interval=0.1)
        wait_for_training(ScenarioHook(), watch, **used_up, log=log.append)
        assert [line.partition(": ")[2] for line in log] == [WAITING]

    def test_uploads_that_scenario_throttles_say_it_once_for_all_threads(self, emulator, tmp_path, caplog):
        emulator.fault(kind="429", route="/**", times=8)
        slept: list[float] = []
        budget = RequestBudget(80, "here", folder=tmp_path)
        budget.throttled(LONG)
        transport = ScenarioTransport(
            emulator.url, "demo", "demo", budget=budget, sleep=slept.append, jitter=lambda: 0.5, max_tries=20
        )
        with caplog.at_level("INFO"), ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda _: list(ScenarioClient(transport).list_projects()), range(8)))
        transport.close()
        assert len(slept) == 8
        lines = [record.getMessage() for record in caplog.records if "Waiting about" in record.getMessage()]
        assert len(lines) == 1
        assert "Scenario takes no more requests now (429); the request is sent again then." in lines[0]


@pytest.mark.parametrize(
    ("waits", "lines"),
    [
        ([(0, 4.9)], 0),
        ([(0, 5)], 1),
        ([(0, 40), (1, 39), (59, 10)], 1),
        ([(0, 40), (60, 40)], 2),
        ([(0, 300), (200, 100), (300, 20)], 2),
    ],
)
def test_a_line_is_said_once_for_what_it_announces_and_at_most_once_a_minute(waits, lines):
    said: list[str] = []
    clock = [0.0]
    line = WaitNotice(said.append, clock=lambda: clock[0])
    for clock[0], seconds in waits:
        line(seconds, "why")
    assert len(said) == lines
    assert all(each.startswith("Waiting about ") and each.endswith(" s: why.") for each in said)


class TestFirstLook:
    class Looks:
        """Of a shared poller, how long after its coming each look is due."""

        def __init__(self):
            self.due = []

        async def poll(self, model_id, job_id, *, after, **_):
            self.due.append(after)

    @pytest.mark.parametrize(
        ("deferred", "deadline", "due"),
        [
            (0, 3600, 30 * FIRST_POLL),
            (5, 3600, 30 * FIRST_POLL - 5),
            (60, 3600, 0),  # another triggerer goes on
            (-60, 3600, 30 * FIRST_POLL),  # the clock was set back
            (0, 4, 4),
            (None, 3600, 0),
        ],
    )
    async def test_what_has_just_been_started_is_looked_at_soon_and_not_at_once(self, deferred, deadline, due):
        looks, now = self.Looks(), time.time()
        deferred_at = None if deferred is None else now - deferred
        trigger = ScenarioTrainingTrigger(model_id="model_1", deferred_at=deferred_at, deadline=now + deadline)
        await trigger._end(looks)
        assert looks.due == [pytest.approx(due, abs=2)]
