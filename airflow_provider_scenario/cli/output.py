"""
Prints rows as a table, JSON, YAML or plain text.

Not with Airflow's own console: it reads square brackets in a name as markup, and turns numbers into text.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from airflow_provider_scenario.cli.running import printable

WIDTH = 200
"""Columns of a table that is not written to a terminal; as Airflow's own."""

Row = Mapping[str, Any]


def print_rows(rows: Sequence[Row], output: str, *, empty: str, styles: Mapping[str, str] | None = None) -> None:
    """
    Print rows with the same keys.

    :param output: ``table``, ``json``, ``yaml`` or ``plain``.
    :param empty: what a table without rows says.
    :param styles: value → rich style, for tables on a terminal.
    """
    if output in ("json", "yaml"):
        print_data([dict(row) for row in rows], output)
    elif not rows:
        _write(empty)
    elif output == "plain":
        _print_plain(rows)
    else:
        _print_table(rows, styles or {})


def print_fields(fields: Row, output: str) -> None:
    """Print one object: its fields one below the other, or the object itself as JSON or YAML."""
    if output in ("json", "yaml"):
        print_data(dict(fields), output)
    else:
        print_rows([{"field": name, "value": value} for name, value in fields.items()], output, empty="")


def print_data(data: Any, output: str) -> None:
    """Print an object or a list as JSON or YAML. Both escape all that is not ASCII, also terminal sequences."""
    data = _plain_data(data)
    if output == "json":
        _write(json.dumps(data, indent=2))
    else:
        import yaml

        _write(yaml.safe_dump(data, sort_keys=False, allow_unicode=False).rstrip())


def _print_table(rows: Sequence[Row], styles: Mapping[str, str]) -> None:
    from rich.box import ASCII_DOUBLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=ASCII_DOUBLE_HEAD, show_edge=False, pad_edge=False)
    numbers = {name for name, value in rows[0].items() if isinstance(value, int | float)}
    for name in rows[0]:
        table.add_column(name, justify="right" if name in numbers else "left", overflow="fold")
    for row in rows:
        # Text, because a plain string would be read as markup.
        table.add_row(*(Text(cell, style=styles.get(cell, "")) for cell in map(_cell, row.values())))
    console = Console(file=sys.stdout, highlight=False)
    if not console.is_terminal:
        console.width = WIDTH
    console.print(table)


def _print_plain(rows: Sequence[Row]) -> None:
    from airflow_provider_scenario.client.text_table import text_table

    cells = [tuple(rows[0]), *(tuple(map(_cell, row.values())) for row in rows)]
    _write("\n".join(text_table(cells)))


def _cell(value: Any) -> str:
    value = _plain_data(value)
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.16g}"
    text = value if isinstance(value, str) else json.dumps(value)
    return " ".join(printable(text).split())


def _plain_data(value: Any) -> Any:
    """The value as JSON has it."""
    convert: Callable[[Any], Any] = _plain_data
    if isinstance(value, Mapping):
        return {str(key): convert(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [convert(item) for item in value]
    if isinstance(value, datetime):
        return value.isoformat(timespec="seconds")
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return int(value)
    return value if isinstance(value, str | int | float | bool) or value is None else str(value)


def _write(text: str) -> None:
    encoding = sys.stdout.encoding or "utf-8"
    sys.stdout.write(text.encode(encoding, "replace").decode(encoding) + "\n")
