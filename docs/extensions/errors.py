"""
The directive ``error-entry``: an entry of the error catalogue.

The meaning is the docstring of the class. Whether Airflow retries follows from the class. What to do is the text of the
directive, which must not be empty; so must ``:money:`` not, where the class itself does not say what was spent.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from airflow_provider_scenario.airflow_compat.exceptions import AirflowFailException
from airflow_provider_scenario.client.errors import ScenarioError

MONEY = {
    "none": "Nothing was started or billed by this request.",
    "unknown": "The request may have been carried out and billed: the answer was lost.",
    "spent": "A training was billed.",
}


class ErrorEntry(SphinxDirective):
    required_arguments = 1
    option_spec = {"money": directives.unchanged_required, "retry": directives.unchanged_required}  # noqa: RUF012
    has_content = True

    def run(self) -> list[nodes.Node]:
        self.assert_has_content()
        module, _, name = self.arguments[0].rpartition(".")
        error = getattr(import_module(module), name)
        members = (
            "\n   :members:\n   :exclude-members: add_note, args, with_traceback" if error is ScenarioError else ""
        )
        entry = [
            "```{eval-rst}",
            f".. autoexception:: {self.arguments[0]}{members}",
            "```",
            "",
            ":::{container} error-facts",
            f"**Cost.** {self.options.get('money') or MONEY[error.money]}",
            "",
            f"**Retry.** {self.options.get('retry') or retry(error)}",
            "",
            f"**What to do.** {chr(10).join(self.content)}",
            ":::",
        ]
        return self.parse_text_to_nodes("\n".join(entry))


def retry(error: type[Exception]) -> str:
    if issubclass(error, AirflowFailException) or getattr(error, "permanent", False):
        return "Airflow does not retry the task: it would fail again."
    return "Airflow retries the task as its `retries` say."


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_directive("error-entry", ErrorEntry)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
