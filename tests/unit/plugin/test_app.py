from __future__ import annotations

import html
import re
import time
from types import SimpleNamespace
from urllib.parse import urlencode

import pytest
from packaging.version import Version

from airflow_provider_scenario.airflow_compat.version import airflow_version
from airflow_provider_scenario.operators.training import ScenarioTrainLoraOperator
from airflow_provider_scenario.plugin.access import form_token
from tests.airflow_versions import AIRFLOW
from tests.unit.plugin.conftest import page_state, statements

RUN = "run?dag_id=a_dag&run_id=a_run"


def training(**where):
    return f"training?{urlencode({'dag_id': 'a_dag', 'run_id': 'a_run', 'task_id': 'train', 'map_index': -1, **where})}"


def token_of_login(browser):
    """What the page would give to a form; here it shows none."""
    return form_token(SimpleNamespace(cookies=dict(browser.cookies)))


def text_of(answer) -> str:
    """What a person reads."""
    assert answer.status_code == 200, answer.text
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", answer.text)).split())


class TestList:
    def test_it_shows_a_training_that_runs(self, admin, database, train, emulator):
        database.task(**train(name="hero"), creative_units_cost=120)
        emulator.advance(50)
        shown = text_of(admin.get("trainings"))
        assert "hero flux.1-lora training" in shown
        assert re.search(r"[3-6]\d %", shown)
        assert "120" in shown

    def test_the_newest_come_first_and_the_rest_on_further_pages(self, admin, database):
        for number in range(53):
            database.task(task_id=f"task_{number}", model_id=f"model_{number}", fields={"name": f"name-{number}-"})
        first, second = admin.get("trainings").text, admin.get("trainings?page=2").text
        assert re.findall(r"<bdi>name-(\d+)-", first) == [str(number) for number in range(52, 2, -1)]
        assert re.findall(r"<bdi>name-(\d+)-", second) == ["2", "1", "0"]
        assert 'rel="next"' in first
        assert 'rel="next"' not in second

    def test_the_counts_are_of_all_not_of_the_page(self, admin, database):
        for number in range(53):
            database.task(task_id=f"task_{number}", state="failed", model_id=f"model_{number}")
        for page in ("trainings", "trainings?page=2", "trainings?dag_id=a_dag"):
            assert "53 trainings: 53 never started" in text_of(admin.get(page))
        assert "1 training found: 1 never started" in text_of(admin.get("trainings?text=task_52"))

    def test_of_very_many_the_newest_are_counted_and_all_have_a_row(self, admin, database, monkeypatch):
        monkeypatch.setattr("airflow_provider_scenario.plugin.app.WINDOW", 4)
        monkeypatch.setattr("airflow_provider_scenario.plugin.app.PAGE_SIZE", 2)
        for number in range(7):
            database.task(task_id=f"task_{number}", state="failed", model_id="m", fields={"name": f"name-{number}-"})
        pages = [admin.get(f"trainings?page={page}") for page in (1, 2, 3, 4)]
        shown = [re.findall(r"<bdi>name-(\d)-", page.text) for page in pages]
        assert shown == [["6", "5"], ["4", "3"], ["2", "1"], ["0"]]
        assert ['rel="next"' in page.text for page in pages] == [True, True, True, False]
        assert {"The newest 4 trainings: 4 never started" in text_of(page) for page in pages} == {True}
        assert "4 trainings found among the newest 4" in text_of(admin.get("trainings?text=task"))

    @pytest.mark.parametrize(
        ("query", "found"),
        [
            ("dag_id=another_dag", ["b"]),
            ("type=krea", ["b"]),
            ("text=A_RUN", ["a", "b", "c"]),
            ("text=model_c", ["c"]),
            ("state=trained", ["c"]),
            ("state=trained&type=krea", []),
        ],
    )
    def test_it_can_be_filtered(self, admin, database, query, found):
        database.task(model_id="model_a", fields={"name": "name-a", "type": "flux.2-dev-lora"})
        database.task("another_dag", model_id="model_b", fields={"name": "name-b", "type": "flux.1-krea-lora"})
        done = {"model_id": "model_c", "status": "trained", "name": "name-c", "type": "flux.2-dev-lora"}
        database.task(task_id="c", state="success", model_id="model_c", return_value=done)
        assert sorted(re.findall(r"<bdi>name-(\w)</bdi></a>", admin.get(f"trainings?{query}").text)) == found

    def test_steps_on_the_way_to_a_training_are_not_in_it(self, admin, database):
        database.task(task_id="create", operator="ScenarioCreateModelOperator", state="success", model_id="model_x")
        database.task(task_id="look", operator="ScenarioTrainingSensor", model_id="model_x")
        assert "There is no training yet" in text_of(admin.get("trainings"))

    def test_a_subclass_of_our_operators_is_in_it(self, admin, database):
        database.task(operator="OurOwnOperator", model_id="model_x", job_id="job_x")
        assert "model_x" not in admin.get("trainings?text=nothing").text
        assert "train" in re.findall(r"<td><bdi>(\w+)</bdi></td>", admin.get("trainings").text)

    def test_what_ran_before_an_upgrade_of_the_provider_is_in_it(self, admin, database, train):
        """Versions before set no ``custom_operator_name``; Airflow stored the name of the class in its place."""
        database.task(operator="ScenarioTrainModelOperator", map_index=0, **train(name="of old"))
        database.task(operator="ScenarioTrainLoraOperator", map_index=1, **train(name="a lora of old"))
        for page in ("trainings", RUN):
            assert "of old" in admin.get(page).text
            assert "a lora of old" in admin.get(page).text


