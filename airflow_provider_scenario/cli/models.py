"""``airflow scenario models …``."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

from airflow_provider_scenario.cli.output import print_fields, print_rows
from airflow_provider_scenario.cli.running import command, say, scenario_client
from airflow_provider_scenario.client.errors import NotFoundError
from airflow_provider_scenario.client.scenario.secret_parameters import without_secrets

if TYPE_CHECKING:
    from argparse import Namespace

    from airflow_provider_scenario.client.scenario.client import ScenarioClient
    from airflow_provider_scenario.client.scenario.schemas import Job, Model

LARGEST_PAGE = 500


@command
def list_models(options: Namespace) -> None:
    """List the models of the project, newest first."""
    with scenario_client(options.conn_id) as client:
        # One more than is shown, to know whether there are more.
        models = client.list_models(
            sort_by="createdAt",
            page_size=min(options.limit + 1, LARGEST_PAGE),
            **({"status": options.status} if options.status else {}),
        )
        found = list(islice(models, options.limit + 1))
    print_rows([_row(model) for model in found[: options.limit]], options.output, empty="No models.")
    say_if_cut(len(found), options.limit)


@command
def show_model(options: Namespace) -> None:
    """Show a model and its training."""
    with scenario_client(options.conn_id) as client:
        model = client.get_model(options.model_id)
        job = job_of(client, model)
    fields: dict[str, Any] = {
        **_row(model),
        "short_description": model.short_description,
        "updated_at": model.updated_at,
        "job_id": model.job_id,
        "job_status": job.status if job else None,
        "percent": percent(model),
        "error": job.metadata.error if job else None,
        "hint": job.metadata.hint if job else None,
        "creative_units_cost": cost(job),
        "epochs": [epoch.epoch for epoch in model.epochs],
        "parameters": without_secrets(model.parameters),
        "tags": model.tags,
    }
    print_fields(fields, options.output)


def _row(model: Model) -> dict[str, Any]:
    return {
        "model_id": model.id,
        "name": model.name,
        "type": model.type,
        "status": model.status,
        "training_images": model.training_images_number or len(model.training_images),
        "created_at": model.created_at,
    }


def say_if_cut(found: int, limit: int) -> None:
    """Say on stderr that the list goes on."""
    if found > limit:
        say(f"Only the first {limit} are listed; --limit lists more.")


def job_of(client: ScenarioClient, model: Model) -> Job | None:
    """Read the job of a model's training; None where there is none."""
    try:
        return client.get_job(model.job_id) if model.job_id else None
    except NotFoundError:
        return None


def percent(model: Model) -> int | None:
    """The progress of a training that runs, in percent; None for other models: the progress stays on trained ones."""
    progress = model.training_progress.progress if model.training_progress else None
    return round(progress * 100) if progress is not None and model.status == "training" else None


def cost(job: Job | None) -> float | None:
    """What a training was billed at, in creative units; None if the service does not say."""
    return job.billing.cu_cost if job and job.billing else None
