"""The directive ``connection-fields``: the fields of a connection type, as ``hooks/connection_form.py`` has them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from airflow_provider_scenario.hooks import connection_form
from airflow_provider_scenario.hooks.connection_form import ConnectionForm


def table(form: ConnectionForm) -> Iterator[str]:
    yield "| field | meaning | default |"
    yield "| --- | --- | --- |"
    for field, label in form.labels.items():
        example = form.placeholders[field]
        meaning, default = ("another address", f"`{example}`") if field == "host" else (example, "")
        yield f"| {label} (`{field}`) | {meaning} | {default} |"
    for extra in form.extra_fields:
        secret = "; masked in logs" if extra.is_secret else ""
        yield f"| {extra.label} (`{extra.name}`) | {extra.meaning}{secret} | {extra.default} |"


class ConnectionFields(SphinxDirective):
    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        return self.parse_text_to_nodes("\n".join(table(getattr(connection_form, self.arguments[0]))))


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_directive("connection-fields", ConnectionFields)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
