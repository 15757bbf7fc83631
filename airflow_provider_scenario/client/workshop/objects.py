"""
How the objects that are sent to AI Creation Workshop are read.

Both spellings of a name are read. Null is the same as absent, and so is empty text where no text can be meant. Text
of a template counts as the number or boolean that it is. A field that the vendor's page does not list is sent as it
is, with a warning, unless its name is close to a listed one. Everything that is wrong is reported at once, each thing
by its path, and in a message of bounded length.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, cast, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidatorFunctionWrapHandler, field_validator
from pydantic.alias_generators import to_camel

from airflow_provider_scenario.client.errors import InvalidInputError
from airflow_provider_scenario.client.messages import shown
from airflow_provider_scenario.client.texts import plain
from airflow_provider_scenario.client.values import number_in, similar_name

if TYPE_CHECKING:
    from pydantic._internal._model_construction import ModelMetaclass as _ModelMetaclass
else:
    _ModelMetaclass = type(BaseModel)

EXTRA = "extraFields"

_LONGEST_NAME = 60
_LONGEST_LIST = 3_000
"""Characters of all that is wrong with an object; whoever has made it in a loop has made the same mistake often."""


@dataclass(frozen=True, slots=True)
class _AsGiven:
    """A listed field that was given in ``extra_fields``: sent without a check."""

    value: Any


class _ReadWhenMade(_ModelMetaclass):
    """``File(…)`` checks what a dictionary is checked for, and raises the same error."""

    def __call__(cls, **fields: Any) -> Any:  # noqa: N805 - it is the class that is called
        return read(cast("type[Part]", cls), fields)


class Part(BaseModel, metaclass=_ReadWhenMade):
    """
    Base of the objects. A field's description says what is right; errors repeat it.

    :param extra_fields: fields that are sent as they are, without a check: what the service has come to know, and
        values that only we refuse.
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
    """Begins a message about the whole object."""

    called: ClassVar[str]
    """Names one of its kind inside a message."""

    absent_if_blank: ClassVar[frozenset[str]] = frozenset()
    """Optional fields for which empty text, as templates give it, means that there is no value."""

    elsewhere: ClassVar[Mapping[str, str]] = {}
    """What is no field of it although the page lists it, and where it belongs."""

    extra_fields: dict[str, Any] = Field({}, description="a dictionary of fields, whose names are texts", repr=False)

    @field_validator("*", mode="wrap")
    @classmethod
    def _unchecked_if_extra(cls, value: Any, check: ValidatorFunctionWrapHandler) -> Any:
        return value.value if isinstance(value, _AsGiven) else check(value)

    def to_body(self) -> dict[str, Any]:
        """What is sent: the fields that were given, in the API's spelling and always in the same order."""
        return {**self._fields("to_body"), **self.extra_fields}

    def to_given(self) -> dict[str, Any]:
        """A dictionary that is read as the same object again."""
        fields = {name: value for name, value in self._fields("to_given").items() if name not in self.extra_fields}
        return {**fields, EXTRA: self.extra_fields} if self.extra_fields else fields

    def _fields(self, method: str) -> dict[str, Any]:
        known = type(self).model_fields
        given = {info.alias or name: getattr(self, name) for name, info in known.items() if self._holds(name)}
        return {**{name: _written(value, method) for name, value in given.items()}, **(self.model_extra or {})}

    def _holds(self, name: str) -> bool:
        return name in self.model_fields_set and name != "extra_fields" and getattr(self, name) is not None

    @classmethod
    def contradictions(cls, given: Any) -> Iterator[str]:  # noqa: ARG003
        """What is wrong although no field is by itself; asked of input that is not known to be right otherwise."""
        return iter(())

    def concerns(self) -> list[str]:
        """What may turn out wrong although the vendor's page does not forbid it, each thing by its path."""
        return list(_unknown_fields(self))


P = TypeVar("P", bound=Part)


