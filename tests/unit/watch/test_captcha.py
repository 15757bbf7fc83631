"""A professional voice clone waits for a person: every way of waiting says so, once, with the place."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_scenario.hooks.scenario import ScenarioHook
from airflow_provider_scenario.sensors.training import ScenarioTrainingSensor
from airflow_provider_scenario.triggers.training import ScenarioTrainingTrigger
from airflow_provider_scenario.watch.decision import TrainingWatch
from airflow_provider_scenario.watch.polling import wait_for_training
from tests.contract.wire import Recorder, Reply, Sent, recorder
from tests.unit.conftest import connection

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SIGNED = "https://cdn.test/captcha.png?Signature=signed-part"
PAGE = "https://scenario.example/app/models/model_voice"


def model(status: str, **progress: Any) -> dict[str, Any]:
    progress = {"updatedAt": 1_750_000_000_000, **progress}
    return {"id": "model_voice", "name": "Ada", "status": status, "jobId": "job_1", "trainingProgress": progress}


CAPTCHA = model("training", stage="pending-captcha", captchaImageUrl=SIGNED)
SEEN = [model("training", stage="running-train"), CAPTCHA, CAPTCHA, CAPTCHA, model("trained", stage="running-train")]
"""What the polls see, one after the other; the last for ever."""


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[Recorder]:
    """Scenario, as far as a watch asks it."""
    seen = iter(SEEN)

    def reply(sent: Sent) -> Reply:
        job = {"jobId": "job_1", "status": "success", "billing": {"cuCost": 5, "cuDiscount": 0}}
        body = {"job": job} if "/jobs/" in sent.path else {"model": next(seen, SEEN[-1])}
        return Reply(200, json.dumps(body).encode())

    with recorder() as wire:
        wire.reply = reply
        extra = {"requests_per_minute": 1_000_000, "app_url": "https://scenario.example/app/"}
        monkeypatch.setenv("AIRFLOW_CONN_SCENARIO_DEFAULT", connection(host=wire.url, extra=extra))
        yield wire


@pytest.fixture
def warnings(capsys: pytest.CaptureFixture[str]) -> Callable[[], list[str]]:
    """The warnings that name the model; Airflow writes the logs of tasks to the standard output here."""

    def found() -> list[str]:
        out = capsys.readouterr().out
        assert "signed-part" not in out
        return [line for line in out.splitlines() if "[warning" in line and "model_voice" in line]

    return found


def waits_for_a_person(line: str) -> bool:
    what, place = (
        "waits for a person (pending-captcha): before Scenario clones a voice",
        f"solve the captcha there: {PAGE}",
    )
    return what in line and place in line


@pytest.mark.usefixtures("service")
def test_the_worker_that_is_held_says_it():
    news: list[str] = []
    warnings: list[str] = []
    end = wait_for_training(
        ScenarioHook(),
        TrainingWatch(label="model_voice", deadline=float("inf"), poke_interval=30),
        model_id="model_voice",
        job_id="job_1",
        log=news.append,
        warn=warnings.append,
        sleep=lambda _: None,
    )
    assert end.outcome == "trained"
    assert [waits_for_a_person(line) for line in warnings] == [True]
    assert "signed-part" not in f"{news} {warnings} {end.to_event()}"


@pytest.mark.usefixtures("service")
async def test_the_trigger_says_it_and_its_event_does_not_hold_the_picture(warnings):
    trigger = ScenarioTrainingTrigger(model_id="model_voice", job_id="job_1", poke_interval=0.01)
    event = await anext(trigger.run())
    assert event.payload["outcome"] == "trained"
    assert [waits_for_a_person(line) for line in warnings()] == [True]
    assert "signed-part" not in json.dumps(event.payload)


@pytest.mark.usefixtures("service")
def test_the_sensor_says_it(context, warnings):
    sensor = ScenarioTrainingSensor(task_id="wait", model_id="model_voice", poke_interval=0.01, deferrable=False)
    assert sensor.execute(context)["status"] == "trained"
    assert [waits_for_a_person(line) for line in warnings()] == [True]
    assert "signed-part" not in json.dumps(context["ti"].xcoms)
