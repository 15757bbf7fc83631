from __future__ import annotations

import pytest

from airflow_provider_scenario.client.errors import ServiceError
from airflow_provider_scenario.operators.model import ScenarioCreateModelOperator
from airflow_provider_scenario.operators.once import marker_of


def create(context, **fields):
    return ScenarioCreateModelOperator(
        **{"task_id": "create", "name": "ink", "type": "flux.2-dev-lora", **fields}
    ).execute(context)


def test_a_model_whose_answer_was_lost_is_found_by_the_retry(emulator, context):
    emulator.fault(kind="close", method="POST", route="/models", when="after")
    with pytest.raises(ServiceError, match="may have been created"):
        create(context)
    context["ti"].try_number = 2
    create(context)
    assert emulator.counts()["models"] == 1


def test_a_model_is_found_also_when_its_author_gave_a_description(emulator, context):
    emulator.fault(kind="close", method="POST", route="/models", when="after")
    with pytest.raises(ServiceError):
        create(context, short_description="Loose ink.")
    model = emulator.model(create(context, short_description="Loose ink."))
    assert (emulator.counts()["models"], model["shortDescription"]) == (1, "Loose ink.")


def test_it_is_found_among_many(emulator, context, another_task):
    emulator.fault(kind="close", method="POST", route="/models", when="after")
    with pytest.raises(ServiceError):
        create(context)
    for index in range(5):
        create(another_task(map_index=index))
    emulator.set(pages="empty")
    create(context)
    assert emulator.counts()["models"] == 6


@pytest.mark.parametrize(
    "other", [{"dag_id": "b"}, {"run_id": "b"}, {"task_id": "b"}, {"map_index": 1}, {"max_tries": 2}]
)
def test_two_tasks_with_models_of_one_name_never_take_each_others(emulator, context, another_task, other):
    """``max_tries`` stands for clearing: Airflow raises it when a finished task is cleared."""
    ti = context["ti"]
    same = {"dag_id": ti.dag_id, "run_id": ti.run_id, "task_id": ti.task_id}
    first = create(context)
    assert create(another_task(**{**same, **other})) != first
    assert emulator.counts()["models"] == 2


def test_a_retry_has_the_marker_of_the_first_try(context, another_task):
    ti = context["ti"]
    retry = another_task(dag_id=ti.dag_id, run_id=ti.run_id, task_id=ti.task_id, try_number=3)
    assert marker_of(retry) == marker_of(context)


def test_without_a_description_a_readable_line_tells_where_the_model_comes_from(emulator, context):
    said = emulator.model(create(context))["shortDescription"]
    assert said == f"Made by Airflow: a_dag, a_task, run a_run {marker_of(context)}"


def test_the_line_fits_however_long_the_names_are(emulator, another_task):
    context = another_task(dag_id="d" * 250, run_id="r" * 250, map_index=7)
    said = emulator.model(create(context))["shortDescription"]
    assert len(said) <= 256
    assert said.endswith(marker_of(context))
