"""
Base class of the objects of both services, and types for their values.

A service may be wrong or hostile. What is read here is safe: numbers are finite and in a range that can be shown, texts
are of bounded length, dates can be converted to any time zone, and text for people (:data:`ServiceText`) holds neither
our secrets nor signed addresses. :func:`.decode` makes sure that texts can be written as UTF-8.
"""

# Without `from __future__ import annotations`: as text, pydantic would compile each annotation at the import.
import logging
import math
import threading
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    field_validator,
)
from pydantic.alias_generators import to_camel

from airflow_provider_scenario.client.decoding import DEEPEST_ANSWER
from airflow_provider_scenario.client.errors import ServiceError
from airflow_provider_scenario.client.messages import shortened
from airflow_provider_scenario.client.texts import plain

if TYPE_CHECKING:
    from airflow_provider_scenario.client.answers import Answer

log = logging.getLogger("airflow_provider_scenario.client")

LONGEST_NAME = 1_000
"""Characters of a name; Scenario's own form takes 100."""

LONGEST_ID = 200
"""Characters of an id, a status or another single word; Scenario's are below 40."""

LONGEST_TEXT = 100_000
"""Characters of a caption, a description or a page: far above what people write."""

LONGEST_ADDRESS = 20_000
"""Characters of an address; signed ones have about 1 000, and servers refuse more than 8 000."""

LARGEST_NUMBER = 1e15
"""The largest number: exact as a float, and short enough to be shown."""

LONGEST_TIME = 10 * 365 * 24 * 3600.0
"""Seconds: ten years."""

_MOST_WARNINGS = 1_000
"""Different warnings a process logs about odd values: the service decides how many different values it sends."""

_FIRST, _LAST = datetime(1970, 1, 1, tzinfo=UTC), datetime(9999, 12, 30, tzinfo=UTC)
"""Between them a date can be converted to any time zone."""

_IN_NO_ID = frozenset("/\\?#% ")

_warned: set[tuple[str, str]] = set()


def warn_once(field: str, value: object, message: str) -> None:
    """Log a warning once a process for this field and value: polls would repeat it for hours."""
    key = (field, repr(value)[:200])
    if key not in _warned and len(_warned) < _MOST_WARNINGS:
        _warned.add(key)
        log.warning("%s", message)


def _share(value: float) -> float:
    return 0.0 if math.isnan(value) else min(1.0, max(0.0, value))


