"""The tab of a task that publishes: what it has returned, as text."""

from __future__ import annotations

import html

import pytest

from airflow_provider_scenario.plugin.publications import read_publications
from tests.unit.plugin.test_app import RUN, text_of, training

FIELDS = {"scenario_conn_id": "scenario_default", "ai_creation_workshop_conn_id": "ai_creation_workshop_default"}
ADDRESS = "s3://conn_id@bucket/loras/000002.safetensors"
RESULT = {
    "model_id": "model_a",
    "model_version_id": "model_a-000002",
    "model_file_id": "mf_1",
    "status": 5,
    "state": "in-progress",
    "invoke_id": "i_1",
    "files": [ADDRESS],
}
TREE = {
    "name": "hero",
    "versions": [
        {
            "modelVersionId": "model_a-000002",
            "name": "epoch 000002",
            "baseModel": "vxl_1.0",
            "triggerWords": ["hero42", "ink"],
            "covers": [{"cover": "https://bucket/cover.png"}],
            "files": [{"name": "hero.safetensors", "downloadUrl": ADDRESS, "hash": "b940", "sizeKb": 1500}],
        }
    ],
}
EVIL = "\"><script>alert('x')</script>"


def publish(database, result, *, operator="AICreationWorkshopPublishModelOperator", state="success", **xcoms):
    database.task(operator=operator, state=state, fields=FIELDS, return_value=result, **xcoms)


def test_it_shows_the_model_its_listing_and_its_files(admin, database):
    publish(database, RESULT)
    shown = text_of(admin.get(training()))
    assert "Publication to AI Creation Workshop train , success, try 1 model_a being listed Model model_a" in shown
    assert "Version model_a-000002 File mf_1 Workshop status code 5 Invoke id i_1" in shown
    assert ADDRESS in shown


def test_it_shows_each_version_of_the_tree(admin, database):
    publish(database, {**RESULT, "model": TREE})
    shown = text_of(admin.get(training()))
    assert "hero being listed" in shown
    assert "epoch 000002 model_a-000002 vxl_1.0 hero42, ink 1 hero.safetensors" in shown
    assert f"{ADDRESS} 1.5 MB, SHA-256 b940" in shown
    assert shown.count(ADDRESS) == 1


def test_it_shows_each_of_many_models(admin, database):
    publish(database, [RESULT, {**RESULT, "model_id": "model_b", "state": "listed", "status": 10}])
    shown = text_of(admin.get(training()))
    assert "model_a being listed" in shown
    assert "model_b listed" in shown


def test_the_sensor_shows_what_it_has_waited_for(admin, database):
    fields = {"ai_creation_workshop_conn_id": "ai_creation_workshop_default"}
    listed = {**RESULT, "state": "listed", "status": 10}
    operator = "AICreationWorkshopModelListingSensor"
    database.task(operator=operator, state="success", fields=fields, return_value=listed)
    assert "model_a listed" in text_of(admin.get(training()))


@pytest.mark.parametrize(
    ("state", "said"),
    [("running", "shown here when the task has ended"), ("failed", "This task has published nothing")],
)
def test_without_a_result_it_says_so(admin, database, state, said):
    database.task(operator="AICreationWorkshopPublishModelOperator", state=state, fields=FIELDS)
    page = admin.get(training())
    assert said in text_of(page)
    assert ("data-refresh" in page.text) == (state == "running")
    assert ("data-error" in page.text) == (state == "failed")


def test_scenario_is_not_asked_whatever_the_task_has_pushed(admin, database, train, emulator):
    made = train()
    before = emulator.requests()
    publish(database, RESULT, model_id=made["model_id"])
    admin.get(training())
    assert emulator.requests() == before


def test_it_is_no_training_of_the_run(admin, database):
    publish(database, RESULT, model_id="model_a")
    assert "This run trains no model" in text_of(admin.get(RUN))


def test_a_forged_result_is_only_text_and_no_address(admin, database):
    tree = {"name": EVIL, "versions": [{"name": EVIL, "files": [{"downloadUrl": f"javascript:{EVIL}", "name": EVIL}]}]}
    publish(database, {**RESULT, "model_id": EVIL, "state": EVIL, "model": tree})
    page = admin.get(training()).text
    assert EVIL in html.unescape(page)
    assert page.count("<script") == 2
    assert "<a " not in page
    assert "<img" not in page


@pytest.mark.parametrize(
    "address",
    ["https://bucket/a.safetensors?X-Amz-Signature=signed", "https://user:secret@bucket/a.safetensors#secret"],
)
def test_no_address_is_shown_with_what_lets_others_in(admin, database, address):
    file = {"downloadUrl": address}
    results = [{**RESULT, "files": [address]}, {**RESULT, "model": {"versions": [{"files": [file]}]}}]
    publish(database, results)
    page = admin.get(training()).text
    assert page.count("https://bucket/a.safetensors") == 2
    assert "signed" not in page
    assert "secret" not in page


@pytest.mark.parametrize(
    "odd",
    [
        7,
        "text",
        None,
        [],
        [7, None, "x"],
        {},
        {"model_id": 7},
        [[RESULT]],
    ],
)
def test_what_is_no_publication_is_none(odd):
    assert read_publications(odd) == ()


@pytest.mark.parametrize(
    "odd",
    [
        {"state": 7, "status": "5", "files": "x", "model": "x"},
        {"status": 10**400, "model_version_id": {}, "invoke_id": [], "files": [7, None, ""]},
        {"status": float("nan"), "model": {"versions": "x"}},
        {"model": {"name": 7, "versions": [7, {"files": 7, "covers": 7, "triggerWords": 7, "baseModel": 7}]}},
        {"model": {"versions": [{"files": [{"downloadUrl": 7}, {"downloadUrl": "https://a/b", "sizeKb": "x"}, 7]}]}},
        {"files": ["https://[", "\ud800", "x" * 10_000]},
    ],
)
def test_an_odd_field_is_left_out(admin, database, odd):
    [found] = read_publications({**RESULT, **odd})
    assert found.model_id == "model_a"
    publish(database, {**RESULT, **odd})
    assert "model_a" in text_of(admin.get(training()))
