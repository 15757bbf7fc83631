"""What an author is told when the DAG is parsed, mapped or not, and what is left to a worker."""

from __future__ import annotations

import gc
from datetime import UTC, datetime
from unittest.mock import MagicMock

import pytest
from airflow.sdk import DAG, BaseSensorOperator, TaskGroup, task

from airflow_provider_scenario.airflow_compat.exceptions import AirflowFailException
from airflow_provider_scenario.client.errors import InvalidInputError
from airflow_provider_scenario.operators.cost import ScenarioEstimateTrainingCostOperator
from airflow_provider_scenario.operators.model import (
    ScenarioAddTrainingImagesOperator,
    ScenarioCreateModelOperator,
    ScenarioUpdateModelOperator,
)
from airflow_provider_scenario.operators.model_sync import (
    AICreationWorkshopPublishModelOperator,
    AICreationWorkshopSyncModelOperator,
)
from airflow_provider_scenario.operators.training import (
    ScenarioCancelTrainingOperator,
    ScenarioTrainLoraOperator,
    ScenarioTrainModelOperator,
)
from airflow_provider_scenario.sensors.model_sync import AICreationWorkshopModelListingSensor
from airflow_provider_scenario.sensors.training import ScenarioTrainingSensor

LORA = {"name": "ink", "type": "flux.2-dev-lora", "images": "s3://bucket/ink"}
TREE = {"modelId": "m"}
PUBLISHED = {"scenario_model_id": "m", "storage": "s3://bucket/x"}

WRONG = [
    (ScenarioTrainLoraOperator, LORA, {"parameters": {"nbEpoch": 3}}),
    (ScenarioTrainLoraOperator, LORA, {"max_creative_units": -5}),
    (ScenarioTrainLoraOperator, LORA, {"poke_interval": 0}),
    (ScenarioTrainLoraOperator, LORA, {"timeout": "long"}),
    (ScenarioTrainLoraOperator, LORA, {"on_clear": "pay"}),
    (ScenarioTrainLoraOperator, LORA, {"threads": 0}),
    (ScenarioTrainLoraOperator, LORA, {"name": "x" * 65}),
    (ScenarioTrainLoraOperator, LORA, {"preset": "faces"}),
    (ScenarioTrainLoraOperator, LORA, {"images": []}),
    (ScenarioTrainLoraOperator, LORA, {"pairs": [{"source": "a"}]}),
    (ScenarioTrainModelOperator, {"model_id": "m"}, {"parameters": {"nbEpoch": 3}}),
    (ScenarioTrainModelOperator, {"model_id": "m"}, {"model_id": "a/b"}),
    (ScenarioCancelTrainingOperator, {"model_id": "m"}, {"model_id": "a/b"}),
    (ScenarioCreateModelOperator, {"name": "ink", "type": "flux.2-dev-lora"}, {"name": ""}),
    (ScenarioUpdateModelOperator, {"model_id": "m"}, {"unset": ["name"]}),
    (ScenarioUpdateModelOperator, {"model_id": "m"}, {"thumbnail": "asset_1", "thumbnail_from_epoch": 3}),
    (ScenarioUpdateModelOperator, {"model_id": "m"}, {"add_tags": ["a"], "delete_tags": ["a"]}),
    (ScenarioAddTrainingImagesOperator, {"model_id": "m", "images": "s3://bucket/ink"}, {"threads": 99}),
    (ScenarioEstimateTrainingCostOperator, {"trainings": []}, {"parameters": {"nbEpoch": 3}}),
    (AICreationWorkshopSyncModelOperator, {"models": "{{ x }}"}, {"threads": 0}),
    (AICreationWorkshopSyncModelOperator, {"models": "{{ x }}"}, {"url_expires_in": 0}),
    (AICreationWorkshopSyncModelOperator, {"models": "{{ x }}"}, {"model": TREE}),
    (AICreationWorkshopPublishModelOperator, PUBLISHED, {"download_timeout": 0}),
    (AICreationWorkshopPublishModelOperator, PUBLISHED, {"scenario_model_id": "a/b"}),
    (AICreationWorkshopPublishModelOperator, PUBLISHED, {"trigger_words": "ink"}),
    (ScenarioTrainingSensor, {"model_id": "m"}, {"poke_interval": 0}),
    (ScenarioTrainingSensor, {"model_id": "m"}, {"timeout": 0}),
    (ScenarioTrainingSensor, {"model_id": "m"}, {"job_id": "a/b"}),
    (AICreationWorkshopModelListingSensor, {"model": "{{ x }}"}, {"poke_interval": 0}),
    (AICreationWorkshopModelListingSensor, {"model": "{{ x }}"}, {"url_expires_in": "never"}),
    (AICreationWorkshopModelListingSensor, {"model": TREE}, {"session": {}}),
]
EACH = pytest.mark.parametrize(
    ("operator", "fields", "wrong"),
    [pytest.param(*case, id=f"{case[0].__name__}: {', '.join(case[2])} {number}") for number, case in enumerate(WRONG)],
)
OPERATORS = {operator: fields for operator, fields, _ in WRONG if "{{ x }}" not in fields.values()}


