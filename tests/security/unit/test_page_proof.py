"""
A user who may create XComs in one DAG makes them name the model of another DAG's training.

No XCom proves anything, whatever its key: with that right a user writes any of them through Airflow's REST API.
"""

from __future__ import annotations

import html
import json
from dataclasses import asdict
from urllib.parse import urlencode

import pytest
from airflow.models.log import Log
from sqlalchemy import select
from sqlalchemy.orm import Session

from airflow_provider_scenario.hooks.scenario import ScenarioHook
from airflow_provider_scenario.links import ScenarioModelLink
from airflow_provider_scenario.operators.training import ScenarioTrainLoraOperator, ScenarioTrainModelOperator
from airflow_provider_scenario.plugin.access import form_token
from airflow_provider_scenario.provenance import SEALED, Claim, Marker, Place
from airflow_provider_scenario.sensors.training import ScenarioTrainingSensor

VICTIM = {"dag_id": "theirs", "run_id": "a_run", "task_id": "train", "map_index": -1}
MINE = {"dag_id": "mine", "run_id": "a_run", "task_id": "mine", "map_index": -1}
CAPTION = "a caption of somebody else"


@pytest.fixture
def victim(database, train, scenario):
    """A training of another DAG that runs; its model and job."""
    made = train(name="name of somebody else", images=1)
    scenario.caption_asset(scenario.get_model(made["model_id"]).training_images[0].id, CAPTION)
    database.task(*VICTIM.values(), **made)
    return made


def forged(made):
    """All that a task pushes, as a forger writes it."""
    result = {"status": "trained", "name": "x", **made}
    return {
        "model_id": made["model_id"],
        "job_id": made["job_id"],
        "return_value": result,
        SEALED: {**made, "is_ours": True, "seal": "0" * 64},
    }


def post(browser, page, where, **data):
    token = form_token(type("Request", (), {"cookies": dict(browser.cookies)}))
    return browser.post(f"{page}?{urlencode(where)}", data={"token": token, **data})


def shown(browser, where):
    """What all pages say of a task, and whether each of them is there."""
    pages = ("trainings?dag_id=" + where["dag_id"], f"run?{urlencode(where)}", f"training?{urlencode(where)}")
    answers = [browser.get(page) for page in pages]
    assert [answer.status_code for answer in answers] == [200] * 3
    return html.unescape(" ".join(answer.text for answer in answers))


OPERATORS = pytest.mark.parametrize(
    "operator", ["ScenarioTrainLoraOperator", "ScenarioTrainModelOperator", "ScenarioTrainingSensor", "BashOperator"]
)


class TestForgedXComs:
    @OPERATORS
    def test_they_show_nothing_of_another_training(self, admin, database, victim, emulator, operator):
        image = emulator.model(victim["model_id"])["trainingImages"][0]["id"]
        database.task(*MINE.values(), operator=operator, **forged(victim))
        page = shown(admin, MINE)
        for theirs in ("name of somebody else", CAPTION, image, "flux.1-lora"):
            assert theirs not in page
        assert admin.get(f"picture?{urlencode({**MINE, 'asset_id': image})}").status_code in (404, 409)

    @OPERATORS
    def test_they_cancel_and_change_nothing(self, admin, database, victim, emulator, operator):
        database.task(*MINE.values(), operator=operator, state="running", **forged(victim))
        for page in ("cancel", "epoch"):
            answer = post(admin, page, MINE, epoch="000001")
            assert answer.status_code in (404, 409)
        assert emulator.counts()["canceled"] == 0
        assert emulator.model(victim["model_id"])["status"] == "training"

    def test_the_page_says_why_it_shows_no_model(self, admin, database, victim):
        database.task(*MINE.values(), **forged(victim))
        reason = f"Airflow has no proof that this task made the model {victim['model_id']}"
        assert reason in shown(admin, MINE)
        answer = post(admin, "cancel", MINE)
        assert answer.status_code == 409
        assert reason in answer.text

    def test_scenario_is_asked_for_nothing_but_whose_the_model_is(self, admin, database, victim, emulator):
        database.task(*MINE.values(), **forged(victim))
        before = emulator.requests()
        shown(admin, MINE)
        admin.get(f"picture?{urlencode({**MINE, 'asset_id': 'asset_x'})}")
        post(admin, "cancel", MINE)
        assert emulator.requests() - before == 1

    def test_a_seal_holds_for_no_other_task_and_no_other_model(self, admin, database, victim, emulator):
        theirs = Claim(**victim, is_ours=True).sealed(Place(*VICTIM.values()), "demo")
        own = Claim(model_id="model_x", job_id=None, is_ours=True).sealed(Place(*MINE.values()), "demo")
        for map_index, sealed in enumerate((theirs, {**own, **victim}, [theirs], {"seal": 7}, "x")):
            where = {**MINE, "map_index": map_index}
            database.task(*where.values(), **{**forged(victim), SEALED: sealed})
            assert CAPTION not in shown(admin, where)
            assert post(admin, "cancel", where).status_code == 409
        assert emulator.counts()["canceled"] == 0

    def test_a_job_of_another_training_shows_nothing_of_that(self, admin, database, train, emulator):
        emulator.outcome(fail_at=0.5, error="an error of somebody else", hint="a hint of somebody else")
        theirs = train(name="theirs")
        emulator.advance(200)
        mine = train(name="mine")
        for number, sealed in enumerate((mine["job_id"], None)):
            where = {**MINE, "map_index": number}
            claim = Claim(model_id=mine["model_id"], job_id=sealed, is_ours=True).sealed(Place(*where.values()), "demo")
            forged_job = {"model_id": mine["model_id"], "job_id": theirs["job_id"]}
            database.task(*where.values(), **forged_job, **{SEALED: claim})
            page = shown(admin, where)
            assert "mine" in page
            assert "somebody else" not in page
            assert theirs["job_id"] not in page


