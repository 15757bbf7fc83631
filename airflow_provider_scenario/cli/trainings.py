"""``airflow scenario trainings …``."""

from __future__ import annotations

import sys
from itertools import islice
from typing import TYPE_CHECKING

from airflow_provider_scenario.cli.models import LARGEST_PAGE, cost, job_of, percent, say_if_cut
from airflow_provider_scenario.cli.output import print_fields, print_rows
from airflow_provider_scenario.cli.running import (
    FAILED,
    CommandError,
    UsageError,
    command,
    printable,
    say,
    scenario_client,
)
from airflow_provider_scenario.client.consequences import NO_REFUND, NOTHING_CHANGED
from airflow_provider_scenario.client.errors import InvalidInputError
from airflow_provider_scenario.client.ids import check_id
from airflow_provider_scenario.client.messages import shown

if TYPE_CHECKING:
    from argparse import Namespace

    from airflow_provider_scenario.client.scenario.client import ScenarioClient
    from airflow_provider_scenario.client.scenario.schemas import Job, Model
    from airflow_provider_scenario.watch.cancelling import CancelResult

JOB_TYPES = ("model-training", "flux-model-training", "musubi-model-training")
"""Jobs that are trainings."""

_JOB_PAGE = 100
_MOST_JOBS = 500
"""Jobs that are read to find what the trainings cost."""


@command
def list_trainings(options: Namespace) -> None:
    """List the trainings that run now."""
    with scenario_client(options.conn_id) as client:
        page = min(options.limit + 1, LARGEST_PAGE)
        found = list(islice(client.list_models(status="training", page_size=page), options.limit + 1))
        costs = _costs(client, {model.job_id for model in found if model.job_id})
    rows = [
        {
            "model_id": model.id,
            "name": model.name,
            "type": model.type,
            "job_id": model.job_id,
            "stage": model.training_progress.stage if model.training_progress else None,
            "percent": percent(model),
            "minutes_left": _minutes_left(model),
            "creative_units_cost": costs.get(model.job_id or ""),
        }
        for model in found[: options.limit]
    ]
    print_rows(rows, options.output, empty="No training runs.")
    say_if_cut(len(found), options.limit)


@command
def cancel_training(options: Namespace) -> None:
    """Cancel the training of a model, after a confirmation that names it."""
    if options.job_id is not None:
        _check_job_id(options.job_id)
    with scenario_client(options.conn_id) as client:
        model = client.get_model(options.model_id, only_status=True)
        result = _cancel(client, model, options) if model.status == "training" else _nothing_to_cancel(model)
        status = client.get_model(model.id, only_status=True).status
    if options.output in ("json", "yaml", "plain"):
        fields = {"model_id": model.id, "job_id": model.job_id, "effect": result.effect, "status": status}
        print_fields({**fields, "message": result.text}, options.output)
    else:
        sys.stdout.write(f"{printable(result.text)}\n")
    if result.effect != "cancelled":
        sys.exit(FAILED)


def _cancel(client: ScenarioClient, model: Model, options: Namespace) -> CancelResult:
    from airflow_provider_scenario.watch.cancelling import cancel_training as cancel

    if options.job_id is not None and options.job_id != model.job_id:
        raise CommandError(
            f"Not cancelled: job {model.job_id} trains {model.id} now, not job {options.job_id}. {NOTHING_CHANGED}"
        )
    if not options.yes:
        _confirm(model, job_of(client, model))
    # Only this job: while the user was thinking, it may have ended and another one may have started.
    return cancel(client, model.id, model.job_id)


def _nothing_to_cancel(model: Model) -> CancelResult:
    from airflow_provider_scenario.watch.cancelling import CancelResult

    text = f"Nothing to cancel: the status of {shown(model.name)} ({model.id}) is {model.status!r}. {NOTHING_CHANGED}"
    return CancelResult("cancelled" if model.status == "training-canceled" else "over", text)


def _confirm(model: Model, job: Job | None) -> None:
    """
    Show what would be cancelled and ask.

    :raises UsageError: nobody can answer.
    :raises CommandError: the answer is not yes.
    """
    if not sys.stdin.isatty():
        raise UsageError("There is no terminal to ask for confirmation: give --yes. Nothing was cancelled.")
    done, units = percent(model), cost(job)
    say(f"Training of {shown(model.name)} ({model.id}), job {model.job_id}{'' if done is None else f', {done} %'}.")
    billed = "It is billed" if units is None else f"It costs {units:.16g} creative units"
    say(f"{billed}, and may stay billed: {NO_REFUND} An Airflow task that waits for it fails.")
    sys.stderr.write("Cancel it? [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise CommandError("Nothing was cancelled. The training continues and is billed.")


def _check_job_id(job_id: str) -> None:
    try:
        check_id("--job-id", job_id)
    except InvalidInputError as error:
        raise UsageError(str(error)) from None


def _costs(client: ScenarioClient, job_ids: set[str]) -> dict[str, float]:
    """What these jobs cost, as far as the newest jobs tell."""
    found: dict[str, float] = {}
    if not job_ids:
        return found
    jobs = client.list_jobs(types=JOB_TYPES, page_size=_JOB_PAGE)
    for job in islice(jobs, _MOST_JOBS):
        units = cost(job)
        if job.job_id in job_ids:
            job_ids = job_ids - {job.job_id}
            if units is not None:
                found[job.job_id] = units
        if not job_ids:
            break
    return found


def _minutes_left(model: Model) -> int | None:
    left = model.training_progress.remaining_time_ms if model.training_progress else None
    return None if left is None else round(left / 60_000)
