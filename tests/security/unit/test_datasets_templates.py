"""What comes out of a dataset is never rendered: a password in a connection stays there."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import DAG, TaskGroup, task

from airflow_provider_scenario.airflow_compat.exceptions import AirflowFailException
from airflow_provider_scenario.client.errors import InvalidInputError
from airflow_provider_scenario.datasets import list_datasets, read_dataset
from airflow_provider_scenario.operators.cost import ScenarioEstimateTrainingCostOperator
from airflow_provider_scenario.operators.model import ScenarioAddTrainingImagesOperator
from airflow_provider_scenario.operators.model_sync import (
    AICreationWorkshopPublishModelOperator,
    AICreationWorkshopSyncModelOperator,
)
from airflow_provider_scenario.operators.training import ScenarioTrainLoraOperator, ScenarioTrainModelOperator
from airflow_provider_scenario.sensors.model_sync import AICreationWorkshopModelListingSensor
from airflow_provider_scenario.sensors.training import ScenarioTrainingSensor

ATTACK = "p={{ secret }}"
COMMENT, BLOCK = "a{# x #}", "{% if secret %}{{ secret }}{% endif %}"
SECRET = "the-password-of-a-connection"
LORA = {"name": ATTACK, "type": BLOCK, "images": ["/{{ secret }}/a.png"], "short_description": COMMENT}


def rendered(operator: Any, returned: Any) -> Any:
    """The task that Airflow's worker runs, its fields rendered; ``returned`` is what the task before it returned."""

    def xcom_pull(**_: Any) -> Any:
        return json.loads(json.dumps(returned))  # XComs are JSON

    ti = SimpleNamespace(map_index=0, xcom_pull=xcom_pull, task=operator)
    run = {"dag": operator.dag, "dag_run": SimpleNamespace(conf=None), "ds": "2026-01-02"}
    context: dict[str, Any] = {**run, "ti": ti, "task": operator, "secret": SECRET}
    operator.render_template_fields(context)
    return context["task"]


@pytest.fixture
def upstream():
    """A DAG, and in it a task that returns what it has read in a dataset."""
    with DAG("a_dag", start_date=datetime(2026, 1, 1, tzinfo=UTC), schedule=None):

        @task
        def read():
            return None

        yield read()


class TestValuesOfAnotherTask:
    @pytest.mark.parametrize("strict", [True, False])
    def test_expand_kwargs_does_not_render_them(self, upstream, strict):
        train = ScenarioTrainLoraOperator.partial(task_id="train").expand_kwargs(upstream, strict=strict)
        lora = rendered(train, [LORA])
        assert {field: getattr(lora, field) for field in LORA} == LORA

    def test_a_value_that_replaces_the_authors_own_is_not_rendered(self, upstream):
        partial = ScenarioTrainLoraOperator.partial(
            task_id="train", type="{{ ds }}", name="{{ ds }}", images="{{ ds }}"
        )
        lora = rendered(partial.expand_kwargs(upstream, strict=False), [{"name": ATTACK, "images": "a"}])
        assert (lora.name, lora.images, lora.type) == (ATTACK, "a", "2026-01-02")

    def test_expand_kwargs_over_changed_values_does_not_render_them(self, upstream):
        train = ScenarioTrainLoraOperator.partial(task_id="train").expand_kwargs(upstream.map(lambda values: values))
        assert rendered(train, [LORA]).name == ATTACK

    def test_expand_does_not_render_them(self, upstream):
        partial = ScenarioTrainLoraOperator.partial(task_id="train", name="{{ ds }}", type="flux.2-dev-lora")
        lora = rendered(partial.expand(images=upstream), [LORA["images"]])
        assert (lora.images, lora.name) == (LORA["images"], "2026-01-02")

    def test_no_other_operator_renders_them(self, upstream):
        mapped = {
            ScenarioAddTrainingImagesOperator: {"model_id": ATTACK, "images": ATTACK, "preset": ATTACK},
            ScenarioTrainModelOperator: {"model_id": ATTACK, "parameters": {"conceptPrompt": ATTACK}},
            ScenarioEstimateTrainingCostOperator: {"trainings": [{"name": ATTACK}]},
            AICreationWorkshopPublishModelOperator: {"scenario_model_id": ATTACK, "storage": ATTACK, "name": ATTACK},
            AICreationWorkshopSyncModelOperator: {"model": {"modelName": ATTACK}},
            ScenarioTrainingSensor: {"model_id": ATTACK},
            AICreationWorkshopModelListingSensor: {"model": {"modelName": ATTACK}},
        }
        for number, (operator, fields) in enumerate(mapped.items()):
            made = rendered(operator.partial(task_id=f"task_{number}").expand_kwargs(upstream), [fields])
            assert {field: getattr(made, field) for field in fields} == fields

    def test_a_list_that_is_given_as_it_is_is_not_rendered(self, upstream):
        trainings = [{"name": ATTACK, "type": BLOCK, "images": "/{{ secret }}"}]
        estimate = ScenarioEstimateTrainingCostOperator(task_id="estimate", trainings=upstream)
        assert rendered(estimate, trainings).trainings == trainings


