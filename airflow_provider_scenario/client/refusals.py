"""
What an answer that is no success means: one typed error for every shape in which the service says no.

The service, the gateway before it and whatever stands between answer in a dozen shapes. All of them end here, so that
nobody else reads an error body. Knows no HTTP library: status, headers and bytes come in, an error goes out.
"""

from __future__ import annotations

import contextlib
import json
import math
import re
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_scenario.client.errors import (
    AlreadyTrainingError,
    AlreadyTrainingImageError,
    AuthenticationError,
    NotFoundError,
    PlanCeilingError,
    RequestRefusedError,
    ScenarioError,
    ServiceError,
    ThrottledError,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_SERVICE_TEXT = 400
"""Characters of the service's own words that an error repeats; the rest is in ``error.body``."""

NOTHING_HAPPENED = "Nothing was started or billed."
LOOK_FIRST = "It may have been carried out, and billed where it costs anything: look before asking again."

_SIGNED_ADDRESS = re.compile(r"""(https?://)(?:[^\s/@"'<>]*@)?([^\s?#"'<>]+)([?#][^\s"'<>]*)?""", re.IGNORECASE)
_TITLE = re.compile(r"<title[^>]*>(.*?)</title>", re.IGNORECASE | re.DOTALL)
_TAG = re.compile(r"<(style|script)\b.*?</\1>|<[^>]*>", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Asked:
    """
    What was asked of the service, in the words that errors use.

    :param phrase: for people, an infinitive without 'to', such as ``train model model_8Xk``.
    :param request: method and path, such as ``PUT /models/model_8Xk/train``.
    :param repeatable: whether sending it twice has the effect of sending it once.
    :param reads: whether it changes nothing at all.
    :param if_lost: what may have happened, and what to do, when the answer to a call that is not repeatable is lost.
    """

    phrase: str
    request: str
    repeatable: bool
    reads: bool = False
    if_lost: str = LOOK_FIRST

    @property
    def maybe_done(self) -> bool:
        """What a lost answer means. Of a repeatable call, nothing: it is sent again."""
        return not self.repeatable

    def fate(self) -> str:
        """What became of it, and of the money, when no answer came back that can be read."""
        if self.reads:
            return "Reading changes nothing and costs nothing. Try again later."
        return "Asking again is safe. Try again later." if self.repeatable else self.if_lost


def plain(text: str, *, secrets: tuple[str, ...] = ()) -> str:
    """Foreign text made fit for a message: one line, of bounded length, without signed addresses or secrets."""
    for secret in secrets:
        text = text.replace(secret, "***")
    text = _SIGNED_ADDRESS.sub(lambda found: found[1] + found[2] + ("?…" if found[3] else ""), text)
    text = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return text if len(text) <= MAX_SERVICE_TEXT else text[: MAX_SERVICE_TEXT - 1].rstrip() + "…"


def decode(content: bytes) -> Any:
    """The JSON in ``content``; text that is no JSON comes back as text, nothing as None."""
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return content[:20_000].decode("utf-8", "replace").strip() or None


def refusal(asked: Asked, status: int, headers: Mapping[str, str], body: Any, *, now: float) -> ScenarioError:
    """
    Translate an answer that is no success into the error that says it.

    :param asked: what was asked.
    :param status: the HTTP status, anything but 2xx.
    :param headers: of the answer; looked up in any case if the mapping does so.
    :param body: as :func:`decode` gave it, without secrets the service may have repeated.
    :param now: Unix time in seconds, for a ``Retry-After`` that is a date.
    """
    said = plain(said_by(body))
    details = _details(body)
    origin: dict[str, Any] = {
        "request": asked.request,
        "status": status,
        "trace_id": trace_id(headers, body),
        "body": body,
    }
    refused = f"Scenario refused to {asked.phrase}"
    because = f": {said.rstrip('.')}." if said else f" with status {status} and no reason."

    if status in (401, 403):
        return _not_allowed(f"{refused}{because}", headers, body, details, origin)
    if status == 404:
        return NotFoundError(
            f"{refused}{because} {NOTHING_HAPPENED} Check the id, and that it belongs to the project of the "
            "connection: what another project owns is not found.",
            **origin,
        )
    if status == 429:
        return _too_many(refused, said, retry_after(headers, body, now=now), body, details, origin)
    if status == 413:
        return RequestRefusedError(
            f"{refused}: the request is too large{f' ({said})' if said else ''}. {NOTHING_HAPPENED} The service takes "
            "about 6 MB in one request: send a smaller file, or upload it as an asset and give its id.",
            **origin,
        )
    if 400 <= status < 500 and status != 408:
        return _refused(f"{refused}{because}", said, origin)
    return ServiceError(
        f"Scenario failed to {asked.phrase}: status {status}{f', {said}' if said else ''}. {asked.fate()}",
        maybe_done=asked.maybe_done,
        **origin,
    )


def _refused(text: str, said: str, origin: dict[str, Any]) -> RequestRefusedError:
    lower = said.lower()
    if "already training" in lower:
        return AlreadyTrainingError(
            f"{text} This request has started and billed nothing; what is running was started before it. Wait for "
            "that training, or cancel it.",
            **origin,
        )
    if "already a training image" in lower:
        return AlreadyTrainingImageError(f"{text} {NOTHING_HAPPENED} The image is in the dataset.", **origin)
    return RequestRefusedError(
        f"{text} {NOTHING_HAPPENED} Change what is asked: the same again cannot succeed.", **origin
    )


def _not_allowed(
    text: str, headers: Mapping[str, str], body: Any, details: Mapping[str, Any], origin: dict[str, Any]
) -> AuthenticationError:
    gateway = headers.get("x-amzn-errortype", "").partition(":")[0]
    if isinstance(body, dict) and body.get("name") == "ModelAccessRestrictedError":
        advice = (
            f"The model needs the plan {plain(str(details.get('requiredPlan', '?')))}, the team has "
            f"{plain(str(details.get('currentPlan', '?')))}. Raise the plan or take another model."
        )
    elif gateway == "MissingAuthenticationTokenException":
        advice = "There is no such route: check the base URL of the connection (it ends in /v1)."
    elif gateway or origin["status"] == 401:
        advice = "The API key or the secret is wrong: check login and password of the connection."
    else:
        advice = (
            "Most often the project is wrong: check project_id and the key of the connection; otherwise the key's "
            "role does not allow it, or no API key may do this."
        )
    return AuthenticationError(f"{text} {NOTHING_HAPPENED} {advice}", **origin)


def _too_many(
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
        f"{refused}: {kind}{f' ({said})' if said else ''}. {NOTHING_HAPPENED} Try again {when}.",
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


def said_by(body: Any) -> str:
    """
    The service's own words, from any shape of error body.

    ``reason``, ``message``, ``Message`` and ``error`` in this order; nested objects and lists are searched, a page of
    HTML gives its title.
    """
    match body:
        case str():
            title = _TITLE.search(body)
            return title[1] if title and title[1].strip() else _TAG.sub(" ", body)
        case list():
            return "; ".join(filter(None, map(said_by, body[:5])))
        case dict():
            for key in ("reason", "message", "Message", "error", "errors", "detail"):
                if text := said_by(body.get(key)):
                    return text
            name = body.get("name") or body.get("code")
            return name if isinstance(name, str) else ""
    return ""


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
    asked = [
        milliseconds / 1000 if milliseconds is not None else None,
        _number(header),
        _number(_details(body).get("remainingSeconds")),
    ]
    if header and asked[1] is None:
        with contextlib.suppress(ValueError, TypeError, OverflowError):
            asked.append(max(0.0, parsedate_to_datetime(header).timestamp() - now))
    return max((seconds for seconds in asked if seconds is not None and seconds >= 0), default=None)


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
