"""A connection that does not exist fails a task for good; one that cannot be looked up just now does not."""

from __future__ import annotations

import pytest
from airflow.sdk.exceptions import AirflowRuntimeError, ErrorType
from airflow.sdk.execution_time import supervisor, task_runner
from airflow.sdk.execution_time.comms import ErrorResponse

from airflow_provider_scenario.airflow_compat.exceptions import AirflowFailException
from airflow_provider_scenario.client.errors import InvalidInputError
from airflow_provider_scenario.exceptions import ConnectionMissingError
from airflow_provider_scenario.hooks.ai_creation_workshop import AICreationWorkshopHook
from airflow_provider_scenario.hooks.scenario import ScenarioHook
from airflow_provider_scenario.operators.model import ScenarioCreateModelOperator
from airflow_provider_scenario.operators.model_sync import AICreationWorkshopSyncModelOperator
from airflow_provider_scenario.sensors.training import ScenarioTrainingSensor

NOT_FOUND = ErrorResponse(error=ErrorType.CONNECTION_NOT_FOUND, detail={"conn_id": "nobody"})


class RaisingSupervisor:
    """As Airflow's: it raises what the API server has refused."""

    def __init__(self, error):
        self.error = error

    def send(self, msg):
        raise AirflowRuntimeError(self.error)


class BrokenBackend:
    def get_connection(self, conn_id, **_):
        raise TimeoutError(conn_id)


@pytest.fixture
def answers(monkeypatch):
    """What Airflow's API server answers: an error, for whichever connection."""

    def answer(error):
        monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", RaisingSupervisor(error), raising=False)

    return answer


@pytest.mark.parametrize(
    ("hook", "of_type"), [(ScenarioHook, "scenario"), (AICreationWorkshopHook, "ai_creation_workshop")]
)
def test_a_missing_connection_fails_for_good_and_says_where_to_make_which(answers, hook, of_type):
    answers(NOT_FOUND)
    with pytest.raises(ConnectionMissingError) as failed:
        _ = hook("nobody").settings
    assert isinstance(failed.value, AirflowFailException)
    assert str(failed.value) == (
        f"Connection 'nobody' does not exist. Nothing was sent. Add one of type {of_type!r} in Airflow under "
        "Admin → Connections, or set the environment variable AIRFLOW_CONN_NOBODY."
    )


@pytest.mark.since("3.2")  # 3.1 looks nowhere else outside of a task
def test_outside_of_a_task_it_is_missing_too():
    with pytest.raises(ConnectionMissingError):
        _ = ScenarioHook("nobody").settings


@pytest.mark.parametrize("error", [ErrorType.API_SERVER_ERROR, ErrorType.GENERIC_ERROR])
def test_while_the_api_server_is_down_the_task_is_retried(answers, error):
    answers(ErrorResponse(error=error, detail={"status_code": 503}))
    with pytest.raises(Exception) as failed:  # noqa: PT011 - which one depends on Airflow's minor
        _ = ScenarioHook("nobody").settings
    assert not isinstance(failed.value, AirflowFailException | InvalidInputError)


def test_while_a_secrets_backend_is_down_the_task_is_retried(answers, monkeypatch):
    answers(NOT_FOUND)
    monkeypatch.setattr(supervisor, "ensure_secrets_backend_loaded", lambda: [BrokenBackend()])
    with pytest.raises(Exception) as failed:  # noqa: PT011
        _ = ScenarioHook("nobody").settings
    assert not isinstance(failed.value, AirflowFailException | InvalidInputError)


@pytest.mark.parametrize(
    "task",
    [
        ScenarioCreateModelOperator(task_id="t", name="a", type="flux.2-dev-lora", scenario_conn_id="nobody"),
        ScenarioTrainingSensor(task_id="t", model_id="m", scenario_conn_id="nobody"),
        ScenarioTrainingSensor(task_id="t", job_id="j", deferrable=False, scenario_conn_id="nobody"),
        AICreationWorkshopSyncModelOperator(task_id="t", models=[], ai_creation_workshop_conn_id="nobody"),
    ],
    ids=lambda task: type(task).__name__,
)
def test_a_task_fails_for_good(answers, context, task):
    answers(NOT_FOUND)
    with pytest.raises(AirflowFailException, match="Connection 'nobody' does not exist"):
        task.execute(context)


def test_a_connection_of_another_type_without_a_key_is_told_as_that(monkeypatch, context):
    monkeypatch.setenv("AIRFLOW_CONN_ANOTHER", '{"conn_type": "http", "host": "example.org"}')
    task = ScenarioCreateModelOperator(task_id="t", name="a", type="flux.2-dev-lora", scenario_conn_id="another")
    with pytest.raises(
        AirflowFailException, match=r"login \(API key\) is empty. Its type is 'http'; it must be 'scenario'"
    ):
        task.execute(context)
