"""What the operators report, serialised by OpenLineage's client, checked against its schemas."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime

import attr
import pytest
from airflow.sdk import DAG, Asset, ObjectStoragePath
from openlineage.client.event_v2 import Job, Run, RunEvent, RunState
from openlineage.client.serde import Serde

from airflow_provider_scenario.assets import to_open_lineage
from airflow_provider_scenario.exceptions import TrainingFailedForGoodError
from airflow_provider_scenario.lineage import facets
from airflow_provider_scenario.operators.model import ScenarioAddTrainingImagesOperator, ScenarioCreateModelOperator
from airflow_provider_scenario.operators.model_sync import (
    AICreationWorkshopPublishModelOperator,
    AICreationWorkshopSyncModelOperator,
)
from airflow_provider_scenario.operators.training import (
    ScenarioCancelTrainingOperator,
    ScenarioTrainLoraOperator,
    ScenarioTrainModelOperator,
)
from airflow_provider_scenario.sensors.training import ScenarioTrainingSensor
from tests.airflow_versions import TaskDeferred
from tests.openlineage_events import OURS, check_event
from tests.unit.publishing.conftest import tree

BLOCKING = {"deferrable": False, "poke_interval": 0.05}
PICTURES = 10
STATES = {"start": RunState.START, "complete": RunState.COMPLETE, "failure": RunState.FAIL}


def event(operator, moment):
    """The event as OpenLineage's client sends it."""
    method = getattr(operator, f"get_openlineage_facets_on_{moment}")
    lineage = method() if moment == "start" else method(None)
    sent = RunEvent(
        eventType=STATES[moment],
        eventTime=datetime.now(UTC).isoformat(),
        run=Run(str(uuid.uuid4()), facets=lineage.run_facets),
        job=Job("default", "dag.task", facets=lineage.job_facets),
        inputs=lineage.inputs,
        outputs=lineage.outputs,
        producer=facets.PRODUCER,
    )
    event = json.loads(Serde.to_json(sent))
    check_event(event)
    return event


def graph(event):
    return tuple([(each["namespace"], each["name"]) for each in event[side]] for side in ("inputs", "outputs"))


def run_facets(event):
    return {key: ours(facet) for key, facet in event["run"]["facets"].items()}


def ours(facet):
    return {name: value for name, value in facet.items() if not name.startswith("_")}


@pytest.fixture
def scenario(emulator):
    return emulator.url.replace("http://", "scenario://").removesuffix("/v1")


@pytest.fixture
def workshop(emulator):
    return emulator.root.replace("http://", "ai-creation-workshop://")


@pytest.fixture
def ink(datasets):
    return str(datasets / "ink-style")


@pytest.fixture
def model_id(emulator, another_task, ink):
    other = another_task()
    made = ScenarioCreateModelOperator(task_id="create", name="ink", type="flux.2-dev-lora").execute(other)
    ScenarioAddTrainingImagesOperator(task_id="images", model_id=made, images=ink).execute(other)
    return made


def lora(ink, **fields):
    return ScenarioTrainLoraOperator(
        **{"task_id": "train", "name": "knight", "type": "flux.2-dev-lora", "images": ink, **BLOCKING, **fields}
    )


def train(model_id, **fields):
    return ScenarioTrainModelOperator(**{"task_id": "train", "model_id": model_id, **BLOCKING, **fields})


def resumed(operator, deferral, payload, context):
    """The operator in the worker after the deferral, which knows nothing of the first."""
    kwargs = json.loads(json.dumps(deferral.kwargs))
    return operator.resume_execution("execute_complete", {"event": payload, **kwargs}, context)


async def end_of(trigger):
    trigger.deferred_at = None
    events = [event async for event in trigger.run()]
    return events[0].payload


