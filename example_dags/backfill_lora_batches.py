"""
# Train what each day has brought, and catch up on the days that were missed

Somebody puts datasets into `<root>/2026-01-05/`, a folder each; when the day is over its run trains each of them once.
A day that brought nothing is skipped, and its **datasets** task says so.

`catchup=False`: nothing that lies in the past is trained, and paid, unless a person asks for it:

    airflow backfill create --dag-id backfill_lora_batches --from-date 2026-01-01 --to-date 2026-01-10

trains what these ten days brought. `once_per_dataset=True` prevents paying twice: a dataset that is trained in the
connection's project is never paid again, whichever run asks for it. So the same again does nothing; with
`--reprocess-behavior failed` Airflow clears *every* task of a day that failed, and only what failed is trained; and two
runs of one day train each dataset once. A task that takes a trained model says so in its log and returns its result.

To train all again on purpose, leave `once_per_dataset` out. A dataset of which a picture, a caption or its
`training.yaml` has changed is another one, and is trained. A change of `parameters` in this file alone trains nothing
again.

It comes paused. Unpause it for the days to come, and for a backfill too, whose runs wait otherwise.

To use it: set up a connection `scenario_default` (type *Scenario*), copy this file, and give it the folder of your
days, a local path or a bucket (`s3://conn_id@bucket/incoming`), as `LORA_ROOT` in the environment. A folder in that one
may be chosen as a param of the run, or with `--dag-run-conf '{"root": "…"}'`, no other: who starts a run shall not read
the worker's disk. `--max-active-runs` says how many days are trained at once.
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
    # Runs when a day is over, and `ds` is that day. A plain "@daily" may start when the day does: nothing is there yet.
    schedule=CronDataIntervalTimetable("@daily", timezone="UTC"),
    catchup=False,
    is_paused_upon_creation=True,  # it costs money every day: a person starts it
    doc_md=__doc__,
    tags=["scenario", "example"],
    params={"root": Param(ROOT, type="string", description="The folder of the days, or one in it")},
):

    @task
    def datasets(ds: str, params: dict[str, Any]) -> list[dict[str, Any]]:
        day = f"{params['root'].rstrip('/')}/{ds}"
        found = list_datasets(day, inside=ROOT, missing_ok=True, type="flux.2-dev-lora")
        if not found:
            raise AirflowSkipException(f"{ds} brought nothing: there are no datasets in {day}.")
        return [{**dataset, "name": f"{dataset['name']} {ds}"} for dataset in found]

    ScenarioTrainLoraOperator.partial(
        task_id="train",
        once_per_dataset=True,
        retries=2,  # after a crash or a lost answer, a retry waits for the same training and pays nothing again
        parameters={"nb_epochs": 4, "sample_prompts": ["a lighthouse in a storm"]},
        pool=os.environ.get("LORA_POOL", "default_pool"),  # see train_lora_batch: a pool with --include-deferred
        poke_interval=3,  # seconds; for the emulator's short trainings. Leave out for real ones: 30 is the default.
    ).expand_kwargs(datasets())
