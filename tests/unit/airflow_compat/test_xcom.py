from __future__ import annotations

from types import SimpleNamespace

from airflow.sdk.execution_time import comms

from airflow_provider_scenario.airflow_compat.xcom import push_from_trigger, stored_xcom

TASK = SimpleNamespace(dag_id="a_dag", run_id="a_run", task_id="a_task", map_index=2)


def test_a_trigger_stores_the_xcom_of_its_task_as_it_is(supervisor):
    told = supervisor()
    push_from_trigger(SimpleNamespace(task_instance=TASK), "return_value", {"model_id": "model_1"})
    (message,) = told.received
    assert isinstance(message, comms.SetXCom)
    assert (message.dag_id, message.run_id, message.task_id, message.map_index) == ("a_dag", "a_run", "a_task", 2)
    assert (message.key, message.value) == ("return_value", {"model_id": "model_1"})


def test_an_xcom_is_read_by_the_key_of_its_task(supervisor):
    asked = supervisor(GetXCom=comms.XComResult(key="link", value="https://app.scenario.com/models/model_1"))
    assert stored_xcom(TASK, "link") == "https://app.scenario.com/models/model_1"
    assert (asked.received[0].task_id, asked.received[0].key) == ("a_task", "link")


def test_one_that_is_not_there_is_none(supervisor):
    supervisor(GetXCom=comms.XComResult(key="link", value=None))
    assert stored_xcom(TASK, "link") is None
