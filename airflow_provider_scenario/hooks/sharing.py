"""Clients with current credentials, and one object per event loop, for all that wait on one connection."""

from __future__ import annotations

import asyncio
import threading
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar
from weakref import WeakKeyDictionary

from airflow_provider_scenario.client.errors import AuthenticationError, ScenarioError

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import AsyncIterator, Awaitable, Callable

    from airflow_provider_scenario.hooks.base import ConnectionHook


class Closable(Protocol):
    """A client, as far as this module is concerned."""

    def close(self) -> None:
        """Close its connections."""


C = TypeVar("C", bound=Closable)
T = TypeVar("T")


class CurrentClients(Generic[C]):
    """
    Clients with the credentials that the connection has today: a key that was rotated meanwhile is picked up.

    The connection is read once, and again each time that the service refuses the credentials. Safe to share between
    threads.

    :param hook: reads the connection.
    :param kinds: how each kind of client is made, such as ``poll=lambda: hook.connect(max_tries=1)``. Each is made
        once, because every new client reloads the CA bundle (20 ms of CPU).
    """

    def __init__(self, hook: ConnectionHook[C], **kinds: Callable[[], C]) -> None:
        self._hook = hook
        self._kinds = kinds
        self._clients: dict[str, C] = {}
        self._lock = threading.Lock()

    def get(self, kind: str) -> C:
        """Return the client of this kind; made at the first call and after each renewal."""
        with self._lock:
            if kind not in self._clients:
                self._clients[kind] = self._kinds[kind]()
            return self._clients[kind]

    def send(self, kind: str, request: Callable[[C], T]) -> T | ScenarioError:
        """
        Send a request, with other credentials once more if these are refused and the connection has changed.

        :return: the answer, or the error: an error is an answer too.
        """
        try:
            client = self.get(kind)
            try:
                return request(client)
            except AuthenticationError:
                if not self._renew_after(kind, client):
                    raise
            return request(self.get(kind))
        except ScenarioError as error:
            return error

    def renew(self) -> bool:
        """
        Read the connection again.

        :return: whether it has changed; then the clients were closed, and the next ones are made of the new connection.
        """
        with self._lock:
            return self._renew()

    def _renew_after(self, kind: str, refused: C) -> bool:
        """Whether there are other credentials than this client's; another thread may have renewed them already."""
        with self._lock:
            return self._clients.get(kind) is not refused or self._renew()

    def _renew(self) -> bool:
        if not self._hook.renew():
            return False
        self._close()
        return True

    def close(self) -> None:
        """Close the connections; the next request opens others."""
        with self._lock:
            self._close()

    def _close(self) -> None:
        for client in self._clients.values():
            client.close()
        self._clients.clear()


@dataclass(slots=True)
class _Entry(Generic[T]):
    shared: T
    users: int = 0


class SharedByConnection(Generic[T]):
    """
    One object per event loop and connection, shared by all that use it at a time; the last to leave closes it.

    :param make: makes the object of a connection id.
    :param close: closes it.
    :param on_users: called with the number of users on this event loop whenever that changes.
    """

    def __init__(
        self,
        make: Callable[[str], T],
        close: Callable[[T], Awaitable[None]],
        *,
        on_users: Callable[[int], None] = lambda _: None,
    ) -> None:
        self.by_loop: WeakKeyDictionary[AbstractEventLoop, dict[str, _Entry[T]]] = WeakKeyDictionary()
        self._make = make
        self._close = close
        self._on_users = on_users

    @asynccontextmanager
    async def use(self, conn_id: str) -> AsyncIterator[T]:
        """Use the object of this connection; it is made if nothing uses one yet."""
        entries = self.by_loop.setdefault(asyncio.get_running_loop(), {})
        entry = entries.get(conn_id)
        if entry is None:
            entry = entries[conn_id] = _Entry(self._make(conn_id))
        self._count(entries, entry, +1)
        try:
            yield entry.shared
        finally:
            self._count(entries, entry, -1)
            if not entry.users:
                # Remove it before closing: who comes during `close` must get a new one.
                del entries[conn_id]
                await self._close(entry.shared)

    def _count(self, entries: dict[str, _Entry[T]], entry: _Entry[T], change: int) -> None:
        entry.users += change
        self._on_users(sum(each.users for each in entries.values()))
