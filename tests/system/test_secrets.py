from __future__ import annotations

import base64

import pytest

from tests.system.conftest import KEY, SECRET, TOKEN


@pytest.mark.every_minor
def test_no_secret_is_in_any_log_or_in_the_metadata_database(airflow, emulator):
    """Logs, XComs, rendered templates and serialised DAGs of everything that runs here, after a whole run."""
    dags = ("operator_deferred", "operator_blocking", "wrong_secret", "train_and_publish")
    for dag, run in [(dag, airflow.trigger(dag)) for dag in dags]:
        airflow.wait_for_run(dag, run)
    basic = base64.b64encode(f"{KEY}:{SECRET}".encode())
    leaks = [
        (str(path.relative_to(airflow.home)), secret)
        for path in airflow.home.rglob("*")
        if path.is_file()
        for secret in (SECRET.encode(), TOKEN.encode(), basic, b"another-secret-not-in-any-log")
        if secret in path.read_bytes()
    ]
    assert leaks == []
