"""Nothing that Airflow writes or shows has a secret or a signed address, though all of its parts log at DEBUG."""

from __future__ import annotations

import contextlib
import re
import secrets
import shutil
import time
from collections import Counter
from pathlib import Path
from urllib.parse import parse_qs

import pytest

from airflow_provider_scenario.demo.rest import AirflowError
from airflow_provider_scenario.emulator.server import running_emulator
from tests.harness.airflow import AirflowUnderTest
from tests.harness.postgres import own_database
from tests.harness.waiting import eventually
from tests.leaks import leaks
from tests.witness import Witness

ROOT = Path(__file__).parents[3]
ODD = "/+=%&'\"\\"
"""Characters that each spelling writes in its own way."""


def secret(name: str) -> str:
    return f"{name}{ODD}{secrets.token_hex(8)}"


KEY, SECRET, TOKEN, WRONG = (f"key{secrets.token_hex(8)}", secret("secret"), secret("token"), secret("wrong"))
WANDB = secrets.token_hex(20)
SIGNED = f"https://store.example/a.png?X-Amz-Credential={secrets.token_hex(8)}&X-Amz-Signature={secrets.token_hex(8)}"
SECRETS = {"api key": KEY, "api secret": SECRET, "token": TOKEN, "wrong secret": WRONG, "W&B key": WANDB}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    made = {name: tmp_path_factory.mktemp(name) for name in ("served", "dataset", "airflow")}
    picture = ROOT / "example_dags" / "datasets" / "ink-style" / "01-mountains.jpg"
    shutil.copy(picture, made["dataset"] / "small.jpg")
    content = picture.read_bytes()
    # Too big for one request: it is sent to signed addresses.
    (made["dataset"] / "big.jpg").write_bytes(content[:-2] + bytes(5_000_000) + content[-2:])
    return made


@pytest.fixture(scope="module")
def emulator(folders):
    settings = {"training_seconds": 2, "listing_seconds": 1, "api_token": TOKEN, "files_folder": folders["served"]}
    with running_emulator(api_key=KEY, api_secret=SECRET, **settings) as emulator:
        yield Witness(emulator.url, KEY, SECRET)


@pytest.fixture(scope="module")
def scenario(emulator):
    return {
        "conn_type": "scenario",
        "login": KEY,
        "password": SECRET,
        "host": emulator.url,
        "extra": {"project_id": "proj_emulator", "requests_per_minute": 1_000_000},
    }


@pytest.fixture(scope="module")
def database():
    with own_database() as database:
        yield database


@pytest.fixture(scope="module")
def airflow(emulator, scenario, folders, database):
    workshop = {"conn_type": "ai_creation_workshop", "login": KEY, "password": SECRET, "host": emulator.root}
    with AirflowUnderTest(
        folders["airflow"] / "home",
        Path(__file__).parent / "dags",
        sql_alchemy_conn=database,
        connections={
            "scenario_default": scenario,
            "wrong_secret": {**scenario, "password": WRONG},
            "workshop_body": {**workshop, "extra": {"api_token": TOKEN}},
            "workshop_query": {**workshop, "extra": {"api_token": TOKEN, "api_token_in": "query"}},
        },
        env={
            "AIRFLOW_VAR_SCAN": WANDB,
            "SCAN_DATASET": str(folders["dataset"]),
            "LORA_STORAGE": str(folders["served"]),
            "LORA_PUBLIC_URL": f"{emulator.root}/files",
        },
        config={
            "core.fernet_key": "",  # Airflow then keeps in clear text what it would encrypt
            "dag_processor.min_file_process_interval": "3600",
            "logging.logging_level": "DEBUG",
            "logging.fab_logging_level": "DEBUG",
            "logging.celery_logging_level": "DEBUG",
            "workers.min_heartbeat_interval": "1",
        },
    ) as airflow:
        yield airflow


