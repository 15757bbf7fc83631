"""
AI Creation Workshop's authentication, and its refusals as errors.

Three parties can refuse a request. The API gateway refuses in a header, ``X-Ca-Error-Message``. The platform and the
service behind it refuse in an envelope around ``data``, with any HTTP status, 200 included.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote, quote_plus

from airflow_provider_scenario.client.defaults import WORKSHOP_URL
from airflow_provider_scenario.client.errors import (
    AuthenticationError,
    InvalidInputError,
    Origin,
    RequestRefusedError,
    ScenarioError,
    ServiceError,
    ThrottledError,
    WorkshopRefusalError,
)
from airflow_provider_scenario.client.refusals import Call, reason_in, retry_after
from airflow_provider_scenario.client.texts import Scrubber, plain
from airflow_provider_scenario.client.workshop.schemas import BASE_MODEL_IS_SET_BY
from airflow_provider_scenario.client.workshop.signing import DigestAuth, string_to_sign

if TYPE_CHECKING:
    import requests
    from requests.auth import AuthBase

FAILURE = 20
"""The envelope's ``status`` of a failure; 10 is success. The ``status`` within ``data`` is another field."""

TOLERANCE = 15 * 60.0
"""Seconds by which a timestamp may be wrong, according to the gateway's documents."""

_SIGNATURE = "Invalid Signature"
_CREDENTIALS = ("Invalid AppKey", "Invalid AppSecret", "Empty Signature", "Unauthorized")
_TIME = ("Timestamp Expired", "Invalid Timestamp")
_ROUTE = ("Invalid Url", "Invalid Domain", "Invalid HttpMethod", "API Not Found")
_TEMPORARY = ("Nonce Used",)
_LARGEST_REFUSAL = 64 * 1024
"""Characters of a refusal that are kept in the error; of a longer one only the status and the reasons."""

_LONGEST_SIGNED = 2_000
"""Characters of the gateway's string to sign that are shown."""

_NAMES = ("errCode", "errMessage", "subErrCode", "subErrMessage", "apiInvokeId")
_LINE_BREAKS = str.maketrans("", "", "\r\n#`")


@dataclass(frozen=True, slots=True)
class Envelope:
    """The fields of an answer around ``data``. None: absent."""

    status: int | None = None
    err_code: str | None = None
    err_message: str | None = None
    sub_err_code: str | None = None
    sub_err_message: str | None = None
    invoke_id: str | None = None

    @classmethod
    def of(cls, body: Any, shown: Callable[[str], str] = plain) -> Self:
        """
        Read the envelope of a body.

        :param shown: makes its texts safe to show.
        """
        if not isinstance(body, Mapping):
            return cls()
        status = str(body.get("status"))
        texts = [None if body.get(name) in (None, "") else shown(str(body[name])) for name in _NAMES]
        return cls(int(status) if status.isascii() and status.isdigit() and len(status) < 10 else None, *texts)

    @property
    def is_refusal(self) -> bool:
        return self.status == FAILURE or bool(self.err_code or self.sub_err_code)

    @property
    def reason(self) -> str:
        """The service's message, otherwise the platform's, and both codes."""
        words = self.sub_err_message or self.err_message or ""
        named = {"subErrCode": self.sub_err_code, "errCode": self.err_code}
        codes = ", ".join(f"{name} {code}" for name, code in named.items() if code)
        return f"{words.rstrip('.')} ({codes})" if words and codes else words.rstrip(".") or codes


