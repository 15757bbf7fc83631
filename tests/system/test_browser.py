"""Airflow's UI in a real browser."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from tests.system.pages import picture

pytestmark = pytest.mark.full


@pytest.fixture
def page(visit):
    return visit()


def test_a_waiting_task_has_a_link_to_the_model(airflow, emulator, page):
    emulator.set(training_seconds=60)
    run = airflow.trigger("train_lora_chain")
    for task in ("style.train", "character.train"):
        airflow.wait_for_task("train_lora_chain", run, task, ["deferred"])
    model_id = airflow.xcom("train_lora_chain", run, "style.create")
    emulator.advance(15)

    page.goto(f"/dags/train_lora_chain/runs/{quote(run)}/tasks/style.train")
    page.get_by_text("running-train").first.wait_for()
    picture(page, "task_waiting")
    page.goto(f"/dags/train_lora_chain/runs/{quote(run)}/tasks/style.train/details")
    button = page.get_by_role("link", name="Scenario model")
    button.wait_for()
    assert button.get_attribute("href") == f"https://app.scenario.com/models/{model_id}"

    page.keyboard.press("g")  # the graph
    page.get_by_label("Expand all task groups").click()
    page.get_by_text("update").first.wait_for()
    page.wait_for_timeout(2000)  # until the graph does not move any more
    picture(page, "run_waiting")
    emulator.set(training_seconds=1)
    emulator.advance(60)
    assert airflow.wait_for_run("train_lora_chain", run) == "success"


def test_the_connection_form_has_the_fields_of_scenario(airflow, page):
    page.goto("/connections")
    page.get_by_role("button", name="Add Connection").click()
    page.get_by_text("Select Connection Type").click(force=True)
    page.keyboard.type("Scenario")
    page.keyboard.press("Enter")
    for label in ("API key", "API secret", "Base URL"):
        page.get_by_text(label, exact=True).wait_for()
    page.get_by_text("Extra Fields").first.click()
    for label in ("Project id", "Timeout", "Verify TLS", "Web app"):
        page.get_by_text(label, exact=True).wait_for()
    page.wait_for_timeout(1000)  # until the form has unfolded
    picture(page, "connection_form")
