"""
# Train the datasets of each day, and backfill missed days

Each day's datasets are folders in `<root>/2026-01-05/`. When the day is over, a run trains each dataset once. A day
without datasets is skipped, and its **datasets** task says so.

`catchup=False`: past days are not trained, and not paid, unless you start a backfill:

    airflow backfill create --dag-id backfill_lora_batches --from-date 2026-01-01 --to-date 2026-01-10

This trains the datasets of these ten days. `once_per_dataset=True` prevents paying twice: a dataset that is already
trained in the connection's project is not paid again, whichever run needs it. So:

* the same backfill again trains nothing;
* `--reprocess-behavior failed` makes Airflow clear *every* task of a failed day, but only failed datasets are trained;
* two runs of one day train each dataset once.

A task that reuses a trained model says so in its log and returns that model's result.

To train everything again, leave out `once_per_dataset`. A dataset is trained again if a picture, a caption or its
`training.yaml` has changed, but not if only `parameters` in this file have changed.

The DAG starts paused. Unpause it for future days, and also for a backfill: its runs wait while the DAG is paused.

To use it: set up a connection `scenario_default` (type *Scenario*), copy this file, and set the environment variable
`LORA_ROOT` to the folder with the days, a local path or a bucket (`s3://conn_id@bucket/incoming`). A run may choose a
folder inside it with the param `root` or `--dag-run-conf '{"root": "…"}'`, and no other: otherwise anyone who can start
a run could read the worker's disk. `--max-active-runs` limits how many days are trained at once.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from airflow.providers.common.compat.sdk import AirflowSkipException
from airflow.sdk import DAG, Param, task
from airflow.timetables.interval import CronDataIntervalTimetable

from airflow_provider_scenario.datasets import list_datasets
from airflow_provider_scenario.operators.training import ScenarioTrainLoraOperator

ROOT = os.environ.get("LORA_ROOT", str(Path(__file__).parent / "datasets_by_day"))

with DAG(
    dag_id="backfill_lora_batches",
    # Runs when a day is over; `ds` is that day. A plain "@daily" may run when the day begins, before it has datasets.
    schedule=CronDataIntervalTimetable("@daily", timezone="UTC"),
    catchup=False,
    is_paused_upon_creation=True,  # it costs money every day, so a person must start it
    doc_md=__doc__,
    tags=["scenario", "example"],
    params={"root": Param(ROOT, type="string", description="The folder with the days, or one in it")},
):

    @task
    def datasets(ds: str, params: dict[str, Any]) -> list[dict[str, Any]]:
        day = f"{params['root'].rstrip('/')}/{ds}"
        found = list_datasets(day, inside=ROOT, missing_ok=True, type="flux.2-dev-lora")
        if not found:
            raise AirflowSkipException(f"Nothing to train: there are no datasets in {day}.")
        return [{**dataset, "name": f"{dataset['name']} {ds}"} for dataset in found]

    ScenarioTrainLoraOperator.partial(
        task_id="train",
        once_per_dataset=True,
        retries=2,  # after a crash or a lost response, a retry waits for the same training and does not pay again
        parameters={"nb_epochs": 4, "sample_prompts": ["a lighthouse in a storm"]},
        pool=os.environ.get("LORA_POOL", "default_pool"),  # see train_lora_batch: a pool with --include-deferred
        poke_interval=3,  # seconds, for the emulator's short trainings. Leave it out for real ones: the default is 30.
    ).expand_kwargs(datasets())
