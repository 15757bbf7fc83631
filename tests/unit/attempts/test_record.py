"""What Airflow's task state holds of a task: a version reads what another version has stored."""

from __future__ import annotations

import pytest

from airflow_provider_scenario.attempts.record import Record, record_final_cost, record_given_up

# As the first version stores it.
STORED = {
    "marker": "[airflow 0123456789abcdef.1.01234567]",
    "inputs": {"model_id": "01234567", "parameters": "89abcdef"},
    "model_id": "model_1",
    "previous_job_id": "job_0",
    "requested": True,
    "job_id": "job_1",
    "paid": {"job_0": 60.0, "job_1": None},
    "given_up": None,
}


@pytest.fixture
def context(context):
    context["task_state_store"].set("scenario", STORED)
    return context


def stored(context):
    return context["task_state_store"].get("scenario")


def test_what_the_first_version_has_stored_is_read_and_stored_alike(context):
    record = Record.of_task(context)
    assert record == Record(**STORED)
    record.store(context)
    assert stored(context) == STORED


def test_a_field_of_a_later_version_is_left_out():
    assert Record.read({**STORED, "colour": "blue"}) == Record(**STORED)


@pytest.mark.parametrize("odd", [None, "job_1", [], {}, {**STORED, "marker": "?"}])
def test_anything_else_is_not_a_record(odd):
    assert Record.read(odd) is None


@pytest.mark.parametrize(
    ("job_id", "requested", "has_started"),
    [
        ("job_1", False, True),
        ("job_2", True, True),  # the response to the request was lost
        ("job_2", False, False),
        ("job_0", True, False),  # ran before the request
    ],
)
def test_which_training_the_attempts_have_started(job_id, requested, has_started):
    assert Record(**{**STORED, "requested": requested}).has_started(job_id) is has_started


@pytest.mark.parametrize(("is_ours", "total"), [(True, 180.0), (False, 60.0)])
def test_the_final_cost_is_recorded_if_this_task_pays_it(context, is_ours, total):
    assert record_final_cost(context, "job_1", creative_units=120.0, is_ours=is_ours) == total
    assert stored(context)["paid"]["job_1"] == (120.0 if is_ours else None)


def test_a_training_that_is_about_to_be_cancelled_is_recorded(context):
    record_given_up(context, "job_1")
    assert stored(context) == {**STORED, "given_up": "job_1"}


@pytest.mark.parametrize(
    ("units", "is_ours", "total"), [(120.0, True, 120.0), (None, True, 0.0), (120.0, False, 0.0), (None, False, 0.0)]
)
def test_where_airflow_keeps_no_task_state_only_this_training_counts(context, units, is_ours, total):
    del context["task_state_store"]
    assert record_final_cost(context, "job_1", creative_units=units, is_ours=is_ours) == total


def test_where_airflow_keeps_no_task_state_nothing_is_recorded(context):
    del context["task_state_store"]
    assert Record.of_task(context) is None
    record_given_up(context, "job_1")
    Record(**STORED).store(context)
    assert "task_state_store" not in context


@pytest.mark.parametrize("job_id", [None, ""])
def test_without_a_job_there_is_nothing_to_give_up(context, job_id):
    record_given_up(context, job_id)
    assert stored(context) == STORED


def test_a_cost_that_is_recorded_is_not_stored_again(context, monkeypatch):
    context["task_state_store"].set("scenario", {**STORED, "paid": {"job_1": 120.0}})
    monkeypatch.delattr(type(context["task_state_store"]), "set")
    assert record_final_cost(context, "job_1", creative_units=120.0, is_ours=True) == 120.0


def test_a_cost_that_scenario_did_not_report_does_not_replace_the_known_one(context):
    context["task_state_store"].set("scenario", {**STORED, "paid": {"job_1": 120.0}})
    assert record_final_cost(context, "job_1", creative_units=None, is_ours=True) == 120.0
    assert stored(context)["paid"] == {"job_1": 120.0}
