"""An Airflow connection of type ``ai_creation_workshop`` becomes a client."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk.log import mask_secret

from airflow_provider_scenario.client.defaults import TEST_TIMEOUT, TIMEOUT, WORKSHOP_REQUESTS_PER_MINUTE
from airflow_provider_scenario.client.errors import InvalidInputError, ScenarioError
from airflow_provider_scenario.client.messages import shown
from airflow_provider_scenario.hooks.base import ConnectionHook
from airflow_provider_scenario.hooks.connection_form import WORKSHOP_FORM

if TYPE_CHECKING:
    from airflow.sdk import Connection

    from airflow_provider_scenario.client.workshop.client import WorkshopClient

API_TOKEN_PLACES = ("body", "query")


class AICreationWorkshopHook(ConnectionHook["WorkshopClient"]):
    """
    Talk to Alibaba Cloud's AI Creation Workshop with the credentials of an Airflow connection.

    :param ai_creation_workshop_conn_id: connection of type ``ai_creation_workshop``: login = AppKey, password =
        AppSecret (both of one application, not the account's AccessKey), host = base URL (empty: the public service),
        extra: ``api_token`` (of an end user; allocate one for this integration and keep it), ``api_token_in`` (``body``
        or ``query``: the vendor does not say where; default ``body``), ``timeout`` (seconds to wait for an answer,
        default 60), ``verify`` (false, or the path of a CA bundle; default true), ``requests_per_minute`` (what all
        processes of a machine may use together, default 60: the vendor names no limit).
    """

    conn_name_attr = "ai_creation_workshop_conn_id"
    default_conn_name = "ai_creation_workshop_default"
    conn_type = "ai_creation_workshop"
    hook_name = "AI Creation Workshop"
    form = WORKSHOP_FORM
    keys_from = "https://eduplatform-sp.console.aliyun.com, application management"

    def __init__(self, ai_creation_workshop_conn_id: str = default_conn_name, **kwargs: Any) -> None:
        super().__init__(ai_creation_workshop_conn_id, **kwargs)
        self.ai_creation_workshop_conn_id = ai_creation_workshop_conn_id

    def connect(self, **overrides: Any) -> WorkshopClient:
        """
        Make another client of the same connection.

        :param overrides: arguments of :meth:`WorkshopClient.connect` that shall differ, such as ``max_tries``.
        """
        # Not at module level: requests and the schemas cost what parsing a DAG file must not.
        from airflow_provider_scenario.client.workshop.client import WorkshopClient

        return WorkshopClient.connect(**self._client_arguments(overrides))

    def _scope(self) -> str:
        return f"{self.settings.get('base_url')} {self.settings['app_key']}"

    def test_connection(self) -> tuple[bool, str]:
        """Ask about the token, which changes nothing; say until when it is good."""
        try:
            with self.connect(timeout=TEST_TIMEOUT, max_tries=1) as client:
                token = client.check()
        except ScenarioError as error:
            return False, str(error)
        until = (
            f", whose token is good until {token.token_expired_at:%Y-%m-%d %H:%M} UTC" if token.token_expired_at else ""
        )
        return True, f"Connected to AI Creation Workshop as an end user{until}"

    def _read(self, connection: Connection) -> dict[str, Any]:
        key, secret = self._key_and_secret(connection)
        extra = self._extra(connection)
        token, place = extra.get("api_token") or "", extra.get("api_token_in") or "body"
        if not token or not isinstance(token, str):
            raise InvalidInputError(
                f"Connection {self.conn_id!r}: extra 'api_token' is missing. Allocate a token for this integration "
                "once (POST /scc/allocate_token) and keep it with the connection. Nothing was sent."
            )
        mask_secret(token)
        if place not in API_TOKEN_PLACES:
            raise InvalidInputError(
                f"Connection {self.conn_id!r}: extra 'api_token_in' is {shown(place)}; give 'body' or 'query'."
            )
        return {
            "app_key": key,
            "app_secret": secret,
            "api_token": token,
            "api_token_in": place,
            "timeout": self._above_zero(extra, "timeout", TIMEOUT, "seconds"),
            "verify": self._verify(extra.get("verify")),
            "requests_per_minute": self._above_zero(
                extra, "requests_per_minute", WORKSHOP_REQUESTS_PER_MINUTE, "requests a minute"
            ),
            **self._base_url(connection),
        }
