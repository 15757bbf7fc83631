"""An Airflow connection of type ``scenario`` becomes a client."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from airflow.sdk.log import mask_secret

from airflow_provider_scenario.airflow_compat.attempt import Attempt
from airflow_provider_scenario.client.defaults import SCENARIO_KEYS_URL, TEST_TIMEOUT
from airflow_provider_scenario.client.errors import ScenarioError
from airflow_provider_scenario.client.texts import plain
from airflow_provider_scenario.hooks.base import ConnectionHook
from airflow_provider_scenario.hooks.connection_form import SCENARIO_FORM
from airflow_provider_scenario.links import ScenarioModelLink
from airflow_provider_scenario.provenance import SEALED, Claim, Place

if TYPE_CHECKING:
    from airflow.sdk import Connection, Context

    from airflow_provider_scenario.client.scenario.client import ScenarioClient


class ScenarioHook(ConnectionHook["ScenarioClient"]):
    """
    Talk to Scenario with the credentials of an Airflow connection.

    :param scenario_conn_id: connection of type ``scenario``; its fields are in ``hooks/connection_form.py``.
    """

    conn_name_attr = "scenario_conn_id"
    default_conn_name = "scenario_default"
    conn_type = "scenario"
    hook_name = "Scenario"
    form = SCENARIO_FORM
    keys_from = SCENARIO_KEYS_URL
    key_names = ("api_key", "api_secret")

    def __init__(self, scenario_conn_id: str = default_conn_name, **kwargs: Any) -> None:
        super().__init__(scenario_conn_id, **kwargs)
        self.scenario_conn_id = scenario_conn_id
        self._linked: tuple[Attempt, str] | None = None

    def connect(self, **overrides: Any) -> ScenarioClient:
        """
        Make another client of the same connection.

        :param overrides: arguments of :meth:`ScenarioClient.connect` that replace those of the connection.
        """
        # Not at module level: requests and the schemas cost what parsing a DAG file must not.
        from airflow_provider_scenario.client.scenario.client import ScenarioClient

        credentials = f"login and password of connection {plain(self.conn_id)!r}"
        return ScenarioClient.connect(credentials=credentials, **self._client_arguments(overrides))

    def _scope(self) -> str:
        """Scenario limits the requests of a project; without a project id the key stands for its project."""
        return f"{self.settings.get('base_url')} {self.settings['project_id'] or self.settings['api_key']}"

    @property
    def app_url(self) -> str:
        """Address of Scenario's web app; ``app_url`` in the connection's extra."""
        return str(self.settings["app_url"])

    def show_model(self, context: Context, model_id: str, *, job_id: str | None = None, is_ours: bool = False) -> None:
        """
        Push the address for the link button, and a sealed :class:`.Claim` for the page.

        :param job_id: of the training, once it has started.
        :param is_ours: whether the task has created the model or started the training.
        """
        attempt = Attempt.of_context(context)
        if self._linked != (attempt, model_id):  # each XCom is a round trip to the API server
            ScenarioModelLink().persist(context, model_id=model_id, app_url=self.app_url)
            self._linked = attempt, model_id
        claim = Claim(model_id=model_id, job_id=job_id, is_ours=is_ours)
        sealed = claim.sealed(Place.of(attempt), self.settings["api_secret"])
        context["ti"].xcom_push(key=SEALED, value=sealed)

    def test_connection(self) -> tuple[bool, str]:
        """Make one cheap authenticated request; the text names the project that answered."""
        try:
            with self.connect(timeout=TEST_TIMEOUT, max_tries=1) as client:
                return True, f"Connected to Scenario, project {self.answering_project(client)}"
        except ScenarioError as error:
            return False, str(error)

    def answering_project(self, client: ScenarioClient) -> str:
        """
        Make one cheap authenticated request; return name and id of the project that answered.

        :raises ScenarioError: the service refuses the credentials or the project, or does not answer.
        """
        if project_id := self.settings["project_id"]:
            return f"{plain(client.get_project(project_id).name or '')!r} ({project_id})"
        names = ", ".join(f"{plain(project.name or '')!r} ({project.id})" for project in client.list_projects())
        return names or "unknown"

    def _read(self, connection: Connection) -> dict[str, Any]:
        settings = super()._read(connection)
        header = f"{settings['api_key']}:{settings['api_secret']}"
        mask_secret(base64.b64encode(header.encode()).decode())  # the form in which both stand in a request
        return settings
