"""Scenario's authentication, media type and refusals."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from requests.auth import HTTPBasicAuth

from airflow_provider_scenario.client.defaults import SCENARIO_URL
from airflow_provider_scenario.client.scenario.refusals import CREDENTIALS, no_effect, refusal, trace_id

if TYPE_CHECKING:
    from collections.abc import Mapping

    import requests
    from requests.auth import AuthBase

    from airflow_provider_scenario.client.decoding import JsonObject
    from airflow_provider_scenario.client.errors import Origin, ScenarioError
    from airflow_provider_scenario.client.refusals import Call


class ScenarioDialect:
    """
    What the transport must know of Scenario.

    :param api_key: of a project or a team.
    :param api_secret: its secret.
    :param credentials: what the message tells the user to check when key or secret are wrong.
    """

    service = "Scenario"
    example = SCENARIO_URL
    media_type = "application/json"

    def __init__(self, api_key: str, api_secret: str, *, credentials: str = CREDENTIALS) -> None:
        self.auth: AuthBase = HTTPBasicAuth(api_key.encode(), api_secret.encode())
        self._credentials = credentials
        on_the_wire = base64.b64encode(f"{api_key}:{api_secret}".encode()).decode()
        self.secrets: tuple[str, ...] = (on_the_wire, api_secret, api_key)

    def no_effect(self, call: Call) -> str:
        return no_effect(call)

    def refusal(self, call: Call, response: requests.Response, body: object, *, now: float) -> ScenarioError:
        return refusal(call, response.status_code, response.headers, body, now=now, credentials=self._credentials)

    def refusal_in_success(self, call: Call, body: JsonObject, origin: Origin) -> None:
        """None: Scenario always refuses with a status."""

    def trace_id(self, headers: Mapping[str, str], body: object) -> str | None:
        return trace_id(headers, body)
