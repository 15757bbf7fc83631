"""Operators where OpenLineage's provider is not installed, not configured, or fails."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace

import pytest

from airflow_provider_scenario.airflow_compat.deferral import is_reported_to_open_lineage
from airflow_provider_scenario.deferral import ends_in_triggerer
from airflow_provider_scenario.operators.training import ScenarioTrainLoraOperator
from tests.airflow_versions import TaskDeferred, get_listener_manager

PROVIDER = "airflow.providers.openlineage"


def lora(**fields):
    return ScenarioTrainLoraOperator(task_id="train", name="ink", type="flux.2-dev-lora", images="/data/ink", **fields)


@pytest.fixture
def not_installed(monkeypatch):
    for name in [name for name in sys.modules if name.startswith((PROVIDER, "openlineage"))]:
        monkeypatch.delitem(sys.modules, name)
    for name in (PROVIDER, "openlineage", "airflow_provider_scenario.lineage.report"):
        monkeypatch.setitem(sys.modules, name, None)


@pytest.fixture
def listener():
    """The provider's listener, as far as Airflow knows it."""
    from airflow.listeners import hookimpl

    def on_task_instance_success(self, previous_state, task_instance):
        pass

    methods = {"on_task_instance_success": hookimpl(on_task_instance_success), "__module__": f"{PROVIDER}.plugins"}
    listener = type("OpenLineageListener", (), methods)()
    get_listener_manager().add_listener(listener)
    yield listener
    get_listener_manager().pm.unregister(listener)


@pytest.fixture
def policy(monkeypatch):
    """The provider's emission policy; ``emit`` is its answer."""
    answer = SimpleNamespace(emit=True)
    module = ModuleType("emission_policy")
    module.resolve_task_emission_policy = lambda operator, dag_id, task_id: answer
    monkeypatch.setitem(sys.modules, f"{PROVIDER}.utils.emission_policy", module)
    return answer


@pytest.mark.usefixtures("not_installed")
def test_without_the_provider_a_task_ends_in_the_triggerer_and_stores_nothing_for_it(emulator, context, datasets):
    operator = lora()
    operator.images = str(datasets / "ink-style")
    with pytest.raises(TaskDeferred) as deferral:
        operator.execute(context)
    assert set(deferral.value.kwargs) == {"pushed_xcoms", "adopted_at", "is_ours"}
    assert deferral.value.trigger.end_from_trigger == ("task_state_store" in context)


@pytest.mark.usefixtures("listener")
def test_a_reported_task_needs_a_worker_at_its_end(context, policy):
    assert is_reported_to_open_lineage(lora())
    assert not ends_in_triggerer(lora(), context, stores=False)


@pytest.mark.usefixtures("listener")
def test_a_task_that_the_emission_policy_leaves_out_needs_none(context, policy):
    policy.emit = False
    assert not is_reported_to_open_lineage(lora())
    assert ends_in_triggerer(lora(), context, stores=False)


@pytest.mark.usefixtures("listener")
def test_if_the_emission_policy_is_not_known_the_listener_decides(monkeypatch, context):
    monkeypatch.setitem(sys.modules, f"{PROVIDER}.utils.emission_policy", None)
    assert is_reported_to_open_lineage(lora())
    assert not ends_in_triggerer(lora(), context, stores=False)


@pytest.mark.parametrize("moment", ["start", "complete", "failure"])
@pytest.mark.usefixtures("not_installed")
def test_an_error_of_the_facets_is_logged_and_goes_no_further(moment, caplog):
    method = getattr(lora(), f"get_openlineage_facets_on_{moment}")
    assert (method() if moment == "start" else method(None)) is None