class TestTrainLora:
    def test_a_success(self, emulator, context, scenario, ink):
        operator = lora(ink, parameters={"nb_epochs": 2, "wandb_key": None}, max_creative_units=1e6)
        started = event(operator, "start")
        assert graph(started) == ([("file", ink)], [])
        assert run_facets(started) == {"scenario_parameters": {"parameters": {"nbEpochs": 2}}}
        result = operator.execute(context)
        ended = event(operator, "complete")
        assert graph(ended) == ([("file", ink)], [(scenario, result["model_id"])])
        assert run_facets(ended) == {
            "scenario_training": {
                "modelId": result["model_id"],
                "modelName": "knight",
                "modelType": "flux.2-dev-lora",
                "jobId": result["job_id"],
                "projectId": "proj_emulator",
                "outcome": "trained",
                "status": "trained",
                "startedByThisTask": True,
                "trainSeconds": result["train_seconds"],
                "epochs": len(result["epochs"]),
            },
            "externalQuery": {"externalQueryId": result["job_id"], "source": "scenario"},
            "scenario_cost": {
                "creativeUnitsCost": result["creative_units_cost"],
                "creativeUnitsTotal": result["creative_units_total"],
                "maxCreativeUnits": 1e6,
            },
            "scenario_parameters": {"parameters": {"nbEpochs": 2}},
        }
        read = ours(ended["inputs"][0]["inputFacets"]["inputStatistics"])
        assert (read["fileCount"], read["size"] > 0) == (PICTURES, True)
        assert {key: ours(facet) for key, facet in ended["outputs"][0]["facets"].items()} == {
            "dataSource": {"name": scenario.removeprefix("scenario://"), "uri": emulator.url},
            "documentation": {"description": "Model 'knight' at Scenario."},
            "datasetType": {"datasetType": "MODEL", "subType": "flux.2-dev-lora"},
            "version": {"datasetVersion": result["job_id"]},
        }

    def test_a_failed_training_shows_what_was_billed(self, emulator, context, ink):
        emulator.outcome(fail_at=0.5, error="CUDA out of memory at https://host/x?key=1", hint="Use fewer images")
        operator = lora(ink)
        with pytest.raises(TrainingFailedForGoodError):
            operator.execute(context)
        training = emulator.ledger()["trainings"][0]
        failed = event(operator, "failure")
        assert graph(failed) == ([("file", ink)], [])
        facet, billed = run_facets(failed)["scenario_training"], training["creative_units"]
        assert run_facets(failed)["scenario_cost"] == {"creativeUnitsCost": billed, "creativeUnitsTotal": billed}
        assert (facet["outcome"], facet["jobId"]) == ("failed", training["job_id"])
        assert (facet["error"], facet["hint"]) == ("CUDA out of memory at https://host/x", "Use fewer images")

    def test_a_price_above_the_limit_bills_nothing(self, emulator, context, ink):
        operator = lora(ink, max_creative_units=1)
        with pytest.raises(Exception, match="max_creative_units"):
            operator.execute(context)
        assert emulator.ledger()["totals"]["creative_units_billed"] == 0
        facets = run_facets(event(operator, "failure"))
        assert facets["scenario_cost"] == {"maxCreativeUnits": 1}
        assert "jobId" not in facets["scenario_training"]

    def test_an_argument_that_is_refused(self, emulator, context):
        operator = lora("/does/not/exist")
        with pytest.raises(Exception, match="exist"):
            operator.execute(context)
        assert graph(event(operator, "failure")) == ([("file", "/does/not/exist")], [])

    def test_an_asset_of_the_model_is_another_name_of_it(self, emulator, context, ink):
        asset = Asset("scenario://model/knight")
        context["outlet_events"] = {asset: asset}
        operator = lora(ink, outlets=[asset, Asset("s3://bucket/x")])
        operator.execute(context)
        symlinks = event(operator, "complete")["outputs"][0]["facets"]["symlinks"]
        named = to_open_lineage(asset, None)
        assert ours(symlinks) == {"identifiers": [{"namespace": named.namespace, "name": named.name, "type": "ASSET"}]}
        assert (named.namespace, named.name) == ("scenario", "model/knight")


