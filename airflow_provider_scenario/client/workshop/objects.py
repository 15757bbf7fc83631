"""
Base of the objects that are sent to AI Creation Workshop: how they are read, checked and written.

Names are read in the API's spelling and in snake case. Null is the same as absent, and so is empty text where a text
makes no sense. A text that a template gives counts as the number or boolean in it. A field that the vendor's page does
not list is sent unchanged, with a warning, unless its name is close to a listed one. One message of bounded length
lists everything that is wrong, each by its path.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, cast, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidatorFunctionWrapHandler, field_validator
from pydantic.alias_generators import to_camel

from airflow_provider_scenario.client.consequences import NOTHING_SENT
from airflow_provider_scenario.client.errors import InvalidInputError
from airflow_provider_scenario.client.messages import shown
from airflow_provider_scenario.client.texts import plain
from airflow_provider_scenario.client.values import did_you_mean, number_in

if TYPE_CHECKING:
    from pydantic._internal._model_construction import ModelMetaclass as _ModelMetaclass
else:
    _ModelMetaclass = type(BaseModel)

EXTRA = "extraFields"

Steps = tuple[int | str, ...]
"""The path of a field: names, and places in lists."""

_LONGEST_NAME = 60
_LONGEST_LIST = 3_000
"""Characters of the list of errors: an object made in a loop repeats each mistake many times."""


@dataclass(frozen=True, slots=True)
class _Unchecked:
    """The value of a listed field that was given in ``extra_fields``: sent without a check."""

    value: Any


class _CheckedWhenMade(_ModelMetaclass):
    """Makes ``File(…)`` check its fields as :func:`read` checks a dictionary, with the same errors."""

    def __call__(cls, **fields: Any) -> Any:  # noqa: N805 - it is the class that is called
        return read(cast("type[WorkshopObject]", cls), fields)


class WorkshopObject(BaseModel, metaclass=_CheckedWhenMade):
    """
    Base of the objects. The description of a field says which values are right; errors repeat it.

    :param extra_fields: fields that are sent unchanged, without a check: new fields of the service, and values that
        only we refuse.
    """

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        extra="allow",
        strict=True,
        frozen=True,
        protected_namespaces=(),
    )

    title: ClassVar[str]
    """The object, at the start of a message."""

    noun: ClassVar[str]
    """An object of this class, inside a message."""

    absent_if_blank: ClassVar[frozenset[str]] = frozenset()
    """Optional fields for which empty text, as templates give it, means absent."""

    misplaced: ClassVar[Mapping[str, str]] = {}
    """Names that the page lists beside this object's fields, and where they are given."""

    extra_fields: dict[str, Any] = Field({}, description="a dictionary of fields, whose names are texts", repr=False)

    @field_validator("*", mode="wrap")
    @classmethod
    def _unchecked_if_extra(cls, value: Any, check: ValidatorFunctionWrapHandler) -> Any:
        return value.value if isinstance(value, _Unchecked) else check(value)

    def to_body(self) -> dict[str, Any]:
        """Return what is sent: the given fields, in the API's spelling and always in the same order."""
        return {**self._fields("to_body"), **self.extra_fields}

    def to_given(self) -> dict[str, Any]:
        """Return a dictionary that :func:`read` turns into an equal object."""
        fields = {name: value for name, value in self._fields("to_given").items() if name not in self.extra_fields}
        return {**fields, EXTRA: self.extra_fields} if self.extra_fields else fields

    def _fields(self, method: str) -> dict[str, Any]:
        known = type(self).model_fields
        given = {info.alias or name: getattr(self, name) for name, info in known.items() if self._holds(name)}
        return {**{name: _written(value, method) for name, value in given.items()}, **(self.model_extra or {})}

    def _holds(self, name: str) -> bool:
        return name in self.model_fields_set and name != "extra_fields" and getattr(self, name) is not None

    @classmethod
    def errors_between_fields(cls, given: Any) -> Iterator[str]:  # noqa: ARG003
        """Yield errors that involve several fields. The input may have other errors too."""
        return iter(())

    def warnings(self) -> list[str]:
        """Return what the service may refuse although the vendor's page does not forbid it, each by its path."""
        return list(_unknown_fields(self))


