from __future__ import annotations

import io
import json
import sys

import pytest

from airflow_provider_scenario.hooks.scenario import ScenarioHook
from tests.unit.conftest import connection

HOSTILE = "\x1b[2Jhero [/]"


@pytest.fixture
def client(emulator):
    return ScenarioHook().client


def create(client, name="hero"):
    return client.create_model(name=name, type="flux.1-lora")


@pytest.fixture
def start(emulator, client, datasets):
    """Start a training that lasts; return its model."""
    emulator.set(training_seconds=600)

    def start(name="hero"):
        model = create(client, name)
        image = next((datasets / "ink-style").glob("*.jpg"))
        client.add_training_image(model.id, data=image.read_bytes(), name="a")
        client.train(model.id, {"wandbKey": "k" * 40})
        return client.get_model(model.id)

    return start


class Terminal(io.StringIO):
    def isatty(self):
        return True


class TestModels:
    def test_list_has_the_newest_first(self, run, client):
        ids = [create(client, name).id for name in ("one", "two", "three")]
        ran = run("models", "list", "-o", "json")
        assert (ran.code, ran.err) == (0, "")
        assert [row["model_id"] for row in ran.json] == ids[::-1]
        assert ran.json[0] == {
            "model_id": ids[2],
            "name": "three",
            "type": "flux.1-lora",
            "status": "new",
            "training_images": 0,
            "created_at": ran.json[0]["created_at"],
        }

    def test_limit_cuts_the_list_and_says_so(self, run, client, emulator):
        for number in range(5):
            create(client, f"model {number}")
        emulator.set(pages="short")
        ran = run("models", "list", "--limit", "3", "-o", "json")
        assert [row["name"] for row in ran.json] == ["model 4", "model 3", "model 2"]
        assert ran.err == "Only the first 3 are listed; --limit lists more.\n"
        assert run("models", "list", "--limit", "5").err == ""

    def test_a_status_filters(self, run, client, start):
        create(client, "new one")
        start("in training")
        assert [row["name"] for row in run("models", "list", "--status", "training", "-o", "json").json] == [
            "in training"
        ]

    def test_a_hostile_name_cannot_reach_the_terminal(self, run, client):
        create(client, HOSTILE)
        for output in ("table", "json", "yaml", "plain"):
            ran = run("models", "list", "-o", output)
            assert ran.code == 0
            assert "\x1b" not in ran.out + ran.err

    def test_show_has_the_training_and_its_cost_but_no_key(self, run, emulator, start):
        model = start()
        ran = run("models", "show", model.id, "-o", "json")
        shown = ran.json
        assert (shown["model_id"], shown["name"], shown["status"]) == (model.id, "hero", "training")
        assert (shown["job_id"], shown["training_images"]) == (model.job_id, 1)
        assert shown["creative_units_cost"] == emulator.ledger()["totals"]["creative_units_billed"]
        assert "k" * 40 not in ran.out
        assert model.id in run("models", "show", model.id).out

    def test_an_unknown_model_is_one_message(self, run, emulator):
        ran = run("models", "show", "model_nope")
        assert (ran.code, ran.out) == (1, "")
        assert ran.err.startswith("Error: Scenario refused to read model model_nope")
        assert len(ran.err.splitlines()) == 1

    @pytest.mark.parametrize(
        "arguments", [["list", "--limit", "0"], ["list", "--limit", "x"], ["list", "--status", "odd"], ["show"], []]
    )
    def test_wrong_usage_ends_with_2(self, run, arguments):
        assert run("models", *arguments).code == 2


class TestErrors:
    def test_a_connection_that_cannot_be_read_is_one_message(self, run, monkeypatch):
        monkeypatch.setattr("airflow_provider_scenario.hooks.base.connection_is_missing", lambda _: False)
        ran = run("models", "list", "--conn-id", "not_there")
        assert (ran.code, ran.out) == (1, "")
        assert "Connection 'not_there' cannot be read" in ran.err

    def test_a_connection_in_the_database_is_found(self, run, engine, emulator, monkeypatch):
        from airflow.models.connection import Connection
        from airflow.utils.session import create_session

        with create_session() as session:
            value = json.loads(connection(host=emulator.url))
            session.add(Connection("in_the_database", **{**value, "extra": json.dumps(value["extra"])}))
        assert run("models", "list", "--conn-id", "in_the_database", "-o", "json").json == []

    def test_a_missing_connection_is_one_message(self, run, engine):
        ran = run("models", "list", "--conn-id", "not_there")
        assert (ran.code, ran.out) == (1, "")
        assert "Connection 'not_there' does not exist." in ran.err
        assert "Traceback" not in ran.err

    def test_wrong_credentials_are_one_message_without_them(self, run, emulator, monkeypatch):
        secret = "another-secret-of-this-test"
        monkeypatch.setenv("AIRFLOW_CONN_SCENARIO_DEFAULT", connection(host=emulator.url, password=secret))
        ran = run("trainings", "list")
        assert (ran.code, ran.out) == (1, "")
        assert "login and password of connection 'scenario_default'" in ran.err
        assert secret not in ran.err


