from __future__ import annotations

import http.server
import json
import logging
import threading
from pathlib import Path
from uuid import uuid4

import airflow
import jsonschema
import pytest
from airflow.sdk import Connection
from airflow.sdk._shared.secrets_masker import _secrets_masker

from airflow_provider_scenario import __version__, get_provider_info
from airflow_provider_scenario.client.errors import InvalidInputError
from airflow_provider_scenario.hooks.ai_creation_workshop import AICreationWorkshopHook
from airflow_provider_scenario.hooks.scenario import ScenarioHook
from tests.unit.conftest import connection


@pytest.fixture
def conn(monkeypatch):
    def use(**fields):
        monkeypatch.setenv("AIRFLOW_CONN_SCENARIO_DEFAULT", connection(**fields))
        return ScenarioHook()

    return use


def test_the_provider_info_is_what_airflow_expects():
    schema = json.loads((Path(airflow.__file__).parent / "provider_info.schema.json").read_text())
    jsonschema.validate(get_provider_info(), schema)
    assert get_provider_info()["versions"] == [__version__]


def test_the_connection_form_is_what_airflow_expects():
    """The info's own schema does not look into the form; the one for Airflow's own providers does."""
    schema = json.loads((Path(airflow.__file__).parent / "provider.yaml.schema.json").read_text())
    jsonschema.validate(get_provider_info()["connection-types"], schema["properties"]["connection-types"])


def test_every_module_and_class_in_the_provider_info_can_be_imported():
    from importlib import import_module

    info = get_provider_info()
    for kind in ("hooks", "operators", "sensors", "triggers"):
        for module in [module for integration in info[kind] for module in integration["python-modules"]]:
            import_module(module)
    for path in [*info["extra-links"], *(kind["hook-class-name"] for kind in info["connection-types"])]:
        module, _, name = path.rpartition(".")
        assert hasattr(import_module(module), name)


@pytest.mark.parametrize(("hook", "number"), [(ScenarioHook, 0), (AICreationWorkshopHook, 1)])
def test_the_form_is_the_same_for_airflow_3_1(hook, number):
    behaviour = hook.get_ui_field_behaviour()
    told = get_provider_info()["connection-types"][number]
    assert told["hook-class-name"].endswith(hook.__name__)
    assert behaviour["relabeling"] == told["ui-field-behaviour"]["relabeling"]
    assert behaviour["hidden_fields"] == told["ui-field-behaviour"]["hidden-fields"]


def test_the_connection_becomes_settings(conn):
    hook = conn(
        host="http://127.0.0.1:1/v1",
        login="api_key_1",
        password="secret_1",
        extra={
            "project_id": "proj_1",
            "timeout": "12.5",
            "verify": "/etc/ca.pem",
            "app_url": "http://app",
            "requests_per_minute": "40",
        },
    )
    assert hook.settings == {
        "api_key": "api_key_1",
        "api_secret": "secret_1",
        "project_id": "proj_1",
        "timeout": 12.5,
        "verify": "/etc/ca.pem",
        "app_url": "http://app",
        "requests_per_minute": 40.0,
        "base_url": "http://127.0.0.1:1/v1",
    }


def test_the_budget_is_below_what_scenario_documents_for_a_project(conn):
    assert conn(extra={}).settings["requests_per_minute"] == 80


def test_two_connections_to_one_project_share_its_budget(conn):
    host = f"https://{uuid4()}.test/v1"
    one = conn(host=host, login="key_1", extra={"project_id": "proj_1"}).budget
    same = conn(host=host, login="key_2", extra={"project_id": "proj_1"}).budget
    other = conn(host=host, login="key_2", extra={"project_id": "proj_2"}).budget
    assert one.turn() == 0
    assert same.turn() > 0.5
    assert other.turn() == 0


def test_an_empty_host_means_the_public_service(conn):
    assert "https://api.cloud.scenario.com/v1" in repr(conn().client)


