"""
How long does a dataset of 50 images of 3 MB take to get into a model, and how much memory?

Ours (``datasets.attach``) and the vendor's ``scenario_sdk`` client in a loop, one after the other in the same run,
against the same emulator, which adds 50 ms to every answer. Both upload the files of the same folder. Every round is a
process of its own that uploads into a model of its own; the median of three counts, of the memory the worst.
Memory is the peak of the resident set while it uploads above what it was when all was imported and connected.

    python benchmarks/upload.py [--captions]

Bounds: at least 4 times as fast as the vendor's client, at most 120 MB above the start.
"""

from __future__ import annotations

import argparse
import base64
import json
import logging
import os
import random
import statistics
import struct
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from urllib.request import Request, urlopen

IMAGES, SIZE = 50, 3_000_000
SLOW_SECONDS = 0.05
FASTER, MEMORY_MB = 4.0, 120.0
ROUNDS = 3


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.strip().partition("\n")[0])
    parser.add_argument("--captions", action="store_true", help="give each image a caption, which is one more request")
    parser.add_argument("--child", nargs=3, metavar=("WHO", "URL", "FOLDER"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        who, url, folder = options.child
        print(json.dumps({"ours": ours, "vendor": vendors}[who](url, Path(folder))))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        write_images(Path(folder), captions=options.captions)
        return compare(folder)


def compare(folder: str) -> int:
    command = [sys.executable, "-m", "airflow_provider_scenario.emulator", "--port", "0"]
    emulator = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        url = emulator.stdout.readline().split()[4]
        switches = url.removesuffix("/v1") + "/emulator"
        results = {"vendor": [], "ours": []}
        for _ in range(ROUNDS):
            for who, found in results.items():
                post(f"{switches}/reset", {})
                post(f"{switches}/faults", {"kind": "slow", "seconds": SLOW_SECONDS, "times": None})
                run = [sys.executable, __file__, "--child", who, url, folder]
                found.append(json.loads(subprocess.run(run, stdout=subprocess.PIPE, check=True).stdout))
                ledger = json.load(urlopen(f"{switches}/ledger"))
                if len(ledger["training_images"]) != IMAGES:
                    raise SystemExit(f"{who} has uploaded {len(ledger['training_images'])} of {IMAGES} images")
    finally:
        emulator.terminate()
        emulator.wait(10)
    seconds = {who: statistics.median(round_["seconds"] for round_ in found) for who, found in results.items()}
    memory = {who: max(round_["mb"] for round_ in found) for who, found in results.items()}
    ratio = seconds["vendor"] / seconds["ours"]
    slow = f"{SLOW_SECONDS * 1000:g} ms added to every answer"
    print(f"{IMAGES} images of {SIZE / 1e6:g} MB, {slow}, {os.cpu_count()} cores")
    print(f"{'':<28}{'wall time':>12}{'fastest':>10}{'slowest':>10}{'peak memory above start':>26}")
    for who, title in (("vendor", "scenario_sdk in a loop"), ("ours", "ours, 8 threads")):
        every = [round_["seconds"] for round_ in results[who]]
        print(f"{title:<28}{seconds[who]:>10.2f} s{min(every):>8.2f} s{max(every):>8.2f} s{memory[who]:>23.0f} MB")
    fast, small = ratio >= FASTER, memory["ours"] <= MEMORY_MB
    print(f"{ratio:.1f} times as fast; bound {FASTER:g}: {'held' if fast else 'MISSED'}")
    print(f"{memory['ours']:.0f} MB; bound {MEMORY_MB:g} MB: {'held' if small else 'MISSED'}")
    return 0 if fast and small else 1


def ours(url: str, folder: Path) -> dict[str, float]:
    from airflow_provider_scenario.client.scenario.client import ScenarioClient
    from airflow_provider_scenario.datasets import attach, read_dataset

    with ScenarioClient.connect(api_key="demo", api_secret="demo", base_url=url) as client:
        model = client.create_model(name="ours", type="flux.2-dev-lora")

        def upload() -> None:
            attach(client, model, read_dataset(folder), log=logging.getLogger("upload"))

        return measured(upload)


def vendors(url: str, folder: Path) -> dict[str, float]:
    from scenario_sdk import Scenario

    with Scenario(api_key="demo", api_secret="demo", base_url=url) as client:
        model = client.models.create(name="vendor", type="flux.2-dev-lora").model.id

        def upload() -> None:
            for image in sorted(folder.glob("*.png")):
                data = f"data:image/png;base64,{base64.b64encode(image.read_bytes()).decode()}"
                added = client.models.training_images.add(model, data=data, name=image.name)
                caption = image.with_suffix(".txt")
                if caption.exists():
                    client.assets.update(added.training_image.id, description=caption.read_text())

        return measured(upload)


def measured(upload: Callable[[], None]) -> dict[str, float]:
    """The kernel keeps the peak of the resident set; watching it from a thread would slow down what is measured."""
    before = resident_mb("VmRSS")
    start = time.perf_counter()
    upload()
    seconds = time.perf_counter() - start
    return {"seconds": seconds, "mb": resident_mb("VmHWM") - before}


def resident_mb(field: str) -> float:
    status = Path("/proc/self/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith(field)).split()[1]) * 1024 / 1e6


def write_images(folder: Path, *, captions: bool) -> None:
    """PNGs that no compression makes smaller: one byte a pixel, at random."""
    noise = random.Random(1)
    side = int(SIZE**0.5)
    for number in range(IMAGES):
        rows = b"".join(b"\0" + noise.randbytes(side) for _ in range(side))
        header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
        chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(rows, 0)), (b"IEND", b"")]
        (folder / f"{number:02}.png").write_bytes(
            b"\x89PNG\r\n\x1a\n"
            + b"".join(
                struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
                for kind, data in chunks
            )
        )
        if captions:
            (folder / f"{number:02}.txt").write_text(f"noise number {number}")


def post(url: str, payload: dict[str, object]) -> None:
    request = Request(url, json.dumps(payload).encode(), {"content-type": "application/json"})
    with urlopen(request, timeout=10):
        pass


if __name__ == "__main__":
    sys.exit(main())
