"""The package's metadata. ``tests/package/`` builds and installs it."""

from __future__ import annotations

import inspect
import re
import tomllib
from importlib import import_module
from pathlib import Path

import pytest
import yaml
from airflow.sdk import BaseHook, BaseOperator, BaseSensorOperator
from airflow.triggers.base import BaseTrigger

from airflow_provider_scenario import get_provider_info

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
URLS = PYPROJECT["project"]["urls"]
REGISTRY = yaml.safe_load((ROOT / ".airflow-registry.yaml").read_text())
KINDS = {"hooks": BaseHook, "operators": BaseOperator, "sensors": BaseSensorOperator, "triggers": BaseTrigger}

LINK = re.compile(r'(?:\]\(|(?:src|href)=")([^)"\s]+)')
ABOVE = {
    "docs": f"{URLS['Documentation']}/en/stable/",
    "picture": URLS["Source"].replace("github.com", "raw.githubusercontent.com") + "/v$HFPR_VERSION/",
    "file": f"{URLS['Source']}/blob/v$HFPR_VERSION/",
}


def long_description(text: str = README) -> str:
    """The README as hatch-fancy-pypi-readme turns it into the long description, but for the version."""
    for rule in PYPROJECT["tool"]["hatch"]["metadata"]["hooks"]["fancy-pypi-readme"]["substitutions"]:
        text = re.sub(rule["pattern"], rule["replacement"], text)
    return text


def public_classes(kind: str) -> set[str]:
    """Paths of the classes of this kind that the package defines for users."""
    package = import_module(f"airflow_provider_scenario.{kind}")
    names = {path.stem for path in Path(package.__path__[0]).glob("[a-z]*.py")} - {"base"}
    modules = [import_module(f"{package.__name__}.{name}") for name in names]
    return {
        f"{module.__name__}.{name}"
        for module in modules
        for name, each in vars(module).items()
        if inspect.isclass(each) and issubclass(each, KINDS[kind]) and each.__module__ == module.__name__
        if name.startswith(("Scenario", "AICreationWorkshop"))
    }


@pytest.mark.parametrize(
    ("link", "target"),
    [
        ("[a](docs/guides/batch.md)", "docs:guides/batch.html"),
        ("[a](docs/errors.md#refused)", "docs:errors.html#refused"),
        ("![a](docs/pictures/run.png)", "picture:docs/pictures/run.png"),
        ("[![a](docs/run.svg)](docs/page.md)", "picture:docs/run.svg docs:page.html"),
        ('<img src="tests/run.webp" width="600">', "picture:tests/run.webp"),
        ('<a href="docs/page.md">', "docs:page.html"),
        ('<a href="example_dags/one.py">', "file:example_dags/one.py"),
        ("[a](example_dags/one.py)", "file:example_dags/one.py"),
        ("[a](LICENSE)", "file:LICENSE"),
        ("[a](#the-connection)", "file:README.md#the-connection"),
        ("[a](https://example.org/a.png)", "https://example.org/a.png"),
        ("[a](mailto:a@example.org)", "mailto:a@example.org"),
    ],
)
def test_a_link_of_the_long_description_is_absolute(link, target):
    for kind, above in ABOVE.items():
        target = re.sub(rf"\b{kind}:", lambda _, above=above: above, target)
    assert LINK.findall(long_description(link)) == target.split()


@pytest.mark.parametrize("link", LINK.findall(long_description()))
def test_a_link_of_the_long_description_leads_to_what_is_in_this_checkout(link):
    assert link.startswith(("https://", "mailto:"))
    path = link.partition("#")[0]
    for kind, above in ABOVE.items():
        if path.startswith(above):
            path = path.removeprefix(above)
            assert (ROOT / (f"docs/{path.removesuffix('.html')}.md" if kind == "docs" else path)).exists()


def test_the_long_description_differs_from_the_readme_in_links_only():
    assert LINK.sub("", long_description()) == LINK.sub("", README)
    code = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)
    assert code.findall(long_description()) == code.findall(README)


@pytest.mark.parametrize("kind", KINDS)
def test_the_provider_info_names_the_modules_of_all_public_classes(kind):
    modules = {module for each in get_provider_info()[kind] for module in each["python-modules"]}
    assert modules == {path.rpartition(".")[0] for path in public_classes(kind)}


@pytest.mark.parametrize("kind", KINDS)
def test_the_registry_lists_all_public_classes(kind):
    listed = [entry["module"] for entry in REGISTRY[kind]]
    assert sorted(listed) == sorted(public_classes(kind))


def test_the_registry_says_what_the_metadata_says():
    project = PYPROJECT["project"]
    assert REGISTRY["package-name"] == project["name"]
    assert REGISTRY["description"] == project["description"]
    assert (REGISTRY["docs-url"], REGISTRY["source-url"]) == (URLS["Documentation"], URLS["Source"])
    assert all(entry["description"] for kind in KINDS for entry in REGISTRY[kind])
    logo = REGISTRY["logo"].removeprefix(URLS["Source"].replace("github.com", "raw.githubusercontent.com") + "/main/")
    assert (ROOT / logo).is_file()
