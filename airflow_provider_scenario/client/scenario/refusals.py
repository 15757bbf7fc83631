"""
Scenario's refusals: one typed error for each shape in which the service or its gateway refuses a request.

Nothing else reads a body that is an error. Knows no HTTP library: status, headers and body come in, an error goes out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from airflow_provider_scenario.client.consequences import NOTHING_CHANGED, NOTHING_STARTED
from airflow_provider_scenario.client.defaults import SCENARIO_URL
from airflow_provider_scenario.client.errors import (
    AlreadyTrainingError,
    AlreadyTrainingImageError,
    AuthenticationError,
    ConflictError,
    NotFoundError,
    Origin,
    PlanCeilingError,
    RequestRefusedError,
    ScenarioError,
    ServiceError,
    ThrottledError,
)
from airflow_provider_scenario.client.refusals import (
    Call,
    details_of,
    is_page,
    number_of,
    page_advice,
    reason_in,
    retry_after,
    should_retry,
)
from airflow_provider_scenario.client.texts import plain

if TYPE_CHECKING:
    from collections.abc import Mapping

CREDENTIALS = "the API key and the API secret"
"""What messages tell the user to check, unless the caller knows where key and secret are stored."""

# Statuses that mean the same in a proxy's page: timeout, conflict, too large, too many requests.
_ALSO_AS_PAGES = (408, 409, 413, 429)


def no_effect(call: Call) -> str:
    """
    The sentence for a request that had no effect.

    It speaks of the cost only where the request starts or creates something: the training that another request reads
    or cancels may be running and billed.
    """
    return NOTHING_CHANGED if call.repeatable else NOTHING_STARTED


def refusal(
    call: Call,
    status: int,
    headers: Mapping[str, str],
    body: object,
    *,
    now: float,
    credentials: str = CREDENTIALS,
) -> ScenarioError:
    """
    Translate an answer that is not a success into an error.

    :param status: the HTTP status, anything but 2xx.
    :param headers: of the answer; in any letter case if the mapping ignores it.
    :param body: as :func:`.decode` gave it, without secrets the service may have repeated.
    :param now: Unix time in seconds, for a ``Retry-After`` that is a date.
    :param credentials: what messages tell the user to check when key or secret are wrong.
    """
    error = _refusal(call, status, headers, body, now=now, credentials=credentials)
    if should_retry(headers) and not error.is_certain:
        error.permanent = False
    return error


def _refusal(
    call: Call, status: int, headers: Mapping[str, str], body: object, *, now: float, credentials: str
) -> ScenarioError:
    reason = plain(reason_in(body))
    details = details_of(body)
    origin: Origin = {
        "request": call.request,
        "status": status,
        "trace_id": trace_id(headers, body),
        "body": body,
    }
    refused = f"Scenario refused to {call.phrase}"
    because = f": {reason.rstrip('.')}." if reason else f" with status {status} and no reason."

    if is_page(headers, body) and 400 <= status < 500 and status not in _ALSO_AS_PAGES:
        kind = {401: AuthenticationError, 403: AuthenticationError, 404: NotFoundError}.get(status, RequestRefusedError)
        page = f"Could not {call.phrase}: the answer is a web page ({reason or 'without a title'}), not JSON."
        return kind(f"{page} {no_effect(call)} {page_advice(call.base_url, SCENARIO_URL)}", **origin)
    if status in (401, 403):
        advice = _access_advice(status, headers, body, base_url=call.base_url, credentials=credentials)
        return AuthenticationError(f"{refused}{because} {no_effect(call)} {advice}", **origin)
    if status == 404:
        return NotFoundError(
            f"{refused}{because} {no_effect(call)} Check the id and project_id: what another project owns is not "
            f"found.{_path_advice(call, origin)}",
            **origin,
        )
    if status == 429:
        return _too_many(call, refused, reason, retry_after(headers, body, now=now), body, details, origin)
    if status == 413:
        return RequestRefusedError(
            f"{refused}: the request is too large{f' ({reason})' if reason else ''}. {NOTHING_STARTED} Scenario takes "
            "about 6 MB in one request: send a smaller file, or upload it as an asset and give its id.",
            **origin,
        )
    if 400 <= status < 500 and status != 408:
        return _refused(call, f"{refused}{because}", reason, origin, may_pass=bool(should_retry(headers)))
    return ServiceError(
        f"Scenario failed to {call.phrase}: status {status}{f', {reason}' if reason else ''}. {call.consequence}",
        maybe_done=call.maybe_done,
        **origin,
    )


def _refused(call: Call, text: str, reason: str, origin: Origin, *, may_pass: bool) -> RequestRefusedError:
    lower = reason.lower()
    if "already training" in lower:
        return AlreadyTrainingError(
            f"{text} This request has started and billed nothing: the training that runs was started before. Wait for "
            "it or cancel it.",
            **origin,
        )
    if "already a training image" in lower:
        return AlreadyTrainingImageError(f"{text} {NOTHING_STARTED} The dataset has the image.", **origin)
    if origin["status"] == 409:
        return ConflictError(
            f"{text} {no_effect(call)} Scenario works on the same object at the moment: try again later.", **origin
        )
    advice = "Change the request: the same one cannot succeed."
    if origin["status"] == 402:
        advice = "Buy creative units, then send it again."
    if may_pass:
        advice = "Scenario says that the same request may succeed later: try again."
    return RequestRefusedError(f"{text} {no_effect(call)} {advice}", **origin)


def _path_advice(call: Call, origin: Origin) -> str:
    """Scenario's gateway adds a trace to each answer: an answer without it may come from a wrong address."""
    path = urlsplit(call.base_url).path
    if not call.base_url or origin["trace_id"] or path.endswith("/v1"):
        return ""
    has = f"ends in {plain(path)!r}" if path else "has no path"
    return f" The base URL {plain(call.base_url)!r} {has}; Scenario's ends in /v1."


