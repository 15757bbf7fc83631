"""
What importing our operators adds to the parsing of a DAG file, side by side with dbt Cloud's.

Each import is timed in fresh interpreters, after ``from airflow.sdk import DAG, BaseOperator``; the median counts.
Run: ``python benchmarks/import_time.py``. Bound: ours adds at most 50 ms.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys

BOUND_MS = 50
ROUNDS = 7
MODULES = {
    "ours": "airflow_provider_scenario.operators.training",
    "ours, all that a DAG imports": "airflow_provider_scenario.operators.training, "
    "airflow_provider_scenario.operators.model, airflow_provider_scenario.operators.cost, "
    "airflow_provider_scenario.sensors.training, airflow_provider_scenario.operators.model_sync, "
    "airflow_provider_scenario.sensors.model_sync",
    "dbt Cloud": "airflow.providers.dbt.cloud.operators.dbt",
}
PROGRAM = """
import time
from airflow.sdk import DAG, BaseOperator
start = time.perf_counter()
import {modules}
print((time.perf_counter() - start) * 1000)
"""


def milliseconds(modules: str) -> float:
    """Median over fresh interpreters; the first run is thrown away, it compiles."""
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    times = []
    for _ in range(ROUNDS + 1):
        run = subprocess.run(
            [sys.executable, "-c", PROGRAM.format(modules=modules)], capture_output=True, text=True, check=True, env=env
        )
        times.append(float(run.stdout.split()[-1]))
    return statistics.median(times[1:])


def main() -> int:
    results = {name: milliseconds(modules) for name, modules in MODULES.items()}
    for name, value in results.items():
        print(f"{value:8.1f} ms  {name}")
    print(f"ours : dbt Cloud = 1 : {results['dbt Cloud'] / results['ours']:.0f}")
    return 0 if results["ours"] <= BOUND_MS else 1


if __name__ == "__main__":
    sys.exit(main())
