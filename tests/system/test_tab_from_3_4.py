"""The tab of a task in a real browser, for Airflow 3.4, which tells the tab its task and loop iteration."""

from __future__ import annotations

import re
from urllib.parse import quote

import pytest

from tests.system.loops import Loop
from tests.system.pages import picture

pytestmark = [pytest.mark.full, pytest.mark.every_minor, pytest.mark.since("3.4")]


def test_the_tab_shows_the_iteration_that_is_open_in_airflow(airflow, visit):
    loop = Loop.begin(airflow, "loop_lora_retrains")
    assert loop.end() == "success"
    results = loop.results()
    page = visit()
    for number in (1, 2):
        page.goto(address(loop, number))
        page.get_by_role("link", name="Training", exact=True).click()
        view = page.frame_locator("iframe[title=Training]")
        view.get_by_role("navigation").get_by_text(f"Iteration {number}").and_(
            view.locator("[aria-current]")
        ).wait_for()
        view.get_by_text(results[number]["model_id"]).wait_for()
        picture(page, f"training_in_a_loop_{number}")
    view.get_by_role("link", name="Iteration 0").click()
    view.get_by_text(results[0]["model_id"]).wait_for()


def test_only_tasks_of_this_provider_have_the_tab(airflow, visit):
    run = airflow.trigger("minor_mapped")
    assert airflow.wait_for_run("minor_mapped", run) == "success"
    page = visit()
    page.goto(f"/dags/minor_mapped/runs/{quote(run)}/tasks/train/mapped/0")
    page.get_by_role("link", name="Training", exact=True).wait_for()
    with page.expect_response(
        re.compile("/api/v2/dags/minor_mapped/tasks/names")
    ):  # the response decides which tabs are shown
        page.goto(f"/dags/minor_mapped/runs/{quote(run)}/tasks/names")
    page.get_by_role("link", name="Details").wait_for()
    page.wait_for_load_state("networkidle")
    assert page.get_by_role("link", name="Training", exact=True).count() == 0


def address(loop: Loop, number: int) -> str:
    """The address of a task in Airflow's UI."""
    task = loop.task(number)
    place = f"region_id={task['region_id']}&region_index={task['region_index']}&try_number={task['try_number']}"
    return f"/dags/{loop.dag}/runs/{quote(loop.run)}/tasks/{task['task_id']}?{place}"
