from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def no_import_errors(airflow):
    yield
    assert airflow.import_errors() == []


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