class TestRun:
    def test_it_sums_up_the_batch(self, admin, database, train, emulator):
        done = {"model_id": "model_c", "status": "trained", "name": "crab", "creative_units_cost": 60.0}
        database.task(map_index=0, state="success", model_id="model_c", creative_units_cost=60, return_value=done)
        database.task(map_index=1, **train(name="hero"), creative_units_cost=120)
        emulator.advance(50)
        database.task(map_index=2, state=None)
        shown = text_of(admin.get(RUN))
        assert "1 waiting 1 training 1 trained" in shown
        assert "Creative units spent 60" in shown
        assert "Creative units expected 180 and those of 1 that" in shown
        assert re.search(r"Time left at least \d\d s", shown)
        assert re.search(r'<progress max="1" value="0.[45]\d*" aria-label="Progress of all', admin.get(RUN).text)
        assert "1 of 3 trained" in shown

    def test_one_in_which_nothing_was_trained_says_so_and_why(self, admin, database):
        database.task(task_id="a", state="failed")
        database.task(task_id="b", state="upstream_failed")
        page = admin.get(RUN)
        assert "0 of 2 trained 2 ended without a model" in text_of(page)
        assert '<progress max="1" value="0.0000" aria-label="Progress of all' in page.text
        assert "never started A task before it has failed." in text_of(page)
        [log] = re.findall(r'data-error="([^"]*)"', page.text)
        assert log == "../api/v2/dags/a_dag/dagRuns/a_run/taskInstances/a/logs/1?map_index=-1"

    def test_a_skipped_task_is_shown_but_not_counted_as_one_that_ended_without_a_model(self, admin, database):
        done = {"model_id": "model_c", "status": "trained"}
        database.task(state="success", model_id="model_c", return_value=done)
        database.task(task_id="later", state="skipped")
        shown = text_of(admin.get(RUN))
        assert "1 trained 1 skipped 100 % 100 % 1 of 1 trained" in shown
        assert "ended without a model" not in shown
        assert "The task was skipped. No training was started." in text_of(admin.get(training(task_id="later")))

    def test_what_earlier_attempts_have_paid_is_counted(self, admin, database):
        database.task(state="failed", model_id="m", job_id="j", creative_units_cost=108, creative_units_total=324)
        shown = text_of(admin.get(RUN))
        assert "Creative units spent 324" in shown
        assert "324 last training: 108" in shown
        assert "Creative units 324 last training: 108" in text_of(admin.get(training()))
        shown = text_of(admin.get("trainings"))
        assert "1 training: 1 failed 324 creative units" in shown
        assert "324 last training: 108" in shown

    def test_a_subclass_of_our_operators_counts_before_it_runs(self, admin, database):
        inherited = type("OurOwnOperator", (ScenarioTrainLoraOperator,), {}).custom_operator_name
        database.task(operator="OurOwnOperator", operator_name=inherited, state=None)
        assert "1 waiting" in text_of(admin.get(RUN))

    def test_a_run_without_trainings_says_so(self, admin, database):
        database.task(operator="BashOperator", state="success")
        database.task(task_id="other", operator="AnotherTrainingOperator", job_id="job_of_another_provider")
        assert "This run trains no model" in text_of(admin.get(RUN))
        assert "There is no training yet" in text_of(admin.get("trainings"))


