"""Values, names and texts in messages, cut where they are long. Standard library only: DAG files import it."""

from __future__ import annotations

import re
import reprlib
from typing import Any

MAX_SHOWN = 80
"""Characters of a value that a message repeats: a value may have megabytes."""

MAX_MESSAGE = 1000
"""Characters of a message that holds other text: a value of it may be as long as a file."""

MAX_NAME = 200
"""Characters of a name or a path in a message."""


# The name and password in front of a host, and a query, which may be a signature.
_SECRET_OF_ADDRESS = re.compile(r"(?<=://)[^\s/@'\"]*@|(?<=\?)[^\s'\"]+")


def shown(value: object) -> str:
    """
    A value for a message, cut where it is long.

    Without the part of an address that lets in whoever sees it, and only its type where a Weights & Biases key may be
    in it.
    """
    text = _brief.repr(value)
    if "wandb" in text.lower():
        return f"a {type(value).__name__}"
    if "://" in text:
        from airflow_provider_scenario.client.texts import plain  # costs more to import than all of this module

        text = plain(_SECRET_OF_ADDRESS.sub(lambda found: "" if found[0].endswith("@") else "…", text))
    return text if len(text) <= MAX_SHOWN else f"{text[: MAX_SHOWN - 1]}…"


class _Brief(reprlib.Repr):
    """Looks only at the beginning of what is long: a text of megabytes, a list of millions."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlist = self.maxtuple = self.maxdict = self.maxset = self.maxfrozenset = 10

    def repr_str(self, x: str, level: int) -> str:  # noqa: ARG002
        # Longer than what is shown: what would be left of an address must still look like one to be masked.
        return repr(x[: 4 * MAX_SHOWN])

    def repr_bytes(self, x: bytes, level: int) -> str:  # noqa: ARG002
        return repr(x[:MAX_SHOWN])

    def repr_int(self, x: int, level: int) -> str:  # noqa: ARG002
        # Python refuses to write out the largest ones.
        return repr(x) if x.bit_length() <= 200 else f"a number of {x.bit_length()} bits"

    def repr_instance(self, x: Any, level: int) -> str:  # noqa: ARG002
        try:
            return repr(x)
        except Exception:  # the author's own class may fail in any way
            return f"a {type(x).__name__}"


_brief = _Brief()


def shortened(text: str, length: int = MAX_MESSAGE) -> str:
    """The text, or its beginning and its end where it is long: the end of a message says what is wrong."""
    return text if len(text) <= length else f"{text[: length - length // 3 - 1]}…{text[-(length // 3) :]}"


def quoted(text: object, length: int = MAX_NAME) -> str:
    """A name or a path, in quotes; its beginning and its end where it is long."""
    return shortened(repr(str(text)), length)
