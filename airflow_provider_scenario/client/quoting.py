"""Names and messages, cut where they are long. Standard library only: DAG files import it."""

from __future__ import annotations

MAX_MESSAGE = 1000
"""Characters of a message that holds other text: a value of it may be as long as a file."""

MAX_NAME = 200
"""Characters of a name or a path in a message."""


def shortened(text: str, length: int = MAX_MESSAGE) -> str:
    """The text, or its beginning and its end where it is long: the end of a message says what is wrong."""
    return text if len(text) <= length else f"{text[: length - length // 3 - 1]}…{text[-(length // 3) :]}"


def quoted(text: object, length: int = MAX_NAME) -> str:
    """A name or a path, in quotes; its beginning and its end where it is long."""
    return shortened(repr(str(text)), length)
