from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from airflow_provider_scenario.client.budget import RequestBudget
from airflow_provider_scenario.client.errors import AuthenticationError
from airflow_provider_scenario.client.scenario.schemas import Job, Model
from airflow_provider_scenario.exceptions import TrainingTimeoutError, WatchingRefusedError
from airflow_provider_scenario.hooks.scenario import ScenarioHook
from airflow_provider_scenario.operators.training import ScenarioTrainModelOperator
from airflow_provider_scenario.sensors.training import ScenarioTrainingSensor
from airflow_provider_scenario.triggers.training import ScenarioTrainingTrigger
from airflow_provider_scenario.watch.cancelling import StoppableTraining
from airflow_provider_scenario.watch.decision import TrainingWatch
from airflow_provider_scenario.watch.polling import Poller, poll, snapshot_of, wait_for_training
from tests.stopwatch import stopwatch
from tests.unit.conftest import connection


class Clock:
    """Time passes only in pauses; ``at`` says what happens when."""

    def __init__(self, **at):
        self.now, self.paused = 0.0, []
        self.at = {float(moment.removeprefix("s")): action for moment, action in at.items()}

    def sleep(self, seconds):
        self.now += seconds
        self.paused.append(seconds)
        for moment in [moment for moment in self.at if moment <= self.now]:
            self.at.pop(moment)()


def wait(training, clock, log, *, deadline=float("inf")):
    watch = TrainingWatch(label="ink", deadline=deadline, poke_interval=30)
    hook = ScenarioHook()
    hook.budget = RequestBudget(1_000_000, str(id(clock)), clock=lambda: clock.now)
    return wait_for_training(hook, watch, **training, log=log.append, clock=lambda: clock.now, sleep=clock.sleep)


@pytest.mark.parametrize(
    "outage",
    [
        {"kind": "status", "status": 503},
        {"kind": "status", "status": 409},
        {"kind": "close"},
        {"kind": "429"},
        {"kind": "garbage"},
        {"kind": "garbage", "garbage": "truncated"},
    ],
)
def test_an_outage_of_an_hour_does_not_end_the_waiting(emulator, training, outage):
    emulator.fault(**outage, route="/**", times=None)
    log: list[str] = []

    def over():
        emulator.clear_faults()
        emulator.advance(900)

    clock = Clock(s3600=over)
    end = wait(training, clock, log)
    assert end.outcome == "trained"
    assert 12 <= len(clock.paused) <= 30  # ever more slowly, up to one look in five minutes
    assert clock.paused[:4] == [60, 120, 240, 300]
    assert max(clock.paused) <= 300
    assert "The training is not affected; the next poll is in 60 s." in log[0]
    assert len(log) <= 8


def test_an_outage_until_the_tasks_own_time_is_up_says_what_became_of_the_training(emulator, context, training):
    emulator.fault(kind="status", status=503, route="/**", times=None)
    operator = ScenarioTrainModelOperator(task_id="t", model_id=training["model_id"])
    end = wait(training, Clock(), [], deadline=3000)
    said = r"could not be cancelled\. The training may continue and be billed\. .*503"
    with pytest.raises(TrainingTimeoutError, match=said):
        operator.conclude(context, end)


class OneModel:
    """A client that reads this model, whoever asks."""

    def __init__(self, **model):
        self.model = {"id": "model_1", "jobId": "job_1", **model}

    def get_model(self, model_id, *, only_status):
        return Model.read(self.model, action=f"read model {model_id}", only_status=only_status)

    def get_job(self, job_id):
        return Job.model_validate({"id": job_id, "status": "Succeeded"})


@pytest.mark.parametrize("dataset", [{"trainingImages": [{"id": None}]}, {"trainingImagePairs": "?"}])
def test_a_dataset_that_cannot_be_read_does_not_end_the_watch_of_a_training(dataset):
    seen = poll(OneModel(status="trained", **dataset), "model_1", "job_1")
    assert snapshot_of(seen).status == "trained"


@pytest.mark.parametrize("status", [{}, {"status": None}, {"status": 7}, {"status": ["trained"]}])
def test_where_the_model_tells_no_status_its_job_tells_the_end(status):
    assert snapshot_of(poll(OneModel(**status), "model_1", "job_1")).status == "trained"
    assert snapshot_of(poll(OneModel(**status), "model_1", None)).status == ""


