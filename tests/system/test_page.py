"""The Trainings page as a person uses it: a real Airflow, a real browser, the emulator behind."""

from __future__ import annotations

import re
import wave
from datetime import datetime, timedelta, timezone
from urllib.parse import quote

import pytest

from tests.system.pages import keeps_pictures, picture, wait_for

pytestmark = pytest.mark.full

EVIL = "\"><script>document.title='hacked'</script>\u202e'"


@pytest.fixture
def run(airflow, emulator):
    """A run that trains for a minute."""
    emulator.set(training_seconds=60)
    run = airflow.trigger("page")
    for index in (0, 1):
        airflow.wait_for_task("page", run, "train", ["deferred"], map_index=index)
    yield run
    emulator.clear_faults()
    airflow.mark_run("page", run, "failed")


def list_of(page):
    page.goto("/plugin/scenario-trainings")
    return page.frame_locator("iframe[title=Trainings]")


def batch_of(page, run):
    page.goto(f"/dags/page/runs/{quote(run)}")
    page.get_by_role("link", name="Trainings").last.click()
    return page.frame_locator("iframe[title=Trainings]")


def task_of(page, run, index=0):
    page.goto(f"/dags/page/runs/{quote(run)}/tasks/train/mapped/{index}")
    page.get_by_role("link", name="Training", exact=True).click()
    return page.frame_locator("iframe[title=Training]")


def share(view) -> float:
    return float(view.get_by_role("progressbar").first.get_attribute("value"))


def loaded(view) -> list[bool]:
    return view.locator(".picture img").evaluate_all("all => all.map(one => one.complete && one.naturalWidth > 0)")


def wait_for_script(page, view):
    """What is clicked before the page's script has run does nothing."""
    wait_for(page, lambda: view.locator("html").evaluate("html => html.ownerDocument.readyState") == "complete")


def load_all(page, view):
    """The pictures are loaded when they come into view."""
    for image in view.locator(".picture img").all():
        image.scroll_into_view_if_needed()
    wait_for(page, lambda: all(loaded(view)))


def pictures(page, view, name):
    """Take pictures, light and dark, in two widths; leaves the page as it was."""
    if not keeps_pictures():
        return
    for width in (1280, 1440):
        page.set_viewport_size({"width": width, "height": 900})
        for theme, other in (("dark", "light"), ("light", "dark")):
            page.evaluate(f"document.documentElement.classList.replace('{other}', '{theme}')")
            wait_for(page, lambda theme=theme: (brightness(view) < 0.5) == (theme == "dark"))
            picture(page, f"{name}_{theme}_{width}")


def test_all_views_show_the_trainings_and_move_without_being_loaded_anew(airflow, emulator, visit, run):
    page = visit()
    page.goto("/")
    page.get_by_role("button", name="Browse").click()
    page.get_by_role("menuitem", name="Trainings").click()
    view = page.frame_locator("iframe[title=Trainings]")
    view.get_by_role("link", name="hero").first.wait_for()
    picture(page, "trainings_list")

    view = batch_of(page, run)
    view.get_by_text("Creative units expected").wait_for()
    before = share(view)
    view.locator("body").evaluate("body => { body.dataset.same = 'yes' }")
    emulator.advance(20)
    wait_for(page, lambda: share(view) > before + 0.1)
    assert view.locator("body").get_attribute("data-same") == "yes"
    picture(page, "trainings_run")

    view = task_of(page, run)
    view.get_by_role("heading", name="hero").wait_for()
    view.locator("body").evaluate("body => { body.dataset.same = 'yes' }")
    emulator.advance(60)
    view.get_by_role("heading", name="Epochs").wait_for()
    view.get_by_text("Pip in the rain").scroll_into_view_if_needed()
    wait_for(page, lambda: len(loaded(view)) == 8 and view.locator(".picture img").last.is_visible())
    load_all(page, view)
    view.get_by_text("trained", exact=True).first.wait_for()
    assert view.locator("body").get_attribute("data-same") == "yes"
    started = airflow.task_instance("page", run, "train", 0)["start_date"]
    in_tokyo = datetime.fromisoformat(started).astimezone(timezone(timedelta(hours=9)))
    assert view.locator("time").first.inner_text() == f"{in_tokyo:%Y-%m-%d %H:%M:%S}"
    view.get_by_role("heading", name="hero").scroll_into_view_if_needed()
    picture(page, "training_light")
    page.evaluate("document.documentElement.classList.replace('light', 'dark')")
    wait_for(page, lambda: brightness(view) < 0.3)
    picture(page, "training_dark")
    airflow.wait_for_run("page", run)
    wait_for(page, lambda: view.locator("#page").get_attribute("data-refresh") is None)


