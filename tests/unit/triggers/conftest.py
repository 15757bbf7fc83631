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
