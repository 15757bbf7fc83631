"""
What is synced to AI Creation Workshop: a model, its versions and their files, as one tree.

The fields and what is required are those of the vendor's page *Model sync*. Both spellings of a name are read,
``model_id`` and ``modelId``; the second is sent. Whatever is wrong is told at once, each thing by its path.
"""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any, Literal, Self, TypeVar, get_args
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from airflow_provider_scenario.client.errors import InvalidInputError
from airflow_provider_scenario.client.texts import plain

BASE_MODELS = (
    *("v1.4", "v1.5", "v2.0", "v2.1", "vxl_0.9", "vxl_1.0", "vxl_distilled"),
    *("v1.5_lcm", "vxl_1.0_lcm", "vxl_turbo"),
)
"""What the vendor's page lists: Stable Diffusion only, though the service has come to run more."""

_SHA_256 = re.compile(r"[0-9a-fA-F]{64}")
_CONTRADICTION = "contradiction"
_LONGEST_SHOWN = 80
_IN_ADDRESS = re.compile(r"(?<=://)[^\s/@'\"]*@|(?<=\?)[^\s'\"]+")


def _said(text: str) -> str:
    """``None`` is what a template or an XCom gives that has no value."""
    if not text.strip() or text == "None":
        raise PydanticCustomError("empty", "says nothing")
    return text


def _address(text: str) -> str:
    try:
        parts = urlsplit(text)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and not any(map(str.isspace, text))
    except ValueError:
        good = False
    if not good:
        raise PydanticCustomError("address", "is no address")
    return text


def _one_or_more(text: str) -> str:
    if not all(part and part == part.strip() for part in text.split(",")):
        raise PydanticCustomError("ids", "are no ids")
    return text


Text = Annotated[str, AfterValidator(_said)]
Address = Annotated[str, AfterValidator(_address)]
T = TypeVar("T")
Rows = Annotated[list[T], Field(strict=False)]
"""A list; a tuple will do."""
Size = Annotated[int | float, Field(gt=0, allow_inf_nan=False)]


class Part(BaseModel):
    """Base of the tree's parts. A field's description says what is right; errors repeat it."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        extra="forbid",
        strict=True,
        frozen=True,
        protected_namespaces=(),
    )

    def to_body(self) -> dict[str, Any]:
        """What is sent: the fields that were given, in the API's spelling and always in the same order."""
        return self.model_dump(by_alias=True, exclude_unset=True, exclude_none=True)


class CoverFile(Part):
    """The picture behind a cover's address."""

    width: Size = Field(description="a number above 0: pixels across")
    height: Size = Field(description="a number above 0: pixels down")
    format: str | None = Field(None, description="text, such as 'jpeg'")


class Cover(Part):
    """A sample picture of a version. Its address must stay good: the service shows it."""

    cover: Address = Field(description="an http(s) address: the thumbnail", repr=False)
    cover_file: CoverFile = Field(description="an object: width, height and format of the thumbnail")


class File(Part):
    """A file of a version. The service fetches it later, in the background, so its address must stay good for hours."""

    name: Text = Field(description="text: the file's name, such as 'hero.safetensors'")
    alias_name: Text = Field(description="text: what prompts call the LoRA")
    download_url: Address = Field(description="an http(s) address the service can fetch the file from", repr=False)
    hash: Text = Field(description="text: the file's hash, best its SHA-256 in hex")
    size_kb: Size = Field(description="a number above 0: the file's size in KB, bytes / 1024")
    is_primary: bool | None = Field(None, description="true or false: whether it is the version's one primary file")


class Version(Part):
    """A version of a model, such as an epoch of its training."""

    model_version_id: Text = Field(description="text: your own id of the version; the same again changes the same one")
    name: Text = Field(description="text: the version's name")
    base_model: Text = Field(description=f"text: the base model, of which the service lists {', '.join(BASE_MODELS)}")
    version_desc: str | None = Field(None, description="text, which may be HTML")
    trigger_words: Rows[str] | None = Field(None, description="a list of texts")
    is_auto_collection: bool | None = Field(None, description="true or false: whether new users get it as a favourite")
    covers: Rows[Cover] = Field([], description="a list of covers")
    files: Rows[File] = Field([], description="a list of files")