def test_a_cancellation_that_meets_a_conflict_is_not_taken_for_one_that_is_not_needed(emulator, training):
    emulator.fault(kind="status", status=409, route="/models/*/train/action", times=None)
    with ScenarioHook().connect(max_tries=1) as client:
        stoppable = StoppableTraining(model_id=training["model_id"])
        assert stoppable.cancel(client).effect == "unknown"
        emulator.clear_faults()
        assert stoppable.cancel(client).effect == "cancelled"


@pytest.mark.parametrize("lost", [{"kind": "close"}, {"kind": "status", "status": 503}])
def test_one_lost_answer_at_the_end_costs_neither_the_price_nor_the_reason(emulator, training, lost):
    emulator.outcome(model=training["model_id"], fail_at=0.5, error="CUDA out of memory")
    ScenarioHook().client.cancel_training(training["model_id"])
    again = ScenarioHook().client.train(training["model_id"], {}).job.job_id
    emulator.fault(**lost, route="/jobs/*")
    end = wait({**training, "job_id": again}, Clock(s60=lambda: emulator.advance(900)), [])
    assert end.error == "CUDA out of memory"
    assert end.creative_units_cost == emulator.ledger()["trainings"][-1]["creative_units"]


@pytest.fixture
def rotate(emulator, monkeypatch):
    """Exchange the secret at the service, and, unless it is forgotten, in Airflow's connection."""

    def exchange(*, in_airflow=True):
        emulator.set(api_secret="new")
        if in_airflow:
            changed = connection(host=emulator.url, password="new")
            monkeypatch.setenv("AIRFLOW_CONN_SCENARIO_DEFAULT", changed)

    yield exchange
    emulator.set(api_secret=None)


def test_a_rotated_key_is_picked_up_while_waiting(emulator, training, rotate):
    def rotate_and_end():
        rotate()
        emulator.advance(900)

    assert wait(training, Clock(s60=rotate_and_end), []).outcome == "trained"


def test_a_key_that_only_the_service_has_exchanged_ends_it_at_once_and_says_that_the_training_goes_on(
    emulator, training, rotate
):
    end = wait(training, Clock(s60=lambda: rotate(in_airflow=False)), [])
    with pytest.raises(WatchingRefusedError, match=r"can no longer be polled: .* continues and is billed"):
        end.value_or_raise()


def test_the_connection_is_looked_up_once_as_long_as_its_key_is_good(emulator, training, monkeypatch):
    looked_up = []
    look_up = ScenarioHook.get_connection

    def count(conn_id):
        looked_up.append(conn_id)
        return look_up(conn_id)

    monkeypatch.setattr(ScenarioHook, "get_connection", staticmethod(count))
    poller = Poller(ScenarioHook())
    for _ in range(3):
        poller.poll(**training)
    assert looked_up == ["scenario_default"]
    emulator.set(api_secret="new")
    assert isinstance(poller.poll(**training), AuthenticationError)
    emulator.set(api_secret=None)
    assert looked_up == ["scenario_default"] * 2


async def test_a_trigger_and_a_sensor_pick_it_up_too(emulator, context, training, rotate):
    trigger = ScenarioTrainingTrigger(**training, poke_interval=0.05)
    sensor = ScenarioTrainingSensor(task_id="wait", **training, deferrable=False, poke_interval=0.05)
    assert not sensor.poke(context)
    events = trigger.run()
    first = asyncio.ensure_future(anext(events))
    await asyncio.sleep(0.2)
    rotate()
    await asyncio.sleep(0.2)
    emulator.advance(900)
    assert (await first).payload["outcome"] == "trained"
    assert sensor.poke(context).xcom_value["status"] == "trained"
    await trigger.cleanup()


def test_many_tasks_that_hold_a_worker_keep_to_one_budget_together(emulator, training, monkeypatch):
    """Each would ask twenty times a second."""
    monkeypatch.setenv(
        "AIRFLOW_CONN_SCENARIO_DEFAULT",
        connection(host=emulator.url, extra={"project_id": "proj_emulator", "requests_per_minute": 120}),
    )

    def polls():
        return emulator.ledger()["requests"]["GET /v1/models/{modelId}"]

    def task(_):
        watch = TrainingWatch(label="ink", deadline=time.time() + 3, poke_interval=0.05)
        return wait_for_training(ScenarioHook(), watch, **training, log=lambda _: None).outcome

    before, seconds = polls(), stopwatch()
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(task, range(8))) == {"timed-out"}
    assert 8 <= polls() - before <= seconds() * 120 / 60 + 1
