"""The project of the API key, and routes that refuse API keys."""

from __future__ import annotations

from typing import Any

from airflow_provider_scenario.emulator.routing import Answer, Call, GatewayRefusal, Refusal, Routes
from airflow_provider_scenario.emulator.state import AUTHOR_ID, EPOCH_START, PROJECT_ID, TEAM_ID, State, iso
from airflow_provider_scenario.emulator.views import COMPLIANCE

routes = Routes()


@routes.serve("GET", "/projects")
def list_projects(call: Call) -> Answer:
    return Answer({"projects": [_view(call.state)]})


@routes.serve("GET", "/projects/{projectId}")
def retrieve(call: Call) -> Answer:
    if call.params["projectId"] != PROJECT_ID:
        raise Refusal(403, "You don't have access to this project", "ForbiddenError")
    return Answer({"project": _view(call.state)})


@routes.serve("GET", "/me")
def me(_: Call) -> Answer:
    """For users only, so an API key is refused."""
    raise GatewayRefusal(403, "User is not authorized to access this resource", "AccessDeniedException")


@routes.serve("GET", "/teams/{teamId}/limits")
def limits(_: Call) -> Answer:
    """For team admins only: an API key cannot read the limits of its plan."""
    raise Refusal(403, "You don't have the rights to access this resource", "ForbiddenError")


def _view(state: State) -> dict[str, Any]:
    created = iso(EPOCH_START)
    key = {
        "id": AUTHOR_ID,
        "apiKeyId": AUTHOR_ID,
        "apiKeyStatus": "active",
        "name": "Emulator key",
        "role": "editor",
        "scope": "project",
        "projects": [{"projectId": PROJECT_ID, "role": "editor"}],
        "createdAt": created,
        "updatedAt": created,
    }
    return {
        "id": PROJECT_ID,
        "name": "Emulator project",
        "teamId": TEAM_ID,
        "privacyMode": False,
        "keys": [key],
        "users": [],
        "consumption": state.ledger.creative_units,
        "createdAt": created,
        "updatedAt": created,
        "complianceMetadata": COMPLIANCE,
    }
