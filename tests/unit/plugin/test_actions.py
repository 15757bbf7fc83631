from __future__ import annotations

import re
from urllib.parse import urlencode

import pytest
import requests
from airflow.models.log import Log
from sqlalchemy import select
from sqlalchemy.orm import Session

from tests.unit.plugin.test_access import token_of

WHERE = urlencode({"dag_id": "a_dag", "run_id": "a_run", "task_id": "train", "map_index": -1})


class TestCancel:
    def test_it_cancels_the_training_and_shows_so_at_once(self, admin, database, train, emulator):
        made = train()
        database.task(**made)
        answer = admin.post(f"cancel?{WHERE}", data={"token": token_of(admin)})
        assert answer.status_code == 200
        assert f"The training of {made['model_id']}" in answer.text
        assert emulator.counts()["canceled"] == 1
        assert emulator.model(made["model_id"])["status"] == "training-canceled"
        assert '<span class="badge cancelled">' in admin.get(f"training?{WHERE}").text

    def test_it_is_in_airflows_audit_log(self, admin, database, train, engine):
        database.task(**train())
        admin.post(f"cancel?{WHERE}", data={"token": token_of(admin)})
        with Session(engine) as session:
            logged = session.scalars(select(Log)).one()
        assert (logged.event, logged.dag_id, logged.task_id) == ("cancel_training", "a_dag", "train")
        assert logged.owner == "the admin"
        assert "token" not in (logged.extra or "")

    def test_it_leaves_another_training_of_the_same_model_alone(self, admin, database, train, emulator):
        database.task(model_id=train()["model_id"], job_id="job_of_before")
        answer = admin.post(f"cancel?{WHERE}", data={"token": token_of(admin)})
        assert "Not cancelled" in answer.text
        assert emulator.counts()["canceled"] == 0

    def test_a_task_that_trains_nothing_is_404(self, log_in, database, train):
        database.task(**train())
        database.task(task_id="other", operator="BashOperator")
        browser = log_in("user")
        where = WHERE.replace("train", "other")
        assert browser.post(f"cancel?{where}", data={"token": token_of(browser)}).status_code == 404

    def test_when_the_api_is_down_it_says_that_nothing_is_known_to_be_done(self, admin, database, train, emulator):
        database.task(**train())
        token = token_of(admin)
        emulator.fault(kind="status", status=503, times=None)
        answer = admin.post(f"cancel?{WHERE}", data={"token": token})
        assert answer.status_code == 409
        assert "The action failed" in answer.text


class TestEpoch:
    @pytest.fixture
    def trained(self, database, train, emulator):
        made = train(model_type="flux.1-lora", samplePrompts=["a boat"], nbEpochs=3)
        database.task(state="success", **made)
        emulator.advance(200)
        return made["model_id"]

    def test_it_can_be_chosen_and_is_marked(self, log_in, database, train, trained, emulator):
        database.task(run_id="another", **train())
        browser = log_in("user")
        page = browser.get(f"training?{WHERE}").text
        assert [page.count(f">{text}</button>") for text in ("Use it", "Use epoch <bdi>1</bdi>")] == [2, 1]
        token = page.partition('name="token" value="')[2].partition('"')[0]
        assert browser.post(f"epoch?{WHERE}", data={"token": token, "epoch": "000002"}).status_code == 200
        assert emulator.model(trained)["epoch"] == "000002"
        page = browser.get(f"training?{WHERE}").text
        assert page.count(">Use it</button>") == 2
        assert in_use(page) == ["2"]

    def test_as_long_as_none_was_chosen_the_latest_is_in_use(self, log_in, trained):
        for role in ("viewer", "user"):
            assert in_use(log_in(role).get(f"training?{WHERE}").text) == ["3"]

    def test_none_is_used_before_a_question_in_the_page_was_answered(self, admin, trained):
        page = admin.get(f"training?{WHERE}").text
        outside = re.sub(r"<dialog.*?</dialog>", "", page, flags=re.DOTALL)
        assert "<form" not in outside
        [opens, _] = re.findall(r'data-opens="(choosing-\d+)"', outside)
        [dialog] = re.findall(rf'<dialog id="{opens}".*?</dialog>', page, flags=re.DOTALL)
        assert "Use epoch <bdi>1</bdi>?" in dialog
        assert "instead of epoch <bdi>3</bdi>" in dialog
        assert '<button name="epoch" value="000001">' in dialog

    def test_one_that_is_not_there_is_refused(self, admin, trained, emulator):
        page = admin.get(f"training?{WHERE}").text
        token = page.partition('name="token" value="')[2].partition('"')[0]
        answer = admin.post(f"epoch?{WHERE}", data={"token": token, "epoch": "000009"})
        assert answer.status_code == 409
        assert "has no epoch &#39;9&#39;. Nothing was changed" in answer.text
        assert "epoch" not in emulator.model(trained)

    def test_where_scenario_allows_no_choice_none_is_offered(self, admin, database, train, emulator):
        database.task(state="success", **train(model_type="flux.2-dev-lora", samplePrompts=["a boat"], nbEpochs=3))
        emulator.advance(200)
        page = admin.get(f"training?{WHERE}").text
        assert ">Use it</button>" not in page
        assert "Flux.1" in page


