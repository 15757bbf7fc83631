"""A Weights & Biases key among training parameters: Scenario gets it, and nobody else sees it."""

from __future__ import annotations

import asyncio
import copy
import json
import pickle
from datetime import UTC, datetime

import pytest
from airflow.sdk import DAG
from airflow.sdk.execution_time.task_runner import _serialize_rendered_fields

from airflow_provider_scenario.airflow_compat.exceptions import AirflowFailException
from airflow_provider_scenario.client.errors import InvalidInputError
from airflow_provider_scenario.client.scenario.trainers import check_parameters
from airflow_provider_scenario.client.secret_text import SecretText, revealed
from airflow_provider_scenario.exceptions import SecretChangedError
from airflow_provider_scenario.hooks.scenario import ScenarioHook
from airflow_provider_scenario.operators.cost import ScenarioEstimateTrainingCostOperator
from airflow_provider_scenario.operators.model import ScenarioUpdateModelOperator
from airflow_provider_scenario.operators.training import ScenarioTrainLoraOperator, ScenarioTrainModelOperator
from airflow_provider_scenario.plugin.trainings import without_secrets
from airflow_provider_scenario.triggers.training import ScenarioTrainingSlotTrigger
from airflow_provider_scenario.watch.result import TrainingResult
from airflow_provider_scenario.watch.start import start_or_adopt
from tests.airflow_versions import TaskDeferred
from tests.unit.conftest import *  # noqa: F403 - its fixtures
from tests.unit.conftest import connection
from tests.unit.operators.conftest import model_id, pictures  # noqa: F401

KEY = "0123456789abcdef0123456789abcdef01234567"
TEMPLATE = "{{ wandb }}"


def rendered(task, **values):
    """The task as Airflow renders it, and the fields as it stores them."""
    context = {"wandb": KEY, "ti": None, **values}
    task.render_template_fields(context)
    return context.get("task", task)


def unmapped(partial, **expand):
    with DAG("a_dag", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC)):
        mapped = partial.expand(**expand)
    task = mapped.unmap({name: values[0] for name, values in expand.items()})
    # As MappedOperator.render_template_fields does, which needs a database for the place in the map.
    task._do_render_template_fields(task, mapped.template_fields, {"wandb": KEY}, mapped.get_template_env(), set())
    return task


def stored(task):
    """What Airflow keeps of the fields, and what any serialiser would make of them."""
    fields = {name: getattr(task, name) for name in task.template_fields}
    return json.dumps(_serialize_rendered_fields(task)) + json.dumps(fields) + str(fields) + repr(fields)


def lora(cls=ScenarioTrainLoraOperator, **fields):
    return cls(**{"task_id": "t", "name": "ink", "type": "flux.2-dev-lora", "images": "/data/ink", **fields})


TASKS = {
    "train": lambda: ScenarioTrainModelOperator(task_id="t", model_id="m", parameters={"wandbKey": TEMPLATE}),
    "lora": lambda: lora(parameters={"wandb_key": TEMPLATE, "rank": "{{ 8 }}"}),
    "misspelt": lambda: lora(parameters={"WANDB_API_KEY": TEMPLATE}),
    "update": lambda: ScenarioUpdateModelOperator(task_id="t", model_id="m", parameters={"wandb_key": TEMPLATE}),
    "cost": lambda: ScenarioEstimateTrainingCostOperator(
        task_id="t",
        trainings=[{"type": "flux.2-dev-lora", "images": 9, "parameters": {"wandb_key": TEMPLATE}}],
        parameters={"wandb_key": TEMPLATE},
    ),
}


@pytest.mark.parametrize("kind", TASKS)
def test_no_rendered_field_shows_it(kind):
    task = rendered(TASKS[kind]())
    assert KEY not in stored(task)
    assert "***" in stored(task)


