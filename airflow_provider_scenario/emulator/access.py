"""Check credentials, request rate and project of a request to ``/v1``."""

from __future__ import annotations

import base64
import binascii
import hmac

from airflow_provider_scenario.emulator.routing import Call, GatewayRefusal, Refusal
from airflow_provider_scenario.emulator.state import PROJECT_ID

WINDOW_SECONDS = 60.0


def check_access(call: Call) -> None:
    _check_credentials(call)
    _check_rate(call)
    if call.query.get("projectId", PROJECT_ID) != PROJECT_ID:
        raise Refusal(403, "You don't have access to this project", "ForbiddenError")


def _check_credentials(call: Call) -> None:
    expected = f"{call.state.api_key}:{call.state.settings.api_secret or call.state.api_secret}".encode()
    if hmac.compare_digest(_basic(call.headers.get("authorization", "")), expected):
        return
    if call.state.settings.auth_status == 401:
        raise GatewayRefusal(401, "Unauthorized", "UnauthorizedException")
    raise GatewayRefusal(
        403, "User is not authorized to access this resource with an explicit deny", "AccessDeniedException"
    )


def _basic(authorization: str) -> bytes:
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        return b""
    try:
        return base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        return b""


def _check_rate(call: Call) -> None:
    """A sliding minute for the whole project."""
    limit, recent = call.state.settings.requests_per_minute, call.state.recent_requests
    if limit is None:
        return
    while recent and recent[0] <= call.now - WINDOW_SECONDS:
        recent.popleft()
    if len(recent) >= limit:
        wait = recent[0] + WINDOW_SECONDS - call.now if recent else WINDOW_SECONDS
        headers = {"retry-after": str(int(wait) + 1)} if call.state.settings.send_retry_after else {}
        raise GatewayRefusal(429, "Too Many Requests", "TooManyRequestsException", headers)
    recent.append(call.now)