def in_use(page):
    return re.findall(r'Epoch <bdi>(\w+)</bdi>\s*<span class="badge trained">in use', page)


class TestPicture:
    def picture(self, browser, asset_id, **where):
        return browser.get(f"picture?{WHERE}&asset_id={asset_id}")

    def test_training_images_and_samples_come_through_the_server(self, log_in, database, train, emulator, datasets):
        made = train(samplePrompts=["a boat"], nbEpochs=2, images=1)
        database.task(**made)
        emulator.advance(200)
        model = emulator.model(made["model_id"])
        viewer = log_in("viewer")
        image = self.picture(viewer, model["trainingImages"][0]["id"])
        assert image.content == (datasets / "hero-character" / "01-standing.jpg").read_bytes()
        assert image.headers["content-type"] == "image/jpeg"
        assert image.headers["cache-control"].startswith("private")
        assert self.picture(viewer, model["epochs"][1]["assets"][0]["assetId"]).status_code == 200

    def test_a_picture_of_another_training_is_404(self, admin, database, train, emulator):
        other = emulator.model(train(name="other")["model_id"])["trainingImages"][0]["id"]
        database.task(**train())
        assert self.picture(admin, other).status_code == 404
        assert self.picture(admin, "../../v1/projects").status_code == 404

    def test_an_expired_address_is_renewed(self, admin, database, train, emulator):
        emulator.set(url_seconds=1)
        made = train(images=1)
        database.task(**made)
        image = emulator.model(made["model_id"])["trainingImages"][0]
        admin.get(f"training?{WHERE}")
        emulator.advance(200)
        assert requests.get(image["downloadUrl"], timeout=60).status_code == 403
        assert self.picture(admin, image["id"]).status_code == 200

    def test_what_is_no_picture_is_not_passed_on(self, admin, database, train, emulator, monkeypatch):
        made = train(images=1)
        database.task(**made)
        monkeypatch.setattr("airflow_provider_scenario.plugin.pictures._fetch", lambda *_: b"<svg onload=alert(1)>")
        image = emulator.model(made["model_id"])["trainingImages"][0]
        assert self.picture(admin, image["id"]).status_code == 502

    def test_no_signed_address_is_logged(self, admin, database, train, emulator, caplog):
        caplog.set_level("DEBUG")
        made = train(images=1)
        database.task(**made)
        image = emulator.model(made["model_id"])["trainingImages"][0]
        emulator.fault(kind="status", status=403, times=None)
        self.picture(admin, image["id"])
        emulator.clear_faults()
        self.picture(admin, image["id"])
        assert image["downloadUrl"].partition("?")[2][:20] not in caplog.text
