"""What a test or a curious person may turn under ``/emulator``. No credentials: it is a local tool."""

import itertools
from typing import Annotated, Any

from fastapi import APIRouter, Body, HTTPException
from fastapi.routing import APIRoute
from pydantic import ValidationError

from airflow_provider_scenario.emulator.lifecycle import settle
from airflow_provider_scenario.emulator.settings import Fault, Outcome, Settings
from airflow_provider_scenario.emulator.state import State

CENTURY = 100 * 365 * 24 * 3600.0
"""Seconds. Dates beyond the year 9999 cannot be written."""

SECRETS = {"api_secret", "api_token"}
"""Settings that are not shown: whoever may read the settings need not know them."""


def switches(state: State) -> APIRouter:
    router = APIRouter(prefix="/emulator")
    outcome_ids = itertools.count(1)

    @router.get("")
    async def index() -> dict[str, str]:
        """Every switch with what it does."""
        return {
            f"{method} {route.path}": route.description
            for route in router.routes
            if isinstance(route, APIRoute)
            for method in route.methods
        }

    @router.get("/ledger")
    async def ledger() -> dict[str, Any]:
        """What was created, started, billed and synced, requests a route, answers a status, and totals."""
        now = state.now()
        settle(state, now)
        report = state.ledger.report()
        totals = {**report["totals"], **state.workshop.totals(now)}
        return {**report, **state.workshop.report(now), "totals": totals}

    @router.post("/reset")
    async def reset() -> dict[str, bool]:
        """Forget everything: models, assets, ledger, faults, outcomes; settings go back to those of the start."""
        state.reset()
        return {"reset": True}

    @router.get("/settings", response_model_exclude=SECRETS)
    async def read_settings() -> Settings:
        """The settings as they are."""
        return state.settings

    @router.post("/settings", response_model_exclude=SECRETS)
    async def change_settings(changes: Annotated[dict[str, Any], Body()]) -> Settings:
        """Change some, e.g. {"training_seconds": 60, "parallel_training": 0, "auth_status": 401}; the others stay."""
        try:
            state.settings = Settings.model_validate({**state.settings.model_dump(), **changes})
        except ValidationError as error:
            raise HTTPException(422, error.errors(include_url=False, include_context=False)) from None
        return state.settings

    @router.get("/faults")
    async def list_faults() -> list[dict[str, Any]]:
        """The faults that are set, with how often each has happened."""
        return state.faults.report()

    @router.post("/faults")
    async def add_fault(fault: Fault) -> dict[str, Any]:
        """Make requests go wrong, e.g. {"kind": "status", "status": 503, "route": "/jobs/*", "times": 3}."""
        return {"id": state.faults.add(fault), **fault.model_dump()}

    @router.delete("/faults")
    async def clear_faults() -> dict[str, bool]:
        """Take all faults away."""
        state.faults.clear()
        return {"deleted": True}

    @router.delete("/faults/{fault_id}")
    async def remove_fault(fault_id: str) -> dict[str, bool]:
        """Take one fault away."""
        if not state.faults.remove(fault_id):
            raise HTTPException(404, f"There is no fault {fault_id}")
        return {"deleted": True}

    @router.get("/outcomes")
    async def list_outcomes() -> dict[str, Outcome]:
        """How trainings that are still to start will go."""
        return state.outcomes

    @router.post("/outcomes")
    async def add_outcome(outcome: Outcome) -> dict[str, Any]:
        """Decide how trainings go, e.g. {"model": "hero-*", "fail_at": 0.5, "error": "CUDA out of memory"}."""
        outcome_id = f"outcome_{next(outcome_ids)}"
        state.outcomes[outcome_id] = outcome
        return {"id": outcome_id, **outcome.model_dump()}

    @router.delete("/outcomes")
    async def clear_outcomes() -> dict[str, bool]:
        """Let trainings that are still to start go well again."""
        state.outcomes.clear()
        return {"deleted": True}

    @router.get("/synced/{model_id:path}")
    async def synced(model_id: str) -> dict[str, Any]:
        """A model of the workshop as it was synced last: its tree, and what came beside it but for the token."""
        model = state.workshop.models.get(model_id)
        if model is None:
            raise HTTPException(404, f"There is no synced model {model_id}")
        return {"tree": model.tree, "beside": model.beside}

    @router.post("/advance")
    async def advance(seconds: Annotated[float, Body(embed=True, ge=0, le=CENTURY)]) -> dict[str, float]:
        """Move the emulator's clock on: {"seconds": 3600}. Trainings, cool-downs and signed URLs all live by it."""
        state.clock_offset += seconds
        return {"seconds": seconds, "clock_offset": state.clock_offset}

    return router