class TestTraining:
    def test_it_shows_all_there_is(self, admin, database, train, emulator, scenario):
        prompts = ["a boat at sea", "a cat in the rain"]
        made = train(name="hero", samplePrompts=prompts, nbEpochs=3, conceptPrompt="hero42")
        emulator.advance(200)
        image = emulator.model(made["model_id"])["trainingImages"][0]
        scenario.caption_asset(image["id"], "a hero that waves")
        result = {"status": "trained", "name": "hero", "epochs": [], **made}
        database.task(state="success", **made, creative_units_cost=36, return_value=result)
        page = admin.get(training())
        shown = text_of(page)
        model = emulator.model(made["model_id"])
        for expected in ("hero", "trained", "100 %", made["model_id"], made["job_id"], "a hero that waves", "hero42"):
            assert expected in shown
        for prompt in prompts:
            assert prompt in shown
        assert re.findall(r"Epoch (\w+)", shown) == ["1", "2", "3"]
        wanted = [asset["assetId"] for epoch in model["epochs"] for asset in epoch["assets"]]
        wanted += [image["id"] for image in model["trainingImages"]]
        assert sorted(re.findall(r"asset_id=(\w+)", page.text)) == sorted(wanted)
        assert "success" in shown.partition("Statuses")[2]
        assert "cdn" not in page.text
        assert "data-refresh" not in page.text

    def test_it_tells_what_scenario_holds_against_the_dataset(self, admin, database, train, scenario):
        made = train(images=2)
        for image in scenario.get_model(made["model_id"]).training_images:
            scenario.caption_asset(image.id, "the same")
        database.task(**made)
        shown = text_of(admin.get(training())).partition("warnings about the dataset")[2]
        warnings = scenario.get_dataset_score(made["model_id"]).asset_couples_warnings
        assert warnings
        assert warnings[0].message[0] in shown
        assert "2 images" in shown

    def test_each_picture_can_be_opened_large_from_where_it_comes_already(
        self, admin, database, train, emulator, scenario
    ):
        made = train(samplePrompts=["a boat"], nbEpochs=2, images=2)
        for image in scenario.get_model(made["model_id"]).training_images:
            scenario.caption_asset(image.id, "a hero")
        database.task(**made)
        emulator.advance(200)
        page = admin.get(training()).text
        button = r'<button type="button" class="picture" [^>]*data-picture="([^"]*)"><img [^>]*src="(\w+)'
        small = re.findall(button, page)
        names = ["Epoch 1: a boat", "Epoch 2: a boat", "01-standing.jpg: a hero", "02-waving.jpg: a hero"]
        assert small == [(name, "picture") for name in names]
        assert page.count("<img") == 4 + 1  # and the place for the large one

    def test_the_training_images_are_in_the_order_of_their_names(self, admin, database, scenario, datasets):
        model = scenario.create_model(name="hero", type="flux.1-lora")
        data = next((datasets / "hero-character").glob("*.jpg")).read_bytes()
        for name in ("10.jpg", "b.jpg", "2.jpg", "A.jpg", "1.jpg"):
            scenario.add_training_image(model.id, name=name, data=data)
        database.task(model_id=model.id)
        assert re.findall(r'alt="(\w+)\.jpg"', admin.get(training()).text) == ["1", "2", "10", "A", "b"]

    def test_it_tells_the_place_in_the_queue(self, admin, database, train, emulator):
        made = train()
        database.task(**made)
        queue = emulator.model(made["model_id"])["trainingProgress"]
        shown = text_of(admin.get(training()))
        assert queue["stage"] == "queued-for-train"
        assert f"queued {queue['position']} in the queue before it" in shown
        assert f"queued {queue['position']} in the queue before it" in text_of(admin.get(RUN))
        assert "queued-for-train" not in shown.partition("Statuses")[0]

    def test_it_goes_on_refreshing_until_it_shows_the_end_that_airflow_knows_already(
        self, admin, database, train, emulator, impatient
    ):
        made = train(name="hero", nbEpochs=3)
        emulator.fault(method="GET", route="/models/*", kind="slow", seconds=5.0)
        emulator.advance(200)
        result = {"status": "trained", "name": "hero", "epochs": [], **made}
        database.task(state="success", **made, creative_units_cost=36, return_value=result)
        early = admin.get(training())
        assert "trained" in text_of(early)
        assert "Epoch 3" not in text_of(early)
        assert "data-refresh" in early.text
        deadline = time.monotonic() + 60
        while "Epoch 3" not in text_of(late := admin.get(training())) and time.monotonic() < deadline:
            time.sleep(0.2)
        assert "Epoch 3" in text_of(late)
        assert "data-refresh" not in late.text

    @pytest.mark.parametrize("page", ["trainings", RUN, training()])
    def test_it_goes_on_refreshing_until_the_task_has_ended_too(self, admin, database, train, emulator, page):
        database.task(state="deferred", **train())
        emulator.advance(200)
        early = admin.get(page).text
        assert "trained" in early
        assert "data-refresh" in early

    def test_a_model_that_is_gone_is_not_waited_for(self, admin, database):
        done = {"model_id": "model_gone", "status": "trained", "name": "hero"}
        database.task(state="success", model_id="model_gone", job_id="job_gone", return_value=done)
        assert "data-refresh" not in admin.get(training()).text

    def test_while_it_runs_it_refreshes_itself(self, admin, database, train):
        database.task(**train())
        assert "data-refresh" in admin.get(training()).text

    def test_a_failed_one_shows_the_error_and_the_hint(self, admin, database, train, emulator):
        emulator.outcome(fail_at=0.5, error="The <b>dataset</b> is odd", hint="Add images")
        database.task(state="failed", **train())
        emulator.advance(200)
        shown = text_of(admin.get(training()))
        assert "The <b>dataset</b> is odd" in shown
        assert "Add images" in shown

    def test_a_task_that_is_not_ours_gets_one_quiet_line(self, admin, database):
        database.task(operator="BashOperator")
        assert text_of(admin.get(training())).endswith("This task trains no model on Scenario.")

    def test_of_a_model_that_was_trained_again_it_says_so_and_keeps_its_own_end(self, admin, database, train):
        made = train(name="hero")
        result = {"status": "trained", "model_id": made["model_id"], "job_id": "job_of_before"}
        database.task(state="success", model_id=made["model_id"], job_id="job_of_before", return_value=result)
        shown = text_of(admin.get(training()))
        assert "trained again since" in shown
        assert "100 %" in shown
        assert "Cancel the training" not in shown

    @pytest.mark.parametrize("index", ["--5", "-7", "9" * 30, "1.5", "x"])
    def test_an_odd_map_index_is_none(self, admin, database, index):
        database.task(model_id="model_x", fields={"name": "hero"})
        assert "hero" in text_of(admin.get(training(map_index=index)))

    def test_a_nul_in_an_address_is_no_error_of_the_server(self, admin, database):
        assert admin.get(training(task_id="a\0b")).status_code == 400
        assert admin.get("run?dag_id=a_dag&run_id=%00").status_code == 200

    def test_a_sensor_shows_the_training_that_it_waits_for(self, admin, database, train):
        made = train(name="hero")
        database.task(task_id="wait", operator="ScenarioTrainingSensor", model_id=made["model_id"])
        assert "hero" in text_of(admin.get(training(task_id="wait")))

    def test_airflows_placeholder_for_no_map_index_is_understood(self, admin, database):
        database.task(model_id="model_x", fields={"name": "hero"})
        assert "hero" in text_of(admin.get(training(map_index="{MAP_INDEX}")))

    @pytest.mark.parametrize("written", ["a+b", "a%2Bb"])
    def test_a_plus_in_a_run_id_is_understood_as_any_airflow_writes_it(self, admin, database, written):
        database.task(run_id="a+b", model_id="model_x", fields={"name": "hero"})
        assert "hero" in text_of(admin.get(f"run?dag_id=a_dag&run_id={written}"))
        assert "run_id=a%2Bb" in admin.get("trainings").text

    def test_the_weights_and_biases_key_is_not_shown(self, admin, database, train):
        database.task(**train(wandbKey="a-secret-key-of-someone"))
        assert "a-secret-key-of-someone" not in admin.get(training()).text

    def test_a_hostile_name_and_caption_are_only_text(self, admin, database, train, scenario):
        evil = "\"><script>alert('x')</script>\u202e"
        made = train(name=evil)
        scenario.caption_asset(scenario.get_model(made["model_id"]).training_images[0].id, evil)
        database.task(**made)
        for page in ("trainings", RUN, training()):
            answer = admin.get(page)
            assert evil in html.unescape(answer.text)
            assert re.findall(r"<script[^>]*>", answer.text) == [
                '<script src="static/theme.js">',
                '<script src="static/page.js" defer>',
            ]

    @pytest.mark.parametrize("model_id", ["..", "a/b", "", 7, {"a": 1}])
    def test_what_is_no_model_id_goes_nowhere(self, admin, database, emulator, model_id):
        before = emulator.requests()
        database.task(model_id=model_id, sealed=False)
        assert admin.get(training()).status_code == 200
        assert emulator.requests() == before


