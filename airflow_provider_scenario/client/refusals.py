"""
What an answer that is no success means: one typed error for every shape in which the service says no.

The service, the gateway before it and whatever stands between answer in a dozen shapes. All of them end here, so that
nobody else reads an error body. Knows no HTTP library: status, headers and bytes come in, an error goes out.
"""

from __future__ import annotations

import contextlib
import math
import re
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from airflow_provider_scenario.client.decoding import LONGEST_PAGE
from airflow_provider_scenario.client.defaults import SCENARIO_URL
from airflow_provider_scenario.client.errors import (
    AlreadyTrainingError,
    AlreadyTrainingImageError,
    AuthenticationError,
    ConflictError,
    NotFoundError,
    PlanCeilingError,
    RequestRefusedError,
    ScenarioError,
    ServiceError,
    ThrottledError,
)
from airflow_provider_scenario.client.texts import plain

if TYPE_CHECKING:
    from collections.abc import Mapping

LONGEST_WAIT_ASKED = 24 * 3600.0
"""Seconds that the service may ask to wait: a daily quota is free again by then. More counts as this."""

_DEEPEST_REASON = 8
"""Objects within each other that are searched for the service's own words."""

NOTHING_HAPPENED = "Nothing was started or billed."
LOOK_FIRST = "It may have been carried out, and billed where it costs anything: look before asking again."

_TITLE, _TITLE_END = (re.compile(tag, re.IGNORECASE) for tag in ("<title", "</title"))


@dataclass(frozen=True, slots=True)
class Call:
    """
    What was asked of the service, in the words that errors use.

    :param phrase: for people, an infinitive without 'to', such as ``train model model_8Xk``.
    :param request: method and path, such as ``PUT /models/model_8Xk/train``.
    :param repeatable: whether sending it twice has the effect of sending it once.
    :param reads: whether it changes nothing at all.
    :param if_lost: what may have happened, and what to do, when the answer to a call that is not repeatable is lost.
    :param base_url: where it was asked; without credentials.
    """

    phrase: str
    request: str
    repeatable: bool
    reads: bool = False
    if_lost: str = LOOK_FIRST
    base_url: str = ""

    @property
    def maybe_done(self) -> bool:
        """What a lost answer means. Of a repeatable call, nothing: it is sent again."""
        return not self.repeatable

    def fate(self) -> str:
        """What became of it, and of the money, when no answer came back that can be read."""
        if self.reads:
            return "Reading changes nothing and costs nothing. Try again later."
        return "Asking again is safe. Try again later." if self.repeatable else self.if_lost


def no_effect(call: Call) -> str:
    """
    Say that a call had no effect.

    Only of a call that starts or creates something does it say so of the money: the training that another one reads or
    cancels may be running, and billed.
    """
    return "The request changed nothing." if call.repeatable else NOTHING_HAPPENED


def should_retry(headers: Mapping[str, str]) -> bool | None:
    """What the service says of sending the same again, in a header that the vendor's client obeys; None: nothing."""
    return {"true": True, "false": False}.get(headers.get("x-should-retry", "").strip().lower())


def is_certain(error: ScenarioError) -> bool:
    """Whether the service has named a fact that no further try changes, whatever its ``x-should-retry`` says."""
    return isinstance(error, PlanCeilingError | AlreadyTrainingError | AlreadyTrainingImageError)


def refusal(call: Call, status: int, headers: Mapping[str, str], body: Any, *, now: float) -> ScenarioError:
    """
    Translate an answer that is no success into the error that says it.

    :param call: what was asked.
    :param status: the HTTP status, anything but 2xx.
    :param headers: of the answer; looked up in any case if the mapping does so.
    :param body: as :func:`.decode` gave it, without secrets the service may have repeated.
    :param now: Unix time in seconds, for a ``Retry-After`` that is a date.
    """
    error = _refusal(call, status, headers, body, now=now)
    if should_retry(headers) and not is_certain(error):
        error.permanent = False
    return error