class TestTrainings:
    def test_list_has_what_runs_now(self, run, emulator, client, start):
        create(client, "new one")
        model = start()
        (row,) = run("trainings", "list", "-o", "json").json
        assert row == {
            "model_id": model.id,
            "name": "hero",
            "type": "flux.1-lora",
            "job_id": model.job_id,
            "stage": row["stage"],
            "percent": row["percent"],
            "minutes_left": row["minutes_left"],
            "creative_units_cost": emulator.ledger()["totals"]["creative_units_billed"],
        }
        assert row["stage"] in ("queued-for-train", "starting-train", "running-train")

    def test_list_without_any(self, run, emulator):
        assert run("trainings", "list").out == "No training runs.\n"
        assert run("trainings", "list", "-o", "json").json == []

    def test_yes_cancels(self, run, emulator, client, start):
        model = start()
        ran = run("trainings", "cancel", model.id, "--yes", "-o", "json")
        assert ran.code == 0
        assert ran.json == {
            "model_id": model.id,
            "job_id": model.job_id,
            "effect": "cancelled",
            "status": "training-canceled",
            "message": f"The training of {model.id} ({model.job_id}) was cancelled. "
            "Scenario does not promise a refund.",
        }
        assert emulator.counts()["canceled"] == 1

    @pytest.mark.parametrize(("answer", "code", "canceled"), [("y\n", 0, 1), ("\n", 1, 0), ("", 1, 0), ("yea\n", 1, 0)])
    def test_the_answer_decides_and_the_question_names_the_training(
        self, run, emulator, start, monkeypatch, answer, code, canceled
    ):
        model = start(HOSTILE)
        monkeypatch.setattr(sys, "stdin", Terminal(answer))
        ran = run("trainings", "cancel", model.id)
        assert (ran.code, emulator.counts()["canceled"]) == (code, canceled)
        for part in (model.id, model.job_id, "hero", "creative units", "does not promise a refund", "Cancel it? [y/N]"):
            assert part in ran.err
        assert "\x1b" not in ran.out + ran.err

    def test_without_a_terminal_nothing_is_cancelled(self, run, emulator, start, monkeypatch):
        model = start()
        monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
        ran = run("trainings", "cancel", model.id)
        assert (ran.code, emulator.counts()["canceled"]) == (2, 0)
        assert "give --yes. Nothing was cancelled." in ran.err

    def test_another_job_is_not_cancelled(self, run, emulator, start):
        model = start()
        ran = run("trainings", "cancel", model.id, "--yes", "--job-id", "job_other")
        assert (ran.code, emulator.counts()["canceled"]) == (1, 0)
        assert f"Not cancelled: job {model.job_id} trains {model.id} now, not job job_other." in ran.err
        assert run("trainings", "cancel", model.id, "--yes", "--job-id", model.job_id).code == 0

    def test_a_training_that_starts_while_the_user_thinks_is_not_cancelled(
        self, run, emulator, client, start, monkeypatch
    ):
        model = start()

        class Slow(Terminal):
            def readline(self, *_):
                client.cancel_training(model.id)
                client.train(model.id)
                return "y\n"

        monkeypatch.setattr(sys, "stdin", Slow())
        ran = run("trainings", "cancel", model.id)
        assert ran.code == 1
        assert "Not cancelled: job " in ran.out
        assert emulator.model(model.id)["status"] == "training"

    def test_nothing_to_cancel(self, run, emulator, client, start):
        model = create(client)
        ran = run("trainings", "cancel", model.id, "--yes")
        assert (ran.code, ran.out) == (
            1,
            f"Nothing to cancel: the status of 'hero' ({model.id}) is 'new'. The request changed nothing.\n",
        )
        model = start()
        client.cancel_training(model.id)
        assert run("trainings", "cancel", model.id, "--yes").code == 0

    def test_a_job_id_that_cannot_be_one_is_wrong_usage(self, run, emulator):
        assert run("trainings", "cancel", "model_x", "--job-id", "a/b").code == 2
