from __future__ import annotations

import importlib

import pytest


def test_it_says_what_it_needs():
    with pytest.raises(ImportError, match=r"needs retry_policy, which tasks have from Airflow 3\.3 on"):
        importlib.import_module("airflow_provider_scenario.retry_policy")
