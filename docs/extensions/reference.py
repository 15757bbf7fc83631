"""
Helps autodoc where it sees too little, or too much.

* Airflow's metaclass hides an operator's arguments behind ``(*args, **kwargs)``: those of ``__init__`` are shown.
* An object of a service is shown as the list of its fields, without the types that check them.
* A class that is imported for type checks only is found by its short name.
"""

from __future__ import annotations

import inspect
import re
from typing import Any, get_args

from airflow.sdk import BaseOperator
from docutils import nodes
from pydantic import BaseModel
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util.inspect import stringify_signature
from sphinx.util.nodes import make_refnode
from sphinx.util.typing import stringify_annotation

from airflow_provider_scenario.attempts.earlier import OnClear, OnRetry

SPELLED_OUT = {name: stringify_annotation(each) for name, each in (("OnClear", OnClear), ("OnRetry", OnRetry))}


def show_arguments(
    app: Sphinx, objtype: str, name: str, obj: Any, options: Any, args: str | None, retann: str
) -> tuple[str, str] | None:
    """Return what autodoc shows as the signature, and record the types that it shows beside the arguments."""
    if not inspect.isclass(obj) or args is None:
        return None
    types = app.env.current_document.autodoc_annotations.setdefault(name, {})
    if issubclass(obj, BaseModel | Exception):
        types.clear()
        return "", ""
    if not issubclass(obj, BaseOperator):
        return None
    types.clear()
    signature = inspect.signature(obj.__init__)
    arguments = [each for each in signature.parameters.values() if each.name != "self"]
    for each in arguments:
        if each.annotation is not each.empty:
            types[each.name] = re.sub(r"\bOn[A-Z]\w+", lambda match: SPELLED_OUT[match[0]], str(each.annotation))
    return stringify_signature(inspect.Signature(arguments), show_annotation=False), ""


def show_fields(app: Sphinx, objtype: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    if inspect.isclass(obj) and issubclass(obj, BaseModel) and obj.model_fields:
        described = {field: info.description for field, info in obj.model_fields.items() if info.description}
        if described:
            lines[:] = [line for line in lines if not line.startswith(":param")]
            lines += [f":param {field}: {text}".replace("*", "\\*") for field, text in described.items()]
            return
        fields = (_field(field, info.annotation) for field, info in obj.model_fields.items())
        at = next((number for number, line in enumerate(lines) if line.startswith(":param")), len(lines))
        lines[at:at] = [f"Fields: {', '.join(fields)}.", ""]


def _field(name: str, annotation: Any) -> str:
    kind = _object_in(annotation)
    return f"``{name}`` (:class:`{kind.__name__}`)" if kind else f"``{name}``"


def _object_in(annotation: Any) -> type[BaseModel] | None:
    if inspect.isclass(annotation) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(_object_in, get_args(annotation))), None)


def find_by_short_name(
    app: Sphinx, env: BuildEnvironment, node: pending_xref, contnode: nodes.TextElement
) -> nodes.reference | None:
    if node.get("refdomain") != "py":
        return None
    found = env.domains.python_domain.find_obj(env, "", "", node["reftarget"], None, searchmode=1)
    if len(found) != 1:
        return None
    name, entry = found[0]
    return make_refnode(app.builder, node["refdoc"], entry.docname, entry.node_id, contnode, name)


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("autodoc-process-signature", show_arguments)
    app.connect("autodoc-process-docstring", show_fields)
    app.connect("missing-reference", find_by_short_name)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