class ModelTree(Part):
    """
    A model with all its versions and files. Always the whole of it is synced, whatever has changed.

    Its ids are yours: the same tree again changes nothing, another one under the same ids replaces what was there.
    """

    model_id: Text = Field(description="text: your own id of the model; the same again changes the same one")
    name: Text = Field(description="text: the model's name")
    model_type: Literal["checkpoint", "lora", "textualinversion", "vae"] = Field(
        description="'checkpoint', 'lora', 'textualinversion' or 'vae'"
    )
    model_desc: str | None = Field(None, description="text, which may be HTML")
    source: Address | None = Field(None, description="an http(s) address: where the model comes from", repr=False)
    source_type: Literal["liblib", "civitia", "hugging_face", "internal"] = Field(
        description="'liblib', 'civitia' (spelled so), 'hugging_face' or 'internal', which is your own"
    )
    is_original: bool | None = Field(None, description="true or false: whether the model is an original work")
    original_creator: str | None = Field(None, description="text: who made it")
    original_creator_homepage: Address | None = Field(None, description="an http(s) address", repr=False)
    versions: Rows[Version] = Field([], description="a list of versions")

    @model_validator(mode="after")
    def _without_contradictions(self) -> Self:
        if found := list(_contradictions(self.to_body())):
            raise PydanticCustomError(_CONTRADICTION, "{found}", {"found": "; ".join(found)})
        return self

    def concerns(self) -> list[str]:
        """What may turn out wrong although the vendor's page does not forbid it, each thing by its path."""
        return list(_concerns(self))


class SessionParameters(Part):
    """
    What the vendor's page lists beside the token. What it means to a sync is not known; it is that of a new session.

    :param role_id: role that is bound to the session.
    :param session_mode: 10: session (the service's default), 20: inference.
    :param expired_in_seconds: life of the session; the service's default is 1 h for mode 10, 24 h for mode 20.
    :param custom_resource_config_id: resource configurations, separated by commas.
    """

    role_id: Text | None = Field(None, description="text: the id of a role")
    session_mode: Literal[10, 20] | None = Field(None, description="10 (session) or 20 (inference)")
    expired_in_seconds: Annotated[int, Field(gt=0)] | None = Field(None, description="a whole number above 0: seconds")
    custom_resource_config_id: Annotated[str, AfterValidator(_one_or_more)] | None = Field(
        None, description="text: ids of resource configurations, separated by commas only"
    )


P = TypeVar("P", bound=Part)


def read_tree(value: Mapping[str, Any] | ModelTree) -> ModelTree:
    """
    Read a model tree, in the API's spelling or in snake case.

    :raises InvalidInputError: something is missing, wrong or unknown: everything of that kind, each by its path.
    """
    return _read(ModelTree, value, "The model tree")


def read_session(value: Mapping[str, Any] | SessionParameters | None) -> SessionParameters:
    """
    Read session parameters, in the API's spelling or in snake case; None are none.

    :raises InvalidInputError: as for :func:`read_tree`.
    """
    return _read(SessionParameters, {} if value is None else value, "The session parameters")


def _read(schema: type[P], value: Mapping[str, Any] | P, what: str) -> P:
    if isinstance(value, schema):
        return value
    if not isinstance(value, Mapping):
        raise InvalidInputError(f"{what} must be an object with fields, not {_shown(value)}. Nothing was sent.")
    try:
        return schema.model_validate(dict(value))
    except ValidationError as problem:
        # A union's members complain one by one, and say the same.
        wrong = dict.fromkeys(
            _complaint(schema, error["type"], error["loc"], error["input"])
            for error in problem.errors(include_url=False, include_context=False)
            if error["type"] != _CONTRADICTION
        )
    found = [*wrong, *(_contradictions(value) if schema is ModelTree else ())]
    raise InvalidInputError(f"{what} cannot be sent: {'; '.join(found)}. Nothing was sent.")


