from __future__ import annotations

import pytest
from airflow.sdk import Asset
from airflow.triggers.base import TaskSuccessEvent

from airflow_provider_scenario.airflow_compat.exceptions import AirflowFailException, AirflowSensorTimeout
from airflow_provider_scenario.client.errors import InvalidInputError
from airflow_provider_scenario.operators.model import ScenarioAddTrainingImagesOperator, ScenarioCreateModelOperator
from airflow_provider_scenario.operators.training import ScenarioTrainModelOperator
from airflow_provider_scenario.sensors.training import ScenarioTrainingSensor
from tests.airflow_versions import SKIP_INSTEAD_OF_FAILING, AirflowSkipException, TaskDeferred

BOTH = pytest.mark.parametrize("deferrable", [True, False])


@pytest.fixture
def training(emulator, context, datasets):
    def start(**settings):
        emulator.set(**settings)
        model_id = ScenarioCreateModelOperator(task_id="create", name="ink", type="flux.2-dev-lora").execute(context)
        image = next((datasets / "ink-style").glob("*.jpg"))
        ScenarioAddTrainingImagesOperator(task_id="images", model_id=model_id, images=[image]).execute(context)
        train = ScenarioTrainModelOperator(task_id="t", model_id=model_id, wait_for_completion=False)
        return {"model_id": model_id, "job_id": train.execute(context)["job_id"]}

    return start


async def run(sensor, context):
    """The sensor's result, whichever way it waits; a deferral goes through Airflow's own resumption."""
    try:
        return sensor.execute(context)
    except TaskDeferred as deferral:
        async for event in deferral.trigger.run():
            return sensor.resume_execution("execute_complete", {"event": event.payload}, context)


def wait(**fields):
    return ScenarioTrainingSensor(**{"task_id": "wait", "poke_interval": 0.05, **fields})


@BOTH
@pytest.mark.parametrize("known", [("model_id",), ("job_id",), ("model_id", "job_id")])
async def test_it_waits_by_model_by_job_or_by_both(emulator, context, training, known, deferrable):
    ids = training()
    result = await run(wait(**{key: ids[key] for key in known}, deferrable=deferrable), context)
    assert result["status"] == "trained"
    assert result["job_id"] == ids["job_id"]
    assert result["creative_units_cost"] == emulator.ledger()["totals"]["creative_units_billed"]


def test_a_training_that_is_over_needs_no_triggerer(emulator, context, training):
    ids = training()
    emulator.advance(900)
    assert wait(**ids).execute(context)["status"] == "trained"


@BOTH
async def test_a_failed_training_fails_it_for_good(emulator, context, training, deferrable):
    emulator.outcome(fail_at=0.5, error="CUDA out of memory", hint="Use fewer images")
    ids = training()
    with pytest.raises(AirflowFailException, match=r"CUDA out of memory.*Use fewer images"):
        await run(wait(**ids, deferrable=deferrable), context)


@BOTH
async def test_soft_fail_skips_it(emulator, context, training, deferrable):
    emulator.outcome(fail_at=0.5)
    with pytest.raises(AirflowSkipException):
        await run(wait(**training(), deferrable=deferrable, soft_fail=True), context)


@BOTH
@pytest.mark.parametrize("flag", SKIP_INSTEAD_OF_FAILING)
def test_soft_fail_skips_it_when_the_first_look_sees_the_end(emulator, context, training, deferrable, flag):
    emulator.outcome(fail_at=0.5)
    ids = training()
    emulator.advance(900)
    with pytest.raises(AirflowSkipException):
        wait(**ids, deferrable=deferrable, **{flag: True}).execute(context)


@BOTH
async def test_out_of_time_it_fails_and_cancels_nothing(emulator, context, training, deferrable):
    ids = training(training_seconds=600)
    with pytest.raises(AirflowSensorTimeout):
        await run(wait(**ids, deferrable=deferrable, timeout=0.3), context)
    assert emulator.counts()["canceled"] == 0


async def test_a_result_that_meets_airflows_own_timeout_is_not_lost(context, training):
    sensor = wait(**training())
    with pytest.raises(TaskDeferred) as deferral:
        sensor.execute(context)
    event = await anext(deferral.value.trigger.run())
    assert sensor.resume_execution("__fail__", {"event": event.payload}, context)["status"] == "trained"


@BOTH
async def test_an_unknown_model_fails_it_at_once(emulator, context, deferrable):
    with pytest.raises(AirflowFailException, match="model_nope"):
        await run(wait(model_id="model_nope", deferrable=deferrable), context)


@BOTH
async def test_an_outage_does_not_fail_it(emulator, context, training, deferrable):
    ids = training()
    emulator.fault(kind="status", route="/models/*", status=503, times=2)
    emulator.advance(900)
    assert (await run(wait(**ids, deferrable=deferrable), context))["status"] == "trained"


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({}, "model_id and job_id are both empty"),
        ({"model_id": "a/b"}, "model_id is 'a/b'"),
        ({"model_id": "model_1", "poke_interval": -1}, "poke_interval is -1"),
        ({"model_id": "model_1", "timeout": 0}, "timeout is 0"),
    ],
)
def test_bad_input_is_told_when_the_dag_is_parsed(fields, said):
    with pytest.raises(InvalidInputError, match=said):
        wait(**fields)


def test_a_template_is_not_judged_before_it_is_rendered():
    wait(model_id="{{ ti.xcom_pull('create') }}")


QUIET = {"do_xcom_push": False}


@pytest.mark.parametrize(
    ("fields", "from_the_trigger"),
    [
        (QUIET, True),
        ({**QUIET, "outlets": [Asset("scenario://model/ink")]}, False),
        ({**QUIET, "on_success_callback": lambda context: None}, False),
        ({**QUIET, "post_execute": lambda context, result: None}, False),
    ],
)
async def test_success_starts_no_worker_again_where_none_has_anything_to_do(
    emulator, context, training, fields, from_the_trigger
):
    ids = training(training_seconds=600)
    with pytest.raises(TaskDeferred) as deferral:
        wait(model_id=ids["model_id"], **fields).execute(context)
    emulator.advance(900)
    event = await anext(deferral.value.trigger.run())
    assert isinstance(event, TaskSuccessEvent) is from_the_trigger
    assert wait(model_id=ids["model_id"]).execute_complete(context, event.payload)["status"] == "trained"


@pytest.mark.parametrize("keeps_state", [True, False])
def test_the_trigger_returns_its_result_where_airflow_lets_it(context, training, keeps_state):
    if not keeps_state:
        del context["task_state_store"]
    with pytest.raises(TaskDeferred) as deferral:
        wait(model_id=training(training_seconds=600)["model_id"]).execute(context)
    _, kwargs = deferral.value.trigger.serialize()
    assert (kwargs["end_from_trigger"], kwargs["do_xcom_push"], kwargs["pushed_xcoms"]) == (keeps_state, True, {})


async def test_a_training_that_failed_is_told_by_a_worker(emulator, context, training):
    ids = training(training_seconds=600)
    with pytest.raises(TaskDeferred) as deferral:
        wait(model_id=ids["model_id"], **QUIET).execute(context)
    emulator.cancel(ids["model_id"])
    event = await anext(deferral.value.trigger.run())
    assert not isinstance(event, TaskSuccessEvent)
    with pytest.raises(AirflowFailException):
        wait(model_id=ids["model_id"]).execute_complete(context, event.payload)
