"""
The fields of both connection types: one table for the form, for the hook that reads them, and for the docs.

A new field is one :class:`ExtraField` here. ``docs/reference/connections.md`` is generated from it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from airflow_provider_scenario.client.consequences import NOTHING_SENT
from airflow_provider_scenario.client.defaults import (
    SCENARIO_APP_URL,
    SCENARIO_KEYS_URL,
    SCENARIO_REQUESTS_PER_MINUTE,
    SCENARIO_URL,
    TIMEOUT,
    WORKSHOP_REQUESTS_PER_MINUTE,
    WORKSHOP_URL,
)
from airflow_provider_scenario.client.errors import InvalidInputError
from airflow_provider_scenario.client.messages import shown

Reader = Callable[[str, Any], Any]
"""
Checks the value of a field and returns it, or its default where it is empty.

The first argument begins an error message, such as ``Connection 'x': extra 'timeout'``.
"""


@dataclass(frozen=True, kw_only=True)
class ExtraField:
    """
    One field in the extra of a connection.

    :param name: its key in the extra.
    :param label: its label in the form.
    :param meaning: for the form and the docs.
    :param default: what an empty field means, for people.
    :param schema: JSON schema of the value, for the form; ``format: password`` hides what is typed.
    :param read: checks the value.
    :param is_secret: masked in all logs.
    :param is_for_client: an argument of the client.
    """

    name: str
    label: str
    meaning: str
    default: str
    schema: dict[str, Any]
    read: Reader
    is_secret: bool = False
    is_for_client: bool = True

    @property
    def description(self) -> str:
        """The text below the field in the form."""
        text = self.meaning.replace("`", "'")
        text = text[0].upper() + text[1:]
        return f"{text}. Empty: {self.default}." if self.default else f"{text}."


@dataclass(frozen=True, kw_only=True)
class ConnectionForm:
    """
    What the form of a connection type shows, and what its extra may hold.

    :param labels: standard field → its label here.
    :param placeholders: standard field → an example that is shown while the field is empty.
    """

    labels: dict[str, str]
    placeholders: dict[str, str]
    extra_fields: tuple[ExtraField, ...]

    hidden = ("port", "schema")
    """Standard fields that this form does not show."""

    def provider_info(self) -> dict[str, Any]:
        """Return the form as the provider's info has it; Airflow reads it there from 3.2 on."""
        return {
            "ui-field-behaviour": {
                "hidden-fields": list(self.hidden),
                "relabeling": self.labels,
                "placeholders": self.placeholders,
            },
            "conn-fields": {
                field.name: {"label": field.label, "description": field.description, "schema": field.schema}
                for field in self.extra_fields
            },
        }

    def ui_field_behaviour(self) -> dict[str, Any]:
        """Return the standard fields as Airflow 3.1 reads them from the hook."""
        return {
            "hidden_fields": list(self.hidden),
            "relabeling": self.labels,
            "placeholders": self.placeholders,
        }

    def widgets(self) -> dict[str, Any]:
        """Return the extra fields as Airflow 3.1 reads them from the hook; it provides stand-ins for both libraries."""
        from flask_appbuilder.fieldwidgets import BS3TextFieldWidget  # type: ignore[import-not-found,import-untyped,unused-ignore]
        from wtforms import StringField  # type: ignore[import-not-found,import-untyped,unused-ignore]

        return {
            field.name: StringField(field.label, description=field.description, widget=BS3TextFieldWidget())
            for field in self.extra_fields
        }


def _text(default: str | None = None) -> Reader:
    return lambda _, value: value or default


def _number_above_zero(default: float, unit: str) -> Reader:
    def read(field: str, value: Any) -> float:
        try:
            number = float(default if value in (None, "") else value)
        except (TypeError, ValueError):
            number = 0.0
        if not 0 < number < float("inf"):
            raise InvalidInputError(f"{field} is {value!r}; give {unit} above 0, such as {default:g}.")
        return number

    return read


