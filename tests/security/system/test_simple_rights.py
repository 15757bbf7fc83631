"""Who gets what of the pages with Airflow's own SimpleAuthManager: every route, role and method."""

from __future__ import annotations

import json
from urllib.parse import quote, urlencode

import pytest

from tests.security.system.fab import Person

NOT_OUR_FORM = "This request did not come from the page itself"
EDITORS = {"admin", "op", "user"}
METHODS = ("GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS")


@pytest.fixture
def people(airflow) -> dict[str, Person]:
    passwords = json.loads((airflow.home / "passwords.json").read_text())
    names = ("admin", "op", "user", "viewer")
    logged_in = {name: Person.logged_in(airflow.url, name, passwords[name]) for name in names}
    return {**logged_in, "anonymous": Person(airflow.url, "anonymous")}


def test_every_route_role_and_method_gets_what_its_rights_say(airflow, emulator, people):
    emulator.set(training_seconds=100_000)
    run = airflow.trigger("operator_deferred")
    airflow.wait_for_task("operator_deferred", run, "train", ["deferred"])
    model = emulator.model(airflow.xcom("operator_deferred", run, "train", "model_id"))
    place = {"dag_id": "operator_deferred", "run_id": run, "task_id": "train", "map_index": -1}
    task, image = urlencode(place, quote_via=quote), model["trainingImages"][0]["id"]
    routes = {
        "trainings": ("GET", 200),
        f"run?{task}": ("GET", 200),
        f"training?{task}": ("GET", 200),
        f"picture?{task}&asset_id={image}": ("GET", 200),
        "static/page.js": ("GET", 200),
        f"cancel?{task}": ("POST", 403),  # without a token
        f"epoch?{task}": ("POST", 403),
    }
    wrong = []
    for name, person in people.items():
        for path, (allowed, status) in routes.items():
            for method in METHODS:
                due = 405 if method != allowed else 401 if name == "anonymous" else status
                answer = person.ask(method, f"/scenario/{path}", "epoch=1" if method == "POST" else None)
                if answer.status != due or (name == "anonymous" and model["id"] in answer.all):
                    wrong.append((name, method, path, answer.status, due))
                if due == 403 and (NOT_OUR_FORM in answer.text) != (name in EDITORS):
                    wrong.append((name, method, path, "refused for another reason"))
    assert wrong == []
    assert emulator.counts()["canceled"] == 0
    airflow.mark_run("operator_deferred", run, "failed")
