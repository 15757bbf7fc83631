"""What a test or a curious person may turn under ``/emulator``. No credentials: it is a local tool."""

import itertools
from collections.abc import Callable, Coroutine
from typing import Annotated, Any

from fastapi import APIRouter, Body, HTTPException, Request, Response
from fastapi.routing import APIRoute
from pydantic import ValidationError

from airflow_provider_scenario.emulator.captcha import reject, show, waiting
from airflow_provider_scenario.emulator.lifecycle import settle
from airflow_provider_scenario.emulator.routing import Refusal, read_json
from airflow_provider_scenario.emulator.settings import CENTURY, CaptchaAction, Fault, Outcome, Override, Settings
from airflow_provider_scenario.emulator.state import State

SECRETS = {"api_secret", "api_token"}
"""Settings that are not shown: whoever may read the settings need not know them."""


class _ReadableJson(APIRoute):
    """Refuses what Python reads and JSON cannot say: it could not be shown again in an answer."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def checked(request: Request) -> Response:
            try:
                read_json(await request.body())
            except Refusal as refusal:
                raise HTTPException(400, refusal.reason) from None
            return await handle(request)

        return checked


def switches(state: State) -> APIRouter:
    router = APIRouter(prefix="/emulator", route_class=_ReadableJson)
    outcome_ids, override_ids = itertools.count(1), itertools.count(1)

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
            state.settings = state.settings.changed(changes)
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

    @router.get("/overrides")
    async def list_overrides() -> dict[str, Override]:
        """The fields that models and jobs are shown with instead of their own."""
        return state.overrides

    @router.post("/overrides")
    async def add_override(override: Override) -> dict[str, Any]:
        """Show a model or its job otherwise than it is, e.g. {"of": "job", "fields": {"status": "a-new-status"}}."""
        override_id = f"override_{next(override_ids)}"
        state.overrides[override_id] = override
        return {"id": override_id, **override.model_dump()}

    @router.delete("/overrides")
    async def clear_overrides() -> dict[str, bool]:
        """Show models and jobs as they are again."""
        state.overrides.clear()
        return {"deleted": True}

    @router.post("/captcha")
    async def captcha(act: CaptchaAction) -> dict[str, list[str]]:
        """Be the person for whom a professional voice clone waits, e.g. {"action": "solve", "model": "narrator"}."""
        now = state.now()
        settle(state, now)
        found = waiting(state, act.model, now)
        if not found:
            raise HTTPException(404, f"No training of a model {act.model} waits for a captcha")
        for model, captcha in found:
            if act.action == "show":
                show(state, model, captcha, now)
            elif act.action == "reject":
                reject(captcha, act.error, now)
            else:
                captcha.solved_at = now
            if model.job is not None:
                state.watch_end(model.job)
        return {"models": [model.id for model, _ in found]}

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
        if state.clock_offset + seconds > CENTURY:
            raise HTTPException(422, "The clock can be moved on by a hundred years altogether; POST /emulator/reset")
        state.clock_offset += seconds
        return {"seconds": seconds, "clock_offset": state.clock_offset}

    return router
