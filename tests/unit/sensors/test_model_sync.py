from __future__ import annotations

import pytest
from airflow.sdk import Asset

from airflow_provider_scenario.airflow_compat.exceptions import AirflowFailException, AirflowSensorTimeout
from airflow_provider_scenario.client.budget import RequestBudget
from airflow_provider_scenario.client.errors import InvalidInputError
from airflow_provider_scenario.client.workshop.schemas import read_tree
from airflow_provider_scenario.exceptions import ListingFailedError
from airflow_provider_scenario.operators.model_sync import AICreationWorkshopSyncModelOperator
from airflow_provider_scenario.sensors.model_sync import AICreationWorkshopModelListingSensor
from tests.airflow_versions import SKIP_INSTEAD_OF_FAILING, AirflowSkipException, TaskDeferred
from tests.unit.publishing.conftest import tree

BOTH = pytest.mark.parametrize("deferrable", [True, False])


@pytest.fixture(autouse=True)
def settings(emulator):
    emulator.set(fetch_files=False, listing_seconds=0.4)


async def run(sensor, context):
    """The sensor's result, whichever way it waits; a deferral goes through Airflow's own resumption."""
    try:
        return sensor.execute(context)
    except TaskDeferred as deferral:
        async for event in deferral.trigger.run():
            return sensor.resume_execution("execute_complete", {"event": event.payload}, context)


def wait(model=None, **fields):
    return AICreationWorkshopModelListingSensor(
        **{"task_id": "wait", "model": model or tree(), "poke_interval": 0.05, **fields}
    )


@BOTH
async def test_it_waits_until_the_file_is_listed(emulator, context, deferrable):
    AICreationWorkshopSyncModelOperator(task_id="sync", model=tree()).execute(context)
    result = await run(wait(deferrable=deferrable), context)
    model = emulator.ledger()["synced_models"][0]
    assert (result["state"], result["status"]) == ("listed", 10)
    assert (result["model_id"], result["model_file_id"]) == ("hero-1", model["files"][0]["file_id"])
    assert model["changes"] == 1
    assert model["syncs"] >= 3


async def test_one_that_holds_its_worker_waits_for_its_turn_too(emulator, context, monkeypatch):
    turns = []
    monkeypatch.setattr(RequestBudget, "turn", lambda _: turns.append(1) or 0.0)
    emulator.set(listing_seconds=0)
    assert (await run(wait(deferrable=False), context))["state"] == "listed"
    looks = emulator.ledger()["synced_models"][0]["syncs"]
    assert len(turns) == looks >= 1


@pytest.mark.parametrize(
    ("fields", "keeps_state", "end_from_trigger"),
    [
        ({}, True, True),
        ({}, False, False),
        ({"do_xcom_push": False}, False, True),
        ({"outlets": [Asset("workshop://hero")]}, True, False),
    ],
)
def test_a_listing_starts_no_worker_again_where_none_has_anything_to_do(context, fields, keeps_state, end_from_trigger):
    if not keeps_state:  # Airflow 3.1
        del context["task_state_store"]
    with pytest.raises(TaskDeferred) as deferral:
        wait(**fields).execute(context)
    _, kwargs = deferral.value.trigger.serialize()
    assert (kwargs["end_from_trigger"], kwargs["do_xcom_push"]) == (end_from_trigger, fields.get("do_xcom_push", True))


def test_what_is_listed_already_needs_no_triggerer(emulator, context):
    emulator.set(listing_seconds=0)
    assert wait().execute(context)["state"] == "listed"


@BOTH
async def test_a_failed_listing_fails_it_for_good_with_what_is_known(emulator, context, deferrable):
    emulator.outcome(of="listing", fail_at=0.5)
    with pytest.raises(ListingFailedError, match=r"status -10; model_version_id hero-1-1.*hero-1\.safetensors") as told:
        await run(wait(deferrable=deferrable), context)
    assert isinstance(told.value, AirflowFailException)


@BOTH
async def test_soft_fail_skips_it(emulator, context, deferrable):
    emulator.outcome(of="listing", fail_at=0.5)
    with pytest.raises(AirflowSkipException):
        await run(wait(deferrable=deferrable, soft_fail=True), context)


@BOTH
@pytest.mark.parametrize("flag", SKIP_INSTEAD_OF_FAILING)
def test_soft_fail_skips_it_when_the_first_look_sees_the_end(emulator, context, deferrable, flag):
    emulator.outcome(of="listing", fail_at=0)
    with pytest.raises(AirflowSkipException):
        wait(deferrable=deferrable, **{flag: True}).execute(context)


async def test_a_listing_that_meets_airflows_own_timeout_is_not_lost(emulator, context):
    AICreationWorkshopSyncModelOperator(task_id="sync", model=tree()).execute(context)
    sensor = wait(deferrable=True)
    with pytest.raises(TaskDeferred) as deferral:
        sensor.execute(context)
    event = await anext(deferral.value.trigger.run())
    assert sensor.resume_execution("__fail__", {"event": event.payload}, context)["state"] == "listed"


@BOTH
async def test_out_of_time_it_fails(emulator, context, deferrable):
    emulator.set(listing_seconds=600)
    with pytest.raises(AirflowSensorTimeout):
        await run(wait(deferrable=deferrable, timeout=0.3), context)


@BOTH
async def test_an_outage_does_not_fail_it(emulator, context, deferrable):
    emulator.fault(kind="status", route="/scc/*", status=503, times=2)
    assert (await run(wait(deferrable=deferrable), context))["state"] == "listed"


@BOTH
async def test_a_tree_that_the_service_refuses_fails_it_at_once(emulator, context, deferrable):
    refused = tree()
    refused["versions"][0]["baseModel"] = "flux.9"
    with pytest.raises(AirflowFailException, match="baseModel"):
        await run(wait(refused, deferrable=deferrable), context)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"model": {**tree(), "modelType": "dora"}}, "modelType is 'dora'"),
        ({"session": {"sessionMode": 15}}, "sessionMode is 15"),
        ({"poke_interval": -1}, "poke_interval is -1"),
        ({"timeout": 0}, "timeout is 0"),
        ({"url_expires_in": "long"}, "url_expires_in is 'long'"),
    ],
)
def test_bad_input_is_told_when_the_dag_is_parsed(fields, said):
    with pytest.raises(InvalidInputError, match=said):
        wait(**fields)


def test_a_template_is_not_judged_before_it_is_rendered(context):
    sensor = wait("{{ ti.xcom_pull('sync')['model'] }}")
    sensor.model = "a text, because templates are not rendered as native objects"
    with pytest.raises(AirflowFailException, match="The model tree must be an object"):
        sensor.execute(context)


def test_a_tree_made_with_the_schema_will_do(emulator, context):
    emulator.set(listing_seconds=0)
    assert wait(read_tree(tree())).execute(context)["model_id"] == "hero-1"
