"""Small stand-ins for a service that does what the emulator does not."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

PROJECT = {"project": {"id": "proj_emulator", "name": "Emulator project"}}


@contextmanager
def same_answer(
    *,
    status: int = 200,
    body: Any = PROJECT,
    content_type: str = "application/json",
    headers: Sequence[tuple[str, str]] = (),
    clock_ahead: float = 0.0,
) -> Iterator[str]:
    """
    Serve the same answer to every GET, and return the address.

    :param clock_ahead: seconds by which the service's clock is ahead.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            content = json.dumps(body).encode()
            self.send_response_only(status)
            self.send_header("Date", formatdate(time.time() + clock_ahead, usegmt=True))
            for name, value in headers:
                self.send_header(name, value)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
