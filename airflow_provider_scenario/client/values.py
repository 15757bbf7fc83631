"""
Values that a DAG author gives: how they are spelled, and what a template has made text of.

Imported while DAG files are parsed: nothing but the standard library, and little of that.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from airflow_provider_scenario.client.errors import InvalidInputError
from airflow_provider_scenario.client.messages import shown

MAX_REQUEST = 6 * 1024 * 1024
"""Bytes of one request: about 6 MB is the limit of the gateway (SDK ``types/asset_upload_params.py``)."""

MAX_DEPTH = 50
"""Lists and dictionaries within each other; training parameters have three."""

TEMPLATE_HINT = " A template gives text unless the DAG has render_template_as_native_obj=True."

# ``int`` and ``float`` also take '1_0' and the digits of other scripts, which are typing errors here.
_NUMBER = re.compile(r"[+-]?(\d{1,400}(\.\d{0,400})?|\.\d{1,400})([eE][+-]?\d{1,4})?", re.ASCII)
_BOOLEANS = {"true": True, "false": False}
# The rule would make numUnetTrainSteps of it.
_IRREGULAR = {"num_unet_train_steps": "numUNetTrainSteps"}


def camel_case(name: str) -> str:
    """The API's spelling of a name in snake case; any other name stays as it is."""
    if name in _IRREGULAR:
        return _IRREGULAR[name]
    first, *others = name.split("_")
    return first + "".join(other[:1].upper() + other[1:] for other in others)


def snake_case(name: str) -> str:
    """The spelling of a Python author for a name of the API."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


class Spelling:
    """
    Spells names of the API as an author does: each as it was given, and those that were not given in the same style.

    :param given: the names as the author wrote them. Where they show no style, such as ``rank``, it is snake case.
    """

    def __init__(self, given: Iterable[str] = ()) -> None:
        self._given = {camel_case(name): name for name in given}
        self._style = next(filter(None, map(_style, self._given.values())), snake_case)

    def __call__(self, name: str, *, like: str = "") -> str:
        """
        Spell a name.

        :param name: in the API's spelling.
        :param like: a name in the author's spelling whose style counts first.
        """
        return self._given.get(name) or (_style(like) or self._style)(name)


def _style(name: str) -> Callable[[str], str] | None:
    if "_" in name:
        return snake_case
    return camel_case if name[:1].islower() and name.lower() != name else None


def camel_keys(values: Mapping[str, Any] | None, what: str) -> dict[str, Any]:
    """
    The same mapping with keys in the API's spelling.

    :param values: keys in either spelling. None: an empty one.
    :param what: for messages, such as ``parameters``.
    :raises InvalidInputError: ``values`` is not a mapping, a key is not text, or a key is there in both spellings.
    """
    if values is None:
        return {}
    if not isinstance(values, Mapping):
        hint = TEMPLATE_HINT if isinstance(values, str) else ""
        raise InvalidInputError(f"{what} must be a dictionary, not {shown(values)}.{hint}")
    spelled: dict[str, Any] = {}
    for key, value in values.items():
        if not isinstance(key, str):
            raise InvalidInputError(f"{what}: a key must be text, not {shown(key)}.")
        if not key.strip():
            raise InvalidInputError(f"{what}: a key is empty.")
        check_encodable(f"{what}: a key", key)
        name = camel_case(key)
        if name in spelled:
            raise InvalidInputError(f"{what}: {shown(name)} is given twice, in two spellings. Keep one.")
        spelled[name] = value
    return spelled


def number_in(value: Any) -> Any:
    """
    The number in a text that a template has made of it; anything else stays as it is.

    :param value: such as ``'4'`` or ``'5e-5'``.
    """
    text = value.strip() if isinstance(value, str) else ""
    if not text or not _NUMBER.fullmatch(text):
        return value
    return int(text) if text.lstrip("+-").isdigit() else float(text)


def boolean_in(value: Any) -> Any:
    """
    The boolean in a text that a template has made of it; anything else stays as it is.

    :param value: such as ``'True'`` or ``'false'``.
    """
    return _BOOLEANS.get(value.strip().lower(), value) if isinstance(value, str) else value


def is_number(value: object) -> bool:
    """Whether it is a number that JSON can hold: no boolean, not infinite, and not so large that it has no float."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def check_text(field: str, value: object, *, shortest: int = 0, longest: int | None = None) -> None:
    """
    Check a text.

    :param field: what it is called where it came from.
    :param shortest: characters, white space at both ends not counted.
    :param longest: characters; None: any number.
    :raises InvalidInputError: it is not text, too short or too long, or holds what cannot be sent.
    """
    if not isinstance(value, str):
        length = f" of {shortest} to {longest} characters" if longest else ""
        raise InvalidInputError(f"{field} must be text{length}, not {shown(value)}.")
    if len(value.strip()) < shortest:
        takes = f"it takes {shortest} to {longest} characters" if longest else "give text"
        raise InvalidInputError(f"{field} is empty; {takes}.")
    if longest is not None and len(value) > longest:
        raise InvalidInputError(
            f"{field}={shown(value)} has {len(value)} characters; Scenario takes at most {longest}."
        )
    check_encodable(field, value)


