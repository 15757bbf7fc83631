"""Who knows no more than a job's id is told its end, in whatever word the service has for it."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from airflow_provider_scenario.airflow_compat.exceptions import AirflowFailException
from airflow_provider_scenario.sensors.training import ScenarioTrainingSensor
from airflow_provider_scenario.triggers.training import ScenarioTrainingTrigger
from tests.contract.wire import Reply, recorder
from tests.unit.conftest import connection

if TYPE_CHECKING:
    from collections.abc import Iterator

GOOD = ["success", "Success", "succeeded", "COMPLETED"]
BAD = [("failure", "failed"), ("Failed", "failed"), ("canceled", "canceled"), ("Cancelled", "canceled")]


@contextmanager
def service(monkeypatch: pytest.MonkeyPatch, word: str) -> Iterator[None]:
    """Scenario, with a job that has this status."""
    with recorder() as wire:
        wire.reply = lambda _: Reply(200, json.dumps({"job": {"id": "job_1", "status": word}}).encode())
        monkeypatch.setenv("AIRFLOW_CONN_SCENARIO_DEFAULT", connection(host=wire.url))
        yield


@pytest.mark.parametrize(("word", "outcome"), [*((word, "trained") for word in GOOD), *BAD])
async def test_the_trigger_ends(monkeypatch, word, outcome):
    with service(monkeypatch, word):
        event = await anext(ScenarioTrainingTrigger(job_id="job_1", poke_interval=0.01).run())
    assert (event.payload["outcome"], event.payload["job_id"]) == (outcome, "job_1")


@pytest.mark.parametrize("word", GOOD)
def test_the_sensor_ends_well(monkeypatch, context, word):
    sensor = ScenarioTrainingSensor(task_id="wait", job_id="job_1", poke_interval=0.01, deferrable=False)
    with service(monkeypatch, word):
        assert sensor.execute(context)["status"] == "trained"


@pytest.mark.parametrize("word", [word for word, _ in BAD])
def test_the_sensor_fails(monkeypatch, context, word):
    sensor = ScenarioTrainingSensor(task_id="wait", job_id="job_1", poke_interval=0.01, deferrable=False)
    with service(monkeypatch, word), pytest.raises(AirflowFailException, match="job_1"):
        sensor.execute(context)
