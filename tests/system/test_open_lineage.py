"""What a real Airflow with a transport of OpenLineage reports of trainings that end while their tasks are deferred."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.harness.airflow import AirflowUnderTest
from tests.openlineage_events import check_event
from tests.system.fixtures import KEY, ROOT, SECRET, TOKEN
from tests.system.test_waiting import TO_RETURN, WORKER_STARTS

WANDB = "wandb-key-not-in-any-event"

Events = Callable[[str, str], dict[str, dict[str, Any]]]


@pytest.fixture(scope="module")
def events_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("events")


@pytest.fixture(scope="module")
def airflow(emulator_process, connection, served, events_folder, tmp_path_factory):
    folder = tmp_path_factory.mktemp("airflow_with_lineage")
    shutil.copytree(ROOT / "example_dags" / "datasets" / "ink-style", folder / "dags" / "datasets" / "ink-style")
    shutil.copytree(ROOT / "tests" / "system" / "dags_with_lineage", folder / "dags", dirs_exist_ok=True)
    workshop = emulator_process.removesuffix("/v1")
    with AirflowUnderTest(
        folder / "home",
        folder / "dags",
        connections={
            "scenario_default": connection,
            "ai_creation_workshop_default": {
                "conn_type": "ai_creation_workshop",
                "login": KEY,
                "password": SECRET,
                "host": workshop,
                "extra": {"api_token": TOKEN},
            },
            "wandb": {"conn_type": "http", "password": WANDB},
        },
        env={"LORA_STORAGE": str(served), "LORA_PUBLIC_URL": f"{workshop}/files"},
        config={
            "openlineage.disabled": "False",
            "openlineage.transport": json.dumps({"type": "file", "log_file_path": str(events_folder / "event")}),
            "openlineage.emission_policy": json.dumps(
                [
                    {"scope": {"dag_id": "not_reported"}, "controls": {"emit": False}},
                    {"scope": {}, "controls": {"include_full_task_info": True}},
                ]
            ),
            "workers.min_heartbeat_interval": "1",
        },
    ) as airflow:
        yield airflow


@pytest.fixture
def events(events_folder: Path) -> Events:
    """All events of a task, each valid, by type: the last one of each."""

    def events(run: str, task: str) -> dict[str, dict[str, Any]]:
        found = sorted(map(read, events_folder.iterdir()), key=lambda event: event["eventTime"])
        of_task = [event for event in found if is_of(event, run, task)]
        for event in of_task:
            check_event(event)
        return {event["eventType"]: event for event in of_task}

    return events


def read(path: Path) -> dict[str, Any]:
    text = path.read_text()
    assert not [secret for secret in (WANDB, SECRET, TOKEN) if secret in text]
    return json.loads(text)


def is_of(event: dict[str, Any], run: str, task: str) -> bool:
    details = event["run"]["facets"].get("airflow", {})
    return (details.get("dagRun", {}).get("run_id"), details.get("task", {}).get("task_id")) == (run, task)


def names(datasets: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(each["namespace"], each["name"]) for each in datasets]


def ours(facet: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in facet.items() if not name.startswith("_")}


@pytest.fixture
def scenario(emulator_process: str) -> str:
    return emulator_process.replace("http://", "scenario://").removesuffix("/v1")


@pytest.fixture
def dataset(airflow: AirflowUnderTest) -> tuple[str, str]:
    return "file", str(airflow.dags / "datasets" / "ink-style")


def test_trainings_of_deferred_tasks(airflow, emulator, events, scenario, dataset):
    """One success and one failure, at the same time."""
    emulator.outcome(model="doomed", fail_at=0.5, error="CUDA out of memory", hint="Use fewer images")
    good = airflow.trigger("lora", {"name": "knight"})
    bad = airflow.trigger("lora", {"name": "doomed"})
    unreported = airflow.trigger("not_reported", {"name": "unreported"})
    states = [
        airflow.wait_for_run(dag, run) for dag, run in (("lora", good), ("lora", bad), ("not_reported", unreported))
    ]
    assert states == ["success", "failed", "success"]

    training = {each["model_id"]: each for each in emulator.ledger()["trainings"]}
    result = airflow.xcom("lora", good, "train")
    of_good, of_bad = events(good, "train"), events(bad, "train")
    assert names(of_good["START"]["inputs"]) == names(of_good["COMPLETE"]["inputs"]) == [dataset]
    assert of_good["START"]["outputs"] == []
    (model,) = of_good["COMPLETE"]["outputs"]
    assert names([model]) == [(scenario, result["model_id"])]
    assert model["facets"]["version"]["datasetVersion"] == result["job_id"]
    facets = of_good["COMPLETE"]["run"]["facets"]
    assert ours(facets["scenario_training"]) == {
        "modelId": result["model_id"],
        "modelName": "knight",
        "modelType": "flux.2-dev-lora",
        "jobId": result["job_id"],
        "projectId": "proj_emulator",
        "outcome": "trained",
        "status": "trained",
        "startedByThisTask": True,
        "trainSeconds": result["train_seconds"],
        "epochs": 1,
    }
    cost = training[result["model_id"]]["creative_units"]
    assert ours(facets["scenario_cost"]) == {
        "creativeUnitsCost": cost,
        "creativeUnitsTotal": cost,
        "maxCreativeUnits": 100_000,
    }
    assert ours(facets["scenario_parameters"]) == {"parameters": {"nbEpochs": 1}}

    assert names(of_bad["FAIL"]["inputs"]) == [dataset]
    assert of_bad["FAIL"]["outputs"] == []
    facets = of_bad["FAIL"]["run"]["facets"]
    failed = training[facets["scenario_training"]["modelId"]]
    assert facets["scenario_training"]["jobId"] == facets["externalQuery"]["externalQueryId"] == failed["job_id"]
    assert facets["scenario_training"]["outcome"] == "failed"
    assert facets["scenario_training"]["error"] == "CUDA out of memory"
    assert facets["scenario_training"]["hint"] == "Use fewer images"
    assert facets["scenario_cost"]["creativeUnitsCost"] == failed["creative_units"]
    assert ours(facets["scenario_parameters"]) == {"parameters": {"nbEpochs": 1}}

    # Only a reported task needs a worker at its end, in which Airflow calls OpenLineage's listener.
    assert events(unreported, "train") == {}
    assert airflow.task_log("lora", good, "train").count(WORKER_STARTS) == 2
    assert airflow.task_log("not_reported", unreported, "train").count(WORKER_STARTS) == TO_RETURN


def test_each_step_continues_the_graph(airflow, emulator, events, emulator_process, scenario, dataset, served):
    steps = airflow.trigger("steps", {"name": "rook"})
    lora = airflow.trigger("lora_with_outlet", {"name": "knight"})
    assert [airflow.wait_for_run("steps", steps), airflow.wait_for_run("lora_with_outlet", lora)] == ["success"] * 2

    model = (scenario, airflow.xcom("steps", steps, "create"))
    learned = (scenario, f"{model[1]}/training-images")
    ends = {task: events(steps, task)["COMPLETE"] for task in ("create", "images", "train", "wait")}
    assert {task: (names(end["inputs"]), names(end["outputs"])) for task, end in ends.items()} == {
        "create": ([], [model]),
        "images": ([dataset], [learned]),
        "train": ([learned], [model]),
        "wait": ([model], []),
    }
    assert ours(ends["images"]["outputs"][0]["outputFacets"]["outputStatistics"])["fileCount"] == 10
    assert "scenario_cost" not in ends["wait"]["run"]["facets"]
    assert ends["train"]["run"]["facets"]["scenario_cost"]["creativeUnitsCost"] > 0

    (trained,) = events(lora, "train")["COMPLETE"]["outputs"]
    assert ours(trained["facets"]["symlinks"]) == {
        "identifiers": [{"namespace": "scenario", "name": "model/knight", "type": "ASSET"}]
    }
    published = events(lora, "publish")["COMPLETE"]
    workshop = emulator_process.replace("http://", "ai-creation-workshop://").removesuffix("/v1")
    assert names(published["inputs"]) == names([trained])
    assert names(published["outputs"]) == [(workshop, trained["name"]), ("file", str(served))]