def check_encodable(field: str, value: str) -> None:
    """
    Check that a text can be sent.

    :raises InvalidInputError: it is too long for a request, or holds half of a surrogate pair, which has no UTF-8.
    """
    try:
        size = len(value.encode())
    except UnicodeEncodeError:
        # Without the value: it may be a secret.
        raise InvalidInputError(f"{field} is not valid Unicode, it has half of a surrogate pair in it.") from None
    if size > MAX_REQUEST:
        raise InvalidInputError(f"{field} has {size / 1e6:.1f} MB; no request holds more than 6 MB.")


def check_texts(field: str, values: object, what: str) -> None:
    """
    Check a list of texts, none of them empty.

    :param field: what it is called where it came from.
    :param what: what is in it, such as ``collection ids``.
    :raises InvalidInputError: it is not a list, or one of them is not text, or empty.
    """
    # This check would use up an iterator: nothing would be left to send.
    if isinstance(values, str | bytes | Mapping | Iterator) or not isinstance(values, Iterable):
        hint = TEMPLATE_HINT if isinstance(values, str) else ""
        raise InvalidInputError(f"{field} is {shown(values)}; give a list of {what}.{hint}")
    for value in values:
        if not isinstance(value, str) or not value.strip():
            raise InvalidInputError(f"{field} has {shown(value)}; give text that is not empty.")
        check_encodable(field, value)


def check_sendable(field: str, value: object, depth: int = 0) -> None:
    """
    Check that JSON can hold a value of which nothing else is known.

    :raises InvalidInputError: it cannot, and names where.
    """
    if depth > MAX_DEPTH:
        raise InvalidInputError(f"{field} has more than {MAX_DEPTH} lists and dictionaries within each other.")
    match value:
        case None | bool():
            return
        case str():
            check_encodable(field, value)
        case int() | float() if is_number(value):
            return
        case list() | tuple():
            for item in value:
                check_sendable(field, item, depth + 1)
        case dict() if all(isinstance(key, str) for key in value):
            for key, item in value.items():
                check_encodable(field, key)
                check_sendable(f"{field}[{shown(key)}]"[:200], item, depth + 1)
        case _:
            raise InvalidInputError(f"{field}={shown(value)} cannot be sent as JSON.")


def similar_name(name: str, known: Iterable[str]) -> str | None:
    """The known name that a name is most likely a misspelling of; None if it is like none of them."""
    from difflib import get_close_matches  # costs more to import than all of this module

    spelled = {candidate.lower(): candidate for candidate in known}
    close = get_close_matches(name[:100].lower(), spelled, n=1, cutoff=0.7)
    return spelled[close[0]] if close else None


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A sentence for the end of a message, or nothing."""
    close = similar_name(name, known)
    return f" Did you mean {close!r}?" if close else ""


def duration_text(seconds: float) -> str:
    """A duration for people, such as ``40 s``, ``12 min`` or ``2 h 5 min``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"
