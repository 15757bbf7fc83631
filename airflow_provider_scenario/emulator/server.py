"""Serve the emulator: in this process until a signal comes, or in a thread during a test."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import uvicorn

from airflow_provider_scenario.emulator.app import create_app
from airflow_provider_scenario.emulator.callers import Hosts
from airflow_provider_scenario.emulator.settings import Settings
from airflow_provider_scenario.emulator.state import State
from airflow_provider_scenario.emulator.testing import ScenarioEmulator

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from pathlib import Path

    from airflow_provider_scenario.emulator.gateway import Receive, Scope, Send


@dataclass(frozen=True, kw_only=True)
class RunningEmulator(ScenarioEmulator):
    """
    An emulator in this process.

    :param state: what it holds. Only the thread that serves may change it.
    """

    state: State


def _running(bound: socket.socket, state: State) -> RunningEmulator:
    return RunningEmulator(
        address=_address(bound),
        api_key=state.api_key,
        api_secret=state.api_secret,
        files_folder=state.files_folder,
        state=state,
    )


class _Server(uvicorn.Server):
    """Calls ``listening`` once it accepts connections."""

    def __init__(self, config: uvicorn.Config, listening: Callable[[], None]) -> None:
        super().__init__(config)
        self._listening = listening

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._listening()


def serve(state: State, bound: socket.socket, hosts: Hosts, listening: Callable[[RunningEmulator], None]) -> None:
    """
    Serve until a signal comes.

    :param bound: from :func:`bind`.
    :param listening: called once connections are accepted.
    """
    emulator = _running(bound, state)
    _server(state, hosts, lambda: listening(emulator)).run(sockets=[bound])


@contextmanager
def running_emulator(
    *,
    api_key: str = "demo",
    api_secret: str = "demo",  # noqa: S107
    port: int = 0,
    files_folder: Path | None = None,
    **settings: Any,
) -> Iterator[RunningEmulator]:
    """
    An emulator in a thread of this process.

    :param files_folder: served without credentials under ``/files``. Default: nothing is served.
    :param settings: those of :class:`.settings.Settings`, e.g. ``training_seconds=1``.
    """
    state = State(Settings(**settings), api_key, api_secret, files_folder)
    bound = bind("127.0.0.1", port)
    ready = threading.Event()
    server = _server(state, Hosts(), ready.set)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]}, daemon=True)
    thread.start()
    if not ready.wait(10):
        raise RuntimeError("The emulator did not start within 10 seconds")
    try:
        yield _running(bound, state)
    finally:
        server.should_exit = server.force_exit = True
        thread.join(10)


def _server(state: State, hosts: Hosts, listening: Callable[[], None]) -> _Server:
    app = _with_hang_up(create_app(state, hosts))
    config = uvicorn.Config(
        app,
        log_config=None,
        log_level="critical",
        access_log=False,
        server_header=False,
        date_header=False,  # the gateways send their own
        lifespan="off",
        ws="none",
        timeout_keep_alive=60,
        timeout_graceful_shutdown=1,
    )
    return _Server(config, listening)


def bind(host: str, port: int) -> socket.socket:
    """
    Take an address to listen on.

    :param port: 0: any free one.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.bind((host, port))
    return bound


def _address(bound: socket.socket) -> str:
    host, port = bound.getsockname()[:2]
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104
    return f"http://{shown}:{port}"


def _with_hang_up(app: Callable[[Scope, Receive, Send], Awaitable[None]]) -> Any:
    """Let the app drop a connection without an answer, through uvicorn's transport: ASGI has no way to do it."""

    async def served(scope: Scope, receive: Receive, send: Send) -> None:
        transport = getattr(getattr(send, "__self__", None), "transport", None)
        if transport is not None:
            scope.setdefault("extensions", {})["emulator.hang_up"] = transport.close
        await app(scope, receive, send)

    return served
