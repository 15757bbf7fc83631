"""What the hooks have in common: a connection is read once, checked, its secrets masked, and becomes a client."""

from __future__ import annotations

import ipaddress
import logging
from abc import abstractmethod
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar
from urllib.parse import urlsplit

from airflow.sdk import BaseHook
from airflow.sdk.log import mask_secret
from asgiref.sync import sync_to_async

from airflow_provider_scenario import metrics
from airflow_provider_scenario.airflow_compat.connections import connection_is_missing
from airflow_provider_scenario.airflow_compat.exceptions import AirflowNotFoundException
from airflow_provider_scenario.client.errors import InvalidInputError
from airflow_provider_scenario.client.messages import shown
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
    """What the form of the connection type shows."""

    keys_from: ClassVar[str]
    """Where key and secret are made, for the message that one is missing."""

    not_the_clients: ClassVar[tuple[str, ...]] = ("requests_per_minute",)
    """The settings that are no arguments of the client."""

    def __init__(self, conn_id: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.conn_id = conn_id

    @cached_property
    def settings(self) -> dict[str, Any]:
        """
        The connection's fields, checked. Its secrets are masked in all logs from here on.

        :raises InvalidInputError: the connection lacks a key or a secret, or has an unusable extra.
        :raises ConnectionMissingError: there is none.
        """
        return self._read(self._connection())

    @cached_property
    def client(self) -> C:
        """A client with its own pool of connections; safe to share between threads."""
        return self.connect()

    @cached_property
    def budget(self) -> RequestBudget:
        """The requests that may be made; all processes of this machine share it."""
        from airflow_provider_scenario.client.budget import RequestBudget

        return RequestBudget(self.settings["requests_per_minute"], self._scope(), observe=metrics.count)

    @abstractmethod
    def _scope(self) -> str:
        """What the service counts the requests of."""

    @abstractmethod
    def connect(self, **overrides: Any) -> C:
        """Make another client of the same connection, with other arguments where ``overrides`` says so."""

    def _client_arguments(self, overrides: dict[str, Any]) -> dict[str, Any]:
        settings = {name: value for name, value in self.settings.items() if name not in self.not_the_clients}
        return {**settings, "budget": self.budget, **overrides}

    @abstractmethod
    def _read(self, connection: Connection) -> dict[str, Any]:
        """Check the fields and mask what is secret."""

    def renew(self) -> bool:
        """
        Read the connection again, for clients to come.

        :return: whether it has changed, by a rotation of the key, say.
        :raises InvalidInputError: it has, to something unusable.
        """
        before = self.settings
        self.settings = self._read(self._connection())
        if changed := self.settings != before:
            for made_of_them in ("client", "budget"):
                vars(self).pop(made_of_them, None)
        return changed

    async def aconnect(self, **overrides: Any) -> C:
        """
        Make a client from within an event loop, without blocking it.

        All of it happens in a thread: looking the connection up and masking its secrets ask Airflow's supervisor, and
        the client's first import takes a while. Not ``asyncio.to_thread``: on Airflow 3.1 the supervisor can only be
        asked from threads that know the loop they come from.
        """
        return await sync_to_async(self.connect, thread_sensitive=False)(**overrides)

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
                f"There is no connection {plain(self.conn_id)!r}. Nothing was sent. Make one of type "
                f"{self.conn_type!r} in Airflow under Admin → Connections, or set the environment variable "
                f"{_variable(self.conn_id)}."
            ) from None

    def _key_and_secret(self, connection: Connection) -> tuple[str, str]:
        """Login and password, masked: Airflow masks the password by itself, but not the login."""
        found = []
        for field, value in (("login", connection.login), ("password", connection.password)):
            if not value:
                of_type = connection.conn_type
                wrong = f" It is of type {of_type!r}, not {self.conn_type!r}." if of_type != self.conn_type else ""
                raise InvalidInputError(
                    f"Connection {self.conn_id!r}: {field} ({self.form.labels[field]}) is empty.{wrong} Both are made "
                    f"at {self.keys_from}. Nothing was sent."
                )
            mask_secret(value)
            found.append(value)
        return found[0], found[1]

    def _extra(self, connection: Connection) -> dict[str, Any]:
        """The extra. Airflow keeps any name in it: one that is like a known one is warned of, once a process."""
        extra: dict[str, Any] = connection.extra_dejson
        for name in extra.keys() - self.form.extra_fields.keys():
            close = similar_name(name, self.form.extra_fields)
            if close and (self.conn_id, name) not in _warned:
                _warned.add((self.conn_id, name))
                log.warning("Connection %r: extra %s is not used. Is %r meant?", self.conn_id, shown(name), close)
        return extra

    def _base_url(self, connection: Connection) -> dict[str, str]:
        """
        ``base_url``, unless it is the default.

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
        """Once a process: without TLS everybody on the way can read the key, the secret and what is sent."""
        host = urlsplit(url).hostname or ""
        if url.lower().startswith("https://") or _is_loopback(host) or (self.conn_id, host) in _warned:
            return
        _warned.add((self.conn_id, host))
        log.warning(
            "Connection %r: its base URL begins with http://, so the key and the secret travel to %s unencrypted. "
            "Use https://.",
            self.conn_id,
            plain(host),
        )

    def _above_zero(self, extra: dict[str, Any], name: str, default: float, unit: str) -> float:
        value = extra.get(name)
        try:
            number = float(default if value in (None, "") else value)
        except (TypeError, ValueError):
            number = 0.0
        if not 0 < number < float("inf"):
            raise InvalidInputError(
                f"Connection {self.conn_id!r}: extra {name!r} is {value!r}; give {unit} above 0, such as {default:g}."
            )
        return number

    def _verify(self, value: Any) -> bool | str:
        if value in (None, ""):
            return True
        if isinstance(value, str) and value.lower() in ("true", "false"):
            return value.lower() == "true"
        if not isinstance(value, bool | str):
            raise InvalidInputError(
                f"Connection {self.conn_id!r}: extra 'verify' is {value!r}; "
                "give true, false or the path of a CA bundle."
            )
        return value

    @classmethod
    def get_ui_field_behaviour(cls) -> dict[str, Any]:
        """For Airflow 3.1, which does not read the form from the provider's info."""
        return cls.form.ui_field_behaviour()

    @classmethod
    def get_connection_form_widgets(cls) -> dict[str, Any]:
        """For Airflow 3.1, which does not read the form from the provider's info."""
        return cls.form.widgets()


def _variable(conn_id: str) -> str:
    return f"AIRFLOW_CONN_{plain(conn_id).upper()}"


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