def _no_boolean(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("a boolean is not a number")  # noqa: TRY004
    return value


def _in_utc(value: datetime) -> datetime:
    moment = value if value.tzinfo else value.replace(tzinfo=UTC)
    # Compared in its own time zone: converting year 1 or 9999 overflows.
    if not _FIRST <= moment <= _LAST:
        raise ValueError("not a date that can be converted to any time zone")
    return moment


def _one_word(value: str) -> str:
    if not value.isprintable() or len(value) > LONGEST_ID:
        raise ValueError("not one word")
    return value


def _one_segment(value: str) -> str:
    # The rule of client.ids, without a loop over characters: this runs thousands of times a poll.
    if value in (".", "..") or len(value) > LONGEST_ID or not value.isprintable() or not _IN_NO_ID.isdisjoint(value):
        raise ValueError("not an id")
    return value


def _safe_text(value: str, info: ValidationInfo) -> str:
    scrub = (info.context or {}).get("scrub", plain)
    return str(scrub(value))


def _without_oddities(value: Any, depth: int = 0) -> Any:
    """Drop infinite numbers from an object of any content: it is written as JSON."""
    if depth > DEEPEST_ANSWER:
        raise ValueError("nested too deep")
    match value:
        case float() if not math.isfinite(value):
            return None
        case dict():
            return {name: _without_oddities(item, depth + 1) for name, item in value.items()}
        case list():
            return [_without_oddities(item, depth + 1) for item in value]
    return value


Number = Annotated[
    float, BeforeValidator(_no_boolean), Field(ge=-LARGEST_NUMBER, le=LARGEST_NUMBER, allow_inf_nan=False)
]

Count = Annotated[int, BeforeValidator(_no_boolean), Field(ge=0, le=int(LARGEST_NUMBER))]

Seconds = Annotated[float, BeforeValidator(_no_boolean), Field(ge=0, le=LONGEST_TIME, allow_inf_nan=False)]

Milliseconds = Annotated[float, BeforeValidator(_no_boolean), Field(ge=0, le=LONGEST_TIME * 1000, allow_inf_nan=False)]

Share = Annotated[float, BeforeValidator(_no_boolean), AfterValidator(_share)]
"""0..1; Scenario has sent 1.02."""

Moment = Annotated[datetime, BeforeValidator(_no_boolean), AfterValidator(_in_utc)]
"""From an ISO string or from milliseconds since 1970, always with a time zone."""

Text = Annotated[str, Field(max_length=LONGEST_TEXT)]
"""Unchanged, for comparing and for editing."""

Name = Annotated[str, Field(max_length=LONGEST_NAME)]

Word = Annotated[str, AfterValidator(_one_word)]
"""A status, a type, a kind."""

Id = Annotated[str, Field(min_length=1), AfterValidator(_one_segment)]
"""One segment of a path: of an address, and of files that are named after it."""

Address = Annotated[str, Field(min_length=1, max_length=LONGEST_ADDRESS)]
"""The signed address of a file: never shown."""

ServiceText = Annotated[str, AfterValidator(_safe_text)]
"""The service's own words, for people: see :mod:`.texts`."""

Free = Annotated[dict[str, Any], BeforeValidator(_without_oddities)]
"""An object of any content."""

_building = threading.RLock()  # reentrant: a signal handler may read an object while this thread builds a class


class Schema(BaseModel):
    """
    Base of the objects that the services send: camelCase in JSON, snake case here.

    The services grow. Unknown fields are kept; an optional field of the wrong shape counts as absent and is logged
    once. A required field that is missing or wrong makes the object unreadable, which is a typed error.
    """

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        extra="allow",
        protected_namespaces=(),
        defer_build=True,  # a task uses a third of the classes
        str_strip_whitespace=False,
    )

    service: ClassVar[str]
    """The service that sends it, in messages."""

    required_if_present: ClassVar[frozenset[str]] = frozenset()
    """Optional fields that make the whole object unreadable when they are there and cannot be read."""

    @field_validator("*", mode="wrap")
    @classmethod
    def _absent_if_unreadable(cls, value: Any, read: ValidatorFunctionWrapHandler, info: ValidationInfo) -> Any:
        field = cls.model_fields[info.field_name or ""]
        try:
            return read(value)
        except ValidationError:
            may_be_absent = value is None or (info.context or {}).get("only_status")
            if field.is_required() or (info.field_name in cls.required_if_present and not may_be_absent):
                raise
            if value is not None:
                name = f"{cls.__name__}.{info.field_name}"
                warn_once(name, type(value), f"{cls.service} sent a {name} of an unknown shape; it counts as absent.")
            return field.get_default(call_default_factory=True)

    @classmethod
    def model_validate(cls, obj: Any, **options: Any) -> Self:
        """As pydantic's, and safe in several threads: up to 2.12 two of them may not build a class at once."""
        if not cls.__pydantic_complete__:
            with _building:
                cls.model_rebuild()
        return super().model_validate(obj, **options)

    def __repr_args__(self) -> Iterable[tuple[str | None, Any]]:
        """Known fields that are set; an unknown one may be a signed address."""
        shown = type(self).model_fields
        return [
            (name, value) for name, value in super().__repr_args__() if name in shown and value not in (None, [], {})
        ]

    @classmethod
    def read(
        cls,
        data: object,
        *,
        action: str,
        maybe_done: bool = False,
        answer: "Answer | None" = None,
        only_status: bool = False,
        advice: str = "",
    ) -> Self:
        """
        Read an object of an answer.

        :param data: as it came.
        :param action: for the message, an infinitive without 'to', such as ``read model model_8Xk``.
        :param maybe_done: what an unreadable answer means for the caller's request.
        :param answer: the whole answer, for the message.
        :param only_status: whether :attr:`required_if_present` may be unreadable: a dataset that cannot be read must
            not end the waiting for a paid training.
        :param advice: what to do, as a last sentence of the message.
        :raises ServiceError: the object cannot be read: something it must have is missing or has another shape.
        """
        try:
            context = {"scrub": answer.scrub if answer else plain, "only_status": only_status}
            return cls.model_validate(data, context=context)
        except ValidationError as problem:
            wrong = ", ".join(sorted({".".join(map(str, error["loc"])) or "everything" for error in problem.errors()}))
        raise ServiceError(
            f"{cls.service} was requested to {shortened(action, 300)}; the {cls.__name__} in its answer is unreadable "
            f"(missing or of another shape: {plain(wrong)[:200]}). {advice}".rstrip(),
            maybe_done=maybe_done,
            **(answer.origin if answer else {}),
        )


S = TypeVar("S", bound=Schema)
