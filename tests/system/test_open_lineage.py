"""What a real Airflow with a transport of OpenLineage reports of trainings that end while their tasks are deferred."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.harness.airflow import AirflowUnderTest
from tests.harness.postgres import own_database
from tests.openlineage_events import check_event
from tests.system.fixtures import KEY, ROOT, SECRET, TOKEN
from tests.system.test_waiting import TO_RETURN, WORKER_STARTS
from tests.witness import Witness

pytestmark = pytest.mark.full

WANDB = "wandb-key-not-in-any-event"

Events = Callable[[str, str], dict[str, dict[str, Any]]]


class Runs(NamedTuple):
    """
    :param ids: name of the model → run id.
    :param trainings: model id → training, from the emulator's ledger.
    """

    ids: dict[str, str]
    trainings: dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def events_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("events")


@pytest.fixture(scope="module")
def airflow(emulator_process, connection, served, events_folder, tmp_path_factory):
    folder = tmp_path_factory.mktemp("airflow_with_lineage")
    shutil.copytree(ROOT / "example_dags" / "datasets" / "ink-style", folder / "dags" / "datasets" / "ink-style")
    shutil.copytree(ROOT / "tests" / "system" / "dags_with_lineage", folder / "dags", dirs_exist_ok=True)
    workshop = emulator_process.removesuffix("/v1")
    with (
        own_database() as database,
        AirflowUnderTest(
            folder / "home",
            folder / "dags",
            sql_alchemy_conn=database,
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
                        {"scope": {"dag_id": "silent"}, "controls": {"emit": False}},
                        {"scope": {}, "controls": {"include_full_task_info": True}},
                    ]
                ),
                "workers.min_heartbeat_interval": "1",
            },
        ) as airflow,
    ):
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


@pytest.fixture(scope="module")
def runs(airflow, emulator_process) -> Runs:
    """All DAGs at the same time, with one training that fails; the ledger as it is at the end."""
    emulator = Witness(emulator_process, KEY, SECRET)
    emulator.reset()
    emulator.set(training_seconds=3, listing_seconds=4)
    emulator.outcome(model="doomed", fail_at=0.5, error="CUDA out of memory", hint="Use fewer images")
    wanted = {
        name: ("lora" if name == "doomed" else name) for name in ("lora", "doomed", "steps", "published", "silent")
    }
    ids = {name: airflow.trigger(dag, {"name": name}) for name, dag in wanted.items()}
    states = {name: airflow.wait_for_run(dag, ids[name]) for name, dag in wanted.items()}
    assert states == {**dict.fromkeys(wanted, "success"), "doomed": "failed"}
    return Runs(ids, {each["model_id"]: each for each in emulator.ledger()["trainings"]})


def test_a_success(airflow, runs, events, scenario, dataset):
    result = airflow.xcom("lora", runs.ids["lora"], "train")
    train = events(runs.ids["lora"], "train")
    assert names(train["START"]["inputs"]) == names(train["COMPLETE"]["inputs"]) == [dataset]
    assert train["START"]["outputs"] == []
    (model,) = train["COMPLETE"]["outputs"]
    assert names([model]) == [(scenario, result["model_id"])]
    assert model["facets"]["version"]["datasetVersion"] == result["job_id"]
    facets = train["COMPLETE"]["run"]["facets"]
    assert ours(facets["scenario_training"]) == {
        "modelId": result["model_id"],
        "modelName": "lora",
        "modelType": "flux.2-dev-lora",
        "jobId": result["job_id"],
        "projectId": "proj_emulator",
        "outcome": "trained",
        "status": "trained",
        "startedByThisTask": True,
        "trainSeconds": result["train_seconds"],
        "epochs": 1,
    }
    cost = runs.trainings[result["model_id"]]["creative_units"]
    assert ours(facets["scenario_cost"]) == {
        "creativeUnitsCost": cost,
        "creativeUnitsTotal": cost,
        "maxCreativeUnits": 100_000,
    }
    assert ours(facets["scenario_parameters"]) == {"parameters": {"nbEpochs": 1}}


def test_a_failed_training_shows_what_was_billed(runs, events, dataset):
    fail = events(runs.ids["doomed"], "train")["FAIL"]
    assert (names(fail["inputs"]), fail["outputs"]) == ([dataset], [])
    facets = fail["run"]["facets"]
    training, billed = facets["scenario_training"], facets["scenario_cost"]["creativeUnitsCost"]
    in_ledger = runs.trainings[training["modelId"]]
    assert training["jobId"] == facets["externalQuery"]["externalQueryId"] == in_ledger["job_id"]
    assert billed == in_ledger["creative_units"]
    said = (training["outcome"], training["error"], training["hint"])
    assert said == ("failed", "CUDA out of memory", "Use fewer images")
    assert ours(facets["scenario_parameters"]) == {"parameters": {"nbEpochs": 1}}


def test_only_a_reported_task_needs_a_worker_at_its_end(airflow, runs, events):
    assert events(runs.ids["silent"], "train") == {}
    assert airflow.task_log("silent", runs.ids["silent"], "train").count(WORKER_STARTS) == TO_RETURN
    assert airflow.task_log("lora", runs.ids["lora"], "train").count(WORKER_STARTS) == 2


def test_each_step_continues_the_graph(airflow, runs, events, emulator_process, scenario, dataset, served):
    steps, published = runs.ids["steps"], runs.ids["published"]
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

    (trained,) = events(published, "train")["COMPLETE"]["outputs"]
    assert ours(trained["facets"]["symlinks"]) == {
        "identifiers": [{"namespace": "scenario", "name": "model/knight", "type": "ASSET"}]
    }
    end = events(published, "publish")["COMPLETE"]
    workshop = emulator_process.replace("http://", "ai-creation-workshop://").removesuffix("/v1")
    assert names(end["inputs"]) == names([trained])
    assert names(end["outputs"]) == [(workshop, trained["name"]), ("file", str(served))]