class TestTrouble:
    def test_while_the_api_is_down_the_last_known_state_is_shown_with_its_age(self, log_in, database, train, emulator):
        browser = log_in("admin")
        database.task(**train(name="hero"))
        assert "hero" in text_of(browser.get(training()))
        emulator.fault(kind="status", status=503, times=None)
        lookups = page_state(browser).lookups
        lookups["scenario_default"]._requests._next_at.clear()
        shown = text_of(browser.get(training()))
        assert "No answer from Scenario" in shown
        assert re.search(r"updated \d s ago", shown)
        assert "hero flux.1-lora" in text_of(browser.get("trainings"))

    def test_a_connection_that_is_not_there_is_told(self, admin, database):
        database.task(model_id="model_x", fields={"scenario_conn_id": "nowhere"})
        shown = text_of(admin.get(training()))
        assert "No answer from Scenario" in shown
        assert "nowhere" in shown

    def test_no_error_tells_the_key(self, admin, database, emulator, train):
        database.task(**train())
        emulator.fault(kind="status", status=403, times=None)
        assert "demo:demo" not in admin.get(training()).text


class TestCost:
    def test_500_trainings_take_ten_requests_and_three_statements_however_many_look(
        self, admin, database, engine, emulator, scenario
    ):
        models = [scenario.create_model(name=f"m{number}", type="flux.2-dev-lora").id for number in range(500)]
        for number, model_id in enumerate(models):
            database.task(map_index=number, model_id=model_id)
        before = emulator.requests()
        with statements(engine) as sent:
            assert text_of(admin.get(RUN)).count("flux.2-dev-lora") == 500
        assert len(sent) <= 5, sent
        admin.get(RUN)
        admin.get("trainings?text=m")
        assert emulator.requests() - before == 10

    @pytest.mark.parametrize("page", ["trainings", RUN, training()])
    def test_no_page_takes_more_than_five_statements(self, admin, database, engine, train, page):
        database.task(**train())
        with statements(engine) as sent:
            assert admin.get(page).status_code == 200
        ours = [statement for statement in sent if not statement.startswith("SELECT team.name")]  # Airflow 3.2's own
        assert 0 < len(ours) <= 5, sent

    def test_what_is_final_is_not_asked_again(self, log_in, database, train, emulator):
        browser = log_in("admin")
        emulator.outcome(fail_at=0.5, error="odd")
        database.task(state="failed", **train())
        emulator.advance(200)
        browser.get(training())
        lookups = page_state(browser).lookups
        lookups["scenario_default"]._requests._next_at.clear()
        before = emulator.requests()
        assert "odd" in text_of(browser.get(training()))
        assert "failed" in text_of(browser.get(RUN))
        assert emulator.requests() == before


