"""
# Train what each day has brought, and catch up on the days that were missed

Somebody puts datasets into `<root>/2026-01-05/`, a folder each; when the day is over its run trains each of them once.
A day that brought nothing is skipped, and its **datasets** task says so.

`catchup=False`: nothing that lies in the past is trained, and paid, unless a person asks for it:

    airflow backfill create --dag-id backfill_lora_batches --from-date 2026-01-01 --to-date 2026-01-10

trains what these ten days brought. The same again does nothing; then

* `--reprocess-behavior failed` trains only what failed. Airflow itself clears *every* task of a day that failed, also
  those that went well. So **datasets** asks Scenario, which keeps the record, and what is trained already is skipped.
* `--reprocess-behavior completed` trains again on purpose: where nothing of a day is missing, all of it once more;
  where something is, only that.

That needs model names that are unique a day and stable: `ink-style 2026-01-05`. A dataset is missing when it has fewer
trained models of its name than the day's others.

It comes paused. Unpause it for the days to come, and for a backfill too, whose runs wait otherwise.

To use it: set up a connection `scenario_default` (type *Scenario*), copy this file, and give it the folder of your
days, a local path or a bucket (`s3://conn_id@bucket/incoming`), as `LORA_ROOT` in the environment. A folder in that one
may be chosen as a param of the run, or with `--dag-run-conf '{"root": "…"}'`, no other: who starts a run shall not read
the worker's disk. `--max-active-runs` says how many days are trained at once.
"""

from __future__ import annotations

import logging
import os
from collections import Counter
from pathlib import Path
from typing import Any

from airflow.providers.common.compat.sdk import AirflowSkipException
from airflow.sdk import DAG, Param, task
from airflow.timetables.interval import CronDataIntervalTimetable

from airflow_provider_scenario.datasets import list_datasets
from airflow_provider_scenario.hooks.scenario import ScenarioHook
from airflow_provider_scenario.operators.training import ScenarioTrainLoraOperator

log = logging.getLogger(__name__)

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
    def datasets(ds: str, params: dict[str, Any], ti: Any) -> list[dict[str, Any]]:
        day = f"{params['root'].rstrip('/')}/{ds}"
        found = list_datasets(day, inside=ROOT, missing_ok=True, type="flux.2-dev-lora")
        if not found:
            raise AirflowSkipException(f"{ds} brought nothing: there are no datasets in {day}.")
        found = [{**dataset, "name": f"{dataset['name']} {ds}"} for dataset in found]
        trained = Counter(model.name for model in ScenarioHook().client.list_models(status="trained", page_size=500))
        rounds = [trained[dataset["name"]] for dataset in found]
        missing = [dataset for dataset, done in zip(found, rounds, strict=True) if done < max(rounds)]
        chosen = [dataset["name"] for dataset in missing or found]
        log.info("%s brought %d datasets, trained %s times so far. Now: %s", ds, len(found), rounds, chosen)
        ti.xcom_push(key="chosen", value=chosen)
        return found

    def skip_unless_chosen(context: Any) -> None:
        """Skipped, not left out of the mapping: Airflow does not bring back a mapped task that it has removed."""
        name = context["task"].name
        if name not in context["ti"].xcom_pull(task_ids="datasets", key="chosen"):
            raise AirflowSkipException(f"{name} is trained already.")

    ScenarioTrainLoraOperator.partial(
        task_id="train",
        pre_execute=skip_unless_chosen,
        retries=2,  # a retry finds what the attempt before it has started; only a failed training is started again
        parameters={"nb_epochs": 4, "sample_prompts": ["a lighthouse in a storm"]},
        pool=os.environ.get("LORA_POOL", "default_pool"),  # see train_lora_batch: a pool with --include-deferred
        poke_interval=3,  # seconds; for the emulator's short trainings. Leave out for real ones: 30 is the default.
    ).expand_kwargs(datasets())