P = TypeVar("P", bound=WorkshopObject)


def read(schema: type[P], value: Any) -> P:
    """
    Read an object, in the API's spelling or in snake case.

    :raises InvalidInputError: lists all fields that are missing, wrong or misspelt, each by its path.
    """
    if isinstance(value, schema):
        return value
    if not isinstance(value, Mapping):
        raise InvalidInputError(f"{schema.title} must be an object with fields, not {shown(value)}. {NOTHING_SENT}")
    names: list[str] = []
    given = _prepared(schema, value, (), names)
    wrong: dict[str, None] = {}
    part = None
    try:
        part = schema.model_validate(given)
    except ValidationError as problem:
        # Each member of a union reports an error, with the same text.
        wrong = dict.fromkeys(
            _error_text(schema, error["type"], error["loc"], error["input"])
            for error in problem.errors(include_url=False, include_context=False)
        )
    found = [*wrong, *names, *schema.errors_between_fields(given)]
    if part is None or found:
        raise InvalidInputError(f"{schema.title} cannot be sent: {_listed(found)}. {NOTHING_SENT}")
    _check_json(schema, part.to_body())
    return part


def whole_number(value: Any) -> Any:
    """As :func:`.values.number_in`, but 3600.0 becomes 3600."""
    value = number_in(value)
    return int(value) if isinstance(value, float) and value.is_integer() else value