class TestDeferred:
    @pytest.mark.parametrize("ends_well", [True, False])
    async def test_the_second_worker_reports_what_the_first_has_noted(
        self, emulator, context, scenario, ink, monkeypatch, ends_well
    ):
        monkeypatch.setattr("airflow_provider_scenario.lineage.reporting.is_reported_to_open_lineage", lambda _: True)
        if not ends_well:
            emulator.outcome(fail_at=0.5, error="CUDA out of memory")
        fields = {"deferrable": True, "parameters": {"nb_epochs": 2, "wandb_key": "{{ conn.wandb.password }}"}}
        first, second = lora(ink, **fields), lora(ink, **fields)
        with pytest.raises(TaskDeferred) as deferral:
            first.execute(context)
        assert "wandb" not in json.dumps(deferral.value.kwargs)
        payload = await end_of(deferral.value.trigger)
        if ends_well:
            resumed(second, deferral.value, payload, context)
        else:
            with pytest.raises(TrainingFailedForGoodError):
                resumed(second, deferral.value, payload, context)
        training = emulator.ledger()["trainings"][0]
        ended = event(second, "complete" if ends_well else "failure")
        model = [(scenario, training["model_id"])] if ends_well else []
        assert graph(ended) == ([("file", ink)], model)
        facets = run_facets(ended)
        assert facets["scenario_parameters"] == {"parameters": {"nbEpochs": 2}}
        assert facets["scenario_cost"]["creativeUnitsCost"] == training["creative_units"]
        assert facets["scenario_training"]["projectId"] == "proj_emulator"


class TestTrainModel:
    def test_it_reads_the_training_images_of_its_model(self, emulator, context, scenario, model_id):
        operator = train(model_id, parameters={"nb_epochs": 1})
        operator.execute(context)
        images = (scenario, f"{model_id}/training-images")
        assert graph(event(operator, "complete")) == ([images], [(scenario, model_id)])

    def test_a_composition_reads_its_loras(self, emulator, context, another_task, scenario, train):
        loras = [train(name="a"), train(name="b")]
        create = ScenarioCreateModelOperator(
            task_id="create",
            name="both",
            type="flux.1-composition",
            concepts=[{"model_id": each, "scale": 1} for each in loras],
        )
        model_id = create.execute(another_task())
        parts = [(scenario, each) for each in loras]
        assert graph(event(create, "start")) == ([], [])
        assert graph(event(create, "complete")) == (parts, [(scenario, model_id)])
        operator = ScenarioTrainModelOperator(task_id="train", model_id=model_id, **BLOCKING)
        operator.execute(context)
        assert graph(event(operator, "complete")) == (parts, [(scenario, model_id)])

    def test_one_that_does_not_wait_reports_a_start(self, emulator, context, model_id):
        operator = train(model_id, wait_for_completion=False)
        operator.execute(context)
        facets = run_facets(event(operator, "complete"))
        assert facets["scenario_training"]["outcome"] == "started"
        assert facets["scenario_cost"]["creativeUnitsCost"] > 0

    def test_a_training_of_another_task_costs_this_one_nothing(self, emulator, context, another_task, model_id):
        train(model_id, wait_for_completion=False).execute(another_task(task_id="other"))
        operator = train(model_id)
        operator.execute(context)
        facets = run_facets(event(operator, "complete"))
        assert facets["scenario_training"]["startedByThisTask"] is False
        assert facets["scenario_cost"]["creativeUnitsCost"] == 0


@pytest.mark.parametrize("ends_well", [True, False])
def test_a_sensor_reads_a_model_and_pays_nothing(emulator, context, another_task, scenario, model_id, ends_well):
    if not ends_well:
        emulator.outcome(fail_at=0.5, error="CUDA out of memory")
    train(model_id, wait_for_completion=False).execute(another_task(task_id="other"))
    sensor = ScenarioTrainingSensor(task_id="wait", model_id=model_id, **BLOCKING)
    assert graph(event(sensor, "start")) == ([], [])
    if ends_well:
        sensor.execute(context)
    else:
        with pytest.raises(Exception, match="CUDA out of memory"):
            sensor.execute(context)
    ended = event(sensor, "complete" if ends_well else "failure")
    assert graph(ended) == ([(scenario, model_id)], [])
    assert run_facets(ended).keys() == {"scenario_training", "externalQuery"}
    assert run_facets(ended)["scenario_training"]["outcome"] == ("trained" if ends_well else "failed")


