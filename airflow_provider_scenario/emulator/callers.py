"""
Refuse requests that come from web pages: the emulator's switches and files need no credentials.

A web page can reach a server on this machine in two ways: it sends requests from its own origin, or it lets its own
name resolve to 127.0.0.1 (DNS rebinding). ``Origin`` and ``Sec-Fetch-Site`` show the first, ``Host`` the second.
"""

from __future__ import annotations

import re
import socket
from ipaddress import ip_address
from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

SWITCHES = "/emulator"
LARGEST_SWITCH = 1024 * 1024
"""The most bytes of a request to a switch. Settings, faults and outcomes need a few hundred."""

_HOST = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([^\[\]:/?#@\s]+))(?::\d{1,5})?")


class Hosts:
    """
    The names that ``Host`` may have.

    :param address: IP address that the emulator listens on.
    :param names: further names of it.
    """

    def __init__(self, address: str = "127.0.0.1", names: Iterable[str] = ()) -> None:
        ip = ip_address(address)
        self.only_this_machine = ip.is_loopback
        # On all interfaces the address that a caller uses is not known. DNS rebinding needs a name, not an address.
        self._any_address = ip.is_unspecified
        own = [socket.gethostname()] if self._any_address else []
        self._names = {name.lower() for name in ("localhost", address, *names, *own)}

    def allow(self, header: str) -> bool:
        """
        Whether ``Host`` may have this value.

        :param header: a name or an address, and perhaps a port.
        """
        found = _HOST.fullmatch(header)
        if found is None:
            return False
        name = (found[1] or found[2]).lower()
        try:
            address = ip_address(name)
        except ValueError:
            return name in self._names
        return self._any_address or address.is_loopback or name in self._names


class CheckedCallers:
    """An ASGI app that refuses requests of web pages from other origins and passes the others on."""

    def __init__(self, app: ASGIApp, hosts: Hosts) -> None:
        self._app, self._hosts = app, hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_switch = scope["path"].startswith(SWITCHES)
        # A served or uploaded file may be a page with a script: the sandbox gives it another origin than the switches.
        policy = b"frame-ancestors 'none'" if is_switch else b"sandbox"

        async def send_as_data(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = [(b"x-content-type-options", b"nosniff"), (b"content-security-policy", policy)]
                message = {**message, "headers": [*message.get("headers", ()), *own]}
            await send(message)

        if refusal := self._refusal(scope, is_switch=is_switch):
            status, text = refusal
            await PlainTextResponse(f"{text}\n", status)(scope, receive, send_as_data)
            return
        await self._app(scope, _limited(receive) if is_switch else receive, send_as_data)

    def _refusal(self, scope: Scope, *, is_switch: bool) -> tuple[int, str] | None:
        hosts, origins = _values(scope, b"host"), _values(scope, b"origin")
        if len(hosts) != 1 or not self._hosts.allow(hosts[0]):
            return 421, (
                f"Host is {', '.join(hosts)[:100]!r}. The emulator answers under localhost, its own address, and the "
                "names that were given with --host and --allowed-host."
            )
        if any(origin.lower().partition("://")[2] != hosts[0].lower() for origin in origins):
            return 403, f"Origin is {', '.join(origins)[:100]!r}: the emulator serves no pages of other origins."
        if is_switch and not set(_values(scope, b"sec-fetch-site")) <= {"same-origin", "none"}:
            # Following a link to the list of switches is harmless: the page with the link cannot read the list.
            if scope["method"] == "GET" and _values(scope, b"sec-fetch-dest") == ["document"]:
                return None
            return (
                403,
                "Sec-Fetch-Site shows a page of another origin: such pages may not use the switches.",
            )
        return None


def _values(scope: Scope, name: bytes) -> list[str]:
    return [value.decode("latin-1").strip() for key, value in scope["headers"] if key == name]


def _limited(receive: Receive) -> Receive:
    read = 0

    async def limited() -> Message:
        nonlocal read
        message = await receive()
        read += len(message.get("body", b""))
        if read > LARGEST_SWITCH:
            raise HTTPException(413, f"A request to a switch has at most {LARGEST_SWITCH} bytes.")
        return message

    return limited