def path_of(steps: Iterable[int | str]) -> str:
    """Such as ``versions[0].files[1].hash``."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{_named(step)}" for step in steps).removeprefix(".")


def _prepared(schema: type[WorkshopObject], value: Mapping[Any, Any], at: Steps, wrong: list[str]) -> Any:
    """Return the object's fields under the API's names; append errors of names to ``wrong``."""
    fields = {info.alias or name: name for name, info in schema.model_fields.items()}
    spelled = {**{name: alias for alias, name in fields.items()}, **{alias: alias for alias in fields}}
    given: dict[str, Any] = {}
    for name, item in value.items():
        alias = spelled.get(name) if isinstance(name, str) else None
        if alias is None:
            if error_text := _wrong_with_name(schema, name, fields, at):
                wrong.append(error_text)
            else:
                given[name] = item
        elif alias in given:
            wrong.append(f"{path_of([*at, fields[alias]])} is given twice, also as {alias}")
        elif not _is_absent(schema, fields[alias], item):
            given[alias] = _prepared_field(schema, fields[alias], item, (*at, alias), wrong)
    extra = given.get(EXTRA)
    for name, item in extra.items() if isinstance(extra, Mapping) else ():
        if name in given and name != EXTRA:
            wrong.append(f"{path_of([*at, str(name)])} is given twice, also in {EXTRA}")
        elif error_text := _wrong_place(schema, name, at):
            wrong.append(error_text)
        elif name in fields and name != EXTRA:
            given[name] = _Unchecked(item)
    if isinstance(extra, Mapping):
        given[EXTRA] = dict(extra)
    return given


def _is_absent(schema: type[WorkshopObject], name: str, item: Any) -> bool:
    if schema.model_fields[name].is_required():
        return False
    return item is None or (name in schema.absent_if_blank and isinstance(item, str) and not item.strip())


def _prepared_field(schema: type[WorkshopObject], name: str, item: Any, at: Steps, wrong: list[str]) -> Any:
    inner = _class_in(schema.model_fields[name].annotation)
    if inner and isinstance(item, Mapping):
        return _prepared(inner, item, at, wrong)
    if inner and isinstance(item, list | tuple):
        return [
            _prepared(inner, row, (*at, number), wrong) if isinstance(row, Mapping) else row
            for number, row in enumerate(item)
        ]
    return item


def _wrong_with_name(schema: type[WorkshopObject], name: Any, fields: Mapping[str, str], at: Steps) -> str | None:
    if not isinstance(name, str):
        return f"{path_of(at) or schema.noun} has a field {shown(name)}, whose name must be text"
    if error_text := _wrong_place(schema, name, at):
        return error_text
    if len(name) > _LONGEST_NAME:
        return None
    others = (other for other in WorkshopObject.__subclasses__() if other is not schema)
    if owner := next((other for other in others if _lists(other, to_camel(name))), None):
        hint = f"It is a field of {owner.noun}."
    else:
        hint = did_you_mean(to_camel(name), fields).strip()
    if not hint:
        return None
    return (
        f"{path_of([*at, name])} is not a field of {schema.noun} ({hint} If the service has such a field now, give it "
        f"in {EXTRA})"
    )


def _lists(schema: type[WorkshopObject], alias: str) -> bool:
    return any(alias == info.alias for info in schema.model_fields.values())


def _wrong_place(schema: type[WorkshopObject], name: Any, at: Steps) -> str | None:
    short = isinstance(name, str) and len(name) <= _LONGEST_NAME
    place = schema.misplaced.get(to_camel(name)) if short else None
    return f"{path_of([*at, name])} is not a field of {schema.noun}: {place}" if place else None


def _error_text(schema: type[WorkshopObject], kind: str, location: Steps, value: Any) -> str:
    owner, steps, description = schema, list[int | str](), ""
    for step in location:
        known = {info.alias or name: info for name, info in owner.model_fields.items()}
        if isinstance(step, str) and step not in known:
            break  # the name of a union's member
        steps.append(step)
        if isinstance(step, str):
            description = known[step].description or ""
            owner = _class_in(known[step].annotation) or owner
    if kind == "missing":
        return f"{path_of(steps)} is missing ({description})"
    if kind in ("model_type", "dict_type", "model_attributes_type") and isinstance(steps[-1], int):
        description = f"an object: {owner.noun}"
    return f"{path_of(steps)} is {shown(value)} and must be {description}"


def _listed(found: list[str]) -> str:
    """Join the errors that fit into the longest list, and count the others."""
    room, listed = _LONGEST_LIST, 0
    for text in found:
        room -= len(text) + 2
        if room < 0 and listed:
            break
        listed += 1
    more = [f"and {len(found) - listed} more"] if listed < len(found) else []
    return "; ".join([*found[:listed], *more])


def _check_json(schema: type[WorkshopObject], body: dict[str, Any]) -> None:
    try:
        json.dumps(body, ensure_ascii=False, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as problem:
        raise InvalidInputError(
            f"{schema.title} cannot be written as JSON: {plain(str(problem))[:200]}. {NOTHING_SENT}"
        ) from None


def _unknown_fields(part: WorkshopObject) -> Iterator[str]:
    """Yield one warning for each name, however many objects have it."""
    places: dict[tuple[str, str], list[str]] = {}
    for at, each in _objects_in(part, ()):
        for name in each.model_extra or ():
            places.setdefault((each.noun, name), []).append(path_of([*at, name]))
    for number, ((noun, _), paths) in enumerate(places.items()):
        if number == 20:
            yield f"the service does not list {len(places) - number} more fields"
            return
        more = f" (and {len(paths) - 1} more)" if len(paths) > 1 else ""
        yield f"{paths[0]}{more}: the service does not list this field for {noun}; it is sent unchanged"


def _objects_in(part: WorkshopObject, at: Steps) -> Iterator[tuple[Steps, WorkshopObject]]:
    """Yield each object of a tree with its path."""
    yield at, part
    for name, info in type(part).model_fields.items():
        value = getattr(part, name)
        if isinstance(value, WorkshopObject):
            yield from _objects_in(value, (*at, info.alias or name))
        for count, row in enumerate(value if isinstance(value, list) else ()):
            if isinstance(row, WorkshopObject):
                yield from _objects_in(row, (*at, info.alias or name, count))


def _written(value: Any, method: str) -> Any:
    if isinstance(value, WorkshopObject):
        return getattr(value, method)()
    if isinstance(value, list):
        return [getattr(row, method)() if isinstance(row, WorkshopObject) else row for row in value]
    return value


def _class_in(annotation: Any) -> type[WorkshopObject] | None:
    """The class of the object or objects that a field holds."""
    if isinstance(annotation, type) and issubclass(annotation, WorkshopObject):
        return annotation
    return next(filter(None, map(_class_in, get_args(annotation))), None)


def _named(name: str) -> str:
    """The name for a message; an odd or long one is quoted and cut."""
    return name if name.isidentifier() and len(name) <= _LONGEST_NAME else shown(name)