def test_the_batch_of_the_example_is_summed_up_while_it_runs(airflow, emulator, visit):
    emulator.set(training_seconds=60)
    run = airflow.trigger("train_lora_chain")
    for task in ("style.train", "character.train"):
        airflow.wait_for_task("train_lora_chain", run, task, ["deferred"])
    emulator.advance(30)
    page = visit(theme="dark")
    page.evaluate("localStorage.setItem('theme', 'dark')")
    page.goto(f"/dags/train_lora_chain/runs/{quote(run)}/plugin/scenario-run")
    view = page.frame_locator("iframe[title=Trainings]")
    view.get_by_text("and those of 1 that have yet to start").wait_for()
    wait_for(page, lambda: 0.2 < share(view) < 0.7)
    assert view.get_by_role("status").inner_text().split() == ["1", "waiting", "2", "training"]
    picture(page, "trainings_dark")
    emulator.set(training_seconds=1)
    emulator.advance(60)
    assert airflow.wait_for_run("train_lora_chain", run) == "success"


def test_the_button_to_the_model_is_there_for_each_mapped_task_while_it_waits(airflow, run):
    for index in (0, 1):
        task = f"/dags/page/dagRuns/{quote(run)}/taskInstances/train"
        links = airflow.call("GET", f"{task}/links", params={"map_index": index})["extra_links"]
        model_id = airflow.xcom("page", run, "train", "model_id", index)
        assert links == {"Scenario model": f"https://app.scenario.com/models/{model_id}"}


def test_a_hostile_name_and_caption_are_only_text(visit, run):
    page = visit()
    dialogs = []
    page.on("dialog", lambda dialog: dialogs.append(dialog.message))
    for opened in (lambda: list_of(page), lambda: batch_of(page, run), lambda: task_of(page, run, 1)):
        view = opened()
        view.get_by_text(EVIL).first.wait_for()
    assert dialogs == []
    assert "hacked" not in page.title()
    assert "hacked" not in view.locator("html").evaluate("html => html.ownerDocument.title").replace(EVIL, "")


def test_it_is_dark_where_airflow_is(visit, run):
    page = visit(theme="dark")
    page.evaluate("localStorage.setItem('theme', 'dark')")
    view = batch_of(page, run)
    view.get_by_text("Creative units expected").wait_for()
    assert brightness(view) < 0.3
    picture(page, "trainings_run_dark")
    page.evaluate("document.documentElement.classList.replace('dark', 'light')")
    wait_for(page, lambda: brightness(view) > 0.7)


def brightness(view) -> float:
    colour = view.locator("body").evaluate("body => getComputedStyle(body).backgroundColor")
    return sum(int(part) for part in re.findall(r"\d+", colour)[:3]) / (3 * 255)


def test_a_training_is_cancelled_with_the_keyboard_alone(airflow, emulator, visit, run):
    page = visit()
    view = task_of(page, run)
    button = view.get_by_role("button", name="Cancel the training").first
    button.wait_for()
    view.locator("body").evaluate("body => body.focus()")
    for _ in range(200):
        if button.evaluate("one => one === document.activeElement"):
            break
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    dialog = view.get_by_role("dialog")
    dialog.wait_for()
    picture(page, "training_cancel")
    page.keyboard.press("Escape")
    dialog.wait_for(state="hidden")
    assert emulator.counts()["canceled"] == 0
    page.keyboard.press("Enter")
    dialog.wait_for()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    view.get_by_role("heading", name="Done").wait_for()
    assert emulator.counts()["canceled"] == 1
    assert airflow.wait_for_task("page", run, "train", ["failed"], map_index=0) == "failed"
    view.get_by_role("link", name="Back to the training").click()
    view.get_by_text("cancelled", exact=True).wait_for()


@pytest.fixture
def trained(airflow, emulator):
    """A run that has trained."""
    run = airflow.trigger("page")
    assert airflow.wait_for_run("page", run) == "success"
    return run


def test_a_picture_opens_large_with_keys_for_the_next_and_the_one_before(visit, trained):
    page = visit(width=1280)
    view = task_of(page, trained)
    first = view.get_by_role("button", name="Epoch 1: Pip on a boat")
    first.wait_for()
    load_all(page, view)
    pictures(page, view, "training_images")
    view.get_by_role("heading", name="Epochs").scroll_into_view_if_needed()
    pictures(page, view, "training_epochs")
    small = first.locator("img").bounding_box()
    assert small["width"] >= 160
    first.focus()
    page.keyboard.press("Enter")
    large = view.get_by_role("dialog")
    large.get_by_text("1 of 6").wait_for()
    assert large.get_by_role("img").bounding_box()["height"] > 2 * small["height"]
    shown = []
    for key in ("ArrowRight", "ArrowRight", "ArrowRight", "ArrowLeft", "ArrowLeft", "ArrowLeft", "ArrowLeft"):
        page.keyboard.press(key)
        shown.append(large.get_by_role("img").get_attribute("alt"))
    boat, rain = ([f"Epoch {epoch}: Pip {where}" for epoch in (1, 2, 3)] for where in ("on a boat", "in the rain"))
    assert shown == [boat[1], boat[2], rain[0], boat[2], boat[1], boat[0], rain[2]]
    wait_for(page, lambda: large.get_by_role("img").evaluate("one => one.complete && one.naturalWidth > 0"))
    pictures(page, view, "training_large")
    page.keyboard.press("Escape")
    large.wait_for(state="hidden")
    last = view.get_by_role("button", name=rain[2])
    assert last.evaluate("one => one === document.activeElement")
    view.get_by_role("button", name="02-waving.jpg").click()
    large.get_by_text("02-waving.jpg: Pip waves").wait_for()
    large.get_by_role("button", name="Next picture").click()
    large.get_by_text("1 of 2").wait_for()
    large.get_by_role("button", name="Close").click()
    large.wait_for(state="hidden")


