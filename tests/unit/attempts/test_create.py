from __future__ import annotations

import pytest

from airflow_provider_scenario.client.errors import ServiceError
from airflow_provider_scenario.exceptions import ChangedInputError
from airflow_provider_scenario.hooks.scenario import ScenarioHook
from airflow_provider_scenario.operators.model import ScenarioCreateModelOperator
from airflow_provider_scenario.provenance import Marker

pytestmark = pytest.mark.usefixtures("either_way")


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


def test_a_model_is_found_also_when_its_author_gave_a_description(emulator, context, either_way):
    emulator.fault(kind="close", method="POST", route="/models", when="after")
    with pytest.raises(ServiceError):
        create(context, short_description="Loose ink.")
    model = emulator.model(create(context, short_description="Loose ink."))
    assert emulator.counts()["models"] == 1
    if either_way == "task state":
        assert model["shortDescription"] == "Loose ink."
    else:
        assert model["shortDescription"].startswith("Loose ink. [airflow ")


def test_a_worker_that_dies_after_all_is_done_leaves_nothing_to_do_again(emulator, context):
    first = create(context, short_description="Loose ink.")
    context["ti"].xcoms.clear()  # as Airflow does before a retry
    context["ti"].try_number = 2
    assert create(context, short_description="Loose ink.") == first
    assert emulator.counts()["models"] == 1


def test_a_model_that_somebody_has_deleted_since_is_created_anew(emulator, context):
    first = create(context)
    ScenarioHook().client.delete_model(first)
    assert create(context) != first


@pytest.mark.parametrize("changed", [{"name": "oil"}, {"type": "zimage-lora"}])
def test_a_retry_that_asks_for_something_else_is_told_and_makes_nothing(emulator, context, changed):
    create(context)
    context["ti"].try_number = 2
    with pytest.raises(ChangedInputError, match=r"has changed since .* clear the failed task"):
        create(context, **changed)
    assert emulator.counts()["models"] == 1


def test_what_has_changed_is_named(emulator, context):
    create(context)
    if "task_state_store" in context:
        with pytest.raises(ChangedInputError, match=r"an earlier attempt \(name\)"):
            create(context, name="oil")


def test_after_a_clear_something_else_may_be_asked_for(emulator, context):
    first = create(context)
    context["ti"].try_number, context["ti"].max_tries = 2, 1
    assert create(context, name="oil") != first


def test_another_description_is_no_other_model(emulator, context):
    assert create(context, short_description="Loose ink.") == create(context, short_description="Looser ink.")


def test_it_is_found_among_many(emulator, context, another_task):
    emulator.fault(kind="close", method="POST", route="/models", when="after")
    with pytest.raises(ServiceError):
        create(context)
    for index in range(5):
        create(another_task(map_index=index))
    emulator.set(pages="empty")
    create(context)
    assert emulator.counts()["models"] == 6


@pytest.mark.parametrize("other", [{"dag_id": "b"}, {"run_id": "b"}, {"map_index": 1}, {"max_tries": 2}])
def test_two_tasks_with_models_of_one_name_never_take_each_others(emulator, context, another_task, other):
    """``max_tries`` stands for clearing: Airflow raises it when a finished task is cleared."""
    ti = context["ti"]
    first = create(context)
    assert create(another_task(**{"dag_id": ti.dag_id, "run_id": ti.run_id, **other})) != first
    assert create(context, task_id="another") != first
    assert emulator.counts()["models"] == 3


def test_a_first_try_asks_for_no_list(emulator, context, either_way):
    create(context)
    asked = emulator.ledger()["requests"].get("GET /v1/models", 0)
    assert asked == (0 if either_way == "task state" else 1)


def test_without_a_description_a_readable_line_tells_where_the_model_comes_from(emulator, context):
    said = emulator.model(create(context))["shortDescription"]
    assert said == f"Made by Airflow: a_dag, a_task, run a_run {Marker.find(said)}"


def test_the_line_fits_however_long_the_names_are(emulator, another_task):
    context = another_task(dag_id="d" * 250, run_id="r" * 250, map_index=7)
    said = emulator.model(create(context))["shortDescription"]
    assert len(said) <= 256
    assert said.endswith(str(Marker.find(said)))
