"""The small ones: statistics, configuration, task state, exceptions."""

from __future__ import annotations

import pytest
from packaging.version import Version

from airflow_provider_scenario.airflow_compat import exceptions
from airflow_provider_scenario.airflow_compat.configuration import conf
from airflow_provider_scenario.airflow_compat.deferral import triggerer_stores_xcoms
from airflow_provider_scenario.airflow_compat.stats import stats
from airflow_provider_scenario.airflow_compat.task_state_store import clear_discards_task_state, task_state_store
from tests.airflow_versions import AIRFLOW


@pytest.mark.parametrize("kind", ["incr", "gauge", "timing"])
def test_airflows_statistics_take_what_we_report(kind):
    assert callable(getattr(stats(), kind))


def test_a_counter_is_taken():
    stats().incr("scenario.requests")


def test_the_configuration_is_airflows_own():
    assert conf().getint("core", "parallelism") > 0


def test_a_clear_discards_what_is_recorded_from_3_4_on():
    assert clear_discards_task_state() == (Version("3.4") <= AIRFLOW)


@pytest.mark.usefixtures("either_way")
def test_what_is_recorded_is_in_the_context_where_there_is_any(context):
    assert task_state_store(context) is context.get("task_state_store")
    assert triggerer_stores_xcoms(context) == ("task_state_store" in context)


@pytest.mark.parametrize("name", exceptions.__all__)
def test_each_exception_is_airflows(name):
    assert getattr(exceptions, name).__module__.startswith("airflow.")
