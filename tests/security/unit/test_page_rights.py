"""The page shows what Airflow itself would show to the same person, at the same time."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest
from airflow.api_fastapi import app as airflow_app
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity

from tests.unit.plugin.conftest import CLOSED

WHERE = {"dag_id": "a_dag", "run_id": "a_run", "task_id": "train", "map_index": -1}


@pytest.fixture
def tasks_are_closed(log_in, monkeypatch):
    """Everybody may see the DAG, but not everybody its tasks: a role with rights on the DAG alone."""
    manager = airflow_app.get_auth_manager()

    def is_authorized_dag(*, method, user, access_entity=None, details=None):
        tasks_of_closed = access_entity == DagAccessEntity.TASK_INSTANCE and details.id == CLOSED
        return user.role == "admin" or not tasks_of_closed

    monkeypatch.setattr(manager, "is_authorized_dag", is_authorized_dag)


class TestTheList:
    def test_it_shows_no_task_that_the_viewer_may_not_see(self, log_in, database, tasks_are_closed):
        for number in range(60):
            fields = {"name": f"theirs-{number}"}
            database.task(CLOSED, run_id="run_of_others", map_index=number, model_id="model_of_others", fields=fields)
        database.task("a_dag", model_id="model_of_mine", fields={"name": "mine"})
        database.task(CLOSED, run_id="run_of_others", task_id="last", model_id="model_of_others")
        viewer = log_in("viewer")
        for page in ("trainings", f"trainings?dag_id={CLOSED}", "trainings?text=theirs", "trainings?page=2"):
            shown = viewer.get(page)
            assert shown.status_code == 200
            for theirs in ("theirs-", "run_of_others", "model_of_others"):
                assert theirs not in shown.text
        assert "mine" in viewer.get("trainings").text
        assert "theirs-" in log_in("admin").get("trainings").text


class TestPicturesInTheBrowsersCache:
    @pytest.fixture
    def picture(self, database, train, emulator):
        made = train(images=1)
        database.task(**made)
        asset_id = emulator.model(made["model_id"])["trainingImages"][0]["id"]
        return f"picture?{urlencode({**WHERE, 'asset_id': asset_id})}"

    def test_a_picture_is_not_shown_without_asking_us(self, admin, picture):
        answer = admin.get(picture)
        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "private, no-cache"

    def test_who_has_it_and_may_see_it_is_told_so_without_asking_scenario(self, admin, picture, emulator):
        tag = admin.get(picture).headers["etag"]
        before = emulator.requests()
        again = admin.get(picture, headers={"If-None-Match": tag})
        assert (again.status_code, again.content) == (304, b"")
        assert (again.headers["cache-control"], again.headers["etag"]) == ("private, no-cache", tag)
        assert emulator.requests() == before

    def test_after_a_logout_it_is_not(self, admin, log_in, picture):
        tag = admin.get(picture).headers["etag"]
        assert log_in(None).get(picture, headers={"If-None-Match": tag}).status_code == 401

    def test_who_may_not_see_the_dag_is_told_nothing(self, admin, log_in, picture):
        tag = admin.get(picture).headers["etag"]
        closed = picture.replace("a_dag", CLOSED)
        assert log_in("viewer").get(closed, headers={"If-None-Match": tag}).status_code == 403


class TestXComs:
    def test_what_a_task_has_published_is_not_shown_to_who_may_not_read_xcoms(self, log_in, database, monkeypatch):
        """Airflow's own address of XComs asks for a right of its own."""

        def is_authorized_dag(*, method, user, access_entity=None, details=None):
            return user.role == "admin" or access_entity != DagAccessEntity.XCOM

        monkeypatch.setattr(airflow_app.get_auth_manager(), "is_authorized_dag", is_authorized_dag)
        fields = {"scenario_conn_id": "scenario_default", "ai_creation_workshop_conn_id": "workshop"}
        published = {"model_id": "model_a", "files": ["s3://bucket/hero.safetensors"]}
        database.task(state="success", fields=fields, return_value=published)
        page = f"training?{urlencode(WHERE)}"
        assert "hero.safetensors" in log_in("admin").get(page).text
        shown = log_in("viewer").get(page)
        assert shown.status_code == 200
        assert "You may not read the XComs of this DAG" in shown.text
        assert "hero.safetensors" not in shown.text