def test_adding_images_reads_a_bucket_and_fills_the_training_images_of_a_model(
    emulator, context, scenario, s3, bucket, ink
):
    s3.put(ink, f"{bucket}/ink", recursive=True)
    made = ScenarioCreateModelOperator(task_id="create", name="ink", type="flux.2-dev-lora").execute(context)
    images = ObjectStoragePath(f"s3://{bucket}/ink")
    operator = ScenarioAddTrainingImagesOperator(task_id="images", model_id=made, images=images)
    assert graph(event(operator, "start")) == ([(f"s3://{bucket}", "ink")], [])
    operator.execute(context)
    ended = event(operator, "complete")
    assert graph(ended) == ([(f"s3://{bucket}", "ink")], [(scenario, f"{made}/training-images")])
    written = ours(ended["outputs"][0]["outputFacets"]["outputStatistics"])
    assert (written["fileCount"], written["size"] > 0) == (PICTURES, True)


def test_publishing_reads_a_model_and_makes_one_of_the_workshop(
    emulator, context, scenario, workshop, train, files_folder, tmp_path
):
    emulator.set(listing_seconds=0)
    storage, public_url = str(files_folder / tmp_path.name), f"{emulator.root}/files/{tmp_path.name}"
    operator = AICreationWorkshopPublishModelOperator(
        task_id="publish", scenario_model_id=train(), storage=storage, public_url=public_url, base_model="vxl_1.0"
    )
    assert graph(event(operator, "start")) == ([], [])
    result = operator.execute(context)
    lora = (scenario, operator.scenario_model_id)
    assert graph(event(operator, "complete")) == ([lora], [(workshop, result["model_id"]), ("file", storage)])


def test_syncing_reads_files_without_their_signatures_and_makes_models_of_the_workshop(emulator, context, workshop):
    emulator.set(fetch_files=False, listing_seconds=0)
    signed = "https://cdn.example.com/loras/hero.safetensors?signature=not-in-any-event"
    given = tree()
    given["versions"][0]["files"][0]["downloadUrl"] = signed
    operator = AICreationWorkshopSyncModelOperator(task_id="sync", models=[given])
    folder = ("https://cdn.example.com", "/loras")
    assert graph(event(operator, "start")) == ([folder], [])
    operator.execute(context)
    ended = event(operator, "complete")
    assert graph(ended) == ([folder], [(workshop, "hero-1")])
    assert "not-in-any-event" not in json.dumps(ended)


def test_other_operators_leave_it_to_the_authors_inlets_and_outlets():
    operator = ScenarioCancelTrainingOperator(task_id="cancel", model_id="model_1")
    assert [graph(event(operator, moment)) for moment in STATES] == [([], [])] * 3


@pytest.mark.parametrize("moment", ["start", "complete", "failure"])
def test_arguments_of_any_kind_disturb_nothing(moment):
    with DAG("d", schedule=None):
        operator = lora("/data/ink")
    operator.images, operator.parameters, operator.max_creative_units = object(), [1], "a lot"
    operator.outlets = [object()]
    assert graph(event(operator, moment)) == ([], [])


@pytest.mark.parametrize("kind", [each for each in vars(facets).values() if hasattr(each, "KEY")])
def test_a_facets_schema_names_its_fields_and_its_address(kind):
    name = kind.__name__
    schema = json.loads((OURS / f"{name}.json").read_text())
    fields = {each.name for each in attr.fields(kind) if not each.name.startswith("_")}
    assert set(schema["$defs"][name]["allOf"][1]["properties"]) == fields
    assert kind._get_schema() == f"{schema['$id']}#/$defs/{name}"
    assert list(schema["properties"]) == [kind.KEY]


def test_a_wrong_facet_is_found():
    """The check itself can fail."""
    facet = facets.ScenarioTrainingRunFacet(outcome="unheard-of", producer=facets.PRODUCER)
    wrong = event(lora("/data/ink"), "start")
    wrong["run"]["facets"] = {facet.KEY: json.loads(Serde.to_json(facet))}
    with pytest.raises(Exception, match="unheard-of"):
        check_event(wrong)
