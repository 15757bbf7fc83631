"""Values that somebody has given, in messages. Imports nothing heavy: DAG files do."""

from __future__ import annotations

import re
import reprlib
from typing import Any

from airflow_provider_scenario.client.texts import plain

_LONGEST_SHOWN = 80
_IN_ADDRESS = re.compile(r"(?<=://)[^\s/@'\"]*@|(?<=\?)[^\s'\"]+")


def shown(value: Any) -> str:
    """A value in a message, cut. Without the part of an address that lets in whoever sees it."""
    text = plain(_IN_ADDRESS.sub(lambda found: "" if found[0].endswith("@") else "…", _brief.repr(value)))
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"


class _Brief(reprlib.Repr):
    """Looks at the beginning of what is long."""

    def repr_str(self, x: str, level: int) -> str:  # noqa: ARG002
        # Cut at the end only: what would be left of an address must still look like one to be masked.
        return repr(x[: 4 * _LONGEST_SHOWN])

    def repr_int(self, x: int, level: int) -> str:  # noqa: ARG002
        # Python writes no number of more than 4300 digits.
        return repr(x) if abs(x) < 10**_LONGEST_SHOWN else "a number of more than 80 digits"


_brief = _Brief()