@pytest.mark.since("3.4")
class TestLoops:
    """Airflow 3.4 repeats a group of tasks: each iteration has a training of its own."""

    @pytest.fixture
    def iterations(self, database, train):
        return [database.task(iteration=number, **train(name=f"name-{number}-")) for number in range(3)]

    def test_the_run_and_the_list_show_each_iteration(self, admin, iterations):
        for page in (RUN, "trainings"):
            shown = text_of(admin.get(page))
            assert [f"train, iteration {number}" in shown for number in range(3)] == [True] * 3
            assert [f"name-{number}-" in shown for number in range(3)] == [True] * 3

    def test_airflows_own_address_of_the_task_shows_the_latest_and_leads_to_the_others(self, admin, iterations):
        page = admin.get(training())
        assert "<h1><bdi>name-2-</bdi></h1>" in page.text
        ways = re.findall(r'<a href="(training[^"]*)">Iteration (\d)</a>', page.text)
        assert [number for _, number in ways] == ["0", "1"]
        for way, number in ways:
            assert f"<h1><bdi>name-{number}-</bdi></h1>" in admin.get(html.unescape(way)).text

    def test_each_iteration_leads_to_the_others(self, admin, iterations):
        assert re.findall(r">Iteration (\d)</a>", admin.get(training(**iterations[0])).text) == ["1", "2"]

    def test_the_log_is_that_of_the_iteration(self, admin, iterations):
        page = admin.get(training(**iterations[1])).text
        log = html.unescape(re.search(r'data-log="([^"]*)"', page)[1])
        assert log.endswith(f"/logs/1?region_id={iterations[1]['region_id']}&region_index=1")

    def test_a_region_that_is_none_shows_nothing(self, admin, iterations):
        for region in ("x", "00000000-0000-0000-0000-000000000001"):
            assert "trains no model" in text_of(admin.get(training(region_id=region, region_index=0)))

    def test_an_action_needs_the_iteration_and_acts_on_that_alone(self, admin, iterations, emulator):
        token = re.search(r'name="token" value="(\w+)"', admin.get(training(**iterations[1])).text)[1]
        answer = admin.post(training().replace("training", "cancel", 1), data={"token": token})
        assert answer.status_code == 400
        assert emulator.counts()["canceled"] == 0
        address = training(**iterations[1]).replace("training", "cancel", 1)
        assert admin.post(address, data={"token": token}).status_code == 200
        statuses = {each["model_name"]: each["status"] for each in emulator.ledger()["trainings"]}
        assert statuses == {"name-0-": "training", "name-1-": "training-canceled", "name-2-": "training"}


