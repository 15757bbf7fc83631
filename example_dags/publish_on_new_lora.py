"""
# Publish each LoRA as soon as it is trained

Scheduled on the asset `scenario://model/batch-lora`, which the DAG `train_lora_batch` updates: its training task has
`outlets=[Asset("scenario://model/batch-lora")]`, and each trained LoRA is an event of it. What this DAG has to know is
in the event's `extra`: `model_id`, `job_id`, `name`, `type`, `creative_units_cost` and `epochs`. Nobody has to look
into another DAG's XComs.

A run may have several events, so **news** makes one mapped task of each. An event that comes while a run is being
started is no trigger of that run, and Airflow would leave it to the next one, whenever that is: so **news** takes all
that have come since. **publish** writes the model's page, shows a sample of its last epoch, and tags it: all of it may
be repeated.

An asset may stand for one model (`scenario://model/hero-character`) or, as here, for all that a batch makes.
"""

from __future__ import annotations

from typing import Any

from airflow.providers.common.compat.sdk import AirflowSkipException
from airflow.sdk import DAG, Asset, task

from airflow_provider_scenario.operators.model import ScenarioUpdateModelOperator

LORA = Asset("scenario://model/batch-lora")

with DAG(dag_id="publish_on_new_lora", schedule=[LORA], catchup=False, doc_md=__doc__, tags=["scenario", "example"]):

    @task(inlets=[LORA])
    def news(triggering_asset_events: Any, inlet_events: Any) -> list[dict[str, Any]]:
        triggers = triggering_asset_events.get(LORA)
        if not triggers:
            raise AirflowSkipException("No LoRA has been trained: this run was triggered by hand.")
        first = min(event.timestamp for event in triggers)
        loras = [event.extra for event in inlet_events[LORA] if event.timestamp >= first]
        return [
            {
                "model_id": lora["model_id"],
                "description": f"# {lora['name']}\n\nA `{lora['type']}`, trained in {len(lora['epochs'])} epochs for "
                f"{lora['creative_units_cost']:g} creative units.",
            }
            for lora in loras
        ]

    ScenarioUpdateModelOperator.partial(
        task_id="publish",
        map_index_template="{{ task.model_id }}",
        thumbnail_from_epoch="last",
        add_tags=["published"],
    ).expand_kwargs(news())
