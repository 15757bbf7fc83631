"""
The fields of a connection form, written once for both of Airflow's ways to learn them.

From 3.2 on Airflow reads them from the provider's info, without importing the hook; 3.1 asks the hook for widgets.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from airflow_provider_scenario.client.defaults import (
    SCENARIO_REQUESTS_PER_MINUTE,
    SCENARIO_URL,
    TIMEOUT,
    WORKSHOP_REQUESTS_PER_MINUTE,
    WORKSHOP_URL,
)


@dataclass(frozen=True)
class ExtraField:
    """
    One field that is stored in the connection's extra.

    :param schema: JSON schema of the value; ``format: password`` hides what is typed.
    """

    label: str
    description: str
    schema: dict[str, Any]


@dataclass(frozen=True)
class ConnectionForm:
    """
    What the form of a connection type shows.

    :param labels: standard field → its label here.
    :param placeholders: standard field → an example shown while it is empty.
    :param hidden: standard fields that mean nothing here.
    :param extra_fields: key in the extra → field.
    """

    labels: dict[str, str]
    placeholders: dict[str, str]
    hidden: tuple[str, ...] = ()
    extra_fields: dict[str, ExtraField] = field(default_factory=dict)

    def provider_info(self) -> dict[str, Any]:
        """As the provider's info spells it."""
        return {
            "ui-field-behaviour": {
                "hidden-fields": list(self.hidden),
                "relabeling": self.labels,
                "placeholders": self.placeholders,
            },
            "conn-fields": {
                name: {"label": extra.label, "description": extra.description, "schema": extra.schema}
                for name, extra in self.extra_fields.items()
            },
        }

    def ui_field_behaviour(self) -> dict[str, Any]:
        """As a hook spells it."""
        return {
            "hidden_fields": list(self.hidden),
            "relabeling": self.labels,
            "placeholders": self.placeholders,
        }

    def widgets(self) -> dict[str, Any]:
        """As a hook spells it; Airflow puts stand-ins for these libraries in place before it asks."""
        from flask_appbuilder.fieldwidgets import BS3TextFieldWidget  # type: ignore[import-not-found,import-untyped,unused-ignore]
        from wtforms import StringField  # type: ignore[import-not-found,import-untyped,unused-ignore]

        return {
            name: StringField(extra.label, description=extra.description, widget=BS3TextFieldWidget())
            for name, extra in self.extra_fields.items()
        }


_TIMEOUT = ExtraField(
    "Timeout",
    f"Seconds to wait for an answer. Empty: {TIMEOUT:g}.",
    {"type": ["number", "null"], "minimum": 1},
)
_VERIFY = ExtraField(
    "Verify TLS",
    "'false' trusts any certificate; a path names a CA bundle. Empty: verify.",
    {"type": ["string", "null"]},
)


def _requests_per_minute(default: str) -> ExtraField:
    return ExtraField(
        "Requests a minute",
        "What all Airflow processes of one machine may use together; divide it by the number of machines. "
        f"Empty: {default}.",
        {"type": ["number", "null"], "exclusiveMinimum": 0},
    )


SCENARIO_FORM = ConnectionForm(
    labels={"login": "API key", "password": "API secret", "host": "Base URL"},
    placeholders={
        "login": "api_…  (made at app.scenario.com/settings/api)",
        "password": "shown once, when the key is made",
        "host": SCENARIO_URL,
    },
    hidden=("port", "schema"),
    extra_fields={
        "project_id": ExtraField(
            "Project id",
            "The project to work in (proj_…). May stay empty with a key that belongs to one project.",
            {"type": ["string", "null"]},
        ),
        "timeout": _TIMEOUT,
        "requests_per_minute": _requests_per_minute(
            f"{SCENARIO_REQUESTS_PER_MINUTE:g}, of the 100 that Scenario documents for a project"
        ),
        "verify": _VERIFY,
        "app_url": ExtraField(
            "Web app",
            "Where buttons in the task view lead. Empty: https://app.scenario.com.",
            {"type": ["string", "null"]},
        ),
    },
)

WORKSHOP_FORM = ConnectionForm(
    labels={"login": "AppKey", "password": "AppSecret", "host": "Base URL"},
    placeholders={
        "login": "of an application, not of the Alibaba Cloud account",
        "password": "of the same application",
        "host": WORKSHOP_URL,
    },
    hidden=("port", "schema"),
    extra_fields={
        "api_token": ExtraField(
            "API token",
            "The token of an end user. Allocate one for this integration and keep it here.",
            {"type": ["string", "null"], "format": "password"},
        ),
        "api_token_in": ExtraField(
            "API token goes into",
            "'body' or 'query': the vendor's page does not say which. Empty: body.",
            {"type": ["string", "null"], "enum": ["body", "query", None]},
        ),
        "requests_per_minute": _requests_per_minute(f"{WORKSHOP_REQUESTS_PER_MINUTE:g}; the vendor names no limit"),
        "timeout": _TIMEOUT,
        "verify": _VERIFY,
    },
)