def _verify(field: str, value: Any) -> bool | str:
    if value in (None, ""):
        return True
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    if not isinstance(value, bool | str):
        raise InvalidInputError(f"{field} is {value!r}; give true, false or the path of a CA bundle.")
    return value


def _api_token(field: str, value: Any) -> str:
    if not value or not isinstance(value, str):
        raise InvalidInputError(
            f"{field} is missing. Allocate a token for this integration once (POST /scc/allocate_token) and keep it in "
            f"the connection. {NOTHING_SENT}"
        )
    return value


def _body_or_query(field: str, value: Any) -> str:
    if value and value not in ("body", "query"):
        raise InvalidInputError(f"{field} is {shown(value)}; give 'body' or 'query'.")
    return str(value or "body")


def _requests_per_minute(default: float, note: str) -> ExtraField:
    return ExtraField(
        name="requests_per_minute",
        label="Requests a minute",
        meaning="the requests a minute of all Airflow processes on one machine; with several machines, divide them",
        default=f"{default:g}{note}",
        schema={"type": ["number", "null"], "exclusiveMinimum": 0},
        read=_number_above_zero(default, "requests a minute"),
        is_for_client=False,
    )


_TIMEOUT = ExtraField(
    name="timeout",
    label="Timeout",
    meaning="seconds to wait for an answer",
    default=f"{TIMEOUT:g}",
    schema={"type": ["number", "null"], "minimum": 1},
    read=_number_above_zero(TIMEOUT, "seconds"),
)
_VERIFY = ExtraField(
    name="verify",
    label="Verify TLS",
    meaning="`false` trusts any certificate, a path names a CA bundle",
    default="verify",
    schema={"type": ["string", "null"]},
    read=_verify,
)

SCENARIO_FORM = ConnectionForm(
    labels={"login": "API key", "password": "API secret", "host": "Base URL"},
    placeholders={
        "login": f"api_…  (made at {SCENARIO_KEYS_URL.partition('://')[2]})",
        "password": "shown once, when the key is made",
        "host": SCENARIO_URL,
    },
    extra_fields=(
        ExtraField(
            name="project_id",
            label="Project id",
            meaning="the project to work in (proj_…)",
            default="the project of the key, if the key belongs to one",
            schema={"type": ["string", "null"]},
            read=_text(),
        ),
        _TIMEOUT,
        _requests_per_minute(SCENARIO_REQUESTS_PER_MINUTE, ", of the 100 that Scenario documents for a project"),
        _VERIFY,
        ExtraField(
            name="app_url",
            label="Web app",
            meaning="address of the web app, for the button in the task view",
            default=SCENARIO_APP_URL,
            schema={"type": ["string", "null"]},
            read=_text(SCENARIO_APP_URL),
            is_for_client=False,
        ),
    ),
)

WORKSHOP_FORM = ConnectionForm(
    labels={"login": "AppKey", "password": "AppSecret", "host": "Base URL"},
    placeholders={
        "login": "of an application, not of the Alibaba Cloud account",
        "password": "of the same application",
        "host": WORKSHOP_URL,
    },
    extra_fields=(
        ExtraField(
            name="api_token",
            label="API token",
            meaning="the token of an end user; allocate one for this integration and keep it here",
            default="",
            schema={"type": ["string", "null"], "format": "password"},
            read=_api_token,
            is_secret=True,
        ),
        ExtraField(
            name="api_token_in",
            label="API token goes into",
            meaning="`body` or `query`: the vendor's page does not say which",
            default="body",
            schema={"type": ["string", "null"], "enum": ["body", "query", None]},
            read=_body_or_query,
        ),
        _requests_per_minute(WORKSHOP_REQUESTS_PER_MINUTE, "; the vendor names no limit"),
        _TIMEOUT,
        _VERIFY,
    ),
)