@pytest.mark.parametrize(
    "uri",
    [
        "scenario://key-1:secret-1@https%3A%2F%2Fexample.test%3A8321%2Fv1/?project_id=proj_1",
        "scenario://key-1:secret-1@example.test:8321/v1?project_id=proj_1",
    ],
)
def test_a_connection_in_uri_form_leads_to_the_same_base_url(monkeypatch, uri):
    monkeypatch.setenv("AIRFLOW_CONN_SCENARIO_DEFAULT", uri)
    assert ScenarioHook().settings["base_url"] == "https://example.test:8321/v1"


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"login": ""}, r"login \(API key\) is empty"),
        ({"password": ""}, r"password \(API secret\) is empty"),
        ({"extra": {"timeout": "soon"}}, "'timeout' is 'soon'; give seconds"),
        ({"extra": {"timeout": 0}}, "'timeout' is 0; give seconds"),
        (
            {"extra": {"requests_per_minute": 0}},
            "'requests_per_minute' is 0; give requests a minute above 0, such as 80",
        ),
        ({"extra": {"requests_per_minute": -5}}, "'requests_per_minute' is -5; give requests a minute above 0"),
        ({"extra": {"verify": 7}}, "'verify' is 7; give true, false or the path"),
        ({"host": "ftp://example.test"}, "host 'ftp://example.test' is not a base URL"),
    ],
)
def test_a_wrong_connection_is_told_by_field_and_value(conn, fields, said):
    with pytest.raises(InvalidInputError, match=said):
        _ = conn(**fields).settings


def test_a_misspelt_extra_is_warned_of_once(conn, caplog, monkeypatch):
    monkeypatch.setattr("airflow_provider_scenario.hooks.base._warned", set())
    for _ in range(2):
        _ = conn(host="http://127.0.0.1:1/v1", extra={"projectid": "proj_1", "team": "heroes"}).settings
    assert [record.getMessage() for record in caplog.records if "extra" in record.getMessage()] == [
        "Connection 'scenario_default': extra 'projectid' is unknown and not used. Did you mean 'project_id'?"
    ]


def test_secrets_are_masked_whichever_way_they_come(conn):
    _ = conn(login="key-to-mask", password="secret-to-mask").settings
    masker = _secrets_masker()
    for leak in ("key-to-mask", "secret-to-mask", "a2V5LXRvLW1hc2s6c2VjcmV0LXRvLW1hc2s="):
        assert leak not in str(masker.redact(f"text with {leak} in it"))


PAGE = b"<!doctype html><html><head><title>Scenario</title></head></html>"


@pytest.fixture
def app():
    """The address of a web app, which answers everything with its page."""

    class App(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(PAGE)))
            self.end_headers()
            self.wfile.write(PAGE)

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), App) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_the_test_button_says_that_a_base_url_without_its_path_has_none(conn, emulator):
    ok, said = conn(host=emulator.root).test_connection()
    assert not ok
    assert f"The base URL '{emulator.root}' has no path; Scenario's ends in /v1." in said


def test_the_test_button_says_that_the_base_url_is_that_of_a_web_page(conn, app):
    ok, said = conn(host=app).test_connection()
    assert not ok
    assert "the answer is a web page (Scenario), not JSON." in said
    assert f"Most likely the base URL '{app}' is the address of a web app instead of the API" in said


def test_the_test_button_says_that_a_base_url_without_a_scheme_is_taken_for_https(conn, emulator):
    ok, said = conn(host=emulator.url.removeprefix("http://")).test_connection()
    assert not ok
    assert "the base URL begins with https://, and the server does not speak TLS" in said
    assert "The request changed nothing." in said


def test_the_test_button_says_which_project_answered(emulator):
    assert ScenarioHook().test_connection() == (
        True,
        "Connected to Scenario, project 'Emulator project' (proj_emulator)",
    )


def test_the_test_button_names_the_project_also_when_the_connection_does_not(emulator, conn):
    ok, said = conn(host=emulator.url, extra={}).test_connection()
    assert ok
    assert "'Emulator project' (proj_emulator)" in said


def test_the_test_button_tells_a_wrong_secret(emulator, conn):
    ok, said = conn(host=emulator.url, password="not-the-secret").test_connection()
    assert not ok
    assert "not-the-secret" not in said
    assert "The API key or the secret is wrong: check login and password of connection 'scenario_default'." in said


def test_the_test_button_tells_a_wrong_project(emulator, conn):
    ok, said = conn(host=emulator.url, extra={"project_id": "proj_other"}).test_connection()
    assert not ok
    assert "project" in said


def test_the_test_button_tells_a_host_that_does_not_answer(conn):
    ok, said = conn(host="http://127.0.0.1:9/v1").test_connection()
    assert not ok
    assert "127.0.0.1:9" in said or "reach" in said


def test_nothing_of_the_secrets_is_logged(emulator, conn, caplog):
    caplog.set_level(logging.DEBUG)
    conn(host=emulator.url, login="key-to-hide", password="secret-to-hide").test_connection()
    assert "secret-to-hide" not in caplog.text
    assert "a2V5LXRvLWhpZGU6c2VjcmV0LXRvLWhpZGU=" not in caplog.text


def test_airflow_itself_knows_the_connection_type():
    assert Connection(conn_id="x", conn_type="scenario", login="k", password="s").get_hook().__class__ is ScenarioHook
