"""The page's clients of one Airflow connection; the page's own quota counts each of their requests."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from airflow_provider_scenario.hooks.scenario import ScenarioHook
from airflow_provider_scenario.hooks.sharing import CurrentClients
from airflow_provider_scenario.plugin.quota import Metered, Quota

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_scenario.client.scenario.client import ScenarioClient

TIMEOUT = (2.0, 8.0)
"""Seconds to connect, and to wait for an answer."""

READ_CONNECTION_EVERY = 60.0
"""Seconds after which the connection is read again, before the next request."""


class PageConnection:
    """
    The clients of one connection.

    :param conn_id: connection of type ``scenario``.
    :param clock: Unix time in seconds.
    :param on_change: called when the connection was read first, and when it has changed: what the old credentials have
        shown must not be shown any more.
    """

    def __init__(self, conn_id: str, clock: Callable[[], float], on_change: Callable[[], None]) -> None:
        self.quota = Quota(clock)
        self._hook = ScenarioHook(conn_id)
        self._clients: CurrentClients[ScenarioClient] = CurrentClients(
            self._hook, read=lambda: self._connect(self.quota.read), act=lambda: self._connect(self.quota.act)
        )
        self._clock = clock
        self._on_change = on_change
        self._lock = threading.Lock()
        self._read_at: float | None = None

    def client(self, kind: Literal["read", "act"]) -> ScenarioClient:
        """Return the client for what the page shows (``read``), or for what a person wants done (``act``)."""
        with self._lock:
            if self.is_stale:
                if self._read_at is None or self._clients.renew():
                    self.quota.allow(self._hook.settings["requests_per_minute"])
                    self._on_change()
                self._read_at = self._clock()
            return self._clients.get(kind)

    @property
    def is_stale(self) -> bool:
        """Whether the next request reads the connection first."""
        return self._read_at is None or self._clock() - self._read_at > READ_CONNECTION_EVERY

    @property
    def secret(self) -> str | None:
        """The API secret, which seals what the connection's tasks claim; None until the connection was read."""
        return None if self._read_at is None else str(self._hook.settings["api_secret"])

    @property
    def app_url(self) -> str:
        """Where Scenario's web app is."""
        return self._hook.app_url

    @property
    def verify(self) -> bool | str:
        """Which certificates are trusted."""
        verify: bool | str = self._hook.settings["verify"]
        return verify

    @property
    def http_host(self) -> str | None:
        """The connection's host if it is reached without TLS, such as the emulator's."""
        base = urlsplit(self._hook.settings.get("base_url", ""))
        return base.hostname if base.scheme == "http" else None

    def _connect(self, allow: Callable[[], None]) -> ScenarioClient:
        return self._hook.connect(timeout=TIMEOUT, max_tries=1, budget=Metered(self._hook.budget, allow))