class TestTemplatesOfTheAuthor:
    def test_those_of_partial_are_rendered_beside_values_of_another_task(self, upstream):
        partial = ScenarioTrainLoraOperator.partial(
            task_id="train",
            type="flux.2-dev-lora",
            short_description="of {{ ds }}",
            parameters={"concept_prompt": "{{ ds }}"},
            collection_ids=["{{ ds }}"],
        )
        lora = rendered(partial.expand_kwargs(upstream), [{"name": ATTACK, "images": "a"}])
        assert (lora.short_description, lora.parameters, lora.collection_ids, lora.name) == (
            "of 2026-01-02", {"concept_prompt": "2026-01-02"}, ["2026-01-02"], ATTACK
        )  # fmt: skip

    def test_those_of_default_args_are_rendered(self):
        arguments = {"scenario_conn_id": "c_{{ ds }}", "short_description": "of {{ ds }}"}
        with DAG("a_dag", start_date=datetime(2026, 1, 1, tzinfo=UTC), schedule=None, default_args=arguments):

            @task
            def read():
                return None

            with TaskGroup("group", default_args={"preset": "{{ ds }}"}):
                train = ScenarioTrainLoraOperator.partial(task_id="train", type="zimage-lora").expand_kwargs(read())
        lora = rendered(train, [{"name": ATTACK, "images": "a"}])
        assert (lora.scenario_conn_id, lora.short_description, lora.preset, lora.name) == (
            "c_2026-01-02", "of 2026-01-02", "2026-01-02", ATTACK
        )  # fmt: skip

    def test_those_in_a_list_in_the_dag_file_are_rendered(self, upstream):
        partial = ScenarioTrainLoraOperator.partial(task_id="train", type="zimage-lora")
        assert rendered(partial.expand_kwargs([{"name": "{{ ds }}", "images": "{{ ds }}"}]), None).name == "2026-01-02"
        partial = ScenarioTrainLoraOperator.partial(task_id="another", type="zimage-lora", images="a")
        assert rendered(partial.expand(name=["{{ ds }}"]), None).name == "2026-01-02"

    def test_those_of_a_task_that_is_not_mapped_are_rendered(self, upstream):
        lora = ScenarioTrainLoraOperator(task_id="train", name="{{ ds }}", type="zimage-lora", images="a")
        assert rendered(lora, None).name == "2026-01-02"


@pytest.fixture
def pictures():
    return Path(__file__).parents[3] / "example_dags" / "datasets" / "ink-style"


@pytest.fixture
def dataset(tmp_path, pictures):
    """Makes a dataset of one picture below ``tmp_path / "root"``; returns its folder."""

    def make(name="hero", **files: str):
        folder = tmp_path / "root" / name
        folder.mkdir(parents=True)
        shutil.copy(pictures / "01-mountains.jpg", folder / "a.jpg")
        for file, content in files.items():
            (folder / file.replace("__", ".")).write_text(content)
        return folder

    return make


MARKERS = ["p={{ conn.scenario_default.password }}", "{% if 1 %}x{% endif %}", "{# x #}", "{{", "a{{{b"]


class TestTextOfDatasets:
    @pytest.mark.parametrize("text", MARKERS)
    @pytest.mark.parametrize(
        "field", ["name", "type", "short_description", "shortDescription", "preset", "conceptPrompt"]
    )
    def test_a_template_in_training_yaml_fails_the_dataset_and_is_not_listed(self, dataset, caplog, field, text):
        suffix = "json" if field == "shortDescription" else "yaml"
        hero, well = dataset("hero", **{f"training__{suffix}": json.dumps({field: text})}), dataset("well")
        listed = list_datasets(hero.parent, type="zimage-lora")
        assert listed == [
            {"name": folder.name, "images": str(folder), "type": "zimage-lora"} for folder in (hero, well)
        ]
        assert "hero' is wrong, and the task that trains it will fail: training" in caplog.text
        with pytest.raises(
            InvalidInputError, match=rf"hero': training.{suffix}: {field}.* which begins a template"
        ) as told:
            read_dataset(hero)
        assert told.value.permanent

    @pytest.mark.parametrize(
        "content", ['{"sample_prompts": ["x", "{{ ds }}"]}', '{"{{ ds }}": 1}', '{"a": {"b": "{{"}}']
    )
    def test_no_text_of_training_yaml_is_a_template_however_deep(self, dataset, content):
        with pytest.raises(InvalidInputError, match=r"training.json: .* has '{{', which begins a template"):
            read_dataset(dataset(training__json=content))

    @pytest.mark.parametrize("name", ["f {{ conn.wandb.password }}", "f{% raw %}", "f{# x #}"])
    def test_a_folder_whose_name_holds_a_template_is_refused_by_its_name(self, dataset, name):
        folder = dataset(name)
        with pytest.raises(InvalidInputError, match="which begins a template") as told:
            list_datasets(folder.parent, type="zimage-lora")
        assert name in str(told.value)
        with pytest.raises(InvalidInputError, match="which begins a template") as told:
            read_dataset(folder)
        assert name in str(told.value)

    def test_braces_alone_are_text(self, dataset):
        folder = dataset("{a} 100%} }}", training__yaml="short_description: 'a {b} %} #}'", a__txt="{{ a caption }}")
        (listed,) = list_datasets(folder.parent)
        assert (listed["name"], listed["short_description"]) == ("{a} 100%} }}", "a {b} %} #}")
        assert [image.caption for image in read_dataset(folder).images] == ["{{ a caption }}"]  # is never a template


def test_a_secret_parameter_that_another_task_has_returned_in_clear_is_refused(upstream):
    train = ScenarioTrainModelOperator.partial(task_id="train").expand_kwargs(upstream)
    with pytest.raises(AirflowFailException, match="is a secret and must not be in a DAG file"):
        rendered(train, [{"model_id": "m", "parameters": {"wandbKey": SECRET}}])