def test_no_rendered_field_of_a_mapped_task_shows_it():
    fields = {"type": "flux.2-dev-lora", "images": "/data/ink", "parameters": {"wandb_key": TEMPLATE}}
    partial = ScenarioTrainLoraOperator.partial(task_id="t", **fields)
    assert KEY not in stored(unmapped(partial, name=["a", "b"]))
    partial = ScenarioTrainModelOperator.partial(task_id="t", model_id="m")
    task = unmapped(partial, parameters=[{"wandb_key": TEMPLATE}])
    assert KEY not in stored(task)
    assert revealed(task.parameters) == {"wandb_key": KEY}


def test_a_key_that_native_rendering_takes_for_a_number_is_hidden_too():
    task = ScenarioTrainModelOperator(task_id="t", model_id="m")
    assert repr(task.render_template({"wandb_key": 12345678901234567890}, {})) == "{'wandb_key': '***'}"


@pytest.mark.parametrize(
    "operator", [ScenarioTrainModelOperator, ScenarioTrainLoraOperator, ScenarioUpdateModelOperator]
)
def test_it_is_refused_in_the_dag_file_of_a_mapped_task_too(operator):
    with pytest.raises(InvalidInputError, match="must not be in a DAG file"):
        operator.partial(task_id="t", parameters={"wandb_key": KEY})


@pytest.mark.parametrize("deep", [{"extra_parameters": {"wandbKey": KEY}}, {"loggers": [{"wandb_key": KEY}]}])
def test_it_is_refused_in_the_dag_file_within_another_parameter_beside_a_template_too(deep):
    with pytest.raises(InvalidInputError, match="must not be in a DAG file"):
        ScenarioTrainModelOperator(task_id="t", model_id="m", parameters={"concept_prompt": "{{ x }}", **deep})


def test_it_is_refused_in_the_dag_file_that_keeps_it_with_a_model():
    with pytest.raises(InvalidInputError, match="must not be in a DAG file"):
        ScenarioUpdateModelOperator(task_id="t", model_id="m", parameters={"wandb_key": KEY})


@pytest.mark.parametrize(
    "parameters",
    [
        {"wandbKey": KEY, "rank": "?"},
        {"WANDB_API_KEY": KEY},
        {"wandb-key": KEY},
        {"wandbKey": [KEY]},
        {"wandbKey": {"key": KEY}},
        {"wandbKey": KEY + "0"},
        str({"wandb_key": KEY}),
        [("wandb_key", KEY)],
    ],
)
def test_no_message_about_wrong_parameters_repeats_it(parameters):
    with pytest.raises(InvalidInputError) as caught:
        check_parameters(parameters)
    assert KEY not in str(caught.value)
    estimate = rendered(ScenarioEstimateTrainingCostOperator(task_id="t", trainings="{{ x }}"), x=str(parameters))
    with pytest.raises(AirflowFailException) as caught:
        estimate.execute({})
    assert KEY not in str(caught.value)


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda secret: pickle.loads(pickle.dumps(secret))])
def test_a_hidden_secret_survives_a_copy_and_still_reads_as_stars(copied):
    secret = copied(SecretText(KEY))
    assert revealed(secret) == KEY
    assert [str(secret), repr(secret), f"{secret}", json.dumps(secret), secret.encode()] == [
        "***",
        "'***'",
        "***",
        '"***"',
        b"***",
    ]


def test_two_hidden_secrets_are_equal_where_the_secrets_are():
    assert SecretText("a") == SecretText("a") == "a"
    assert SecretText("a") != SecretText("b")
    assert len({SecretText("a"), SecretText("a"), SecretText("b")}) == 2


def test_the_page_shows_no_parameter_that_sounds_like_it_however_deep():
    given = {"WANDB_API_KEY": KEY, "wandb-key": KEY, "wandbKey": KEY, "rank": 8, "more": {"wandb_key": KEY}}
    assert without_secrets(given) == {"rank": 8, "more": {"wandb_key": KEY}}
    assert KEY not in json.dumps(without_secrets(given))


def test_scenario_gets_it(emulator, context, model_id):  # noqa: F811
    task = ScenarioTrainModelOperator(task_id="t", model_id=model_id, parameters={"wandb_key": TEMPLATE})
    task.wait_for_completion = False
    rendered(task).execute(context)
    assert emulator.model(model_id)["parameters"]["wandbKey"] == KEY
    assert KEY not in json.dumps(context["ti"].xcoms)
    assert KEY not in json.dumps(context["task_state_store"].kept)


