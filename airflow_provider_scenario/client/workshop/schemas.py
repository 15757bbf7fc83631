"""
The tree that is synced to AI Creation Workshop: a model, its versions and their files.

The vendor's page *Model sync* lists the fields and which of them are required. Names are read in snake case and in the
API's spelling, ``model_id`` and ``modelId``; the second is sent. See :mod:`.workshop.objects`.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Annotated, Any, ClassVar, Literal, TypeVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from airflow_provider_scenario.client.errors import InvalidInputError
from airflow_provider_scenario.client.messages import shown
from airflow_provider_scenario.client.values import boolean_in, is_number, number_in, similar_name
from airflow_provider_scenario.client.workshop.objects import WorkshopObject, read, whole_number

LISTED_BASE_MODELS = (
    *("v1.4", "v1.5", "v2.0", "v2.1", "vxl_0.9", "vxl_1.0", "vxl_distilled"),
    *("v1.5_lcm", "vxl_1.0_lcm", "vxl_turbo"),
)
"""Those of the vendor's page: Stable Diffusion only, although the service runs more today."""

BASE_MODEL_IS_SET_BY = (
    "The argument base_model of the operator sets it; in a tree of your own, baseModel of the version. Ask what your "
    "application takes"
)
"""For messages; they add the full stop."""

MODEL_TYPES = ("checkpoint", "lora", "textualinversion", "vae")
SOURCE_TYPES = ("liblib", "civitia", "hugging_face", "internal")

_NO_VALUE = "None"
_SHA_256 = re.compile(r"[0-9a-fA-F]{64}")


def _not_blank(text: str) -> str:
    if not text.strip():
        raise PydanticCustomError("empty", "is empty")
    return text


def _with_value(text: str) -> str:
    """Refuse ``None`` too: a template or an XCom without a value gives it."""
    if text == _NO_VALUE:
        raise PydanticCustomError("empty", "is empty")
    return _not_blank(text)


def _not_misspelt(listed: tuple[str, ...], text: str) -> str:
    """Allow values that the page does not list, since they may be new, unless they look like a misspelt listed one."""
    if text not in listed and similar_name(text, listed):
        raise PydanticCustomError("misspelt", "is misspelt")
    return _with_value(text)


def _address(text: str) -> str:
    try:
        parts = urlsplit(text)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and not any(map(str.isspace, text))
    except ValueError:
        good = False
    if not good:
        raise PydanticCustomError("address", "is not an address")
    return text


def _ids(text: str) -> str:
    """Remove the white space after commas."""
    ids = [part.strip() for part in text.split(",")]
    if not all(ids):
        raise PydanticCustomError("ids", "are not ids")
    return ",".join(ids)


def _size(value: Any) -> Any:
    """As :func:`.values.number_in`; a whole number too large for a float becomes infinity, which is refused."""
    found = number_in(value)
    return found if is_number(found) or not isinstance(found, int) or isinstance(found, bool) else math.inf


Text = Annotated[str, AfterValidator(_with_value)]
Name = Annotated[str, AfterValidator(_not_blank)]
Address = Annotated[str, AfterValidator(_address)]
T = TypeVar("T")
Rows = Annotated[list[T], Field(strict=False)]
"""A list or a tuple."""
Size = Annotated[Annotated[int | float, Field(gt=0, allow_inf_nan=False)], BeforeValidator(_size)]
Flag = Annotated[bool, BeforeValidator(boolean_in)]


class CoverFile(WorkshopObject):
    """The picture behind a cover's address."""

    title = "The coverFile"
    noun = "a coverFile"

    width: Size = Field(description="a number above 0: pixels across")
    height: Size = Field(description="a number above 0: pixels down")
    format: str | None = Field(None, description="text, such as 'jpeg'")


class Cover(WorkshopObject):
    """A sample picture of a version. Its address must stay valid: the service shows it."""

    title = "The cover"
    noun = "a cover"

    cover: Address = Field(description="an http(s) address: the thumbnail", repr=False)
    cover_file: CoverFile = Field(description="an object: width, height and format of the thumbnail")