@pytest.mark.full
def test_no_secret_and_no_signed_address_is_in_a_log_a_table_or_on_a_page(airflow, emulator, scenario, database):
    emulator.set(parallel_training=1, training_seconds=600)
    emulator.fault(kind="close", method="PUT", route="/models/*/train", when="after")
    runs = {"scan_publish": airflow.trigger("scan_publish", {"name": "first"})}
    runs |= {dag: airflow.trigger(dag) for dag in ("scan_cost", "scan_misspelt", "scan_wrong_secret")}
    eventually(lambda: emulator.counts()["trainings"] == 1, seconds=120)
    runs |= {"scan_mapped": airflow.trigger("scan_mapped")}
    airflow.wait_for_task("scan_mapped", runs["scan_mapped"], "train", ["deferred"], map_index=0)
    pages = {"all while one waits": airflow.page("/scenario/trainings")}
    found = leaks(airflow.home, SECRETS, pages=pages, postgres=database)  # the row of the trigger is gone later

    emulator.outcome(model="doomed", fail_at=0.5, error=f"Cannot read {SIGNED}", hint=f"{KEY}:{SECRET} {SECRET}")
    refusal = {"reason": f"wandbKey {WANDB} of {KEY} {SECRET} at {SIGNED}"}
    emulator.fault(kind="status", status=400, body=refusal, method="PUT", route="/models/*/train", model="refused")
    emulator.set(parallel_training=None, training_seconds=2)
    emulator.advance(900)
    runs |= {"scan_deferred": airflow.trigger("scan_deferred", {"name": "doomed"})}
    runs |= {"scan_blocking": airflow.trigger("scan_blocking", {"name": "refused"})}
    ends = {dag.removeprefix("scan_"): airflow.wait_for_run(dag, run) for dag, run in runs.items()}
    assert {dag for dag, end in ends.items() if end == "success"} == {"publish", "cost", "mapped"}
    assert Counter(each["status"] for each in emulator.ledger()["trainings"]) == {"trained": 2, "failed": 1}
    trained = airflow.xcom("scan_mapped", runs["scan_mapped"], "train", map_index=0)["model_id"]
    assert emulator.model(trained)["parameters"]["wandbKey"] == WANDB

    for dag, run in runs.items():
        pages[f"run {dag}"] = airflow.page("/scenario/run", dag_id=dag, run_id=run)
        for task in airflow.task_instances(dag, run):
            where = {"dag_id": dag, "run_id": run, "task_id": task["task_id"], "map_index": task["map_index"]}
            name = f"{dag} {task['task_id']}"
            pages[f"training {name}"] = complete_page(airflow, where)
            pages[f"task {name}"] = str(task)
            with contextlib.suppress(AirflowError):  # one that was never tried
                pages[f"log {name}"] = airflow.task_log(dag, run, task["task_id"], task["map_index"])
    pages["all"] = airflow.page("/scenario/trainings")
    see_a_picture(airflow, pages.values())
    for password in (SECRET, WRONG):
        answer = airflow.call("POST", "/connections/test", json=form(scenario, password))
        assert answer["status"] is (password == SECRET), answer
        pages[f"test of a connection {answer['status']}"] = str(answer)

    everything = {**SECRETS, "password": airflow.password}
    found |= leaks(airflow.home, everything, allowed=ALLOWED, pages=pages, postgres=database)
    assert found == {}


ALLOWED = {("passwords.json", "password")}
"""SimpleAuthManager's own file. Connections and Variables of this Airflow live in the environment of its parts."""


def form(scenario, password):
    return {**scenario, "password": password, "connection_id": "tested", "extra": '{"project_id": "proj_emulator"}'}


def complete_page(airflow, where):
    """The page of a training, once all responses of Scenario are there."""
    deadline = time.monotonic() + 5
    while True:
        page = airflow.page("/scenario/training", **where)
        if "data-refresh" not in page or time.monotonic() > deadline:
            return page
        time.sleep(0.2)


def see_a_picture(airflow, pages):
    """Each picture that the pages show."""
    addresses = {address for page in pages for address in re.findall(r'src="picture\?([^"]+)"', page)}
    assert addresses
    for address in sorted(addresses)[:3]:
        query = {name: values[0] for name, values in parse_qs(address.replace("&amp;", "&")).items()}
        airflow.page("/scenario/picture", **query)
