"""What happens to a task between two attempts, and while one of them runs."""

from __future__ import annotations

import pytest

from airflow_provider_scenario.airflow_compat.attempt import Attempt
from tests.airflow_versions import TaskDeferred


def retry(context):
    context["ti"].try_number += 1
    context["ti"].xcoms.clear()
    return context


def clear(context):
    """As Airflow does with a finished task."""
    context["ti"].max_tries = context["ti"].try_number + 1
    return retry(context)


def seen_as(monkeypatch, state):
    """Airflow's answer to what state the task is in."""

    def answer(attempt):
        if isinstance(state, Exception):
            raise state
        return state

    monkeypatch.setattr(Attempt, "state", answer)


def waiting(operator, context):
    """The operator, as far as it is when it has started the training and holds a worker."""
    operator.pre_execute(context)
    with pytest.raises(TaskDeferred):
        operator.execute(context)
    return operator
