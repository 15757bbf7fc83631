"""Base class of the hooks: reads a connection once, checks it, masks its secrets, makes a client of it."""

from __future__ import annotations

import logging
from abc import abstractmethod
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar
from urllib.parse import urlsplit

from airflow.sdk import BaseHook
from airflow.sdk.log import mask_secret

from airflow_provider_scenario import metrics
from airflow_provider_scenario.airflow_compat.connections import connection_is_missing
from airflow_provider_scenario.airflow_compat.exceptions import AirflowNotFoundException
from airflow_provider_scenario.client.consequences import NOTHING_SENT
from airflow_provider_scenario.client.errors import InvalidInputError
from airflow_provider_scenario.client.messages import shown
from airflow_provider_scenario.client.settings import is_loopback
from airflow_provider_scenario.client.texts import is_http, plain
from airflow_provider_scenario.client.values import similar_name
from airflow_provider_scenario.exceptions import ConnectionMissingError

if TYPE_CHECKING:
    from airflow.sdk import Connection

    from airflow_provider_scenario.client.budget import RequestBudget
    from airflow_provider_scenario.hooks.connection_form import ConnectionForm

C = TypeVar("C")

log = logging.getLogger(__name__)

_warned: set[tuple[str, str]] = set()


class ConnectionHook(BaseHook, Generic[C]):
    """
    Base of the hooks.

    :param conn_id: a connection of the hook's type.
    """

    conn_type: ClassVar[str]

    form: ClassVar[ConnectionForm]
    """The form of the connection type, and the fields of its extra."""

    keys_from: ClassVar[str]
    """Where a user makes key and secret; for the message that one is missing."""

    key_names: ClassVar[tuple[str, str]]
    """What the client calls login and password."""

    service: ClassVar[str] = "scenario"
    """Begins the names of the metrics, see :mod:`~.metrics`."""

    def __init__(self, conn_id: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.conn_id = conn_id

    @cached_property
    def settings(self) -> dict[str, Any]:
        """
        The connection's fields, checked. Its secrets are masked in all logs from here on.

        :raises InvalidInputError: the connection lacks a key or a secret, or has an unusable extra.
        :raises ConnectionMissingError: the connection does not exist.
        """
        return self._read(self._connection())

    @cached_property
    def client(self) -> C:
        """A client with its own pool of connections; safe to share between threads."""
        return self.connect()

    @cached_property
    def budget(self) -> RequestBudget:
        """The request budget, which all processes of this machine share."""
        from airflow_provider_scenario.client.budget import RequestBudget

        observe = partial(metrics.count, service=self.service)
        return RequestBudget(self.settings["requests_per_minute"], self._scope(), observe=observe)

    @abstractmethod
    def _scope(self) -> str:
        """Return the name of what the service limits the requests of: a project, or an application."""

    @abstractmethod
    def connect(self, **overrides: Any) -> C:
        """
        Make another client of the same connection.

        :param overrides: arguments of the client that replace those of the connection.
        """

    def _client_arguments(self, overrides: dict[str, Any]) -> dict[str, Any]:
        others = {field.name for field in self.form.extra_fields if not field.is_for_client}
        settings = {name: value for name, value in self.settings.items() if name not in others}
        return {**settings, "budget": self.budget, **overrides}

    def _read(self, connection: Connection) -> dict[str, Any]:
        """Check the fields and mask the secrets."""
        settings: dict[str, Any] = dict(zip(self.key_names, self._key_and_secret(connection), strict=True))
        extra = self._extra(connection)
        for field in self.form.extra_fields:
            value = field.read(f"Connection {self.conn_id!r}: extra {field.name!r}", extra.get(field.name))
            if field.is_secret:
                mask_secret(value)
            settings[field.name] = value
        return {**settings, **self._base_url(connection)}

    def renew(self) -> bool:
        """
        Read the connection again; later clients use what it holds now.

        :return: whether it has changed, for example because the key was rotated.
        :raises InvalidInputError: the connection has become unusable.
        """
        before = self.settings
        self.settings = self._read(self._connection())
        if changed := self.settings != before:
            for cached in ("client", "budget"):
                vars(self).pop(cached, None)
        return changed

    def get_conn(self) -> C:
        """Airflow's name for :attr:`client`."""
        return self.client

    def _connection(self) -> Connection:
        try:
            return self.get_connection(self.conn_id)
        except AirflowNotFoundException:
            if not connection_is_missing(self.conn_id):
                raise
            raise ConnectionMissingError(
                f"Connection {plain(self.conn_id)!r} does not exist. {NOTHING_SENT} Add one of type "
                f"{self.conn_type!r} in Airflow under Admin → Connections, or set the environment variable "
                f"{_variable(self.conn_id)}."
            ) from None

    def _key_and_secret(self, connection: Connection) -> tuple[str, str]:
        """Return login and password, masked: Airflow itself masks the password, but not the login."""
        found = []
        for field, value in (("login", connection.login), ("password", connection.password)):
            if not value:
                of_type = connection.conn_type
                wrong = f" Its type is {of_type!r}; it must be {self.conn_type!r}." if of_type != self.conn_type else ""
                raise InvalidInputError(
                    f"Connection {self.conn_id!r}: {field} ({self.form.labels[field]}) is empty.{wrong} Both are made "
                    f"at {self.keys_from}. {NOTHING_SENT}"
                )
            mask_secret(value)
            found.append(value)
        return found[0], found[1]

    def _extra(self, connection: Connection) -> dict[str, Any]:
        """Return the extra. Airflow accepts any name: warn once a process if one resembles a known name."""
        extra: dict[str, Any] = connection.extra_dejson
        known = [field.name for field in self.form.extra_fields]
        for name in extra.keys() - set(known):
            close = similar_name(name, known)
            if close and (self.conn_id, name) not in _warned:
                _warned.add((self.conn_id, name))
                log.warning(
                    "Connection %r: extra %s is unknown and not used. Did you mean %r?",
                    self.conn_id,
                    shown(name),
                    close,
                )
        return extra

    def _base_url(self, connection: Connection) -> dict[str, str]:
        """
        Return ``base_url``, or nothing where the connection has none.

        The host field holds the whole base URL; the URI form of a connection may spread it over three fields.
        """
        if not connection.host:
            return {}
        url = connection.host.strip()
        if "://" not in url:
            port = f":{connection.port}" if connection.port else ""
            url = f"https://{url}{port}/{connection.schema or ''}"
        if not is_http(url):
            # A URL may hold a password before the '@'.
            given = "" if "@" in url else f" {plain(connection.host)!r}"
            raise InvalidInputError(
                f"Connection {self.conn_id!r}: host{given} is not a base URL; "
                f"leave it empty or give one like {self.form.placeholders['host']}."
            )
        self._warn_of_plain_http(url)
        return {"base_url": url.rstrip("/")}

    def _warn_of_plain_http(self, url: str) -> None:
        """Warn once a process: without TLS, every machine on the way can read the key, the secret and the requests."""
        host = urlsplit(url).hostname or ""
        if url.lower().startswith("https://") or is_loopback(host) or (self.conn_id, host) in _warned:
            return
        _warned.add((self.conn_id, host))
        log.warning(
            "Connection %r: its base URL begins with http://, so the key and the secret travel to %s unencrypted. "
            "Use https://.",
            self.conn_id,
            plain(host),
        )

    @classmethod
    def get_ui_field_behaviour(cls) -> dict[str, Any]:
        """Return the form's standard fields; Airflow 3.1 does not read them from the provider's info."""
        return cls.form.ui_field_behaviour()

    @classmethod
    def get_connection_form_widgets(cls) -> dict[str, Any]:
        """Return the form's extra fields; Airflow 3.1 does not read them from the provider's info."""
        return cls.form.widgets()


def _variable(conn_id: str) -> str:
    return f"AIRFLOW_CONN_{plain(conn_id).upper()}"
