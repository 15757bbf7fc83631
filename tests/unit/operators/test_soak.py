"""Thirty trainings while one request in five fails; ``tests/system/test_soak.py`` is the same in a real Airflow."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from PIL import Image

from airflow_provider_scenario.client import budget
from airflow_provider_scenario.client.errors import ScenarioError
from airflow_provider_scenario.operators.training import ScenarioTrainLoraOperator

TASKS, RETRIES = 30, 30


@pytest.fixture
def folders(tmp_path):
    """Datasets of one and of two pictures."""
    for number in range(TASKS):
        folder = tmp_path / f"tile-{number:02}"
        folder.mkdir()
        for picture in range(1 + number % 2):
            Image.new("RGB", (64, 64), (number * 8, picture * 90, 120)).save(folder / f"{picture}.jpg")
            (folder / f"{picture}.txt").write_text(f"a plain tile, number {number}")
    return sorted(tmp_path.iterdir())


@pytest.mark.usefixtures("either_way")
def test_whatever_fails_now_and_then_each_is_made_and_paid_once(emulator, another_task, folders, monkeypatch):
    monkeypatch.setattr(budget, "AFTER_THROTTLING", 0.2)
    emulator.fail_at_random(0.2)
    contexts = [another_task(map_index=index) for index in range(TASKS)]
    with ThreadPoolExecutor(TASKS) as workers:
        results = list(workers.map(train_with_retries, contexts, folders))
    injected = emulator.calm_down()
    ledger = emulator.ledger()
    assert sum(injected.values()) >= 0.1 * ledger["totals"]["requests"], injected
    assert sum(context["ti"].try_number - 1 for context in contexts) >= 5, "too little had to be tried again"

    assert [result["name"] for result in results] == [folder.name for folder in folders]
    mine = Counter(result["model_id"] for result in results)
    assert Counter(model["model_id"] for model in ledger["models"]) == mine
    assert Counter(training["model_id"] for training in ledger["trainings"]) == mine
    assert {training["status"] for training in ledger["trainings"]} == {"trained"}
    given = Counter(image["model_id"] for image in ledger["training_images"])
    assert [given[result["model_id"]] for result in results] == [1 + number % 2 for number in range(TASKS)]
    assert sum(result["creative_units_cost"] for result in results) == ledger["totals"]["creative_units_billed"]


def train_with_retries(context, folder):
    """As Airflow does it: each try is another operator, in another process."""
    context["ti"].max_tries = RETRIES
    while True:
        operator = ScenarioTrainLoraOperator(
            task_id="train",
            name=folder.name,
            type="flux.2-dev-lora",
            images=str(folder),
            parameters={"nb_epochs": 1},
            short_description="A plain tile.",
            max_creative_units=1000,
            deferrable=False,
            poke_interval=0.2,
            retries=RETRIES,
        )
        try:
            return operator.execute(context)
        except ScenarioError:
            if context["ti"].try_number > RETRIES:
                raise
        context["ti"].try_number += 1
        context["ti"].xcoms.clear()
