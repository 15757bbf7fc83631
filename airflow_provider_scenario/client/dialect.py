"""The differences between the services: authentication of requests, and refusals as errors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    import requests
    from requests.auth import AuthBase

    from airflow_provider_scenario.client.decoding import JsonObject
    from airflow_provider_scenario.client.errors import Origin, ScenarioError
    from airflow_provider_scenario.client.refusals import Call


class Dialect(Protocol):
    """What the transport must know of one service."""

    service: str
    """Its name, in messages."""

    example: str
    """Base URL of the public service, for the message that another one cannot work."""

    media_type: str
    """Media type of bodies, as ``Content-Type`` and ``Accept``."""

    auth: AuthBase
    """Authenticates a request. Called for every try, with the request exactly as it will be sent."""

    secrets: tuple[str, ...]
    """Texts that no message may hold."""

    def no_effect(self, call: Call) -> str:
        """The sentence for a request that had no effect."""

    def refusal(self, call: Call, response: requests.Response, body: object, *, now: float) -> ScenarioError:
        """
        Translate an answer that is not a success.

        :param response: its status is anything but 2xx; its own bytes may repeat secrets.
        :param body: the decoded body, without secrets.
        :param now: Unix time in seconds.
        """

    def refusal_in_success(self, call: Call, body: JsonObject, origin: Origin) -> ScenarioError | None:
        """
        The error in the body of a 2xx; None if there is none.

        :param body: the decoded body, with secrets, if it has any.
        :param origin: where the error comes from, as arguments of the error.
        """

    def trace_id(self, headers: Mapping[str, str], body: object) -> str | None:
        """Read the service's own id of the request."""