def test_what_a_template_has_made_of_an_xcom_is_shown_but_not_cancelled(admin, database, victim, emulator):
    """The XCom of the task before, forged, becomes the ``model_id`` that the worker renders."""
    rendered = {"scenario_conn_id": "scenario_default", "model_id": victim["model_id"]}
    claim = Claim(**victim, is_ours=False).sealed(Place(*MINE.values()), "demo")
    for number, xcoms in enumerate(({}, {SEALED: claim})):
        where = {**MINE, "map_index": number}
        database.task(*where.values(), fields=rendered, **xcoms)
        assert "name of somebody else" in admin.get(f"training?{urlencode(where)}").text
        assert "Cancel the training" not in admin.get(f"training?{urlencode(where)}").text
        assert post(admin, "cancel", where).status_code == 409
    assert emulator.counts()["canceled"] == 0


def marked(scenario, place, **fields):
    marker = Marker(task=place.digest, clearing="0", inputs="0" * 8)
    return scenario.create_model(name="ours", type="flux.1-lora", short_description=f"Made by Airflow {marker}").id


def test_where_the_secret_was_changed_the_marker_proves_it_too(admin, database, scenario, victim):
    model_id = marked(scenario, Place(*MINE.values()))
    sealed = Claim(model_id=model_id, is_ours=True).sealed(Place(*MINE.values()), "a secret of before")
    database.task(*MINE.values(), model_id=model_id, **{SEALED: sealed})
    assert "<bdi>ours</bdi></h1>" in shown(admin, MINE)
    assert "Nothing to cancel" in post(admin, "cancel", MINE).text


def test_the_marker_of_another_task_proves_nothing(admin, database, scenario):
    model_id = marked(scenario, Place(*VICTIM.values()))
    database.task(*MINE.values(), model_id=model_id, sealed=False)
    assert "no proof that this task made" in shown(admin, MINE)
    assert "<bdi>ours</bdi></h1>" not in shown(admin, MINE)


@pytest.fixture
def as_worker(context, another_task):
    """The context of one task instance."""

    def as_worker(where):
        return another_task(**where, try_number=1)

    return as_worker


