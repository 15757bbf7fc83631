"""
How many requests a second does the emulator answer?

Starts the emulator as a user does and creates 50 models, half of them in training. Then a second process sends requests
over a few kept-alive connections, on each of them one after another.

    python benchmarks/emulator.py [--seconds 5] [--connections 4]
"""

from __future__ import annotations

import argparse
import base64
import json
import multiprocessing
import socket
import subprocess
import sys
import threading
import time
from multiprocessing.connection import Connection
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

MODELS = 50
IMAGES = 3
AUTHORIZATION = "Basic " + base64.b64encode(b"demo:demo").decode()
PIXEL = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.strip().partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=5.0, help="for each measurement (default: 5)")
    parser.add_argument("--connections", type=int, default=4, help="kept-alive connections (default: 4)")
    options = parser.parse_args()
    command = [sys.executable, "-m", "airflow_provider_scenario.emulator", "--port", "0", "--training-seconds", "3600"]
    emulator = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        url = emulator.stdout.readline().split()[4]
        ids = fill(url)
        for title, method, path, body in (
            ("GET /v1/models/{id}, training", "GET", f"/v1/models/{ids[0]}", None),
            ("GET /v1/models/{id}, new", "GET", f"/v1/models/{ids[-1]}", None),
            ("POST /v1/models/get-bulk, 1 id", "POST", "/v1/models/get-bulk", {"modelIds": ids[:1]}),
            ("POST /v1/models/get-bulk, 50 ids", "POST", "/v1/models/get-bulk", {"modelIds": ids}),
        ):
            request = encode(url, method, path, body)
            rate, size = measure(url, request, options.seconds, options.connections)
            print(f"{title:<36} {rate:>7.0f} requests/s   {size:>7} bytes an answer")
    finally:
        emulator.terminate()
        emulator.wait(10)


def fill(url: str) -> list[str]:
    ids = []
    for number in range(MODELS):
        model_id = ask(url, "POST", "/models", {"name": f"bench-{number}", "type": "flux.2-dev-lora"})["model"]["id"]
        for image in range(IMAGES):
            ask(url, "POST", f"/models/{model_id}/training-images", {"data": PIXEL, "name": f"{image}.gif"})
        if number < MODELS // 2:
            ask(url, "PUT", f"/models/{model_id}/train", {"parameters": {"samplePrompts": ["a house"]}})
        ids.append(model_id)
    return ids


def ask(url: str, method: str, path: str, body: dict) -> dict:
    headers = {"authorization": AUTHORIZATION}
    with urlopen(Request(url + path, json.dumps(body).encode(), headers, method=method)) as response:
        return json.load(response)


def encode(url: str, method: str, path: str, body: dict | None) -> bytes:
    content = b"" if body is None else json.dumps(body).encode()
    lines = [f"{method} {path} HTTP/1.1", f"host: {urlsplit(url).netloc}", f"authorization: {AUTHORIZATION}"]
    return "\r\n".join([*lines, f"content-length: {len(content)}", "", ""]).encode() + content


def measure(url: str, request: bytes, seconds: float, connections: int) -> tuple[float, int]:
    """Requests a second and the size of the last answer, as seen by another process."""
    ours, theirs = multiprocessing.Pipe()
    load = multiprocessing.Process(target=send_load, args=(url, request, seconds, connections, theirs))
    load.start()
    rate, size = ours.recv()
    load.join()
    return rate, size


def send_load(url: str, request: bytes, seconds: float, connections: int, result: Connection) -> None:
    target = (urlsplit(url).hostname, urlsplit(url).port)
    counts, sizes = [0] * connections, [0] * connections
    begin = time.perf_counter()

    def keep_asking(which: int) -> None:
        with socket.create_connection(target) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while time.perf_counter() - begin < seconds:
                connection.sendall(request)
                sizes[which] = read_answer(connection)
                counts[which] += 1

    threads = [threading.Thread(target=keep_asking, args=(which,)) for which in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    result.send((sum(counts) / (time.perf_counter() - begin), max(sizes)))


def read_answer(connection: socket.socket) -> int:
    received = connection.recv(262144)
    while b"\r\n\r\n" not in received:
        received += connection.recv(262144)
    head, _, content = received.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200"):
        raise RuntimeError(head.decode())
    size = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
    missing = size - len(content)
    while missing > 0:
        missing -= len(connection.recv(262144))
    return size


if __name__ == "__main__":
    main()