class File(WorkshopObject):
    """A file of a version. The service fetches it later, in the background: its address must stay valid for hours."""

    title = "The file"
    noun = "a file"
    absent_if_blank = frozenset({"is_primary"})

    name: Text = Field(description="text: the file's name, such as 'hero.safetensors'")
    alias_name: Text = Field(description="text: what prompts call the LoRA")
    download_url: Address = Field(description="an http(s) address the service can fetch the file from", repr=False)
    hash: Text = Field(description="text: the file's hash, best its SHA-256 in hex")
    size_kb: Size = Field(description="a number above 0: the file's size in KB, bytes / 1024")
    is_primary: Flag | None = Field(None, description="true or false: whether it is the version's one primary file")


class Version(WorkshopObject):
    """A version of a model, such as an epoch of its training."""

    title = "The version"
    noun = "a version"
    absent_if_blank = frozenset({"is_auto_collection"})

    model_version_id: Text = Field(description="text: your own id of the version; the same again changes the same one")
    name: Name = Field(description="text: the version's name")
    base_model: Text = Field(
        description=f"text: the base model, of which the service lists {', '.join(LISTED_BASE_MODELS)}"
    )
    version_desc: str | None = Field(None, description="text, which may be HTML")
    trigger_words: Rows[str] | None = Field(None, description="a list of texts")
    is_auto_collection: Flag | None = Field(None, description="true or false: whether new users get it as a favourite")
    covers: Rows[Cover] = Field([], description="a list of covers")
    files: Rows[File] = Field([], description="a list of files")


class ModelTree(WorkshopObject):
    """
    A model with all its versions and files. A sync always sends the whole tree, whatever has changed.

    The ids are yours: the same tree again changes nothing; another tree with the same ids replaces the one before.
    """

    title = "The model tree"
    noun = "a model"
    absent_if_blank = frozenset({"source", "is_original", "original_creator_homepage"})
    misplaced: ClassVar = {
        "apiToken": "give it as api_token",
        **dict.fromkeys(
            ("roleId", "sessionMode", "expiredInSeconds", "customResourceConfigId"), "it is a session parameter"
        ),
    }

    model_id: Text = Field(description="text: your own id of the model; the same again changes the same one")
    name: Name = Field(description="text: the model's name")
    model_type: Annotated[str, AfterValidator(partial(_not_misspelt, MODEL_TYPES))] = Field(
        description="'checkpoint', 'lora', 'textualinversion' or 'vae'"
    )
    model_desc: str | None = Field(None, description="text, which may be HTML")
    source: Address | None = Field(None, description="an http(s) address: where the model comes from", repr=False)
    source_type: Annotated[str, AfterValidator(partial(_not_misspelt, SOURCE_TYPES))] = Field(
        description="'liblib', 'civitia' (spelled so), 'hugging_face' or 'internal', which is your own"
    )
    is_original: Flag | None = Field(None, description="true or false: whether the model is an original work")
    original_creator: str | None = Field(None, description="text: who made it")
    original_creator_homepage: Address | None = Field(None, description="an http(s) address", repr=False)
    versions: Rows[Version] = Field([], description="a list of versions")

    @classmethod
    def errors_between_fields(cls, given: Any) -> Iterator[str]:
        return _errors_between_fields(given)

    def warnings(self) -> list[str]:
        return [*super().warnings(), *_warnings(self)]


class SessionParameters(WorkshopObject):
    """
    Parameters of a new session, which the vendor's page lists beside the token. Their effect on a sync is unknown.

    :param role_id: the role of the session.
    :param session_mode: 10: session (the service's default), 20: inference.
    :param expired_in_seconds: life of the session; the service's default is 1 h for mode 10, 24 h for mode 20.
    :param custom_resource_config_id: resource configurations, separated by commas.
    """

    title = "The session parameters"
    noun = "the session parameters"
    absent_if_blank = frozenset({"role_id", "session_mode", "expired_in_seconds", "custom_resource_config_id"})
    misplaced: ClassVar = {"apiToken": "give it as api_token"}

    role_id: Text | None = Field(None, description="text: the id of a role")
    session_mode: Annotated[Literal[10, 20], BeforeValidator(whole_number)] | None = Field(
        None, description="10 (session) or 20 (inference)"
    )
    expired_in_seconds: Annotated[int, Field(gt=0), BeforeValidator(whole_number)] | None = Field(
        None, description="a whole number above 0: seconds"
    )
    custom_resource_config_id: Annotated[str, AfterValidator(_ids)] | None = Field(
        None, description="text: ids of resource configurations, separated by commas"
    )