def read(schema: type[P], value: Any) -> P:
    """
    Read an object, in the API's spelling or in snake case.

    :raises InvalidInputError: something is missing, wrong or misspelt: everything of that kind, each by its path.
    """
    if isinstance(value, schema):
        return value
    if not isinstance(value, Mapping):
        raise InvalidInputError(f"{schema.title} must be an object with fields, not {shown(value)}. Nothing was sent.")
    names: list[str] = []
    given = _prepared(schema, value, (), names)
    wrong: dict[str, None] = {}
    part = None
    try:
        part = schema.model_validate(given)
    except ValidationError as problem:
        # A union's members complain one by one, and say the same.
        wrong = dict.fromkeys(
            _complaint(schema, error["type"], error["loc"], error["input"])
            for error in problem.errors(include_url=False, include_context=False)
        )
    found = [*wrong, *names, *schema.contradictions(given)]
    if part is None or found:
        raise InvalidInputError(f"{schema.title} cannot be sent: {_listed(found)}. Nothing was sent.")
    _check_json(schema, part.to_body())
    return part


def whole_number(value: Any) -> Any:
    """As :func:`.values.number_in`, and 3600.0 is 3600."""
    value = number_in(value)
    return int(value) if isinstance(value, float) and value.is_integer() else value


def path_of(steps: Iterable[int | str]) -> str:
    """Such as ``versions[0].files[1].hash``."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{_named(step)}" for step in steps).removeprefix(".")


def _prepared(schema: type[Part], value: Mapping[Any, Any], at: tuple[int | str, ...], wrong: list[str]) -> Any:
    """The object's fields under the API's names; adds to ``wrong`` what is wrong with their names."""
    fields = {info.alias or name: name for name, info in schema.model_fields.items()}
    spelled = {**{name: alias for alias, name in fields.items()}, **{alias: alias for alias in fields}}
    given: dict[str, Any] = {}
    for name, item in value.items():
        alias = spelled.get(name) if isinstance(name, str) else None
        if alias is None:
            if complaint := _wrong_with_name(schema, name, fields, at):
                wrong.append(complaint)
            else:
                given[name] = item
        elif alias in given:
            wrong.append(f"{path_of([*at, fields[alias]])} is given twice, also as {alias}")
        elif not _is_absent(schema, fields[alias], item):
            given[alias] = _inner(schema, fields[alias], item, (*at, alias), wrong)
    extra = given.get(EXTRA)
    for name, item in extra.items() if isinstance(extra, Mapping) else ():
        if name in given and name != EXTRA:
            wrong.append(f"{path_of([*at, str(name)])} is given twice, also in {EXTRA}")
        elif complaint := _belongs_elsewhere(schema, name, at):
            wrong.append(complaint)
        elif name in fields and name != EXTRA:
            given[name] = _AsGiven(item)
    if isinstance(extra, Mapping):
        given[EXTRA] = dict(extra)
    return given


def _is_absent(schema: type[Part], name: str, item: Any) -> bool:
    if schema.model_fields[name].is_required():
        return False
    return item is None or (name in schema.absent_if_blank and isinstance(item, str) and not item.strip())


def _inner(schema: type[Part], name: str, item: Any, at: tuple[int | str, ...], wrong: list[str]) -> Any:
    kind = _part_in(schema.model_fields[name].annotation)
    if kind and isinstance(item, Mapping):
        return _prepared(kind, item, at, wrong)
    if kind and isinstance(item, list | tuple):
        return [
            _prepared(kind, row, (*at, number), wrong) if isinstance(row, Mapping) else row
            for number, row in enumerate(item)
        ]
    return item


def _wrong_with_name(schema: type[Part], name: Any, fields: Mapping[str, str], at: tuple[int | str, ...]) -> str | None:
    if not isinstance(name, str):
        return f"{path_of(at) or schema.called} has a field {shown(name)}, whose name must be text"
    if complaint := _belongs_elsewhere(schema, name, at):
        return complaint
    if len(name) > _LONGEST_NAME:
        return None
    others = (other for other in Part.__subclasses__() if other is not schema)
    if owner := next((other for other in others if _lists(other, to_camel(name))), None):
        hint = f"it is one of {owner.called}."
    elif meant := similar_name(to_camel(name), fields):
        hint = f"did you mean {meant}?"
    else:
        return None
    return (
        f"{path_of([*at, name])} is no field of {schema.called} ({hint} If the service has come to know it here, give "
        f"it in {EXTRA})"
    )


def _lists(schema: type[Part], alias: str) -> bool:
    return any(alias == info.alias for info in schema.model_fields.values())


def _belongs_elsewhere(schema: type[Part], name: Any, at: tuple[int | str, ...]) -> str | None:
    short = isinstance(name, str) and len(name) <= _LONGEST_NAME
    place = schema.elsewhere.get(to_camel(name)) if short else None
    return f"{path_of([*at, name])} is no field of {schema.called}: {place}" if place else None


def _complaint(schema: type[Part], kind: str, location: tuple[int | str, ...], value: Any) -> str:
    owner, steps, description = schema, list[int | str](), ""
    for step in location:
        known = {info.alias or name: info for name, info in owner.model_fields.items()}
        if isinstance(step, str) and step not in known:
            break  # which member of a union complains
        steps.append(step)
        if isinstance(step, str):
            description = known[step].description or ""
            owner = _part_in(known[step].annotation) or owner
    if kind == "missing":
        return f"{path_of(steps)} is missing ({description})"
    if kind in ("model_type", "dict_type", "model_attributes_type") and isinstance(steps[-1], int):
        description = f"an object: {owner.called}"
    return f"{path_of(steps)} is {shown(value)} and must be {description}"


def _listed(found: list[str]) -> str:
    """Joined, as far as there is room."""
    room, told = _LONGEST_LIST, 0
    for line in found:
        room -= len(line) + 2
        if room < 0 and told:
            break
        told += 1
    more = [f"and {len(found) - told} more"] if told < len(found) else []
    return "; ".join([*found[:told], *more])


def _check_json(schema: type[Part], body: dict[str, Any]) -> None:
    try:
        json.dumps(body, ensure_ascii=False, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as problem:
        raise InvalidInputError(
            f"{schema.title} cannot be written as JSON: {plain(str(problem))[:200]}. Nothing was sent."
        ) from None


def _unknown_fields(part: Part) -> Iterator[str]:
    """One concern for each name, however many objects have it."""
    places: dict[tuple[str, str], list[str]] = {}
    for at, each in _parts(part, ()):
        for name in each.model_extra or ():
            places.setdefault((each.called, name), []).append(path_of([*at, name]))
    for number, ((called, _), paths) in enumerate(places.items()):
        if number == 20:
            yield f"{len(places) - number} more fields are not listed by the service either"
            return
        more = f" (and {len(paths) - 1} more)" if len(paths) > 1 else ""
        yield f"{paths[0]}{more}: the service lists no such field of {called}; it is sent as it is"


def _parts(part: Part, at: tuple[int | str, ...]) -> Iterator[tuple[tuple[int | str, ...], Part]]:
    """Each object of a tree with its path."""
    yield at, part
    for name, info in type(part).model_fields.items():
        value = getattr(part, name)
        if isinstance(value, Part):
            yield from _parts(value, (*at, info.alias or name))
        for count, row in enumerate(value if isinstance(value, list) else ()):
            if isinstance(row, Part):
                yield from _parts(row, (*at, info.alias or name, count))


def _written(value: Any, method: str) -> Any:
    if isinstance(value, Part):
        return getattr(value, method)()
    if isinstance(value, list):
        return [getattr(row, method)() if isinstance(row, Part) else row for row in value]
    return value


def _part_in(annotation: Any) -> type[Part] | None:
    """The part that a field holds one or a list of."""
    if isinstance(annotation, type) and issubclass(annotation, Part):
        return annotation
    return next(filter(None, map(_part_in, get_args(annotation))), None)


def _named(name: str) -> str:
    """A name that we may not know, cut."""
    return name if name.isidentifier() and len(name) <= _LONGEST_NAME else shown(name)
