from __future__ import annotations

import pytest
from airflow.sdk import DAG
from airflow.serialization import serialized_objects

from airflow_provider_scenario.operators.training import ScenarioTrainLoraOperator, ScenarioTrainModelOperator
from airflow_provider_scenario.sensors.training import ScenarioTrainingSensor


@pytest.mark.parametrize(
    "operator",
    [ScenarioTrainLoraOperator, ScenarioTrainModelOperator, ScenarioTrainingSensor],
    ids=lambda it: it.__name__,
)
def test_the_scheduler_knows_a_task_of_a_subclass_by_the_name_that_it_inherits(operator):
    """It stores ``operator_name`` of the serialised task in the column ``custom_operator_name``."""

    class OurOwnOperator(operator):
        pass

    lora = operator is ScenarioTrainLoraOperator
    fixed = {"type": "flux.1-lora", "images": "/images"} if lora else {}
    given, mapped = ({"name": "hero"}, {"name": ["a", "b"]}) if lora else ({"model_id": "a"}, {"model_id": ["a", "b"]})
    with DAG("a_dag") as dag:
        OurOwnOperator(task_id="one", **fixed, **given)
        OurOwnOperator.partial(task_id="many", **fixed).expand(**mapped)
    serialise = getattr(serialized_objects, "DagSerialization", None) or serialized_objects.SerializedDAG
    tasks = serialise.from_dict(serialise.to_dict(dag)).tasks
    assert {(task.task_type, task.operator_name) for task in tasks} == {("OurOwnOperator", operator.__name__)}
