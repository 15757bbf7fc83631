"""The DAGs of ``benchmarks/start.py``: tasks that train a LoRA, and the same number of tasks that only defer."""

from __future__ import annotations

import os
from typing import Any

from airflow.sdk import DAG, BaseOperator
from sleep_trigger import SleepAndEnd

from airflow_provider_scenario.operators.training import ScenarioTrainLoraOperator

SECONDS = float(os.environ.get("BENCHMARK_SECONDS", "30"))
STARTS = range(int(os.environ.get("BENCHMARK_STARTS", "2")))
FOLDER = os.environ.get("BENCHMARK_FOLDER", "/nowhere")


class DeferOnly(BaseOperator):
    """Only defers; its trigger ends it."""

    def __init__(self, *, number: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.number = number

    def execute(self, context: Any) -> None:  # noqa: ARG002
        self.defer(trigger=SleepAndEnd(SECONDS), method_name="execute")


# Mapped over values that are known at parse time, so that no other task holds a slot.
with DAG("start_defer", schedule=None, catchup=False, max_active_tasks=1000):
    DeferOnly.partial(task_id="defer").expand(number=list(STARTS))

with DAG("start_train", schedule=None, catchup=False, max_active_tasks=1000):
    ScenarioTrainLoraOperator.partial(
        task_id="train", type="flux.2-dev-lora", parameters={"nb_epochs": 1}, poke_interval=SECONDS
    ).expand_kwargs([{"name": f"lora-{n:03}", "images": f"{FOLDER}/lora-{n:03}"} for n in STARTS])