def _complaint(schema: type[Part], kind: str, location: tuple[int | str, ...], value: Any) -> str:
    owner, steps, description = schema, list[int | str](), ""
    for step in location:
        known = {info.alias or name: info for name, info in owner.model_fields.items()}
        if isinstance(step, str) and step not in known:
            if kind != "extra_forbidden":
                break  # which member of a union complains
            if to_camel(step) in known:
                return f"{_path([*steps, step])} is given twice, also as {to_camel(step)}"
            return f"{_path([*steps, step])} is no field of {_named(owner)}{_hint(step, known)}"
        steps.append(step)
        if isinstance(step, str):
            description = known[step].description or ""
            owner = _inside(known[step].annotation) or owner
    if kind == "missing":
        return f"{_path(steps)} is missing ({description})"
    if kind in ("model_type", "dict_type", "model_attributes_type") and isinstance(steps[-1], int):
        description = f"an object: {_named(owner)}"
    return f"{_path(steps)} is {_shown(value)} and must be {description}"


def _path(steps: Iterable[int | str]) -> str:
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps).removeprefix(".")


def _named(owner: type[Part]) -> str:
    names = {ModelTree: "a model", Version: "a version", Cover: "a cover", CoverFile: "a coverFile", File: "a file"}
    return names.get(owner, "these")


def _hint(step: str, known: Mapping[str, Any]) -> str:
    close = difflib.get_close_matches(to_camel(step), known, n=1)
    return f" (did you mean {close[0]}?)" if close else f" ({', '.join(known)} are)"


def _inside(annotation: Any) -> type[Part] | None:
    """The part that a field holds one or a list of."""
    if isinstance(annotation, type) and issubclass(annotation, Part):
        return annotation
    return next(filter(None, map(_inside, get_args(annotation))), None)


def _shown(value: Any) -> str:
    """Addresses are signed: who may see the error may not see what they let through."""
    text = plain(_IN_ADDRESS.sub(lambda found: "" if found[0].endswith("@") else "…", repr(value)))
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"


def _contradictions(tree: Mapping[str, Any]) -> Iterator[str]:
    """What no field is wrong by itself. Asked of raw input too, so that it is told together with what is."""
    versions = _rows(tree, "versions")
    for at, number in _repeated(_get(version, "model_version_id") for version in versions):
        yield f"versions[{at}].modelVersionId is that of versions[{number}] again, and must be its own"
    for at, version in enumerate(versions):
        files = enumerate(_rows(version, "files"))
        primary = [f"files[{number}]" for number, file in files if _get(file, "is_primary") is True]
        if len(primary) > 1:
            yield f"versions[{at}] has {len(primary)} primary files ({', '.join(primary)}) and must have at most one"


def _rows(part: Any, name: str) -> list[Any]:
    rows = _get(part, name)
    return list(rows) if isinstance(rows, list | tuple) else []


def _get(part: Any, name: str) -> Any:
    if isinstance(part, Part):
        return getattr(part, name)
    return part.get(to_camel(name), part.get(name)) if isinstance(part, Mapping) else None


def _repeated(values: Iterable[Any]) -> Iterator[tuple[int, int]]:
    """Where a text is not the first of its kind, and where that one is."""
    first: dict[str, int] = {}
    for at, value in enumerate(values):
        if isinstance(value, str) and first.setdefault(value, at) != at:
            yield at, first[value]


def _concerns(tree: ModelTree) -> Iterator[str]:
    if not tree.versions:
        yield "versions: there are none, so there is no file to list"
    for base, number in Counter(version.base_model for version in tree.versions).items():
        if base not in BASE_MODELS:
            where = next(at for at, version in enumerate(tree.versions) if version.base_model == base)
            more = f" (and {number - 1} more)" if number > 1 else ""
            yield (
                f"versions[{where}].baseModel{more} is {_shown(base)}, which the service does not list; it may refuse "
                f"it. Listed are {', '.join(BASE_MODELS)}"
            )
    for at, version in enumerate(tree.versions):
        if not version.files:
            yield f"versions[{at}].files: there are none, so there is nothing to list"
        for number, file in enumerate(version.files):
            if not _SHA_256.fullmatch(file.hash):
                yield (
                    f"versions[{at}].files[{number}].hash is {_shown(file.hash)}, which is no SHA-256 in hex; the "
                    "vendor does not say which hash it wants"
                )
