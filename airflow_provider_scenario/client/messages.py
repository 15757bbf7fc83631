"""Writes values, names and texts into messages, shortened where needed. Standard library only: DAG files import it."""

from __future__ import annotations

import re
import reprlib
from typing import Any

MAX_SHOWN = 80
"""Characters of a value in a message: the value may have megabytes."""

MAX_MESSAGE = 1000
"""Characters of a message that contains other text, which may be as long as a file."""

MAX_NAME = 200
"""Characters of a name or a path in a message."""


# Name and password before a host; a query, which may hold a signature.
_SECRET_OF_ADDRESS = re.compile(r"(?<=://)[^\s/@'\"]*@|(?<=\?)[^\s'\"]+")


def shown(value: object) -> str:
    """
    Write a value into a message, shortened where it is long.

    Credentials and queries of addresses are left out. A value that may hold a Weights & Biases key is replaced by its
    type.
    """
    text = _brief.repr(value)
    if "wandb" in text.lower():
        return f"a {type(value).__name__}"
    if "://" in text:
        from airflow_provider_scenario.client.texts import plain  # costs more to import than all of this module

        text = plain(_SECRET_OF_ADDRESS.sub(lambda found: "" if found[0].endswith("@") else "…", text))
    return text if len(text) <= MAX_SHOWN else f"{text[: MAX_SHOWN - 1]}…"


class _Brief(reprlib.Repr):
    """Reads only the beginning of a long value: a text of megabytes, a list of millions."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlist = self.maxtuple = self.maxdict = self.maxset = self.maxfrozenset = 10

    def repr_str(self, x: str, level: int) -> str:  # noqa: ARG002
        # Longer than what is shown: a cut address would no longer be recognised and masked.
        return repr(x[: 4 * MAX_SHOWN])

    def repr_bytes(self, x: bytes, level: int) -> str:  # noqa: ARG002
        return repr(x[:MAX_SHOWN])

    def repr_int(self, x: int, level: int) -> str:  # noqa: ARG002
        # Python refuses to convert very large numbers to text.
        return repr(x) if x.bit_length() <= 200 else f"a number of {x.bit_length()} bits"

    def repr_instance(self, x: Any, level: int) -> str:  # noqa: ARG002
        try:
            return repr(x)
        except Exception:  # a class of the DAG author may raise anything
            return f"a {type(x).__name__}"


_brief = _Brief()


def shortened(text: str, length: int = MAX_MESSAGE) -> str:
    """Shorten a long text to its beginning and its end; the end of a message often has the reason."""
    return text if len(text) <= length else f"{text[: length - length // 3 - 1]}…{text[-(length // 3) :]}"


def quoted(text: object, length: int = MAX_NAME) -> str:
    """Write a name or a path in quotes, shortened where it is long."""
    return shortened(repr(str(text)), length)
