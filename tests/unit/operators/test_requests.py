"""Scenario takes 100 requests a minute of a project: what a LoRA asks for beside its images, counted at the service."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from airflow_provider_scenario.client.errors import ServiceError
from airflow_provider_scenario.operators.training import ScenarioTrainLoraOperator
from tests.airflow_versions import TaskDeferred

CREATE = "POST /v1/models"
READ = "GET /v1/models/{modelId}"
READ_MANY = "POST /v1/models/get-bulk"
SCORE = "GET /v1/models/{modelId}/scores/training-dataset"
TRAIN = "PUT /v1/models/{modelId}/train"
DESCRIBE = "PUT /v1/models/{modelId}"
JOB = "GET /v1/jobs/{jobId}"
OF_IMAGES = ("POST /v1/models/{modelId}/training-images", "PUT /v1/assets/{assetId}")

PLAIN = {CREATE: 1, SCORE: 1, TRAIN: 1, JOB: 1}
"""And the looks: one, where the first sees the end."""


@pytest.fixture
def folder(tmp_path):
    """Four small pictures with captions."""
    for number in range(4):
        Image.new("RGB", (64, 64), (60 * number, 90, 120)).save(tmp_path / f"{number}.jpg")
        (tmp_path / f"{number}.txt").write_text(f"a plain tile, number {number}")
    return str(tmp_path)


@pytest.fixture
def lora(folder):
    def make(**fields):
        return ScenarioTrainLoraOperator(
            **{
                "task_id": "lora",
                "name": "ink",
                "type": "flux.2-dev-lora",
                "images": folder,
                "poke_interval": 0.3,
                **fields,
            }
        )

    return make


def deferred(operator, context):
    with pytest.raises(TaskDeferred) as deferral:
        operator.execute(context)
    return deferral.value


async def events_of(deferrals):
    return [event.payload for event in await asyncio.gather(*(anext(each.trigger.run()) for each in deferrals))]


def trained(operator, context, emulator):
    """Run the operator from its start to its end; the training ends while the trigger pauses."""
    deferral = deferred(operator, context)
    emulator.advance(900)
    (event,) = asyncio.run(events_of([deferral]))
    result = operator.execute_complete(context, event, **deferral.kwargs)
    assert result["status"] == "trained"
    assert result["epochs"]
    assert result["creative_units_cost"] == emulator.ledger()["totals"]["creative_units_billed"]


def beside_images(emulator):
    return {route: count for route, count in emulator.ledger()["requests"].items() if route not in OF_IMAGES}


@pytest.mark.parametrize(
    ("fields", "more"),
    [
        ({}, {READ: 1}),
        ({"max_creative_units": 1000}, {READ: 1, TRAIN: 2}),  # asked for the price, then started
        ({"short_description": "Loose ink."}, {READ: 1, DESCRIBE: 1}),
    ],
)
def test_a_lora_takes_six_requests_at_most_beside_its_images(emulator, context, lora, fields, more):
    emulator.set(training_seconds=600)
    trained(lora(**fields), context, emulator)
    asked = beside_images(emulator)
    assert asked == {**PLAIN, **more}
    assert sum(asked.values()) <= 6


def test_a_retry_reads_the_model_before_and_after_it_gives_it_what_it_lacks(emulator, context, lora):
    emulator.set(training_seconds=600)
    emulator.fault(kind="close", method="POST", route="/models/*/training-images", when="before", skip=1)
    with pytest.raises(ServiceError):
        lora().execute(context)
    context["ti"].try_number += 1
    trained(lora(), context, emulator)
    assert beside_images(emulator) == {**PLAIN, READ: 3}


def test_what_is_said_against_the_dataset_names_its_images_though_the_model_is_not_read_again(
    emulator, context, lora, folder, capsys
):
    for number in (1, 2):
        (Path(folder) / f"{number}.txt").write_text("a plain tile")
    deferred(lora(), context)
    assert READ not in beside_images(emulator)
    assert "Dataset: 2 images with identical captions: 1.jpg = 2.jpg." in capsys.readouterr().out


def test_an_edit_model_is_checked_with_its_pairs_though_it_is_not_read_again(emulator, context, lora):
    pairs = [{"source": f"{one}.jpg", "target": f"{one + 1}.jpg", "instruction": "ink it"} for one in (0, 2)]
    deferred(lora(type="flux.1-kontext-lora", pairs=pairs), context)
    assert READ not in beside_images(emulator)
    assert emulator.counts()["trainings"] == 1


def test_where_the_dataset_holds_assets_the_model_is_read_before_it_is_paid_for(emulator, context, another_task, lora):
    deferred(lora(), context)
    there = emulator.model(context["ti"].xcoms["model_id"])["trainingImages"]
    before = Counter(emulator.ledger()["requests"])
    deferred(lora(images=[{"asset_id": image["id"]} for image in there]), another_task())
    assert (Counter(emulator.ledger()["requests"]) - before)[READ] == 1


def test_a_hundred_loras_take_six_requests_each_at_most_their_looks_included(emulator, another_task, lora):
    emulator.set(training_seconds=3600)
    deferrals = []
    for number in range(100):
        operator = lora(short_description="Loose ink.", poke_interval=0.1, name=f"ink {number}")
        context = another_task(map_index=number)
        deferrals.append((operator, context, deferred(operator, context)))

    async def end_all():
        while (await asyncio.to_thread(beside_images, emulator)).get(READ_MANY, 0) < 10:  # five looks at each
            await asyncio.sleep(0.05)
        await asyncio.to_thread(emulator.advance, 4000)

    async def waiting():
        events, _ = await asyncio.gather(events_of([deferral for _, _, deferral in deferrals]), end_all())
        return events

    for (operator, context, deferral), event in zip(deferrals, asyncio.run(waiting()), strict=True):
        assert operator.execute_complete(context, event, **deferral.kwargs)["status"] == "trained"
    asked = beside_images(emulator)
    looks = asked.pop(READ_MANY) + asked.pop(READ, 0)
    assert asked == {route: 100 * count for route, count in {**PLAIN, DESCRIBE: 1}.items()}
    assert looks <= 100
