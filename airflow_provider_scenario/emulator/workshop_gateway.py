"""
Alibaba Cloud's API Gateway in front of ``/scc``: digest signatures, and refusals in a header.

Its errors follow the gateway's public error table. ``POST /emulator/advance`` does not change its clock: otherwise a
client's timestamp would be refused after a test has advanced the time to the end of a listing.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from urllib.parse import parse_qsl

from airflow_provider_scenario.emulator.access import WINDOW_SECONDS
from airflow_provider_scenario.emulator.gateway import Gateway, request_id
from airflow_provider_scenario.emulator.routing import Answer, Call, Refusal
from airflow_provider_scenario.emulator.signing import LONGEST_TIME

TOLERANCE = 15 * 60.0
UNSIGNED = frozenset({"x-ca-signature", "x-ca-signature-headers", "accept", "content-md5", "content-type", "date"})


class HeaderRefusal(Refusal):
    """A refusal in ``X-Ca-Error-Message``. It has no body, because none is documented."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(status, message)

    def answer(self) -> Answer:
        return Answer(b"", self.status, "text/plain", {"x-ca-error-message": self.reason})


class WorkshopGateway(Gateway):
    """The gateway in front of the workshop, with its own refusals, request ids and clock."""

    def no_route(self) -> Refusal:
        return HeaderRefusal(400, "Invalid Url")

    def too_large(self) -> Refusal:
        return HeaderRefusal(413, "Request Entity Too Large")

    def own_headers(self) -> dict[str, str]:
        return {"x-ca-request-id": request_id().decode().upper()}

    def clock(self) -> float:
        return time.time() + self._state.settings.gateway_clock_skew


def check_signature(call: Call) -> None:
    """Refuse a request with a wrong signature, a timestamp too far off, or a used nonce."""
    state, headers = call.state, call.headers
    now = time.time() + state.settings.gateway_clock_skew
    if not hmac.compare_digest(headers.get("x-ca-key", "").encode(), state.api_key.encode()):
        raise HeaderRefusal(400, "Invalid AppKey")
    if not headers.get("x-ca-signature"):
        raise HeaderRefusal(404, "Empty Signature")
    _check_time(headers.get("x-ca-timestamp"), now)
    if "content-md5" in headers and headers["content-md5"] != _md5(call.raw):
        raise HeaderRefusal(400, "Invalid Content-MD5")
    signed = string_to_sign(call)
    secret = state.settings.api_secret or state.api_secret
    expected = base64.b64encode(hmac.digest(secret.encode(), signed.encode(), "sha256"))
    if not hmac.compare_digest(headers["x-ca-signature"].encode(), expected):
        # A header cannot contain line breaks; the gateway leaves them out.
        shown = "".join(filter(str.isprintable, signed))
        raise HeaderRefusal(400, f"Invalid Signature, Server StringToSign:`{shown}`")
    _check_nonce(call, now)
    _check_rate(call)


def string_to_sign(call: Call) -> str:
    """The string to sign, as the gateway's documents define it; the line of a missing header is empty."""
    names = [name.strip() for name in call.headers.get("x-ca-signature-headers", "").split(",")]
    signed = sorted(name for name in names if name and name.lower() not in UNSIGNED)
    parameters = "&".join(f"{name}={value}" if value else name for name, value in sorted(first_values(call).items()))
    lines = [call.method]
    lines += [call.headers.get(name, "") for name in ("accept", "content-md5", "content-type", "date")]
    lines += [f"{name}:{call.headers.get(name.lower(), '')}" for name in signed]
    return "\n".join([*lines, f"{call.path}?{parameters}" if parameters else call.path])


def first_values(call: Call) -> dict[str, str]:
    """The query; of a repeated name the first value, which is the one that the gateway signs."""
    pairs = parse_qsl(call.query_string, keep_blank_values=True)
    return dict(reversed(pairs))


def _check_time(timestamp: str | None, now: float) -> None:
    if timestamp is None:
        return
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= LONGEST_TIME):
        raise HeaderRefusal(400, "Invalid Timestamp")
    if abs(int(timestamp) / 1000 - now) > TOLERANCE:
        raise HeaderRefusal(400, "Timestamp Expired")


def _check_nonce(call: Call, now: float) -> None:
    nonce, nonces = call.headers.get("x-ca-nonce"), call.state.workshop.nonces
    for old in [known for known, used in nonces.items() if used < now - TOLERANCE]:
        del nonces[old]
    if nonce is None:
        return
    if nonce in nonces:
        raise HeaderRefusal(400, "Nonce Used")
    nonces[nonce] = now


def _check_rate(call: Call) -> None:
    limit, recent = call.state.settings.workshop_requests_per_minute, call.state.workshop.recent_requests
    while recent and recent[0] <= call.now - WINDOW_SECONDS:
        recent.popleft()
    if limit is not None and len(recent) >= limit:
        raise HeaderRefusal(403, "Throttled by APP Flow Control")
    recent.append(call.now)


def _md5(content: bytes) -> str:
    return base64.b64encode(hashlib.md5(content, usedforsecurity=False).digest()).decode()
