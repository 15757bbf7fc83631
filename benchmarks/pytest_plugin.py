"""
What the pytest plugin costs: in a session that does not use it, for its first test, and for each further one.

Measured in fresh interpreters; the median counts. Run: ``python benchmarks/pytest_plugin.py``. Bound: the first test
waits less than a second for its emulator.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys

ROUNDS = 7
BOUND_MS = 1000
PROGRAM = """
import json, sys, tempfile, time
import pytest

times, last = [], time.perf_counter()

def passed():
    global last
    now = time.perf_counter()
    times.append((now - last) * 1000)
    last = now

import airflow_provider_scenario.pytest_plugin
passed()
from airflow_provider_scenario.emulator.server import running_emulator
with running_emulator(training_seconds=0, listing_seconds=0) as emulator:
    passed()
    emulator.reset()
    passed()
print(json.dumps(times))
"""


def milliseconds() -> list[float]:
    run = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    return json.loads(run.stdout)


def main() -> int:
    milliseconds()  # compiles
    rounds = [milliseconds() for _ in range(ROUNDS)]
    importing, starting, resetting = (statistics.median(times) for times in zip(*rounds, strict=True))
    print(f"{importing:8.1f} ms  in every session of pytest: the import of the plugin")
    print(f"{starting:8.1f} ms  for the first test: the import and the start of the emulator")
    print(f"{resetting:8.1f} ms  for each test: a reset")
    return 0 if starting + resetting < BOUND_MS else 1


if __name__ == "__main__":
    sys.exit(main())