class WorkshopDialect:
    """
    Signs requests, and translates refusals. An error about a signature shows what both sides have signed.

    :param app_key: AppKey of an application.
    :param app_secret: its AppSecret.
    :param api_token: token of the end user, sent as a parameter and as secret as the others.
    :raises InvalidInputError: one of them holds characters that it cannot have.
    """

    service = "AI Creation Workshop"
    example = WORKSHOP_URL
    media_type = "application/json; charset=utf-8"

    def __init__(self, app_key: str, app_secret: str, *, api_token: str) -> None:
        for name, value in {"AppKey": app_key, "AppSecret": app_secret, "api_token": api_token}.items():
            if not value.isascii() or not value.isprintable() or " " in value:
                raise InvalidInputError(f"{name} holds white space or characters that are not ASCII.")
        self.auth: AuthBase = DigestAuth(app_key, app_secret)
        self._app_key = app_key
        self._tokens = _spellings(api_token)
        self.secrets: tuple[str, ...] = (app_secret, api_token, app_key)
        self._scrub = Scrubber(self.secrets)

    def no_effect(self, call: Call) -> str:  # noqa: ARG002 - the same for each call
        return "Nothing was synced."

    def trace_id(self, headers: Mapping[str, str], body: object) -> str | None:
        found = Envelope.of(body, self._shown).invoke_id or headers.get("x-ca-request-id")
        return self._shown(found)[:120] if found else None

    def refusal(self, call: Call, response: requests.Response, body: object, *, now: float) -> ScenarioError:
        status, headers = response.status_code, response.headers
        gateway = self.hidden(headers.get("x-ca-error-message", "")).strip()
        reason = (
            self._shown(gateway.partition(", Server StringToSign")[0])
            or Envelope.of(body, self._shown).reason
            or self._shown(reason_in(body))
        )
        origin: Origin = {
            "request": call.request,
            "status": status,
            "trace_id": self.trace_id(headers, body),
            "body": body,
        }
        because = f": {reason.rstrip('.')}." if reason else f" with status {status} and no reason."
        text = f"{self.service} refused to {call.phrase}{because} {self.no_effect(call)}"
        if status == 429 or gateway.startswith("Throttled by"):
            wait = retry_after(headers, body, now=now)
            when = f"in {wait:.0f} s" if wait is not None else "later"
            return ThrottledError(f"{text} Try again {when}.", retry_after=wait, **origin)
        if status == 408 or status >= 500 or gateway.startswith(_TEMPORARY):
            appended = f", {reason}" if reason else ""
            return ServiceError(
                f"{self.service} failed to {call.phrase}: status {status}{appended}. {call.consequence}",
                maybe_done=call.maybe_done,
                **origin,
            )
        kind, advice = self._advice(gateway, response, now)
        return kind(f"{text} {advice}", **origin)

    def _advice(
        self, gateway: str, response: requests.Response, now: float
    ) -> tuple[type[AuthenticationError | RequestRefusedError], str]:
        """Return the class of an error that another try does not change, and what to do about it."""
        status = response.status_code
        clocks = _clocks(response.headers.get("date", ""), now) if gateway or status in (401, 403) else ""
        if gateway.startswith(_SIGNATURE):
            return AuthenticationError, f"{self._compare_strings_to_sign(gateway, response.request)} {clocks}".rstrip()
        if clocks or gateway.startswith(_TIME):
            return AuthenticationError, clocks or _CLOCKS_AGREE
        if gateway.startswith(_ROUTE) or (status == 404 and not gateway):
            return RequestRefusedError, "This route does not exist: check the base URL, which ends with the host."
        if status in (401, 403) or gateway.startswith(_CREDENTIALS):
            return AuthenticationError, (
                "Check AppKey and AppSecret: they must be those of an application of the workshop that may use this "
                "API, not of the account. If they are right, check api_token."
            )
        return RequestRefusedError, "Change the request: the same one again cannot succeed."

    def refusal_in_success(self, call: Call, body: dict[str, Any], origin: Origin) -> ScenarioError | None:
        envelope = Envelope.of(body, self._shown)
        if not envelope.is_refusal:
            return None
        reason = envelope.reason or f"status {envelope.status} and no reason"
        advice = (
            "The meaning of its codes is not published: check api_token and what was sent. Sending it again is safe."
        )
        if "baseModel" in reason:
            advice = f"{BASE_MODEL_IS_SET_BY}."
        return WorkshopRefusalError(
            f"{self.service} refused to {call.phrase}: {reason}. {self.no_effect(call)} {advice}",
            err_code=envelope.err_code,
            sub_err_code=envelope.sub_err_code,
            request=origin["request"],
            status=origin["status"],
            trace_id=origin["trace_id"],
            body=self._kept(body),
        )

    def _shown(self, text: str) -> str:
        """Return a text of the service, safe to show."""
        return self._scrub(self._mask_named_secrets(text[:_LARGEST_REFUSAL]))

    def _kept(self, body: dict[str, Any]) -> dict[str, Any]:
        """Return the body without secrets; of a large one only the status and the reasons."""
        text = json.dumps(body)
        if len(text) > _LARGEST_REFUSAL:
            return {name: self._shown(str(body[name])) for name in ("status", *_NAMES) if name in body}
        kept: dict[str, Any] = json.loads(self.hidden(text))
        return kept

    def hidden(self, text: str) -> str:
        """
        Mask the secrets in a text of the service.

        Key and token are masked at any length where they are named, and everywhere if they are long.
        """
        return self._scrub.masked(self._mask_named_secrets(text))

    def _mask_named_secrets(self, text: str) -> str:
        text = text.replace(f"x-ca-key:{self._app_key}", "x-ca-key:***")
        for token in self._tokens:
            text = text.replace(f"apiToken={token}", "apiToken=***")
        return text

    def _compare_strings_to_sign(self, gateway: str, request: requests.PreparedRequest) -> str:
        """
        Compare what the gateway would have signed with what we have signed.

        If they are equal, the secret is wrong; if not, the request was changed on its way.
        """
        theirs = gateway.partition("StringToSign:")[2].strip().strip("`")
        ours = self.hidden(string_to_sign(str(request.method), request.headers, request.path_url))
        if not theirs:
            return f"The answer does not hold what it would have signed; we have signed {ours.replace(chr(10), '#')!r}."
        if theirs.translate(_LINE_BREAKS) == ours.translate(_LINE_BREAKS):
            verdict = "They are the same, so the AppSecret does not belong to this AppKey: check the AppSecret."
        else:
            verdict = "They differ: something on the way, such as a proxy, has changed the request."
        shown = "".join(char if char.isprintable() else " " for char in theirs[:_LONGEST_SIGNED])
        return f"The gateway's string to sign is {shown!r}, ours {ours.replace(chr(10), '#')!r}. {verdict}"


def _spellings(secret: str) -> tuple[str, ...]:
    """The secret as it is, in a query and in JSON."""
    return tuple(dict.fromkeys((secret, quote(secret, safe=""), quote_plus(secret), json.dumps(secret)[1:-1])))


_CLOCKS_AGREE = (
    "The clocks of both sides agree, so the request was on its way for too long: check for a proxy that delays it."
)


def _clocks(date: str, now: float) -> str:
    """Return a message with both times if our clock is further off than the gateway allows, otherwise nothing."""
    try:
        theirs = parsedate_to_datetime(date).timestamp()
    except (ValueError, TypeError, OverflowError):
        return ""
    ahead = now - theirs
    if abs(ahead) <= TOLERANCE:
        return ""
    direction = "ahead" if ahead > 0 else "behind"
    return (
        f"The clock of this machine shows {_time(now)}, the service's {_time(theirs)}: "
        f"ours is {abs(ahead) / 60:.0f} min {direction}, and the gateway allows {TOLERANCE / 60:.0f}. Set the clock."
    )


def _time(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
