"""What of the examples shows only where an executor runs them that the system tests do not have."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.providers.cncf.kubernetes.pod_generator import PodGenerator
from airflow.serialization.serialized_objects import DagSerialization
from kubernetes.client import models as k8s

EXAMPLE = Path(__file__).parents[2] / "example_dags" / "train_loras_on_many_machines.py"


def test_the_kubernetes_executor_starts_a_small_pod_for_each_start(monkeypatch):
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", "CeleryExecutor,KubernetesExecutor")
    (dag,) = DagBag(EXAMPLE).dags.values()
    stored = DagSerialization.from_dict(DagSerialization.to_dict(dag))  # as the scheduler reads it
    override = PodGenerator.from_obj(stored.get_task("train").partial_kwargs["executor_config"])
    base = k8s.V1Pod(spec=k8s.V1PodSpec(containers=[k8s.V1Container(name="base", image="airflow:3.3.2")]))
    (container,) = PodGenerator.reconcile_pods(base, override).spec.containers
    assert container.image == "airflow:3.3.2"
    assert container.resources.to_dict() == {
        "claims": None,
        "limits": {"memory": "1Gi"},
        "requests": {"cpu": "250m", "memory": "512Mi"},
    }


@pytest.fixture
def without_kubernetes(monkeypatch):
    for module in ("kubernetes", "kubernetes.client"):
        monkeypatch.setitem(sys.modules, module, None)


@pytest.mark.usefixtures("without_kubernetes")
def test_another_executor_needs_no_kubernetes_package(monkeypatch):
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", "CeleryExecutor")
    assert runpy.run_path(str(EXAMPLE))["pod_override"]() == {}


@pytest.mark.usefixtures("without_kubernetes")
def test_the_kubernetes_executor_without_its_package_is_an_error_and_not_an_ordinary_pod(monkeypatch):
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", "KubernetesExecutor")
    with pytest.raises(ModuleNotFoundError, match="kubernetes"):
        runpy.run_path(str(EXAMPLE))
