"""What differs between the services that one transport speaks to: how it is proved who asks, and how they say no."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any, Protocol

from requests.auth import HTTPBasicAuth

from airflow_provider_scenario.client.defaults import SCENARIO_URL
from airflow_provider_scenario.client.refusals import no_effect, refusal, trace_id

if TYPE_CHECKING:
    from collections.abc import Mapping

    import requests
    from requests.auth import AuthBase

    from airflow_provider_scenario.client.errors import ScenarioError
    from airflow_provider_scenario.client.refusals import Call


class Dialect(Protocol):
    """How one service is spoken to."""

    service: str
    """Its name, in messages."""

    example: str
    """A base URL, for the message that another one cannot work."""

    media_type: str
    """What is sent and accepted."""

    auth: AuthBase
    """Proves who asks. Called for every try, with the request exactly as it will be sent."""

    secrets: tuple[str, ...]
    """What no message may hold."""

    def no_effect(self, call: Call) -> str:
        """The sentence for a request that certainly had no effect."""

    def refusal(self, call: Call, response: requests.Response, body: Any, *, now: float) -> ScenarioError:
        """
        Translate an answer that is no success.

        :param call: what was asked.
        :param response: its status is anything but 2xx; its own bytes may repeat secrets.
        :param body: the decoded body, without secrets.
        :param now: Unix time in seconds.
        """

    def refusal_in_success(self, call: Call, body: dict[str, Any], origin: dict[str, Any]) -> ScenarioError | None:
        """
        The error that a 2xx says in its body; None if it says none.

        :param body: the decoded body, with secrets, if it has any.
        :param origin: where the error comes from, as arguments of the error.
        """

    def trace_id(self, headers: Mapping[str, str], body: Any) -> str | None:
        """Read the service's own id of the request."""


class ScenarioDialect:
    """Scenario: Basic authentication, plain JSON, and the refusals of :mod:`.refusals`."""

    service = "Scenario"
    example = SCENARIO_URL
    media_type = "application/json"

    def __init__(self, api_key: str, api_secret: str) -> None:
        self.auth: AuthBase = HTTPBasicAuth(api_key.encode(), api_secret.encode())
        on_the_wire = base64.b64encode(f"{api_key}:{api_secret}".encode()).decode()
        self.secrets: tuple[str, ...] = (on_the_wire, api_secret, api_key)

    def no_effect(self, call: Call) -> str:
        return no_effect(call)

    def refusal(self, call: Call, response: requests.Response, body: Any, *, now: float) -> ScenarioError:
        return refusal(call, response.status_code, response.headers, body, now=now)

    def refusal_in_success(self, call: Call, body: dict[str, Any], origin: dict[str, Any]) -> None:
        """There is none: who refuses says so in the status."""

    def trace_id(self, headers: Mapping[str, str], body: Any) -> str | None:
        return trace_id(headers, body)
