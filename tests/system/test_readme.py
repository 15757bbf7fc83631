"""The DAGs of README and docs that need a bucket, unchanged, in a real Airflow with an S3 server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import fsspec
import pytest
from moto.server import ThreadedMotoServer

from airflow_provider_scenario.emulator.server import running_emulator
from tests.code_blocks import blocks_of
from tests.harness.airflow import AirflowUnderTest
from tests.witness import Witness

pytestmark = pytest.mark.full

ROOT = Path(__file__).parents[2]
DATASETS = ROOT / "example_dags" / "datasets"

PUBLISHES = """
from airflow.sdk import DAG
from airflow_provider_scenario.operators.model_sync import AICreationWorkshopPublishModelOperator
from airflow_provider_scenario.operators.training import ScenarioTrainLoraOperator
from airflow_provider_scenario.sensors.model_sync import AICreationWorkshopModelListingSensor

with DAG("publish_from_a_bucket", schedule=None):
    train = ScenarioTrainLoraOperator(
        task_id="train",
        name="Hero",
        type="flux.1-lora",
        images="s3://aws_default@studio/characters/hero",
        parameters={"nb_epochs": 4, "sample_prompts": ["the hero waving"]},
        max_creative_units=1000,
    )
    publish = AICreationWorkshopPublishModelOperator(
        task_id="publish",
        scenario_model_id=train.output["model_id"],
        epoch="last",
        storage="s3://aws_default@studio/loras",
        base_model="vxl_1.0",
    )
    AICreationWorkshopModelListingSensor(task_id="wait_until_listed", model=publish.output["model"])
"""
"""As in ``docs/guides/publish.md``, with a bucket that signs the addresses of the files."""


def dags() -> dict[str, str]:
    """The DAGs that run, by id."""
    blocks = [block for page in ("README.md", "docs/datasets.md") for block in blocks_of(ROOT / page)]
    return {dag_id: block.code for block in blocks for dag_id in block.dag_ids} | {"publish_from_a_bucket": PUBLISHES}


@pytest.fixture(scope="module")
def storage():
    """The buckets of the DAGs; gives the environment variables to reach them."""
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
    for dag_id, code in dags().items():
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
    """Start all DAGs at once, to save time."""
    return {dag_id: airflow.trigger(dag_id) for dag_id in dags()}


@pytest.mark.parametrize("dag_id", ["train_characters", "train_all_characters"])
def test_the_dag_to_copy_trains_a_lora_of_each_dataset_in_a_bucket(airflow, emulator, runs, dag_id):
    run = runs[dag_id]
    assert airflow.wait_for_run(dag_id, run) == "success"
    results = [airflow.xcom(dag_id, run, "train", map_index=index) for index in (0, 1)]
    assert [result["name"] for result in results] == ["hero", "ink"]
    assert [emulator.model(result["model_id"])["status"] for result in results] == ["trained", "trained"]


def test_publishing_from_a_bucket_ends_with_a_listed_lora(airflow, emulator, runs):
    run = runs["publish_from_a_bucket"]
    assert airflow.wait_for_run("publish_from_a_bucket", run) == "success"
    (model,) = emulator.ledger()["synced_models"]
    (file,) = model["files"]
    trained = airflow.xcom("publish_from_a_bucket", run, "train")
    assert (model["model_id"], file["status"]) == (trained["model_id"], 10)
    assert file["version_id"] == f"{trained['model_id']}-{trained['epochs'][-1]['epoch']}"


def test_there_are_no_other_whole_dags_here():
    assert set(dags()) == {"train_characters", "train_all_characters", "publish_from_a_bucket"}
