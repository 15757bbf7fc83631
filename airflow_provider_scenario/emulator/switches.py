"""The switches under ``/emulator``, for tests and curious users. They need no credentials: it is a local tool."""

import itertools
from collections.abc import Callable, Coroutine
from html import escape
from typing import Annotated, Any

from fastapi import APIRouter, Body, HTTPException, Request, Response
from fastapi.responses import HTMLResponse
from fastapi.routing import APIRoute
from pydantic import ValidationError

from airflow_provider_scenario.emulator.captcha import reject, show, waiting
from airflow_provider_scenario.emulator.lifecycle import settle
from airflow_provider_scenario.emulator.limits import Limits
from airflow_provider_scenario.emulator.routing import Refusal, read_json
from airflow_provider_scenario.emulator.settings import CENTURY, CaptchaAction, Fault, Outcome, Override, Settings
from airflow_provider_scenario.emulator.state import State

SECRETS = {"api_secret", "api_token"}
"""Settings that are never shown."""


class _ReadableJson(APIRoute):
    """Refuses values that Python's parser accepts and JSON does not have: they could not be returned later."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def checked(request: Request) -> Response:
            try:
                read_json(await request.body())
            except Refusal as refusal:
                raise HTTPException(400, refusal.reason) from None
            return await handle(request)

        return checked


def _docs_page(descriptions: dict[str, str]) -> str:
    tables = {"Switches": descriptions} | {
        model.__name__: {name: field.description or "" for name, field in model.model_fields.items()}
        for model in (Settings, Limits, Fault, Outcome, Override, CaptchaAction)
    }
    page = "<!doctype html><title>Scenario emulator</title>"
    for title, rows in tables.items():
        cells = "".join(f"<tr><td>{escape(name)}<td>{escape(text)}" for name, text in rows.items())
        page += f"<h2>{title}</h2><table>{cells}</table>"
    return page


def switches(state: State) -> APIRouter:
    router = APIRouter(prefix="/emulator", route_class=_ReadableJson)
    outcome_ids, override_ids = itertools.count(1), itertools.count(1)

    @router.get("")
    async def index() -> dict[str, str]:
        """All switches with their descriptions."""
        return {
            f"{method} {route.path}": route.description
            for route in router.routes
            if isinstance(route, APIRoute)
            for method in route.methods
        }

    @router.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        """A page with all switches and the fields of their bodies."""
        return HTMLResponse(_docs_page(await index()))

    @router.get("/ledger")
    async def ledger() -> dict[str, Any]:
        """What was created, started, billed and synced; requests by route, answers by status, and totals."""
        now = state.now()
        settle(state, now)
        report = state.ledger.report()
        totals = {**report["totals"], **state.workshop.totals(now)}
        return {**report, **state.workshop.report(now), "totals": totals}

    @router.post("/reset")
    async def reset() -> dict[str, bool]:
        """Delete everything: models, assets, ledger, faults, outcomes. Settings become those of the start again."""
        state.reset()
        return {"reset": True}

    @router.get("/settings", response_model_exclude=SECRETS)
    async def read_settings() -> Settings:
        """The current settings."""
        return state.settings

    @router.post("/settings", response_model_exclude=SECRETS)
    async def change_settings(changes: Annotated[dict[str, Any], Body()]) -> Settings:
        """Change some settings, e.g. {"training_seconds": 60, "parallel_training": 0}; the others stay."""
        try:
            state.settings = state.settings.changed(changes)
        except ValidationError as error:
            raise HTTPException(422, error.errors(include_url=False, include_context=False)) from None
        return state.settings

    @router.get("/faults")
    async def list_faults() -> list[dict[str, Any]]:
        """All faults, with how often each was applied."""
        return state.faults.report()

    @router.post("/faults")
    async def add_fault(fault: Fault) -> dict[str, Any]:
        """Make requests fail, e.g. {"kind": "status", "status": 503, "route": "/jobs/*", "times": 3}."""
        return {"id": state.faults.add(fault), **fault.model_dump()}

    @router.delete("/faults")
    async def clear_faults() -> dict[str, bool]:
        """Remove all faults."""
        state.faults.clear()
        return {"deleted": True}

    @router.delete("/faults/{fault_id}")
    async def remove_fault(fault_id: str) -> dict[str, bool]:
        """Remove one fault."""
        if not state.faults.remove(fault_id):
            raise HTTPException(404, f"Fault {fault_id} does not exist")
        return {"deleted": True}

    @router.get("/outcomes")
    async def list_outcomes() -> dict[str, Outcome]:
        """How later trainings will end."""
        return state.outcomes

    @router.post("/outcomes")
    async def add_outcome(outcome: Outcome) -> dict[str, Any]:
        """Decide how trainings end, e.g. {"model": "hero-*", "fail_at": 0.5, "error": "CUDA out of memory"}."""
        outcome_id = f"outcome_{next(outcome_ids)}"
        state.outcomes[outcome_id] = outcome
        return {"id": outcome_id, **outcome.model_dump()}

    @router.delete("/outcomes")
    async def clear_outcomes() -> dict[str, bool]:
        """Let later trainings succeed again."""
        state.outcomes.clear()
        return {"deleted": True}

    @router.get("/overrides")
    async def list_overrides() -> dict[str, Override]:
        """Fields that models and jobs show in place of their own."""
        return state.overrides

    @router.post("/overrides")
    async def add_override(override: Override) -> dict[str, Any]:
        """Change the fields that a model or job shows, e.g. {"of": "job", "fields": {"status": "a-new-status"}}."""
        override_id = f"override_{next(override_ids)}"
        state.overrides[override_id] = override
        return {"id": override_id, **override.model_dump()}

    @router.delete("/overrides")
    async def clear_overrides() -> dict[str, bool]:
        """Let models and jobs show their own fields again."""
        state.overrides.clear()
        return {"deleted": True}

    @router.post("/captcha")
    async def captcha(act: CaptchaAction) -> dict[str, list[str]]:
        """Act as the owner of a professional voice clone, e.g. {"action": "solve", "model": "narrator"}."""
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
                state.schedule_end(model.job)
        return {"models": [model.id for model, _ in found]}

    @router.get("/synced/{model_id:path}")
    async def synced(model_id: str) -> dict[str, Any]:
        """A synced model: its latest tree, and the other fields of that sync except the token."""
        model = state.workshop.models.get(model_id)
        if model is None:
            raise HTTPException(404, f"Model {model_id} was not synced")
        return {"tree": model.tree, "session": model.session}

    @router.post("/advance")
    async def advance(seconds: Annotated[float, Body(embed=True, ge=0, le=CENTURY)]) -> dict[str, float]:
        """Advance the emulator's clock: {"seconds": 3600}. Trainings, cool-downs and signed URLs depend on it."""
        if state.clock_offset + seconds > CENTURY:
            raise HTTPException(422, "The clock can be advanced by a hundred years in all; POST /emulator/reset")
        state.clock_offset += seconds
        return {"seconds": seconds, "clock_offset": state.clock_offset}

    return router
