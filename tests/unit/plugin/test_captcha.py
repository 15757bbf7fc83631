"""A professional voice clone waits for a person: the page says so, in its row too, with the place."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_scenario.client.scenario.schemas import Model
from airflow_provider_scenario.plugin.snapshots import page_snapshot
from airflow_provider_scenario.watch.polling import with_page
from tests.contract.wire import Recorder, Reply, Sent, recorder
from tests.unit.conftest import connection
from tests.unit.plugin.test_app import RUN, text_of, training

if TYPE_CHECKING:
    from collections.abc import Iterator

SIGNED = "https://cdn.test/captcha.png?Signature=signed-part"
PAGE = "https://scenario.example/app/models/model_voice"


def model(status: str = "training", stage: str = "pending-captcha") -> dict[str, Any]:
    progress = {"stage": stage, "updatedAt": 1_750_000_000_000, "captchaImageUrl": SIGNED}
    return {"id": "model_voice", "name": "Ada", "status": status, "jobId": "job_1", "trainingProgress": progress}


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch, emulator: object) -> Iterator[Recorder]:
    """Scenario, with one model, behind the default connection."""

    def reply(sent: Sent) -> Reply:
        body: dict[str, Any] = {"job": {"jobId": "job_1", "status": "queued"}, "model": model(), "models": [model()]}
        return Reply(200, json.dumps(body).encode())

    with recorder() as wire:
        wire.reply = reply
        extra = {"requests_per_minute": 1_000_000, "app_url": "https://scenario.example/app"}
        monkeypatch.setenv("AIRFLOW_CONN_SCENARIO_DEFAULT", connection(host=wire.url, extra=extra))
        yield wire


@pytest.mark.usefixtures("service")
@pytest.mark.parametrize("page", ["trainings", RUN])
def test_its_row_says_what_a_person_must_do_and_where(admin, database, page):
    database.task(model_id="model_voice", job_id="job_1")
    answer = admin.get(page)
    assert f"queued Waits for a person to solve a captcha: {PAGE}" in text_of(answer)
    assert f'href="{PAGE}"' in answer.text
    assert "cdn.test" not in answer.text


@pytest.mark.usefixtures("service")
def test_its_own_page_says_it_too(admin, database):
    database.task(model_id="model_voice", job_id="job_1")
    answer = admin.get(training())
    assert "This training waits for a person. To clone a voice, Scenario requires a captcha to be read aloud" in (
        text_of(answer)
    )
    assert f'href="{PAGE}"' in answer.text
    assert "cdn.test" not in answer.text


@pytest.mark.parametrize("app_url", ["javascript:alert(1)//", "", "https://app.scenario.com/?a=", "data:text/html,x"])
def test_an_address_that_is_no_page_is_no_link(app_url):
    sight = with_page(page_snapshot(Model.model_validate(model()), 1.0), app_url)
    assert (sight.needs_person, sight.page) == (True, None)


@pytest.mark.parametrize(("status", "stage"), [("trained", "pending-captcha"), ("training", "running-train")])
def test_what_waits_for_nobody_says_nothing(status, stage):
    assert not page_snapshot(Model.model_validate(model(status, stage)), 1.0).needs_person