def test_another_epoch_is_used_only_after_a_question(airflow, visit, trained, emulator):
    model_id = airflow.xcom("page", trained, "train", "model_id", 0)
    page = visit(width=1280)
    view = task_of(page, trained)
    view.get_by_role("columnheader", name="Epoch 3 in use").wait_for()
    wait_for_script(page, view)
    for answer in ("Keep epoch 3", "Use epoch 2"):
        view.get_by_role("button", name="Use epoch 2").click()
        question = view.get_by_role("dialog", name="Use epoch 2?")
        question.wait_for()
        assert "epoch" not in emulator.model(model_id)
        if answer.startswith("Keep"):
            pictures(page, view, "training_use_epoch")
        question.get_by_role("button", name=answer).click()
        question.wait_for(state="hidden")
    view.get_by_text(f"{model_id} uses epoch 2 from now on.").wait_for()
    assert emulator.model(model_id)["epoch"] == "000002"
    view.get_by_role("link", name="Back to the training").click()
    view.get_by_role("columnheader", name="Epoch 2 in use").wait_for()


def test_what_the_task_did_is_shown_whole_and_airflows_own_lines_apart(visit, trained):
    page = visit(width=1280)
    view = task_of(page, trained)
    view.get_by_text("What the task did").wait_for()
    wait_for_script(page, view)
    view.get_by_text("What the task did").click()
    own, airflows = view.locator(".log").all()
    own.locator("li").first.wait_for()
    assert own.locator("li").filter(has_text="Training of model_").count() == 1
    for noise in ("DAG bundles loaded", "Filling up the DagBag", "Pre Execute", "log.trigger"):
        assert own.get_by_text(noise).count() == 0
    assert airflows.locator("li").count() > 3
    assert not airflows.is_visible()
    assert own.evaluate("one => one.scrollHeight <= one.clientHeight && one.scrollWidth <= one.clientWidth")
    own.scroll_into_view_if_needed()
    pictures(page, view, "training_log")
    view.get_by_text("Airflow's own lines").click()
    airflows.get_by_text("DAG bundles loaded").first.wait_for()


def test_rows_of_failed_tasks_say_why_and_the_bar_counts_what_was_trained(airflow, emulator, visit):
    emulator.outcome(model="dragon", fail_at=0.5, error="CUDA out of memory", hint="Use smaller pictures.")
    run = airflow.trigger("page_ends")
    assert airflow.wait_for_run("page_ends", run) == "failed"
    page = visit(width=1280)
    page.goto(f"/dags/page_ends/runs/{quote(run)}/plugin/scenario-run")
    view = page.frame_locator("iframe[title=Trainings]")
    reasons = {"dragon": "CUDA out of memory", "wizard": "max_creative_units is 1", "knight": "/nowhere/knight"}
    for name, reason in reasons.items():
        view.get_by_role("row").filter(has_text=name).get_by_text(reason).wait_for()
    assert share(view) == 0.25
    assert view.get_by_text("1 of 4 trained").is_visible()
    assert view.get_by_role("status").inner_text().split() == ["1", "trained", "1", "failed", "2", "never", "started"]
    pictures(page, view, "trainings_failed")
    page.goto(f"/dags/page_ends/runs/{quote(run)}/tasks/train/mapped/2/plugin/scenario-training")
    view = page.frame_locator("iframe[title=Training]")
    view.get_by_text("max_creative_units is 1").wait_for()
    pictures(page, view, "training_never_started")
    view = list_of(page)
    view.get_by_role("row").filter(has_text="dragon").first.get_by_text("CUDA out of memory").wait_for()
    pictures(page, view, "trainings_list")