def _refusal(call: Call, status: int, headers: Mapping[str, str], body: Any, *, now: float) -> ScenarioError:
    said = plain(said_by(body))
    details = _details(body)
    origin: dict[str, Any] = {
        "request": call.request,
        "status": status,
        "trace_id": trace_id(headers, body),
        "body": body,
    }
    refused = f"Scenario refused to {call.phrase}"
    because = f": {said.rstrip('.')}." if said else f" with status {status} and no reason."

    if is_page(headers, body) and 400 <= status < 500 and status not in _ALSO_AS_PAGES:
        kind = {401: AuthenticationError, 403: AuthenticationError, 404: NotFoundError}.get(status, RequestRefusedError)
        page = f"Could not {call.phrase}: the answer is a web page ({said or 'without a title'}), not JSON."
        return kind(f"{page} {no_effect(call)} {page_advice(call.base_url, SCENARIO_URL)}", **origin)
    if status in (401, 403):
        return _not_allowed(f"{refused}{because} {no_effect(call)}", call.base_url, headers, body, details, origin)
    if status == 404:
        return NotFoundError(
            f"{refused}{because} {no_effect(call)} Check the id, and that it belongs to the project of the "
            f"connection: what another project owns is not found.{_path_advice(call, origin)}",
            **origin,
        )
    if status == 429:
        return _too_many(call, refused, said, retry_after(headers, body, now=now), body, details, origin)
    if status == 413:
        return RequestRefusedError(
            f"{refused}: the request is too large{f' ({said})' if said else ''}. {NOTHING_HAPPENED} The service takes "
            "about 6 MB in one request: send a smaller file, or upload it as an asset and give its id.",
            **origin,
        )
    if 400 <= status < 500 and status != 408:
        return _refused(call, f"{refused}{because}", said, origin, may_pass=bool(should_retry(headers)))
    return ServiceError(
        f"Scenario failed to {call.phrase}: status {status}{f', {said}' if said else ''}. {call.fate()}",
        maybe_done=call.maybe_done,
        **origin,
    )


def _refused(call: Call, text: str, said: str, origin: dict[str, Any], *, may_pass: bool) -> RequestRefusedError:
    lower = said.lower()
    if "already training" in lower:
        return AlreadyTrainingError(
            f"{text} This request has started and billed nothing; what is running was started before it. Wait for "
            "that training, or cancel it.",
            **origin,
        )
    if "already a training image" in lower:
        return AlreadyTrainingImageError(f"{text} {NOTHING_HAPPENED} The image is in the dataset.", **origin)
    if origin["status"] == 409:
        return ConflictError(
            f"{text} {no_effect(call)} Something else works on the same thing: try again later.", **origin
        )
    advice = "Change what is asked: the same again cannot succeed."
    if origin["status"] == 402:
        advice = "Buy creative units, then clear the task."
    if may_pass:
        advice = "Scenario says that the same request may succeed later: try again."
    return RequestRefusedError(f"{text} {no_effect(call)} {advice}", **origin)


def _path_advice(call: Call, origin: Mapping[str, Any]) -> str:
    """Scenario's gateway gives each of its answers a trace: one without it may come from a wrong address."""
    path = urlsplit(call.base_url).path
    if not call.base_url or origin["trace_id"] or path.endswith("/v1"):
        return ""
    has = f"ends in {plain(path)!r}" if path else "has no path"
    return f" The base URL {plain(call.base_url)!r} {has}; Scenario's ends in /v1."


def _not_allowed(
    text: str, base_url: str, headers: Mapping[str, str], body: Any, details: Mapping[str, Any], origin: dict[str, Any]
) -> AuthenticationError:
    gateway = headers.get("x-amzn-errortype", "").partition(":")[0]
    if isinstance(body, dict) and body.get("name") == "ModelAccessRestrictedError":
        advice = (
            f"The model needs the plan {plain(str(details.get('requiredPlan', '?')))}, the team has "
            f"{plain(str(details.get('currentPlan', '?')))}. Raise the plan or take another model."
        )
    elif gateway == "MissingAuthenticationTokenException":
        asked_at = f" {plain(base_url)!r}" if base_url else ""
        advice = (
            f"There is no such route: check the base URL{asked_at} of the connection; Scenario's is {SCENARIO_URL}."
        )
    elif gateway or origin["status"] == 401:
        advice = "The API key or the secret is wrong: check login and password of the connection."
    else:
        advice = (
            "Most often the project is wrong: check project_id and the key of the connection; otherwise the key's "
            "role does not allow it, or no API key may do this."
        )
    return AuthenticationError(f"{text} {advice}", **origin)


def _too_many(
    call: Call,
    refused: str,
    said: str,
    wait: float | None,
    body: Any,
    details: Mapping[str, Any],
    origin: dict[str, Any],
) -> PlanCeilingError | ThrottledError:
    """Tell the three kinds of 429 apart: the plan's ceiling, the cool-down after launches, and throttling."""
    ceiling = isinstance(body, dict) and body.get("name") == "PlanLimitReachedError"
    cooling = _number(details.get("remainingSeconds")) is not None
    if ceiling or (not cooling and "actionName" in details):
        return _plan_ceiling(refused, said, details, origin)
    kind = "cool-down between launches" if cooling else "too many requests"
    when = f"in {wait:.0f} s" if wait is not None else "later"
    return ThrottledError(
        f"{refused}: {kind}{f' ({said})' if said else ''}. {no_effect(call)} Try again {when}.",
        retry_after=wait,
        **origin,
    )


