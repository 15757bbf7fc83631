from __future__ import annotations

import pytest


@pytest.fixture
def stored(monkeypatch):
    """The XComs that a trigger has stored."""
    xcoms = {}
    monkeypatch.setattr(
        "airflow_provider_scenario.triggers.base.push_from_trigger", lambda _, key, value: xcoms.update({key: value})
    )
    return xcoms


@pytest.fixture(autouse=True)
def uncertain_kills(monkeypatch):
    """As on 3.3: what this process knows of 3.4 depends on whether another test has imported Airflow's triggerer."""
    monkeypatch.setattr("airflow_provider_scenario.triggers.training.on_kill_means_task_ended", lambda: False)
