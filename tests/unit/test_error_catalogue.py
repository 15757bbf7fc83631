"""The error catalogue (docs/errors.md) has every error that users see, each with its cost and what to do."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path

import pytest

import airflow_provider_scenario
from airflow_provider_scenario import exceptions
from airflow_provider_scenario.client import consequences, errors
from airflow_provider_scenario.storage import errors as storage_errors

PAGE = (Path(__file__).parents[2] / "docs" / "errors.md").read_text(encoding="utf-8")
INNER = {"CannotOpenError"}
"""Becomes an UnusableStorageError before a user sees it."""

CLASSES = {
    f"{module.__name__}.{name}": each
    for module in (exceptions, errors, storage_errors)
    for name, each in vars(module).items()
    if inspect.isclass(each) and issubclass(each, Exception) and each.__module__ == module.__name__
    if name not in INNER
}
ENTRIES = dict(re.findall(r"^```{error-entry} (\S+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL))
"""Path of the class → the options and the text of its entry."""

SENTENCES = {name: text for name, text in vars(consequences).items() if name.isupper()}


def test_the_catalogue_has_every_error_and_no_other():
    assert set(ENTRIES) == set(CLASSES)


@pytest.mark.parametrize("path", CLASSES)
def test_an_entry_says_what_the_error_means_what_it_costs_and_what_to_do(path):
    options = dict(re.findall(r"^:(\w+): (.+)$", ENTRIES[path], re.MULTILINE))
    what_to_do = re.sub(r"^:\w+: .+$", "", ENTRIES[path], flags=re.MULTILINE).strip()
    assert inspect.cleandoc(CLASSES[path].__doc__ or "")
    assert options.get("money") or hasattr(CLASSES[path], "money")
    assert what_to_do.endswith(".")


@pytest.mark.parametrize("name", SENTENCES)
def test_the_page_explains_each_sentence_about_the_cost(name):
    assert f"| `{SENTENCES[name]}` |" in PAGE


def texts_in_the_code() -> str:
    """All strings of the package, with … for each value that is filled in."""
    found = []
    for file in Path(airflow_provider_scenario.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                found.append("".join(each.value if isinstance(each, ast.Constant) else "…" for each in node.values))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
    return "\n".join(found)


def test_the_messages_to_find_are_messages_of_the_code():
    code = texts_in_the_code()
    rows = re.findall(r"^\| (`.+?`) \|", PAGE.partition("| in the log |")[2].partition("\n\n")[0], re.MULTILINE)
    messages = [message for row in rows for message in re.findall(r"`([^`]+)`", row)]
    assert len(messages) > 20
    # Without the values: what stands in quotes, and ….
    pieces = [piece.strip() for message in messages for piece in re.split(r"'[^']*'|…", message)]
    assert [piece for piece in pieces if piece not in code] == []