@pytest.fixture
def dag():
    with DAG("train_characters", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC)) as dag:
        yield dag


@pytest.fixture
def upstream(dag):
    @task
    def read():
        return []

    return read()


def refusal(make):
    with pytest.raises(InvalidInputError) as refused:
        make()
    return str(refused.value)


class TestNotMapped:
    @EACH
    def test_the_error_names_dag_and_task(self, dag, operator, fields, wrong):
        said = refusal(lambda: operator(task_id="train", **{**fields, **wrong}))
        assert said.startswith("DAG 'train_characters', task 'train': ")

    def test_a_task_group_is_named_too(self, dag):
        with TaskGroup("group"):
            said = refusal(lambda: ScenarioTrainModelOperator(task_id="train", model_id="a/b"))
        assert said.startswith("DAG 'train_characters', task 'group.train': model_id")

    def test_a_dag_given_by_name_counts(self):
        dag = DAG("another", schedule=None)
        said = refusal(lambda: ScenarioTrainModelOperator(task_id="train", model_id="a/b", dag=dag))
        assert said.startswith("DAG 'another', task 'train': model_id")

    def test_without_a_dag_the_task_is_named(self):
        said = refusal(lambda: ScenarioTrainModelOperator(task_id="train", model_id="a/b"))
        assert said.startswith("Task 'train': model_id")

    @pytest.mark.parametrize(
        ("operator", "fields"),
        [(ScenarioTrainLoraOperator, LORA), (ScenarioCreateModelOperator, {"name": "ink", "type": "x"})],
    )
    def test_an_unknown_type_warns(self, dag, operator, fields):
        with pytest.warns(UserWarning, match="DAG 'train_characters', task 'train': .*'flux.3-lora' is not known"):
            operator(task_id="train", **{**fields, "type": "flux.3-lora"})


