from __future__ import annotations

import pytest

from tests.leaks import leaks
from tests.system.fixtures import SECRET, TOKEN

SECRETS = {"secret": SECRET, "token": TOKEN, "wrong secret": "another-secret-not-in-any-log"}


@pytest.mark.every_minor
def test_no_secret_is_in_any_log_or_in_the_metadata_database(airflow, emulator):
    """After complete runs: logs, XComs, rendered templates and serialised DAGs."""
    dags = ("operator_deferred", "operator_blocking", "wrong_secret", "train_and_publish")
    for dag, run in [(dag, airflow.trigger(dag)) for dag in dags]:
        airflow.wait_for_run(dag, run)
    assert leaks(airflow.home, SECRETS) == {}
