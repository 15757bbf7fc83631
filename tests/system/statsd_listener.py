"""A StatsD server that collects all metrics."""

from __future__ import annotations

import socket
import threading
from collections import Counter, defaultdict


class Statistics:
    """Listens on a free UDP port until it is closed."""

    def __init__(self) -> None:
        self.counters: Counter[str] = Counter()
        self.gauges: defaultdict[str, list[float]] = defaultdict(list)
        self.timers: defaultdict[str, list[float]] = defaultdict(list)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._socket.sendto(b"", ("127.0.0.1", self.port))
        self._thread.join(5)
        self._socket.close()

    def _listen(self) -> None:
        while packet := self._socket.recv(65536).decode():
            for line in packet.splitlines():
                name, _, measured = line.rpartition(":")
                value, kind, *_ = measured.split("|")
                match kind:
                    case "c":
                        self.counters[name] += int(float(value))
                    case "g":
                        self.gauges[name].append(float(value))
                    case "ms":
                        self.timers[name].append(float(value))
