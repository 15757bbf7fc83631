"""Tables that stand generated in a page, between ``<!-- begin name -->`` and ``<!-- end name -->``."""

from __future__ import annotations

import re
from collections.abc import Mapping


def table_in(page: str, name: str) -> str:
    """What stands in a page under this name."""
    return _block(name).search(page)["table"]  # type: ignore[index]


def with_tables(page: str, tables: Mapping[str, str]) -> str:
    """The page with these tables in their places."""
    for name, table in tables.items():
        place = _block(name)
        assert len(place.findall(page)) == 1, name
        page = place.sub(lambda found, table=table: f"{found['begin']}{table}{found['end']}", page)
    return page


def _block(name: str) -> re.Pattern[str]:
    begin, end = f"<!-- begin {re.escape(name)} -->\n", f"<!-- end {re.escape(name)} -->\n"
    return re.compile(f"(?P<begin>{begin})(?P<table>.*?)(?P<end>{end})", re.DOTALL)
