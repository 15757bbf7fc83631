"""What a task has to know before it defers."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import SimpleNamespace

import pytest
from airflow.sdk import DAG, Asset, BaseOperator, task

from airflow_provider_scenario.deferral import ends_in_triggerer, warn_without_triggerer
from airflow_provider_scenario.operators.training import ScenarioTrainLoraOperator, ScenarioTrainModelOperator
from tests.airflow_versions import get_listener_manager


class Grown(ScenarioTrainModelOperator):
    """Somebody's own, which may do more at the end."""


def train(kind=ScenarioTrainModelOperator, **fields):
    return kind(task_id="train", model_id="model_1", **fields)


def ends(operator, context):
    return ends_in_triggerer(operator, context, stores=True)


def test_one_that_only_returns_something_does(context):
    assert ends(train(), context)


def test_below_airflow_33_no_triggerer_stores_a_result(context):
    del context["task_state_store"]
    assert not ends(train(), context)
    assert ends_in_triggerer(train(), context, stores=False)


@pytest.mark.parametrize(
    "fields",
    [
        {"outlets": [Asset("scenario://model/ink")]},
        {"on_success_callback": lambda context: None},
        {"post_execute": lambda context, result: None},
        {"multiple_outputs": True},
        {"kind": Grown},
    ],
)
def test_what_a_worker_does_needs_one(context, fields):
    assert not ends(train(**fields), context)


def test_a_result_that_others_are_expanded_over_needs_one(context):
    with DAG("d", schedule=None):
        expanded_over, alone = train(), BaseOperator(task_id="alone")

        @task
        def use(number):
            return number

        use.expand(number=expanded_over.output)
        expanded_over >> alone
    assert not ends(expanded_over, context)


def test_a_listener_needs_one(context):
    class Listener:
        @staticmethod
        def on_task_instance_success(previous_state, task_instance):
            pass

    from airflow.listeners import hookimpl

    Listener.on_task_instance_success = staticmethod(hookimpl(Listener.on_task_instance_success))
    get_listener_manager().add_listener(Listener)
    try:
        assert not ends(train(), context)
    finally:
        get_listener_manager().pm.unregister(Listener)
    assert ends(train(), context)


def test_a_description_that_a_marker_stands_in_for_needs_one(context):
    fields = {"task_id": "t", "name": "ink", "type": "flux.2-dev-lora", "images": "/data/ink"}
    assert ScenarioTrainLoraOperator(**fields).ends_in_triggerer(context)
    assert not ScenarioTrainLoraOperator(**fields, short_description="Ink on paper").ends_in_triggerer(context)


class TestWithoutTriggerer:
    @pytest.fixture
    def health(self, monkeypatch):
        """What Airflow's API server says of its triggerer; served on a free port."""
        answer = {}

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.end_headers()
                self.wfile.write(json.dumps(answer).encode())

            def log_message(self, *args):
                pass

        server = HTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/execution/"
        monkeypatch.setenv("AIRFLOW__CORE__EXECUTION_API_SERVER_URL", url)
        yield answer
        server.shutdown()
        server.server_close()

    @pytest.mark.parametrize("status", ["unhealthy", None])
    def test_the_log_says_so(self, health, status):
        health["triggerer"] = {"status": status}
        assert "No triggerer is alive" in reason_in(warn_without_triggerer)

    def test_a_healthy_one_is_not_worth_a_line(self, health):
        health["triggerer"] = {"status": "healthy"}
        assert reason_in(warn_without_triggerer) == ""

    def test_an_unknown_answer_is_no_reason_to_fail(self, health):
        health["detail"] = "not found"
        assert reason_in(warn_without_triggerer) == ""

    def test_no_answer_is_no_reason_to_fail(self, monkeypatch):
        monkeypatch.setenv("AIRFLOW__CORE__EXECUTION_API_SERVER_URL", "http://127.0.0.1:9/execution/")
        assert reason_in(warn_without_triggerer) == ""


def reason_in(function):
    lines = []
    function(SimpleNamespace(warning=lambda text, *args: lines.append(text % args)))
    return "\n".join(lines)