class TestWhatAWorkerSeals:
    """The operators themselves, and the page beside them."""

    def put(self, database, where, context, **values):
        database.task(*where.values(), sealed=False, **context["ti"].xcoms, **values)

    @pytest.mark.parametrize("description", [None, "The author's words."])
    def test_a_lora_can_be_seen_and_cancelled(self, admin, database, as_worker, datasets, emulator, description):
        emulator.set(training_seconds=100)
        lora = ScenarioTrainLoraOperator(
            task_id="mine",
            name="hero",
            type="flux.1-lora",
            images=str(datasets / "hero-character"),
            short_description=description,
            wait_for_completion=False,
        )
        context = as_worker(MINE)
        lora.execute(context)
        self.put(database, MINE, context, operator="ScenarioTrainLoraOperator")
        assert "<bdi>hero</bdi></h1>" in shown(admin, MINE)
        assert post(admin, "cancel", MINE).status_code == 200
        assert emulator.counts()["canceled"] == 1

    def test_a_training_that_the_task_has_started_can_be_cancelled(
        self, admin, database, as_worker, scenario, emulator, datasets
    ):
        emulator.set(training_seconds=100)
        model_id = scenario.create_model(name="hero", type="flux.1-lora").id
        for file in sorted((datasets / "hero-character").glob("*.jpg"))[:2]:
            scenario.add_training_image(model_id, name=file.name, data=file.read_bytes())
        context = as_worker(MINE)
        ScenarioTrainModelOperator(task_id="mine", model_id=model_id, wait_for_completion=False).execute(context)
        self.put(database, MINE, context)
        assert post(admin, "cancel", MINE).status_code == 200
        assert emulator.counts()["canceled"] == 1

    def test_one_that_somebody_else_has_started_cannot(self, admin, database, as_worker, victim, emulator):
        context = as_worker(MINE)
        operator = ScenarioTrainModelOperator(task_id="mine", model_id=victim["model_id"], wait_for_completion=False)
        operator.execute(context)
        self.put(database, MINE, context)
        assert post(admin, "cancel", MINE).status_code == 409
        assert emulator.counts()["canceled"] == 0

    def test_a_sensor_shows_what_it_waits_for(self, admin, database, as_worker, victim):
        context = as_worker(MINE)
        sensor = ScenarioTrainingSensor(task_id="mine", model_id=victim["model_id"], deferrable=False)
        sensor.hook.show_model(context, victim["model_id"])
        self.put(database, MINE, context, operator="ScenarioTrainingSensor")
        assert "name of somebody else" in admin.get(f"training?{urlencode(MINE)}").text

    def test_no_xcom_holds_the_secret(self, as_worker, emulator, monkeypatch):
        fields = {"conn_type": "scenario", "login": "a-key", "password": "a-secret-of-the-connection"}
        monkeypatch.setenv("AIRFLOW_CONN_SCENARIO_DEFAULT", json.dumps(fields))
        context = as_worker(MINE)
        ScenarioHook().show_model(context, "model_x", job_id="job_x", is_ours=True)
        assert set(context["ti"].xcoms) == {"_link_ScenarioModelLink", SEALED}
        assert "a-secret-of-the-connection" not in str(context["ti"].xcoms)


def test_the_audit_log_names_the_task_whose_training_was_cancelled(admin, database, train, engine):
    where = {**MINE, "map_index": 3}
    database.task(*where.values(), **train())
    assert post(admin, "cancel", where).status_code == 200
    with Session(engine) as session:
        logged = session.scalars(select(Log)).one()
    assert (logged.event, logged.dag_id, logged.task_id, logged.run_id) == ("cancel_training", "mine", "mine", "a_run")
    assert json.loads(logged.extra)["map_index"] == "3"


@pytest.mark.parametrize("stored", ["javascript:alert(1)", "https://evil.example/login", "data:text/html,x", 7, None])
def test_the_button_to_the_model_leads_to_no_other_page(monkeypatch, stored):
    monkeypatch.setattr("airflow_provider_scenario.links.stored_xcom", lambda *_: stored)
    assert ScenarioModelLink().get_link(None, ti_key=None) == ""


def test_a_claim_is_read_as_it_was_sealed():
    claim = Claim(model_id="model_x", job_id="job_x", is_ours=True)
    place = Place("a", "b", "c", 1, 2)
    sealed = json.loads(json.dumps(claim.sealed(place, "secret")))
    assert Claim.read(sealed, place, "secret") == claim
    assert Claim.read(sealed, place, "another") is None
    for field, value in {**asdict(claim), "is_ours": False, "job_id": None, "model_id": "model_y"}.items():
        if sealed[field] != value:
            assert Claim.read({**sealed, field: value}, place, "secret") is None
    for number in range(5):
        changed = list(place)
        changed[number] = "z" if number < 3 else 7
        assert Claim.read(sealed, Place(*changed), "secret") is None