class TestMapped:
    @EACH
    def test_what_partial_is_given_is_checked_with_the_same_message(self, dag, operator, fields, wrong):
        plain = refusal(lambda: operator(task_id="train", **{**fields, **wrong}))
        given = fields if len(wrong) == 1 and operator is AICreationWorkshopSyncModelOperator else {}
        given = fields if operator is AICreationWorkshopModelListingSensor else given
        given = {"type": fields["type"], **given} if "type" in fields else given  # messages name what it takes
        mapped = refusal(lambda: operator.partial(task_id="train", **{**given, **wrong}))
        assert mapped == plain

    @EACH
    def test_what_expand_is_given_in_the_dag_file_is_checked_with_the_same_message(self, dag, operator, fields, wrong):
        plain = refusal(lambda: operator(task_id="train", **{**fields, **wrong}))
        good = {name: value for name, value in fields.items() if name not in wrong}
        partial = operator.partial(task_id="train", **good)
        assert refusal(lambda: partial.expand_kwargs([wrong])) == plain
        if len(wrong) == 1:
            partial = operator.partial(task_id="train", **good)
            assert refusal(lambda: partial.expand(**{name: [value] for name, value in wrong.items()})) == plain

    @pytest.mark.parametrize("where", ["dag", "task group"])
    def test_default_args_are_checked(self, upstream, dag, where):
        with TaskGroup("group") as group:
            (dag if where == "dag" else group).default_args = {"max_creative_units": -5}
            partial = ScenarioTrainLoraOperator.partial(task_id="train", type="flux.2-dev-lora", images="a")
            said = refusal(lambda: partial.expand(name=upstream))
        assert said == (
            "DAG 'train_characters', task 'group.train': max_creative_units is -5; "
            "give a number of creative units from 0 on, such as 1000."
        )

    def test_default_args_for_others_that_are_mapped_over_are_left_alone(self, dag):
        dag.default_args = {"name": "of another operator, and too long for a model" * 2}
        ScenarioTrainLoraOperator.partial(task_id="train", type="flux.2-dev-lora", images="a").expand(name=["ink"])

    def test_default_args_that_each_item_in_the_dag_file_overrides_are_left_alone(self, dag):
        dag.default_args = {"name": "of another operator, and too long for a model" * 2}
        partial = ScenarioTrainLoraOperator.partial(task_id="train", type="flux.2-dev-lora", images="a")
        partial.expand_kwargs([{"name": "ink"}, {"name": "oil"}])

    def test_default_args_that_another_task_may_override_are_left_alone(self, dag, upstream):
        dag.default_args = {"name": "of another operator, and too long for a model" * 2}
        ScenarioTrainLoraOperator.partial(task_id="train", type="flux.2-dev-lora").expand_kwargs(upstream)

    def test_nothing_else_is_said_beside_the_error(self, dag, recwarn):
        refusal(lambda: ScenarioTrainLoraOperator.partial(task_id="train", parameters={"nbEpoch": 3}))
        refusal(lambda: ScenarioTrainLoraOperator.partial(task_id="train").expand(name=["x" * 65]))
        gc.collect()
        assert [str(warning.message) for warning in recwarn] == []

    @pytest.mark.parametrize(
        ("operator", "given", "mapped"),
        [
            (ScenarioTrainLoraOperator, {}, ["name", "type", "images"]),
            (ScenarioTrainModelOperator, {}, ["model_id"]),
            (ScenarioCancelTrainingOperator, {}, ["model_id"]),
            (ScenarioCreateModelOperator, {"type": "flux.1-composition"}, ["name", "concepts"]),
            (ScenarioUpdateModelOperator, {}, ["model_id", "name"]),
            (ScenarioUpdateModelOperator, {"thumbnail_from_epoch": 3, "unset": ["class_slug"]}, ["model_id"]),
            (ScenarioAddTrainingImagesOperator, {}, ["model_id", "images"]),
            (ScenarioEstimateTrainingCostOperator, {}, ["trainings"]),
            (AICreationWorkshopSyncModelOperator, {}, ["model"]),
            (AICreationWorkshopPublishModelOperator, {"storage": "s3://bucket/x"}, ["scenario_model_id"]),
            (AICreationWorkshopPublishModelOperator, {"scenario_model_id": "m"}, ["storage"]),
            (ScenarioTrainingSensor, {}, ["model_id"]),
            (ScenarioTrainingSensor, {"job_id": "j"}, ["model_id"]),
            (AICreationWorkshopModelListingSensor, {}, ["model"]),
        ],
    )
    @pytest.mark.parametrize("how", ["expand", "expand_kwargs"])
    def test_what_another_task_returns_is_left_to_the_worker(self, upstream, operator, given, mapped, how):
        partial = operator.partial(task_id="train", **given)
        partial.expand(**dict.fromkeys(mapped, upstream)) if how == "expand" else partial.expand_kwargs(upstream)

    def test_an_unknown_type_warns_once(self, upstream):
        with pytest.warns(UserWarning, match="DAG 'train_characters', task 'train': .*'flux.3-lora' is not") as warned:
            ScenarioTrainLoraOperator.partial(task_id="train", type="flux.3-lora").expand_kwargs(upstream)
        assert len(warned) == 1

    def test_a_subclass_that_takes_other_arguments_is_left_to_the_worker(self, dag):
        class Styled(ScenarioTrainLoraOperator):
            def __init__(self, *, parameters: str, **kwargs):
                super().__init__(parameters={"nb_epochs": len(parameters)}, **kwargs)

        Styled.partial(task_id="train", parameters="fast", **LORA).expand(threads=[8])

    def test_a_subclass_that_takes_the_same_arguments_is_checked(self, dag):
        class Named(ScenarioTrainLoraOperator):
            pass

        assert "nbEpoch" in refusal(lambda: Named.partial(task_id="train", parameters={"nbEpoch": 3}))


