"""
What does it take to re-host a LoRA of 2 GB, and to sync 300 models?

Re-hosting: our streaming (``Hosting.host`` of what ``ScenarioClient`` fetches, which is what the operator does), beside
``requests.get(...).content``, hashed and written. Both fetch the same file from the same server on this machine, each
in a process of its own, and write it to the same disk, or with ``--s3`` into a bucket of a local S3 server. Memory is
the peak of the resident set while it runs above what it was when all was imported and connected.

Syncing: 300 trees to the emulator, which adds 200 ms to every answer, with ``requests_per_minute`` of 1200 on the
connection. One after another they would take 300 times that long.

    python benchmarks/publish.py [--size-mb 2048] [--s3] [--only files|trees]

Bounds: at most 64 MB above the start; not more requests a minute than configured, and at most 1.2 times as long as they
must take at that rate.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.request import Request, urlopen

MEMORY_MB, LONGER = 64.0, 1.2
TREES, PER_MINUTE, SLOW_SECONDS, THREADS = 300, 1200, 0.2, 8
BLOCK = os.urandom(1 << 20)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.strip().partition("\n")[0])
    parser.add_argument("--size-mb", type=int, default=2048)
    parser.add_argument("--s3", action="store_true", help="write into a bucket instead of a folder")
    parser.add_argument("--only", choices=("files", "trees"))
    parser.add_argument("--child", nargs=3, metavar=("WHO", "URL", "STORAGE"), help=argparse.SUPPRESS)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        return serve(options.size_mb)
    if options.child:
        who, url, storage = options.child
        print(json.dumps({"ours": ours, "whole": whole}[who](url, storage)))
        return 0
    held = [files(options)] if options.only != "trees" else []
    held += [trees()] if options.only != "files" else []
    return 0 if all(held) else 1


def files(options: argparse.Namespace) -> bool:
    command = [sys.executable, __file__, "--serve", "--size-mb", str(options.size_mb)]
    with tempfile.TemporaryDirectory() as folder, storage(options.s3, folder) as where, started(command) as said:
        url, digest = said.split()
        results = {}
        for who in ("ours", "whole"):
            run = [sys.executable, __file__, "--child", who, url, f"{where}/{who}"]
            results[who] = json.loads(subprocess.run(run, stdout=subprocess.PIPE, check=True).stdout.splitlines()[-1])
            if results[who]["sha256"] != digest:
                raise SystemExit(f"{who}: the file that arrived is another one")
    print(f"A file of {options.size_mb} MB into {'a bucket' if options.s3 else 'a folder'}, {os.cpu_count()} cores")
    print(f"{'':<32}{'wall time':>12}{'peak memory above start':>26}")
    for who, title in (("whole", "requests.get(...).content"), ("ours", "ours, streamed")):
        print(f"{title:<32}{results[who]['seconds']:>10.1f} s{results[who]['mb']:>23.0f} MB")
    ratio, mb = results["whole"]["mb"] / max(results["ours"]["mb"], 0.1), results["ours"]["mb"]
    print(
        f"1 : {ratio:.0f}; {mb:.0f} MB above start, bound {MEMORY_MB:g} MB: {'held' if mb <= MEMORY_MB else 'MISSED'}\n"
    )
    return mb <= MEMORY_MB


def ours(url: str, storage: str) -> dict[str, object]:
    from airflow_provider_scenario.client.scenario.client import ScenarioClient
    from airflow_provider_scenario.client.scenario.schemas import Download
    from airflow_provider_scenario.publishing.hosting import Hosting
    from airflow_provider_scenario.publishing.lora import _safetensors

    download = Download.model_validate({"jobId": "job_1", "jobStatus": "success", "downloadUrl": f"{url}?Signature=s"})
    hosting = Hosting(storage, "https://cdn.example.com")
    with ScenarioClient.connect(api_key="demo", api_secret="demo", base_url=url) as client:
        hosting.host("warm-up", lambda: [b"x"])

        def publish() -> str:
            return hosting.host("a.safetensors", lambda: _safetensors(client.fetch_download(download), "it")).sha256

        return measured(publish)


def whole(url: str, storage: str) -> dict[str, object]:
    import requests

    from airflow_provider_scenario.storage import Location

    file = Location.of(f"{storage}/a.safetensors")
    file.sibling("warm-up").write([b"x"])

    def publish() -> str:
        content = requests.get(url, timeout=600).content
        file.write([content])
        return hashlib.sha256(content).hexdigest()

    return measured(publish)


def measured(publish: Callable[[], str]) -> dict[str, object]:
    before = resident_mb("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak of the imports
    start = time.perf_counter()
    sha256 = publish()
    return {"seconds": time.perf_counter() - start, "mb": resident_mb("VmHWM") - before, "sha256": sha256}


def resident_mb(field: str) -> float:
    status = Path("/proc/self/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith(field)).split()[1]) * 1024 / 1e6


def trees() -> bool:
    from airflow_provider_scenario.client.budget import RequestBudget
    from airflow_provider_scenario.client.errors import ScenarioError
    from airflow_provider_scenario.client.workshop.client import WorkshopClient
    from airflow_provider_scenario.publishing.syncing import Syncer

    with started([sys.executable, "-m", "airflow_provider_scenario.emulator", "--port", "0"]) as said:
        root = said.split()[4].removesuffix("/v1")
        switch(root, "settings", fetch_files=False, workshop_requests_per_minute=PER_MINUTE)
        switch(root, "faults", kind="slow", seconds=SLOW_SECONDS, times=None, route="/scc/**")
        with WorkshopClient.connect(
            app_key="demo", app_secret="demo", api_token="demo", base_url=root, max_tries=1, pool_size=THREADS
        ) as client:
            syncer = Syncer(
                client, budget=RequestBudget(PER_MINUTE, root), url_expires_in=3600, session=None, log=print
            )
            start = time.perf_counter()
            came = list(syncer.sync_all([tree(number) for number in range(TREES)], threads=THREADS))
            seconds = time.perf_counter() - start
        totals = json.load(urlopen(f"{root}/emulator/ledger"))["totals"]
    failed = [outcome for outcome in came if isinstance(outcome, ScenarioError)]
    least = (TREES - 1) * 60 / PER_MINUTE
    rate, once = (TREES - 1) / seconds * 60, totals["syncs"] == totals["models_synced"] == TREES
    held = not failed and once and rate <= PER_MINUTE and seconds <= LONGER * least
    print(f"{TREES} trees, {THREADS} threads, {SLOW_SECONDS * 1000:g} ms an answer, {PER_MINUTE} a minute allowed")
    print(f"{seconds:.1f} s, {rate:.0f} requests a minute; one after another it takes {TREES * SLOW_SECONDS:.0f} s")
    print(f"at that rate it must take {least:.1f} s; bound {LONGER * least:.1f} s: {'held' if held else 'MISSED'}")
    return held


def tree(number: int) -> dict[str, object]:
    file = {"name": "a.safetensors", "aliasName": f"a-{number}", "downloadUrl": "https://example.com/a", "sizeKb": 1}
    version = {
        "modelVersionId": f"v-{number}",
        "name": "1",
        "baseModel": "vxl_1.0",
        "files": [{**file, "hash": "0" * 64}],
    }
    model = {"modelId": f"m-{number}", "name": f"Model {number}", "modelType": "lora", "sourceType": "internal"}
    return {**model, "versions": [version]}


def serve(size_mb: int) -> int:
    """Serve a file that begins like a .safetensors; say where it is, and its SHA-256."""
    head = b"\x02\0\0\0\0\0\0\0{}"
    digest = hashlib.sha256(head)
    for _ in range(size_mb):
        digest.update(BLOCK)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-length", str(len(head) + size_mb * len(BLOCK)))
            self.end_headers()
            self.wfile.write(head)
            for _ in range(size_mb):
                self.wfile.write(BLOCK)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(f"http://127.0.0.1:{server.server_port}/file {digest.hexdigest()}", flush=True)
    server.serve_forever()
    return 0


@contextmanager
def started(command: list[str], **streams: int) -> Iterator[str]:
    """A process that says in its first line where it listens."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, **streams)
    try:
        yield process.stdout.readline()
    finally:
        process.terminate()
        process.wait(10)


@contextmanager
def storage(s3: bool, folder: str) -> Iterator[str]:
    if not s3:
        yield folder
        return
    server = [sys.executable, "-c", SERVER]
    with started(server, stderr=subprocess.DEVNULL) as said:
        access = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_DEFAULT_REGION": "us-east-1"}
        os.environ.update({**access, "AWS_ENDPOINT_URL": said.strip()})
        import fsspec

        fsspec.filesystem("s3").mkdir("loras")
        yield "s3://loras"


SERVER = """
import time
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
print("http://%s:%d" % server.get_host_and_port(), flush=True)
time.sleep(3600)
"""


def switch(root: str, name: str, **payload: object) -> None:
    content = json.dumps(payload).encode()
    request = Request(f"{root}/emulator/{name}", content, {"content-type": "application/json"}, method="POST")
    with urlopen(request, timeout=10):
        pass


if __name__ == "__main__":
    sys.exit(main())