def test_the_tab_of_a_task_that_publishes_shows_the_publication(airflow, visit, emulator):
    run = airflow.trigger("train_and_publish")
    assert airflow.wait_for_run("train_and_publish", run) == "success"
    model_id = airflow.xcom("train_and_publish", run, "train", "model_id")
    page = visit(width=1280)
    for task, state in (("publish", "being listed"), ("wait_until_listed", "listed")):
        page.goto(f"/dags/train_and_publish/runs/{quote(run)}/tasks/{task}/plugin/scenario-training")
        view = page.frame_locator("iframe[title=Training]")
        view.get_by_role("heading", name=state).wait_for()
        view.get_by_text(f"/files/{model_id}/").wait_for()
        pictures(page, view, f"training_{task}")


def test_who_may_only_read_sees_all_and_can_change_nothing(airflow, visit, run, emulator):
    page = visit("viewer")
    view = task_of(page, run)
    view.get_by_role("heading", name="hero").wait_for()
    assert view.get_by_role("button", name="Cancel the training").count() == 0
    assert view.locator("form").count() == 0
    where = f"dag_id=page&run_id={quote(run)}&task_id=train&map_index=0"
    answer = page.request.post(f"/scenario/cancel?{where}", form={"token": "x"})
    assert answer.status == 403
    assert emulator.counts()["canceled"] == 0


def test_without_a_login_there_is_nothing(airflow, browser, run):
    context = browser.new_context(base_url=airflow.url)
    where = f"dag_id=page&run_id={quote(run)}&task_id=train&map_index=0"
    pages = ("trainings", f"run?{where}", f"training?{where}", f"picture?{where}&asset_id=x", "static/page.js")
    assert {path: context.request.get(f"/scenario/{path}").status for path in pages} == dict.fromkeys(pages, 401)
    context.close()


def test_while_the_api_is_down_the_last_known_state_stays(emulator, visit, run):
    page = visit()
    view = task_of(page, run)
    view.get_by_role("heading", name="hero").wait_for()
    emulator.fault(kind="status", status=503, times=None)
    view.get_by_text("No answer from Scenario").wait_for()
    view.get_by_role("heading", name="hero").wait_for()
    picture(page, "training_api_down")
    emulator.clear_faults()
    view.get_by_text("No answer from Scenario").wait_for(state="hidden")


def test_a_voice_that_waits_for_a_captcha_says_so_and_goes_on_once_it_is_solved(airflow, emulator, visit, tmp_path):
    with wave.open(str(tmp_path / "narrator.wav"), "wb") as recording:
        recording.setparams((1, 2, 8000, 8000, "NONE", ""))
        recording.writeframes(bytes(16_000))
    emulator.set(training_seconds=5)
    run = airflow.trigger("voice", {"recordings": str(tmp_path)})
    airflow.wait_for_task("voice", run, "train", ["deferred"])
    model_id = airflow.xcom("voice", run, "train", "model_id")
    for theme in ("light", "dark"):
        page = visit(theme=theme)
        page.evaluate("theme => localStorage.setItem('theme', theme)", theme)
        view = list_of(page)
        waiting = view.get_by_role("row").filter(has_text="narrator")
        waiting.get_by_text("Waits for a person to solve a captcha").wait_for()
        picture(page, f"trainings_captcha_{theme}")
        page.goto(f"/dags/voice/runs/{quote(run)}/tasks/train")
        page.get_by_role("link", name="Training", exact=True).click()
        view = page.frame_locator("iframe[title=Training]")
        view.get_by_text("This training waits for a person.").wait_for()
        view.get_by_text(f"/models/{model_id}").wait_for()
        picture(page, f"training_captcha_{theme}")
    wait_for(page, lambda: "solve the captcha" in airflow.task_log("voice", run, "train"))
    log = airflow.task_log("voice", run, "train")
    [warning] = [line for line in log.splitlines() if "solve the captcha" in line]
    assert f"/models/{model_id}" in warning
    emulator.solve_captcha(model_id)
    view.get_by_text("This training waits for a person.").wait_for(state="hidden")
    assert airflow.wait_for_run("voice", run) == "success"


def test_a_task_that_is_not_ours_gets_one_quiet_line(visit, run):
    page = visit()
    page.goto(f"/dags/page/runs/{quote(run)}/tasks/nothing")
    page.get_by_role("link", name="Training", exact=True).click()
    view = page.frame_locator("iframe[title=Training]")
    view.get_by_text("This task trains no model on Scenario.").wait_for()
    assert len(view.locator("body").inner_text().strip().splitlines()) == 1


def test_it_can_be_used_in_a_narrow_window(visit, run):
    page = visit(width=400)
    where = f"dag_id=page&run_id={quote(run)}&task_id=train&map_index=0"
    for path in ("trainings", f"run?{where}", f"training?{where}"):
        page.goto(f"/scenario/{path}")
        page.get_by_role("heading").first.wait_for()
        width = page.evaluate("document.documentElement.scrollWidth")
        assert width <= 400, path
