"""The DAGs of the README, unchanged, in a real Airflow with an S3 server."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import fsspec
import pytest
from moto.server import ThreadedMotoServer

from airflow_provider_scenario.emulator.server import running_emulator
from tests.harness.airflow import AirflowUnderTest
from tests.witness import Witness

ROOT = Path(__file__).parents[2]
DATASETS = ROOT / "example_dags" / "datasets"


def snippets() -> dict[str, str]:
    """The complete DAGs in the README, by id."""
    blocks = re.findall(r"^```python\n(.*?)^```", (ROOT / "README.md").read_text(), re.DOTALL | re.MULTILINE)
    return {dag[1]: block for block in blocks if (dag := re.search(r'DAG\("(\w+)"', block))}


@pytest.fixture(scope="module")
def storage():
    """The buckets of the README; gives the environment variables to reach them."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    login = {"AWS_ACCESS_KEY_ID": "key-of-the-tests", "AWS_SECRET_ACCESS_KEY": "secret-of-the-tests"}
    address = f"http://{host}:{port}"
    files = fsspec.filesystem(
        "s3",
        key=login["AWS_ACCESS_KEY_ID"],
        secret=login["AWS_SECRET_ACCESS_KEY"],
        endpoint_url=address,
        skip_instance_cache=True,
    )
    files.mkdir("studio")
    for folder in ("hero-character", "ink-style"):
        files.put(str(DATASETS / folder), f"studio/characters/{folder.partition('-')[0]}", recursive=True)
    yield {**login, "AWS_DEFAULT_REGION": "us-east-1", "AWS_ENDPOINT_URL": address}
    server.stop()


@pytest.fixture(scope="module")
def emulator():
    with running_emulator(training_seconds=2, listing_seconds=0) as emulator:
        yield Witness(emulator.url)


@pytest.fixture(scope="module")
def airflow(storage, emulator, tmp_path_factory):
    folder = tmp_path_factory.mktemp("readme")
    (folder / "dags").mkdir()
    for dag_id, code in snippets().items():
        # Without Amazon's provider, the environment has what its connection would have.
        (folder / "dags" / f"{dag_id}.py").write_text(code.replace("s3://aws_default@", "s3://"))
    extra: dict[str, Any] = {"project_id": "proj_emulator", "requests_per_minute": 1_000_000}
    with AirflowUnderTest(
        folder / "home",
        folder / "dags",
        connections={
            "scenario_default": {
                "conn_type": "scenario",
                "login": "demo",
                "password": "demo",
                "host": emulator.url,
                "extra": extra,
            },
            "ai_creation_workshop_default": {
                "conn_type": "ai_creation_workshop",
                "login": "demo",
                "password": "demo",
                "host": emulator.root,
                "extra": {"api_token": "demo"},
            },
        },
        env=storage,
    ) as airflow:
        yield airflow


@pytest.fixture(scope="module")
def runs(airflow):
    """Start both DAGs at once, to save time."""
    return {dag_id: airflow.trigger(dag_id) for dag_id in snippets()}


def test_the_dag_to_copy_trains_a_lora_of_each_dataset_in_a_bucket(airflow, emulator, runs):
    run = runs["train_characters"]
    assert airflow.wait_for_run("train_characters", run) == "success"
    results = [airflow.xcom("train_characters", run, "train", map_index=index) for index in (0, 1)]
    assert [result["name"] for result in results] == ["hero", "ink"]
    assert [emulator.model(result["model_id"])["status"] for result in results] == ["trained", "trained"]


def test_the_publishing_snippet_ends_with_a_listed_lora(airflow, emulator, runs):
    run = runs["train_and_publish_hero"]
    assert airflow.wait_for_run("train_and_publish_hero", run) == "success"
    (model,) = emulator.ledger()["synced_models"]
    (file,) = model["files"]
    trained = airflow.xcom("train_and_publish_hero", run, "train")
    assert (model["model_id"], file["status"]) == (trained["model_id"], 10)
    assert file["version_id"] == f"{trained['model_id']}-{trained['epochs'][-1]['epoch']}"


def test_the_readme_has_no_other_whole_dags():
    assert set(snippets()) == {"train_characters", "train_and_publish_hero"}
