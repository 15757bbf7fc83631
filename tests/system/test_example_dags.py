from __future__ import annotations

import hashlib
import importlib.util
import threading
from pathlib import Path

import pytest

from tests.harness.waiting import eventually
from tests.system.test_waiting import TO_RETURN, WORKER_STARTS


@pytest.fixture(autouse=True)
def no_import_errors(airflow):
    yield
    assert airflow.import_errors() == []


@pytest.mark.every_minor
def test_train_one_lora_trains_one_lora(airflow, emulator):
    run = airflow.trigger("train_one_lora")
    assert airflow.wait_for_run("train_one_lora", run) == "success"

    ledger = emulator.ledger()
    assert emulator.counts() == {"models": 1, "images": 10, "trainings": 1, "canceled": 0}
    result = airflow.xcom("train_one_lora", run, "wait_for_training")
    model = emulator.model(result["model_id"])
    assert model["status"] == result["status"] == "trained"
    assert result["job_id"] == model["jobId"]
    assert result["creative_units_cost"] == ledger["totals"]["creative_units_billed"] > 0
    assert [len(epoch["asset_ids"]) for epoch in result["epochs"]] == [2, 2, 2, 2]
    captions = {image["name"]: image["description"] for image in model["trainingImages"]}
    assert captions["01-mountains.jpg"].startswith("Ink wash painting of three misty mountain ridges")


def test_train_lora_chain_trains_two_loras_and_makes_a_composition_of_them(airflow, emulator):
    run = airflow.trigger("train_lora_chain")
    assert airflow.wait_for_run("train_lora_chain", run) == "success"

    ledger = emulator.ledger()
    assert emulator.counts() == {"models": 3, "images": 22, "trainings": 3, "canceled": 0}
    style, character = (airflow.xcom("train_lora_chain", run, f"{group}.train") for group in ("style", "character"))
    composition = airflow.xcom("train_lora_chain", run, "composition.train")
    model = emulator.model(composition["model_id"])
    assert {concept["modelId"] for concept in model["concepts"]} == {style["model_id"], character["model_id"]}
    assert model["thumbnail"]["assetId"] == composition["epochs"][-1]["asset_ids"][0]
    assert style["model_id"] in model["shortDescription"]
    spent = sum(result["creative_units_cost"] for result in (style, character, composition))
    assert spent == ledger["totals"]["creative_units_billed"]


@pytest.mark.every_minor
def test_train_and_publish_ends_with_a_listed_file(airflow, emulator, served):
    emulator.set(listing_seconds=60)
    run = airflow.trigger("train_and_publish", {"epoch": "000002"})
    airflow.wait_for_task("train_and_publish", run, "wait_until_listed", ["deferred"])
    emulator.advance(60)
    assert airflow.wait_for_run("train_and_publish", run) == "success"

    trained = airflow.xcom("train_and_publish", run, "train")
    published = airflow.xcom("train_and_publish", run, "publish")
    listing = airflow.xcom("train_and_publish", run, "wait_until_listed")
    assert airflow.task_log("train_and_publish", run, "wait_until_listed").count(WORKER_STARTS) == TO_RETURN
    (model,) = emulator.ledger()["synced_models"]
    (file,) = model["files"]
    assert model["model_id"] == published["model_id"] == listing["model_id"] == trained["model_id"]
    assert (model["changes"], file["version_id"]) == (1, f"{trained['model_id']}-000002")
    assert (published["status"], listing["status"], file["status"]) == (5, 10, 10)
    hosted = served / trained["model_id"] / trained["job_id"] / "000002.safetensors"
    assert hashlib.sha256(hosted.read_bytes()).hexdigest() == file["hash"]


def test_an_event_of_a_listing_becomes_an_asset_event(airflow, emulator):
    file = Path(__file__).parents[2] / "example_dags" / "listing_events.py"
    spec = importlib.util.spec_from_file_location("listing_events", file)
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    airflow.wait_for_dag("listing_events")
    receiver = example.serve(example.Airflow(airflow.url, airflow.username, airflow.password), "a-secret-path", 0)
    threading.Thread(target=receiver.serve_forever, daemon=True).start()
    try:
        emulator.set(callback_url=f"http://127.0.0.1:{receiver.server_port}/a-secret-path")
        run = airflow.trigger("train_and_publish")
        assert airflow.wait_for_run("train_and_publish", run) == "success"
        event_run = wait_for_first_run(airflow, "listing_events")
    finally:
        receiver.shutdown()
        receiver.server_close()
    (event,) = airflow.xcom("listing_events", event_run, "news")
    published = airflow.xcom("train_and_publish", run, "publish")
    assert (event["modelId"], event["status"]) == (published["model_id"], 10)
    assert "sign" not in event
    assert "apiToken" not in event


def wait_for_first_run(airflow, dag_id):
    runs = eventually(lambda: airflow.call("GET", f"/dags/{dag_id}/dagRuns")["dag_runs"])
    assert airflow.wait_for_run(dag_id, runs[0]["dag_run_id"]) == "success"
    return runs[0]["dag_run_id"]


def test_train_loras_on_many_machines_also_runs_on_one_machine(airflow, emulator):
    run = airflow.trigger("train_loras_on_many_machines", {"folder": str(airflow.dags / "datasets")})
    assert airflow.wait_for_run("train_loras_on_many_machines", run) == "success"

    assert emulator.counts() == {"models": 3, "images": 34, "trainings": 3, "canceled": 0}
    trained = {training["model_name"] for training in emulator.ledger()["trainings"] if training["status"] == "trained"}
    assert trained == {"hero-character", "ink-style", "isometric-props"}
