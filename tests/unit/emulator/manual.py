"""The tables of the emulator's manual, ``docs/emulator.md``, from its code."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

from fastapi.routing import APIRoute

from airflow_provider_scenario.emulator.limits import Limits
from airflow_provider_scenario.emulator.settings import CaptchaAction, Fault, Outcome, Override, Settings
from airflow_provider_scenario.emulator.state import State
from airflow_provider_scenario.emulator.switches import switches

if TYPE_CHECKING:
    from pydantic import BaseModel
    from pydantic.fields import FieldInfo

KINDS = {float: "number", int: "whole number", str: "text", bool: "true, false"}


def tables() -> dict[str, str]:
    return {
        "switches": _table(("switch", "does"), ((f"`{name}`", text) for name, text in described_switches())),
        "settings": _fields(Settings),
        "limits": _fields(Limits),
        "faults": _fields(Fault),
        "outcomes": _fields(Outcome),
        "overrides": _fields(Override),
        "captcha": _fields(CaptchaAction),
    }


def described_switches() -> Iterable[tuple[str, str]]:
    for route in switches(State()).routes:
        if isinstance(route, APIRoute):
            for method in route.methods:
                yield f"{method} {route.path.replace(':path', '')}", _with_code(route.description)


def _fields(model: type[BaseModel]) -> str:
    rows = (
        (f"`{name}`", _values(field.annotation), _default(field), (field.description or "").replace("*", "\\*"))
        for name, field in model.model_fields.items()
    )
    return _table(("field", "values", "default", "meaning"), rows)


def _values(annotation: Any) -> str:
    parts = get_args(annotation)
    if get_origin(annotation) is Literal:
        return ", ".join(f"`{part}`" for part in parts)
    if type(None) in parts:
        return ", ".join([*(_values(part) for part in parts if part is not type(None)), "null"])
    if annotation is Limits:
        return "`strict`, `lenient`, or an object"
    return KINDS.get(annotation, "object" if get_origin(annotation) is dict else "any JSON")


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return ""
    value = field.get_default(call_default_factory=True)
    if isinstance(value, Limits):
        return "as below"
    if isinstance(value, float):
        return f"{value:g}"
    return "null" if value is None else f"`{value if isinstance(value, str) else json.dumps(value)}`"


def _with_code(text: str) -> str:
    """JSON at the end of a description, as code."""
    before, brace, rest = text.partition("{")
    inside, closing, after = rest.rpartition("}")
    return f"{before}`{{{inside}}}`{after}" if brace and closing else text


def _table(titles: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [titles, ("---",) * len(titles), *(tuple(cell.replace("|", "\\|") for cell in row) for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
