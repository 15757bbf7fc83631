"""
How fast is the Trainings page of a run with 500 trainings, compared with Airflow's own API for the same run?

    python benchmarks/page.py [--trainings 500] [--viewers 8]

Airflow's API server with the page runs in this process, with PostgreSQL; the emulator in another; a browser measures
the first paint. The exit code is 1 if a bound is missed:

* first paint under 1.5 s, one refresh under 300 ms (the median);
* at most 11 requests to Scenario in a refresh, for any number of viewers; at most 5 SQL statements in a request.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import requests

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from airflow_provider_scenario.demo.emulator_process import EmulatorProcess  # noqa: E402
from tests.harness.postgres import own_database  # noqa: E402

ROUNDS = 15
DAG, RUN = "a_batch", "a_run"


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--trainings", type=int, default=500)
    parser.add_argument("--viewers", type=int, default=8)
    options = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        database = stack.enter_context(own_database())
        emulator = stack.enter_context(EmulatorProcess(folder / "emulator.log", training_seconds=36_000))
        prepare(folder, database, emulator)
        page = stack.enter_context(Measured(emulator.url))
        fill(page.engine, start(emulator, options.trainings))
        return measure(page, options.viewers)


def prepare(folder: Path, database: str, emulator: EmulatorProcess) -> None:
    os.environ |= {
        "AIRFLOW_HOME": str(folder),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": database,
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(folder / "passwords.json"),
        "AIRFLOW__API_AUTH__JWT_SECRET": "of-no-importance" * 5,
        "AIRFLOW__API__SECRET_KEY": "of-no-importance",
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "WARNING",
        "AIRFLOW_CONN_SCENARIO_DEFAULT": json.dumps(emulator.connection),
    }
    subprocess.run([sys.executable, "-m", "airflow", "db", "migrate"], check=True, capture_output=True)


def start(emulator: EmulatorProcess, count: int) -> list[dict[str, Any]]:
    """Start ``count`` trainings that last for hours."""
    image = next((ROOT / "example_dags" / "datasets" / "ink-style").glob("*.jpg")).read_bytes()

    def one(number: int) -> dict[str, Any]:
        model = client.create_model(name=f"lora {number}", type="flux.2-dev-lora")
        client.add_training_image(model.id, name="image.jpg", data=image)
        started = client.train(model.id, {"nbEpochs": 10})
        return {"model_id": model.id, "job_id": started.job.job_id, "creative_units_cost": 60.0}

    with emulator.client() as client, ThreadPoolExecutor(4) as threads:
        return list(threads.map(one, range(count)))


def fill(engine: Any, trainings: list[dict[str, Any]]) -> None:
    """Insert a run with one mapped task for each training."""
    from tests.unit.plugin.conftest import Database

    database = Database(engine)
    for index, training in enumerate(trainings):
        fields = {"scenario_conn_id": "scenario_default", "parameters": {"nbEpochs": 10}}
        database.task(DAG, RUN, "train", index, operator="ScenarioTrainLoraOperator", fields=fields, **training)


class Measured:
    """The API server with the page, and a logged-in client; counts SQL statements and requests to Scenario."""

    def __init__(self, scenario: str) -> None:
        self.ledger_url = scenario.removesuffix("/v1") + "/emulator/ledger"
        self.statements = 0
        self.session = requests.Session()

    def __enter__(self) -> Measured:
        import uvicorn
        from airflow import settings
        from airflow.api_fastapi.app import create_app, get_auth_manager
        from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
        from sqlalchemy import event

        self._server = uvicorn.Server(uvicorn.Config(create_app("core"), port=0, log_level="error"))
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self._thread.start()
        while not self._server.started:
            time.sleep(0.05)
        self.url = f"http://127.0.0.1:{self._server.servers[0].sockets[0].getsockname()[1]}"
        self.engine = settings.engine
        event.listen(self.engine, "before_cursor_execute", self._count)
        self.token = get_auth_manager().generate_jwt(SimpleAuthManagerUser(username="admin", role="admin"))
        self.session.cookies.set("_token", self.token)
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join()

    def _count(self, *_: object) -> None:
        self.statements += 1

    def get(self, path: str) -> requests.Response:
        answer = self.session.get(self.url + path, timeout=60)
        answer.raise_for_status()
        return answer

    def scenario_requests(self) -> int:
        """Number of requests to Scenario so far."""
        return int(requests.get(self.ledger_url, timeout=10).json()["totals"]["requests"])


def seconds(action: Any) -> float:
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def measure(page: Measured, viewers: int) -> int:
    run = f"/scenario/run?{urlencode({'dag_id': DAG, 'run_id': RUN})}"
    listed = "/scenario/trainings?text=lora"
    own = [f"/api/v2/dags/~/dagRuns/~/taskInstances?limit=100&offset={offset}" for offset in range(0, 500, 100)]
    results: dict[str, tuple[float, float]] = {}  # what → measured, bound

    page.get("/scenario/run?dag_id=none&run_id=none")  # the first viewer of a server's life waits for its imports, too
    paint = first_paint(page, run)
    results["first paint of the run, s"] = (paint, 1.5)
    before = page.statements
    page.get(run)
    results["SQL statements of the run"] = (page.statements - before, 5)
    before = page.statements
    page.get(listed)
    results["SQL statements of the list, filtered"] = (page.statements - before, 5)

    refreshes, lists, owns = [], [], []
    for _ in range(ROUNDS):  # side by side, so that both meet the same machine
        refreshes.append(seconds(lambda: page.get(run)))
        lists.append(seconds(lambda: page.get(listed)))
        owns.append(seconds(lambda: [page.get(path) for path in own]))
        time.sleep(0.5)
    results["refresh of the run, s"] = (statistics.median(refreshes), 0.3)
    results["refresh of the list, filtered, s"] = (statistics.median(lists), 0.3)

    time.sleep(20)  # then the page sends requests to Scenario again
    before = page.scenario_requests()
    slowest = seconds(lambda: page.get(run))
    results["refresh with requests to Scenario, s"] = (slowest, 1.5)
    with ThreadPoolExecutor(viewers) as threads:
        list(threads.map(lambda _: page.get(run), range(viewers * 3)))
    results[f"requests to Scenario of {viewers} viewers"] = (page.scenario_requests() - before, 11)

    for what, (measured, bound) in results.items():
        print(f"{what:<40} {measured:8.3f}   bound {bound:g}{'' if measured <= bound else '   MISSED'}")
    ratio = statistics.median(refreshes) / statistics.median(owns)
    print(f"Airflow's own API, the same 500 tasks, s  {statistics.median(owns):8.3f}   ours takes {ratio:.2f} of it")
    return int(any(measured > bound for measured, bound in results.values()))


def first_paint(page: Measured, path: str) -> float:
    """Seconds until a browser without a cache draws the page."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        context = chromium.new_context()
        context.add_cookies([{"name": "_token", "value": page.token, "url": page.url}])
        tab = context.new_page()
        tab.wait_for_timeout(3000)  # let the browser finish its own start
        tab.goto(page.url + path)
        tab.wait_for_function("performance.getEntriesByName('first-contentful-paint').length > 0")
        painted: float = tab.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
        assert tab.locator("tbody tr").count() > 0
        chromium.close()
    return painted / 1000


if __name__ == "__main__":
    sys.exit(main())
