"""Settings of the docs site, which `make docs` builds into build/docs. No part of the build needs the network."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "docs" / "extensions")]

_project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
_source = _project.get("urls", {}).get(
    "Source", "https://github.com/airflow-provider-scenario/airflow-provider-scenario"
)

from airflow_provider_scenario import __version__  # noqa: E402 - the path above comes first

project = _project["name"]
author = "the authors of airflow-provider-scenario"
project_copyright = author
release = version = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx_copybutton"]
extensions += ["errors", "connection_fields", "reference", "repository_links"]
exclude_patterns = ["extensions", "tables"]

# Markdown: tables, admonitions with :::, and an anchor for each heading, as the forge makes them for README.md.
myst_enable_extensions = ["colon_fence", "deflist", "fieldlist"]
myst_heading_anchors = 4
# A link to a file outside docs/ leads to the forge, see extensions/repository_links.py.
repository_links_base = f"{_source}/blob/main/"

# Reference: signatures without types, which stand beside each argument instead.
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented_params"
autodoc_member_order = "bysource"
autodoc_class_signature = "mixed"
python_use_unqualified_type_names = True
add_module_names = False
toc_object_entries_show_parents = "hide"
python_maximum_signature_line_length = 80

# Every name of ours must resolve. Names of Python and Airflow have no page here, and an inventory of other sites would
# need the network.
nitpicky = True
nitpick_ignore_regex = [
    (r"py:.*", r"(airflow|collections|concurrent|contextlib|datetime|pathlib|pydantic|requests|typing)\..*"),
    (
        r"py:class",
        r"(None|bool|bytes|dict|float|frozenset|int|list|object|str|tuple|datetime|timedelta|Any|Path|Literal)",
    ),
    (r"py:exc", r"(ValueError|AirflowSensorTimeout|AirflowFailException|AirflowException)"),
    (r"py:class", r"Dialect|Event|airflow_provider_scenario\.client\.answers\.Answer"),  # inner parts of the client
    (r"py:class", r"airflow_provider_scenario\.emulator\.ledger\..*"),  # one has the name of a class of the client
]

html_theme = "furo"
html_title = project
html_static_path = ["static"]
html_css_files = ["site.css"]
html_show_sphinx = False
html_copy_source = False
html_theme_options = {
    "source_repository": _source,
    "source_branch": "main",
    "source_directory": "docs/",
    "navigation_with_keys": True,
}
# The button copies neither prompts nor what a command prints.
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True