def read_tree(value: Mapping[str, Any] | ModelTree) -> ModelTree:
    """
    Read a model tree, in the API's spelling or in snake case.

    :raises InvalidInputError: lists all fields that are missing, wrong or misspelt, each by its path.
    """
    return read(ModelTree, value)


def read_session(value: Mapping[str, Any] | SessionParameters | None) -> SessionParameters:
    """
    Read session parameters, in the API's spelling or in snake case. None: no parameters.

    :raises InvalidInputError: as for :func:`read_tree`.
    """
    return read(SessionParameters, {} if value is None else value)


def check_source_type(value: Any) -> None:
    """
    Check a ``sourceType`` before the tree is made.

    :raises InvalidInputError: it is not a text, or misspelt.
    """
    misspelt = isinstance(value, str) and value not in SOURCE_TYPES and similar_name(value, SOURCE_TYPES)
    if not isinstance(value, str) or not value.strip() or misspelt:
        raise InvalidInputError(f"source_type is {shown(value)}; give one of: {', '.join(map(repr, SOURCE_TYPES))}.")


def _errors_between_fields(tree: Mapping[str, Any]) -> Iterator[str]:
    """Read the raw input, so that these errors are reported together with those of single fields."""
    versions = _rows(tree, "versions")
    for at, first in _repeated(_get(version, "model_version_id") for version in versions):
        yield f"versions[{at}].modelVersionId is the same as that of versions[{first}] and must differ"
    for at, version in enumerate(versions):
        files = enumerate(_rows(version, "files"))
        primary = [f"files[{count}]" for count, file in files if boolean_in(_get(file, "is_primary")) is True]
        if len(primary) > 1:
            yield f"versions[{at}] has {len(primary)} primary files ({', '.join(primary)}) and must have at most one"


def _rows(part: Any, name: str) -> list[Any]:
    rows = _get(part, name)
    return list(rows) if isinstance(rows, list | tuple) else []


def _get(part: Any, name: str) -> Any:
    if isinstance(part, WorkshopObject):
        return getattr(part, name)
    return part.get(to_camel(name), part.get(name)) if isinstance(part, Mapping) else None


def _repeated(values: Iterable[Any]) -> Iterator[tuple[int, int]]:
    """Yield the place of each text that occurred before, and the place where it first did."""
    first: dict[str, int] = {}
    for at, value in enumerate(values):
        if isinstance(value, str) and first.setdefault(value, at) != at:
            yield at, first[value]


def _warnings(tree: ModelTree) -> Iterator[str]:
    """Values that were given in ``extra_fields`` can have any type."""
    named = {"name": tree.name} | {
        f"versions[{at}].name": version.name
        for at, version in enumerate(_rows(tree, "versions"))
        if isinstance(version, Version)
    }
    for path, name in named.items():
        if name == _NO_VALUE:
            yield f"{path} is 'None', the text that a template or an XCom without a value gives"
    for name, listed in (("model_type", MODEL_TYPES), ("source_type", SOURCE_TYPES)):
        if (value := getattr(tree, name)) not in listed:
            yield _not_listed(to_camel(name), value, listed)
    versions = [version for version in _rows(tree, "versions") if isinstance(version, Version)]
    if not _get(tree, "versions"):
        yield "versions is empty: there is no file to list"
    bases = [str(version.base_model) for version in versions]
    for base, count in Counter(bases).items():
        if base not in LISTED_BASE_MODELS:
            more = f" (and {count - 1} more)" if count > 1 else ""
            path = f"versions[{bases.index(base)}].baseModel{more}"
            yield f"{_not_listed(path, base, LISTED_BASE_MODELS)}. {BASE_MODEL_IS_SET_BY}"
    for at, version in enumerate(versions):
        if not version.files:
            yield f"versions[{at}].files is empty: there is no file to list"
        for count, file in enumerate(_rows(version, "files")):
            if isinstance(file, File) and not _SHA_256.fullmatch(str(file.hash)):
                yield (
                    f"versions[{at}].files[{count}].hash is {shown(file.hash)}, which is not a SHA-256 in hex; "
                    "the vendor does not document which hash it expects"
                )


def _not_listed(path: str, value: Any, listed: tuple[str, ...]) -> str:
    return (
        f"{path} is {shown(value)}, which the service does not list; it may refuse it. Listed are {', '.join(listed)}"
    )