def test_scenario_gets_it_for_a_model_that_is_updated(emulator, context, model_id):  # noqa: F811
    task = ScenarioUpdateModelOperator(task_id="t", model_id=model_id, parameters={"wandb_key": TEMPLATE})
    rendered(task).execute(context)
    assert emulator.model(model_id)["parameters"]["wandbKey"] == KEY


class TestWaitingForASlot:
    """Nothing that Airflow stores or logs of the trigger has it, and the training still gets it."""

    @pytest.fixture
    def trigger(self, emulator, context, another_task, model_id, pictures):  # noqa: F811
        """As it was deferred, after its journey through Airflow's database."""
        emulator.set(training_seconds=600, parallel_training=1)
        ScenarioTrainLoraOperator(
            task_id="other", name="other", type="flux.2-dev-lora", images=pictures, wait_for_completion=False
        ).execute(another_task())
        task = ScenarioTrainModelOperator(
            task_id="t", model_id=model_id, parameters={"wandb_key": TEMPLATE, "nb_epochs": 2}, poke_interval=0.05
        )
        with pytest.raises(TaskDeferred) as deferral:
            rendered(task).execute(context)
        emulator.set(parallel_training=2)
        path, kwargs = deferral.value.trigger.serialize()
        everything = json.dumps([path, kwargs, deferral.value.kwargs]) + repr(deferral.value.trigger)
        assert KEY not in everything
        assert kwargs["parameters"] == {"nbEpochs": 2}
        assert KEY not in json.dumps(context["task_state_store"].kept)
        return ScenarioTrainingSlotTrigger(**json.loads(json.dumps(kwargs)))

    async def test_the_training_gets_it(self, emulator, trigger):
        trigger.wait_for_completion = False
        event = await anext(trigger.run())
        assert event.payload["outcome"] == "started"
        assert emulator.model(trigger.model_id)["parameters"]["wandbKey"] == KEY
        assert KEY not in json.dumps(event.payload)

    async def test_what_scenario_quotes_of_it_reaches_no_event(self, emulator, trigger):
        refusal = {"reason": f'"parameters.wandbKey" with value "{KEY}" is not known to W&B'}
        emulator.fault(kind="status", status=400, body=refusal, method="PUT", route="/models/*/train")
        event = await anext(trigger.run())
        assert event.payload["outcome"] == "not-started"
        assert "is not known to W&B" in event.payload["error"]
        assert KEY not in json.dumps(event.payload)

    async def test_a_connection_whose_secret_was_changed_leads_to_a_retry(self, emulator, trigger, monkeypatch):
        emulator.set(api_secret="rotated")
        monkeypatch.setenv("AIRFLOW_CONN_SCENARIO_DEFAULT", connection(host=emulator.url, password="rotated"))
        event = await anext(trigger.run())
        with pytest.raises(SecretChangedError, match=r"Nothing was started or billed\. A retry encrypts"):
            TrainingResult.from_event(event.payload).value_or_raise()
        assert not issubclass(SecretChangedError, AirflowFailException)

    async def test_a_training_that_runs_already_is_adopted_whatever_became_of_the_secret(
        self, emulator, trigger, monkeypatch
    ):
        trigger.encrypted = "another secret's"
        model = await asyncio.to_thread(ScenarioHook().client.get_model, trigger.model_id)
        await asyncio.to_thread(start_or_adopt, ScenarioHook().client, model, {})
        trigger.wait_for_completion = False
        event = await anext(trigger.run())
        assert event.payload["outcome"] == "started"

    async def test_a_row_in_which_an_earlier_version_has_stored_it_still_trains_with_it(self, emulator, trigger):
        trigger.parameters, trigger.encrypted, trigger.wait_for_completion = {"wandbKey": KEY}, None, False
        assert (await anext(trigger.run())).payload["outcome"] == "started"
        assert emulator.model(trigger.model_id)["parameters"]["wandbKey"] == KEY
