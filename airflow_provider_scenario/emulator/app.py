"""The ASGI app: Scenario under ``/v1``, AI Creation Workshop under ``/scc``, files, and the switches."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import FastAPI

from airflow_provider_scenario.emulator import (
    assets,
    downloads,
    files,
    jobs,
    model_list,
    models,
    projects,
    scores,
    training,
    training_images,
    uploads,
    workshop,
)
from airflow_provider_scenario.emulator.access import check_access
from airflow_provider_scenario.emulator.callers import CheckedCallers, Hosts
from airflow_provider_scenario.emulator.gateway import Gateway
from airflow_provider_scenario.emulator.routing import Routes
from airflow_provider_scenario.emulator.served import served_folder
from airflow_provider_scenario.emulator.switches import switches
from airflow_provider_scenario.emulator.workshop_gateway import WorkshopGateway, check_signature

if TYPE_CHECKING:
    from airflow_provider_scenario.emulator.state import State

# The most that the AWS gateway accepts in one request, and its storage in one part.
LARGEST_BODY = 6 * 1024 * 1024
LARGEST_PART = 512 * 1024 * 1024

SCENARIO = Routes(
    *(models.routes, model_list.routes, training_images.routes, training.routes, jobs.routes),
    *(downloads.routes, assets.routes, uploads.routes, projects.routes, scores.routes),
)


def create_app(state: State, hosts: Hosts | None = None) -> FastAPI:
    """
    Make the ASGI app.

    :param hosts: the names that clients may use for it. Default: those of this machine's loopback interface.
    """
    # FastAPI's own documentation pages load scripts from a CDN; the switches have a page of their own.
    app = FastAPI(title="Scenario emulator", docs_url=None, redoc_url=None, openapi_url="/emulator/openapi.json")
    app.include_router(switches(state))
    app.mount("/v1", Gateway(state, "/v1", SCENARIO, check_access, LARGEST_BODY))
    app.mount("/scc", WorkshopGateway(state, "/scc", workshop.routes, check_signature, LARGEST_BODY))
    app.mount("/cdn", Gateway(state, "/cdn", files.routes, files.check_signature, LARGEST_PART))
    app.mount("/files", served_folder(state.files_folder))
    app.add_middleware(CheckedCallers, hosts=hosts or Hosts())
    return app