class TestOnAWorker:
    @EACH
    def test_a_wrong_argument_from_another_task_fails_the_task_for_good_when_it_is_executed(
        self, upstream, context, operator, fields, wrong
    ):
        good = {name: value for name, value in fields.items() if name not in wrong}
        mapped = operator.partial(task_id="train", **good).expand_kwargs(upstream)
        made = mapped.unmap(wrong)
        if issubclass(operator, BaseSensorOperator):
            made.defer = MagicMock(side_effect=AssertionError)
        with pytest.raises(AirflowFailException) as failed:
            made.execute(context)
        assert isinstance(failed.value.__cause__, InvalidInputError)
        assert str(failed.value) in refusal(lambda: operator(task_id="other", **{**fields, **wrong}))

    def test_its_name_is_there_to_be_shown(self, upstream):
        mapped = ScenarioTrainLoraOperator.partial(task_id="train", type="flux.2-dev-lora").expand_kwargs(upstream)
        made = mapped.unmap({"name": "ink", "images": "a", "parameters": {"nbEpoch": 3}})
        assert mapped.get_template_env().from_string(mapped.map_index_template).render({"task": made}) == "ink"

    @pytest.mark.parametrize(
        ("returned", "said"),
        [({"images": "a"}, "'name'"), ({"name": "ink", "images": "a", "nmae": 1}, "nmae")],
    )
    def test_arguments_that_make_no_operator_fail_the_task_for_good_too(self, upstream, returned, said):
        mapped = ScenarioTrainLoraOperator.partial(task_id="train", type="flux.2-dev-lora").expand_kwargs(upstream)
        with pytest.raises(AirflowFailException, match=said):
            mapped.unmap(returned)

    @pytest.mark.parametrize(("name", "value"), [("poke_interval", -1), ("timeout", "long")])
    def test_default_args_that_airflow_refuses_fail_a_sensor_for_good(self, upstream, dag, name, value):
        mapped = ScenarioTrainingSensor.partial(task_id="train").expand_kwargs(upstream)
        dag.default_args = {name: value}
        with pytest.raises(AirflowFailException, match=name):
            mapped.unmap({"model_id": "m"})

    def test_an_unknown_type_from_another_task_is_tried_with_a_warning(
        self, emulator, upstream, context, datasets, caplog, capsys
    ):
        mapped = ScenarioTrainLoraOperator.partial(task_id="train", images=str(datasets / "ink-style"))
        made = mapped.expand_kwargs(upstream).unmap({"name": "ink", "type": "flux.3-lora"})
        with pytest.raises(AirflowFailException, match='"type" must be one of'):  # the service's words, not ours
            made.execute(context)
        assert "'flux.3-lora' is not known to this provider" in caplog.text + capsys.readouterr().out


class TestBooleans:
    """Text that a template or ``default_args`` gives counts as true in Python, ``'False'`` too."""

    @pytest.mark.parametrize("value", ["False", "true", ""])
    @pytest.mark.parametrize("name", ["deferrable", "wait_for_completion", "cancel_on_kill"])
    def test_text_is_refused(self, name, value):
        with pytest.raises(InvalidInputError, match=rf"{name} is .*; give True or False\."):
            ScenarioTrainModelOperator(task_id="train", model_id="model_1", **{name: value})

    def test_also_in_a_mapped_task_and_a_sensor(self):
        with pytest.raises(InvalidInputError, match="deferrable is 'no'; give True or False"), DAG("d", schedule=None):
            ScenarioTrainModelOperator.partial(task_id="train", deferrable="no").expand(model_id=["model_1"])
        with pytest.raises(InvalidInputError, match="deferrable is 'no'; give True or False"):
            ScenarioTrainingSensor(task_id="wait", model_id="model_1", deferrable="no")
