"""
Refusals of both services: the request, and the reason that the answer gives.

Each service's own refusals become errors in :mod:`.scenario.refusals` and :mod:`.workshop.dialect`.
"""

from __future__ import annotations

import contextlib
import math
import re
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from airflow_provider_scenario.client.decoding import LONGEST_PAGE
from airflow_provider_scenario.client.texts import plain

if TYPE_CHECKING:
    from collections.abc import Mapping

LONGEST_WAIT = 24 * 3600.0
"""Seconds that the service may ask to wait: a daily quota is free again by then. More counts as this."""

_DEEPEST_REASON = 8
"""Objects within each other that are searched for the service's own words."""

CHECK_FIRST = "It may have been carried out, and billed if it costs anything: check before you send it again."

_TITLE, _TITLE_END = (re.compile(tag, re.IGNORECASE) for tag in ("<title", "</title"))


@dataclass(frozen=True, slots=True)
class Call:
    """
    A request, in the words that errors use.

    :param phrase: for people, an infinitive without 'to', such as ``train model model_8Xk``.
    :param request: method and path, such as ``PUT /models/model_8Xk/train``.
    :param repeatable: whether sending it twice has the effect of sending it once.
    :param reads: whether it only reads.
    :param if_lost: what may have happened, and what to do, when the answer to a call that is not repeatable is lost.
    :param base_url: where it was sent; without credentials.
    """

    phrase: str
    request: str
    repeatable: bool
    reads: bool = False
    if_lost: str = CHECK_FIRST
    base_url: str = ""

    @property
    def maybe_done(self) -> bool:
        """Whether a lost answer leaves open what happened. A repeatable call is simply sent again."""
        return not self.repeatable

    @property
    def consequence(self) -> str:
        """What it means that no readable answer came, also for the cost, and what to do."""
        if self.reads:
            return "Reading changes nothing and costs nothing. Try again later."
        return "Sending it again is safe. Try again later." if self.repeatable else self.if_lost


def should_retry(headers: Mapping[str, str]) -> bool | None:
    """Read the header ``x-should-retry``, which the vendor's client obeys. None: the answer has no such header."""
    return {"true": True, "false": False}.get(headers.get("x-should-retry", "").strip().lower())


def is_page(headers: Mapping[str, str], body: object) -> bool:
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
    Explain a web page that came instead of JSON.

    :param example: the base URL of the public service.
    """
    return (
        f"Most likely the base URL {plain(base_url)!r} is the address of a web app instead of the API, such as "
        f"{example}, or a proxy has answered."
    )


def reason_in(body: object, depth: int = 0) -> str:
    """
    Find the reason in an error body of any shape, in the service's own words.

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
            return "; ".join(filter(None, (reason_in(item, depth + 1) for item in body[:5])))
        case dict():
            for key in ("reason", "message", "Message", "error", "errors", "detail"):
                if text := reason_in(body.get(key), depth + 1):
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
    The text of a page, without tags, scripts and styles.

    A regular expression such as ``<[^>]*>`` would take quadratic time on a text of nothing but ``<``.
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


def retry_after(headers: Mapping[str, str], body: object, *, now: float) -> float | None:
    """
    Seconds that the service asks to wait; None where it does not say so, or in an unknown format.

    Understands ``retry-after-ms``, ``Retry-After`` in seconds or as an HTTP date, and ``details.remainingSeconds`` of a
    cool-down. The longest wins.
    """
    header = headers.get("retry-after", "").strip()
    milliseconds = number_of(headers.get("retry-after-ms"))
    found = [
        milliseconds / 1000 if milliseconds is not None else None,
        number_of(header),
        number_of(details_of(body).get("remainingSeconds")),
    ]
    if header and found[1] is None:
        with contextlib.suppress(ValueError, TypeError, OverflowError):
            found.append(max(0.0, parsedate_to_datetime(header).timestamp() - now))
    waits = [min(seconds, LONGEST_WAIT) for seconds in found if seconds is not None and seconds >= 0]
    return max(waits, default=None)


def details_of(body: object) -> Mapping[str, object]:
    """The ``details`` of an error body; empty if there are none."""
    details = body.get("details") if isinstance(body, dict) else None
    return details if isinstance(details, dict) else {}


def number_of(value: object) -> float | None:
    """A finite number, also one that is text; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None
