"""A service that answers with any bytes, over a real socket."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager


class HostileServer:
    """
    Answers every request with the bytes of ``answer``, then closes the connection. Counts requests.

    :param answer: makes the bytes, piece by piece; may go on for ever: it ends when the client is gone.
    """

    def __init__(self, answer: Callable[[], Iterable[bytes]], port: int = 0) -> None:
        self.answer = answer
        self.requests: list[bytes] = []
        self._socket = socket.create_server(("127.0.0.1", port))
        self.root = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection: socket.socket) -> None:
        with connection:
            try:
                head = b""
                while b"\r\n\r\n" not in head:
                    if not (more := connection.recv(65_536)):
                        return
                    head += more
                head, _, body = head.partition(b"\r\n\r\n")
                length = next(
                    (int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0
                )
                while len(body) < length:
                    body += connection.recv(65_536)
                self.requests.append(head)
                for piece in self.answer():
                    connection.sendall(piece)
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(65_536):
                    pass
            except OSError:
                pass  # the client is gone

    def close(self) -> None:
        self._socket.close()


@contextmanager
def hostile(answer: Callable[[], Iterable[bytes]]) -> Iterator[HostileServer]:
    server = HostileServer(answer)
    try:
        yield server
    finally:
        server.close()


def http(status: int, body: bytes = b"", *headers: str) -> bytes:
    """An answer as it goes over the wire."""
    head = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join([*head, "", ""]).encode("latin-1") + body