def _access_advice(status: int, headers: Mapping[str, str], body: object, *, base_url: str, credentials: str) -> str:
    gateway = headers.get("x-amzn-errortype", "").partition(":")[0]
    if isinstance(body, dict) and body.get("name") == "ModelAccessRestrictedError":
        details = details_of(body)
        return (
            f"The model needs the plan {plain(str(details.get('requiredPlan', '?')))}, the team has "
            f"{plain(str(details.get('currentPlan', '?')))}. Raise the plan or take another model."
        )
    if gateway == "MissingAuthenticationTokenException":
        given = f" {plain(base_url)!r}" if base_url else ""
        return f"Scenario has no such path: check the base URL{given}; Scenario's is {SCENARIO_URL}."
    if gateway or status == 401:
        return f"The API key or the secret is wrong: check {credentials}."
    return (
        f"Most often the project is wrong: check project_id and {credentials}; otherwise the key's role does not "
        "allow it, or no API key may do this."
    )


def _too_many(
    call: Call,
    refused: str,
    reason: str,
    wait: float | None,
    body: object,
    details: Mapping[str, object],
    origin: Origin,
) -> PlanCeilingError | ThrottledError:
    """Distinguish the three kinds of 429: the plan's ceiling, the cool-down after launches, and throttling."""
    ceiling = isinstance(body, dict) and body.get("name") == "PlanLimitReachedError"
    cooling = number_of(details.get("remainingSeconds")) is not None
    if ceiling or (not cooling and "actionName" in details):
        return _plan_ceiling(refused, reason, details, origin)
    kind = "cool-down between launches" if cooling else "too many requests"
    when = f"in {wait:.0f} s" if wait is not None else "later"
    return ThrottledError(
        f"{refused}: {kind}{f' ({reason})' if reason else ''}. {no_effect(call)} Try again {when}.",
        retry_after=wait,
        **origin,
    )


def _plan_ceiling(refused: str, reason: str, details: Mapping[str, object], origin: Origin) -> PlanCeilingError:
    action = plain(str(details["actionName"])) if details.get("actionName") else None
    limit, used = number_of(details.get("actionLimit")), number_of(details.get("actionValue"))
    unit = " creative units" if action == "train-model" else ""
    numbers = ", ".join(
        part
        for part in (
            f"{limit:.12g}{unit}" if limit is not None and unit else f"limit {limit:.12g}" if limit is not None else "",
            f"{used:.12g} used" if used is not None else "",
        )
        if part
    )
    ceiling = f"plan ceiling {action!r}" if action else "plan ceiling"
    what = f"{ceiling}{f' ({numbers})' if numbers else ''}{f': {reason}' if reason and not action else ''}"
    match action:
        case "train-model":
            advice = "The price of this training counts already: raise the plan, or train with fewer images or epochs."
        case "parallel-training" if limit:
            advice = "A slot is free when another training of the team ends."
        case "parallel-training":
            advice = "The plan does not include training: raise it."
        case "add-training-image":
            advice = "The plan allows no more images in this dataset: use fewer, or raise it."
        case _:
            advice = "Raise the plan; waiting does not help."
    return PlanCeilingError(
        f"{refused}: {what}. {NOTHING_STARTED} {advice}", action=action, limit=limit, used=used, **origin
    )


def trace_id(headers: Mapping[str, str], body: object) -> str | None:
    """Scenario's own id of the request, from the body or the gateway's headers."""
    found = body.get("trace_id") if isinstance(body, dict) else None
    found = found or headers.get("x-amzn-requestid") or headers.get("x-amzn-trace-id")
    return plain(found)[:120] if isinstance(found, str) else None
