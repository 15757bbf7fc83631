"""
# Publish each LoRA as soon as it is trained

Scheduled on the asset `scenario://model/batch-lora`, which the DAG `train_lora_batch` updates: its training task has
`outlets=[Asset("scenario://model/batch-lora")]`, and each trained LoRA is an event of it. The event's `extra` has all
that this DAG needs: `model_id`, `job_id`, `name`, `type`, `creative_units_cost` and `epochs`. It reads no XComs of
another DAG.

A run may have several events, so **news** returns one item an event, and each becomes a mapped task. An event that
arrives while a run is being started does not belong to that run, and Airflow would leave it to the next one, whenever
that starts. So **news** takes all events since the first one. **publish** writes the model's page, shows a sample of
its last epoch, and tags it. It can be repeated.

An asset may stand for one model (`scenario://model/hero-character`) or, as here, for all models of a batch.
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
            raise AirflowSkipException("This run was triggered by hand: there is no event of a trained LoRA.")
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
