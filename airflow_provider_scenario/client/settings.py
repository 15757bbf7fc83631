"""Checks what a client is given before anything is sent: key, base URL, timeout, certificates."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from urllib.parse import urlsplit

from airflow_provider_scenario.client.consequences import NOTHING_SENT
from airflow_provider_scenario.client.defaults import CONNECT_TIMEOUT
from airflow_provider_scenario.client.encoding import is_utf8
from airflow_provider_scenario.client.errors import InvalidInputError
from airflow_provider_scenario.client.texts import is_http, plain

only_this_machine = False
"""Whether every base URL must lead to this machine. The pytest plugin sets it: a test must not reach real services."""


def check_credentials(api_key: str, api_secret: str) -> None:
    """
    Check that there are a key and a secret, and that they can be sent.

    :raises InvalidInputError: one is missing or is not valid Unicode.
    """
    for name, value in {"API key": api_key, "API secret": api_secret}.items():
        if not value:
            raise InvalidInputError(f"The {name} is missing. {NOTHING_SENT}")
        if not is_utf8(value):
            raise InvalidInputError(f"The {name} is not valid Unicode. {NOTHING_SENT}")


def checked_base_url(base_url: str, example: str) -> str:
    """
    Check a base URL; returns it without white space around it and without a slash at its end.

    :param example: the base URL of the public service, for the message.
    :raises InvalidInputError: it is not an http(s) address, or has credentials, a query or a fragment.
    """
    base_url = base_url.strip()
    if not is_http(base_url):
        shown = "" if "@" in base_url else f" {plain(base_url)!r}"
        if shown and ":/" not in base_url and "//" not in base_url and is_http(f"https://{base_url}"):
            raise InvalidInputError(
                f"The base URL{shown} has no scheme: give 'https://{plain(base_url)}'. {NOTHING_SENT}"
            )
        raise InvalidInputError(f"The base URL{shown} must be an http(s) address, such as {example}.")
    parts = urlsplit(base_url)
    if parts.username or parts.password or parts.query or parts.fragment:
        raise InvalidInputError(
            "The base URL must hold no credentials, query or fragment: give the API key and the secret separately."
        )
    if only_this_machine and not is_loopback(parts.hostname or ""):
        raise InvalidInputError(
            f"The base URL {plain(base_url)!r} leads to another machine, which a test with the fixture "
            f"scenario_emulator must not reach. {NOTHING_SENT} Give the test a connection to the emulator: "
            'monkeypatch.setenv("AIRFLOW_CONN_…", scenario_emulator.connection()).'
        )
    return base_url.rstrip("/")


def is_loopback(host: str) -> bool:
    """Whether a host name or address is one of this machine's own, which no other machine can reach."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def checked_timeout(timeout: tuple[float, float] | float) -> tuple[float, float]:
    """
    Check a timeout; returns the seconds to wait for (connection, answer).

    :param timeout: both, or only the second; the first is 5 s then.
    :raises InvalidInputError: one is not above 0.
    """
    connect, read = timeout if isinstance(timeout, tuple) else (CONNECT_TIMEOUT, timeout)
    if not (connect > 0 and read > 0):
        raise InvalidInputError(f"timeout must be above 0 seconds, not {timeout!r}.")
    return float(connect), float(read)


def check_verify(verify: bool | str) -> None:
    """
    Check that there is a CA bundle, where one is given.

    :raises InvalidInputError: there is no such file or folder.
    """
    if isinstance(verify, str) and not Path(verify).exists():
        raise InvalidInputError(
            f"verify is {verify!r}, which does not exist; give true, false or the path of a CA bundle."
        )