@pytest.mark.since("3.4")
def test_what_was_trained_before_an_upgrade_to_airflow_3_4_is_still_shown(admin, database, train):
    database.task(before_3_4=True, fields={"scenario_conn_id": "scenario_default"}, **train(name="of old"))
    database.task(task_id="new", **train(name="of today"))
    for page in ("trainings", RUN):
        shown = text_of(admin.get(page))
        assert "of old" in shown
        assert "of today" in shown
    assert "of old" in text_of(admin.get(training()))


class TestChangedTables:
    """A future Airflow keeps its tasks in other tables."""

    @pytest.fixture(autouse=True)
    def changed(self, monkeypatch):
        from airflow_provider_scenario.airflow_compat.tables import by_map_index, tables

        module = by_map_index
        if Version("3.4") <= AIRFLOW:
            from airflow_provider_scenario.airflow_compat.tables import by_task_instance as module
        monkeypatch.setattr(module, "TASK_COLUMNS", ("dag_id", "a_column_that_is_gone"))
        tables.cache_clear()
        yield
        tables.cache_clear()

    @pytest.mark.parametrize("page", ["trainings", RUN, training()])
    def test_the_page_says_so_in_one_line(self, admin, page):
        answer = admin.get(page)
        assert answer.status_code == 501
        assert f"does not know the tables of Airflow {airflow_version()}" in answer.text
        assert "TaskInstance has no a_column_that_is_gone" in answer.text
        assert "Update airflow-provider-scenario" in answer.text


class TestWithoutCalls:
    """``[scenario] page_calls_scenario = False``: for API servers that must not or cannot reach Scenario."""

    @pytest.fixture(autouse=True)
    def turned_off(self, monkeypatch):
        monkeypatch.setenv("AIRFLOW__SCENARIO__PAGE_CALLS_SCENARIO", "False")

    @pytest.mark.parametrize("page", ["trainings", RUN, training()])
    def test_scenario_is_not_asked_and_the_page_says_so(self, admin, database, train, emulator, page):
        database.task(**train(), fields={"name": "hero"}, creative_units_cost=120)
        before = emulator.requests()
        shown = text_of(admin.get(page))
        assert "hero" in shown
        assert "120" in shown
        assert "This page does not call Scenario here" in shown
        assert emulator.requests() == before

    def test_there_is_nothing_to_press_and_no_way_to_do_so_all_the_same(self, admin, database, train, emulator):
        database.task(**train())
        page = admin.get(training()).text
        assert "Cancel the training" not in page
        answer = admin.post(training().replace("training", "cancel", 1), data={"token": token_of_login(admin)})
        assert answer.status_code == 409
        assert "page_calls_scenario" in answer.text
        assert admin.get(training(asset_id="asset_1").replace("training", "picture", 1)).status_code == 409
        assert emulator.counts()["canceled"] == 0
