"""An Airflow connection of type ``ai_creation_workshop`` becomes a client."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_scenario.client.defaults import TEST_TIMEOUT
from airflow_provider_scenario.client.errors import ScenarioError
from airflow_provider_scenario.hooks.base import ConnectionHook
from airflow_provider_scenario.hooks.connection_form import WORKSHOP_FORM

if TYPE_CHECKING:
    from airflow_provider_scenario.client.workshop.client import WorkshopClient


class AICreationWorkshopHook(ConnectionHook["WorkshopClient"]):
    """
    Talk to Alibaba Cloud's AI Creation Workshop with the credentials of an Airflow connection.

    :param ai_creation_workshop_conn_id: connection of type ``ai_creation_workshop``; its fields are
        in ``hooks/connection_form.py``.
    """

    conn_name_attr = "ai_creation_workshop_conn_id"
    default_conn_name = "ai_creation_workshop_default"
    conn_type = "ai_creation_workshop"
    hook_name = "AI Creation Workshop"
    form = WORKSHOP_FORM
    key_names = ("app_key", "app_secret")
    service = "ai_creation_workshop"
    keys_from = "https://eduplatform-sp.console.aliyun.com, application management"

    def __init__(self, ai_creation_workshop_conn_id: str = default_conn_name, **kwargs: Any) -> None:
        super().__init__(ai_creation_workshop_conn_id, **kwargs)
        self.ai_creation_workshop_conn_id = ai_creation_workshop_conn_id

    def connect(self, **overrides: Any) -> WorkshopClient:
        """
        Make another client of the same connection.

        :param overrides: arguments of :meth:`WorkshopClient.connect` that replace those of the connection.
        """
        # Not at module level: requests and the schemas cost what parsing a DAG file must not.
        from airflow_provider_scenario.client.workshop.client import WorkshopClient

        return WorkshopClient.connect(**self._client_arguments(overrides))

    def _scope(self) -> str:
        return f"{self.settings.get('base_url')} {self.settings['app_key']}"

    def test_connection(self) -> tuple[bool, str]:
        """Read the token's status, which changes nothing; the text says until when the token is valid."""
        try:
            with self.connect(timeout=TEST_TIMEOUT, max_tries=1) as client:
                token = client.check()
        except ScenarioError as error:
            return False, str(error)
        ends = token.token_expired_at
        until = f", whose token is valid until {ends:%Y-%m-%d %H:%M} UTC" if ends else ""
        return True, f"Connected to AI Creation Workshop as an end user{until}"