def _plan_ceiling(refused: str, said: str, details: Mapping[str, Any], origin: dict[str, Any]) -> PlanCeilingError:
    action = plain(str(details["actionName"])) if details.get("actionName") else None
    limit, used = _number(details.get("actionLimit")), _number(details.get("actionValue"))
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
    what = f"{ceiling}{f' ({numbers})' if numbers else ''}{f': {said}' if said and not action else ''}"
    match action:
        case "train-model":
            advice = "The price of this run counts already: raise the plan, or train with fewer images or epochs."
        case "parallel-training" if limit:
            advice = "A slot is free again when another training of the team ends."
        case "parallel-training":
            advice = "The plan does not include training: raise it."
        case "add-training-image":
            advice = "The plan allows no more images in this dataset: use fewer, or raise it."
        case _:
            advice = "Raise the plan; waiting does not help."
    return PlanCeilingError(
        f"{refused}: {what}. {NOTHING_HAPPENED} {advice}", action=action, limit=limit, used=used, **origin
    )


# Statuses whose meaning a proxy's page does not change: a time-out, a conflict, too large, too many requests.
_ALSO_AS_PAGES = (408, 409, 413, 429)


def is_page(headers: Mapping[str, str], body: Any) -> bool:
    """
    Whether an answer is HTML.

    :param body: as :func:`.decode` gave it.
    """
    if not isinstance(body, str):
        return False
    return "text/html" in headers.get("content-type", "").lower() or body.lower().startswith(
        ("<!doctype html", "<html")
    )


def page_advice(base_url: str, example: str) -> str:
    """
    Say what a web page in the place of an answer most likely means.

    :param example: the base URL of the public service.
    """
    return (
        f"Is the base URL {plain(base_url)!r} the address of an app, such as app.scenario.com, instead of the API, "
        f"such as {example}? Or did a proxy answer?"
    )


def said_by(body: Any, depth: int = 0) -> str:
    """
    The service's own words, from any shape of error body.

    ``reason``, ``message``, ``Message`` and ``error`` in this order; nested objects and lists are searched, a page of
    HTML gives its title.
    """
    if depth > _DEEPEST_REASON:
        return ""
    match body:
        case str():
            page = body[:LONGEST_PAGE]
            return _title(page) or _without_tags(page)
        case list():
            return "; ".join(filter(None, (said_by(item, depth + 1) for item in body[:5])))
        case dict():
            for key in ("reason", "message", "Message", "error", "errors", "detail"):
                if text := said_by(body.get(key), depth + 1):
                    return text
            name = body.get("name") or body.get("code")
            return name if isinstance(name, str) else ""
    return ""


def _title(page: str) -> str:
    start = _TITLE.search(page)
    opened = page.find(">", start.end()) if start else -1
    end = _TITLE_END.search(page, opened) if opened >= 0 else None
    title = page[opened + 1 : end.start()] if end else ""
    return title if title.strip() else ""


def _without_tags(page: str) -> str:
    """
    A page's text: without tags, scripts and styles.

    Not with a regular expression: ``<[^>]*>`` takes quadratic time on a text of nothing but ``<``.
    """
    first, *pieces = page.split("<")
    texts, skipped = [first], ""
    for piece in pieces:
        tag, closed, rest = piece.partition(">")
        name = tag[:7].lower()
        if skipped and not name.startswith(f"/{skipped}"):
            continue
        skipped = next((kind for kind in ("script", "style") if name.startswith(kind)), "")
        if not skipped:
            texts.append(rest if closed else f"<{piece}")
    return " ".join(texts)


def trace_id(headers: Mapping[str, str], body: Any) -> str | None:
    """The service's own id of the request, from the body or the gateway's headers."""
    found = body.get("trace_id") if isinstance(body, dict) else None
    found = found or headers.get("x-amzn-requestid") or headers.get("x-amzn-trace-id")
    return plain(found)[:120] if isinstance(found, str) else None


def retry_after(headers: Mapping[str, str], body: Any, *, now: float) -> float | None:
    """
    Seconds the service asks to wait; None where it does not say so, or says it in a way nobody understands.

    Understands ``retry-after-ms``, ``Retry-After`` in seconds or as an HTTP date, and ``details.remainingSeconds`` of a
    cool-down. The longest wins.
    """
    header = headers.get("retry-after", "").strip()
    milliseconds = _number(headers.get("retry-after-ms"))
    call = [
        milliseconds / 1000 if milliseconds is not None else None,
        _number(header),
        _number(_details(body).get("remainingSeconds")),
    ]
    if header and call[1] is None:
        with contextlib.suppress(ValueError, TypeError, OverflowError):
            call.append(max(0.0, parsedate_to_datetime(header).timestamp() - now))
    waits = [min(seconds, LONGEST_WAIT_ASKED) for seconds in call if seconds is not None and seconds >= 0]
    return max(waits, default=None)


def _details(body: Any) -> Mapping[str, Any]:
    details = body.get("details") if isinstance(body, dict) else None
    return details if isinstance(details, dict) else {}


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None
