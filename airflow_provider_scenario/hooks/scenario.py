"""An Airflow connection of type ``scenario`` becomes a client."""

from __future__ import annotations

import base64
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseHook
from airflow.sdk.log import mask_secret
from asgiref.sync import sync_to_async

from airflow_provider_scenario.client.errors import InvalidInputError, ScenarioError
from airflow_provider_scenario.hooks.connection_form import SCENARIO_FORM
from airflow_provider_scenario.links import DEFAULT_APP_URL

if TYPE_CHECKING:
    from airflow.sdk import Connection

    from airflow_provider_scenario.client.scenario import ScenarioClient


class ScenarioHook(BaseHook):
    """
    Talk to Scenario with the credentials of an Airflow connection.

    :param scenario_conn_id: connection of type ``scenario``: login = API key, password = API secret, host = base URL
        (empty: the public service), extra: ``project_id``, ``timeout`` (seconds to wait for an answer, default 60),
        ``verify`` (false, or the path of a CA bundle; default true), ``app_url``.
    """

    conn_name_attr = "scenario_conn_id"
    default_conn_name = "scenario_default"
    conn_type = "scenario"
    hook_name = "Scenario"

    def __init__(self, scenario_conn_id: str = default_conn_name, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.scenario_conn_id = scenario_conn_id

    @cached_property
    def settings(self) -> dict[str, Any]:
        """
        The connection's fields, checked. Its secrets are masked in all logs from here on.

        :raises InvalidInputError: the connection lacks a key or a secret, or has an unusable extra.
        """
        return self._read(self.get_connection(self.scenario_conn_id))

    @cached_property
    def client(self) -> ScenarioClient:
        """A client with its own pool of connections; safe to share between threads."""
        return self.connect()

    def connect(self, **overrides: Any) -> ScenarioClient:
        """
        Make another client of the same connection.

        :param overrides: arguments of :meth:`ScenarioClient.connect` that shall differ, such as ``timeout``.
        """
        # Not at module level: requests and the schemas cost what parsing a DAG file must not.
        from airflow_provider_scenario.client.scenario import ScenarioClient

        settings = {name: value for name, value in self.settings.items() if name != "app_url"}
        return ScenarioClient.connect(**{**settings, **overrides})

    def renew(self) -> bool:
        """
        Read the connection again, for clients to come.

        :return: whether it has changed, by a rotation of the key, say.
        :raises InvalidInputError: it has, to something unusable.
        """
        before = self.settings
        self.settings = self._read(self.get_connection(self.scenario_conn_id))
        if changed := self.settings != before:
            vars(self).pop("client", None)
        return changed

    async def aconnect(self, **overrides: Any) -> ScenarioClient:
        """
        Make a client from within an event loop, without blocking it.

        All of it happens in a thread: looking the connection up and masking its secrets ask Airflow's supervisor, and
        the client's first import takes a while. Not ``asyncio.to_thread``: on Airflow 3.1 the supervisor can only be
        asked from threads that know the loop they come from.
        """
        return await sync_to_async(self.connect, thread_sensitive=False)(**overrides)

    def get_conn(self) -> ScenarioClient:
        """Airflow's name for :attr:`client`."""
        return self.client

    @property
    def app_url(self) -> str:
        """Where Scenario's web app is; ``app_url`` in the connection's extra."""
        return str(self.settings["app_url"])

    def test_connection(self) -> tuple[bool, str]:
        """Make one cheap authenticated request; say which project answered."""
        try:
            with self.connect(timeout=10.0, max_tries=1) as client:
                project_id = self.settings["project_id"]
                if project_id:
                    return (
                        True,
                        f"Connected to Scenario, project {client.get_project(project_id).name!r} ({project_id})",
                    )
                names = ", ".join(f"{project.name!r} ({project.id})" for project in client.list_projects())
                return True, f"Connected to Scenario, project {names or 'unknown'}"
        except ScenarioError as error:
            return False, str(error)

    def _read(self, connection: Connection) -> dict[str, Any]:
        key, secret = connection.login or "", connection.password or ""
        for field, value in (("login (API key)", key), ("password (API secret)", secret)):
            if not value:
                raise InvalidInputError(
                    f"Connection {self.scenario_conn_id!r}: {field} is empty. Both are made at "
                    "https://app.scenario.com/settings/api. Nothing was sent."
                )
        # Airflow masks the password by itself, but neither the login nor what the two become on the wire.
        for value in (secret, key, base64.b64encode(f"{key}:{secret}".encode()).decode()):
            mask_secret(value)
        extra = connection.extra_dejson
        settings: dict[str, Any] = {
            "api_key": key,
            "api_secret": secret,
            "project_id": extra.get("project_id") or None,
            "timeout": self._timeout(extra.get("timeout")),
            "verify": self._verify(extra.get("verify")),
            "app_url": extra.get("app_url") or DEFAULT_APP_URL,
        }
        if connection.host:
            settings["base_url"] = self._base_url(connection)
        return settings

    def _base_url(self, connection: Connection) -> str:
        """The host field holds the whole base URL; the URI form of a connection may spread it over three fields."""
        url = connection.host or ""
        if "://" not in url:
            port = f":{connection.port}" if connection.port else ""
            url = f"https://{url}{port}/{connection.schema or ''}"
        if not url.startswith(("https://", "http://")):
            raise InvalidInputError(
                f"Connection {self.scenario_conn_id!r}: host {connection.host!r} is no base URL; "
                "leave it empty or give one like https://api.cloud.scenario.com/v1."
            )
        return url.rstrip("/")

    def _timeout(self, value: Any) -> float:
        try:
            seconds = float(60 if value in (None, "") else value)
        except (TypeError, ValueError):
            seconds = 0.0
        if not 0 < seconds < float("inf"):
            raise InvalidInputError(
                f"Connection {self.scenario_conn_id!r}: extra 'timeout' is {value!r}; give seconds above 0, such as 60."
            )
        return seconds

    def _verify(self, value: Any) -> bool | str:
        if value in (None, ""):
            return True
        if isinstance(value, str) and value.lower() in ("true", "false"):
            return value.lower() == "true"
        if not isinstance(value, bool | str):
            raise InvalidInputError(
                f"Connection {self.scenario_conn_id!r}: extra 'verify' is {value!r}; "
                "give true, false or the path of a CA bundle."
            )
        return value

    @classmethod
    def get_ui_field_behaviour(cls) -> dict[str, Any]:
        """For Airflow 3.1, which does not read the form from the provider's info."""
        return SCENARIO_FORM.ui_field_behaviour()

    @classmethod
    def get_connection_form_widgets(cls) -> dict[str, Any]:
        """For Airflow 3.1, which does not read the form from the provider's info."""
        return SCENARIO_FORM.widgets()
