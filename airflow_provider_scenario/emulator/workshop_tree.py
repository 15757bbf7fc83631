"""Check a model's tree against the vendor's page, field by field. The messages are ours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from airflow_provider_scenario.emulator.checks import invalid, number, one_of

if TYPE_CHECKING:
    from airflow_provider_scenario.emulator.settings import Settings

LARGEST = 10**300
"""A larger whole number does not fit into a float."""

MODEL_TYPES = ("checkpoint", "lora", "textualinversion", "vae")
SOURCE_TYPES = ("liblib", "civitia", "hugging_face", "internal")
BASE_MODEL_VALUES = (
    *("v1.4", "v1.5", "v2.0", "v2.1", "vxl_0.9", "vxl_1.0"),
    *("vxl_distilled", "v1.5_lcm", "vxl_1.0_lcm", "vxl_turbo"),
)


MODEL = (
    *("modelId", "name", "modelType", "modelDesc", "source", "sourceType", "isOriginal", "originalCreator"),
    *("originalCreatorHomepage", "versions"),
)
VERSION = (
    *("modelVersionId", "name", "baseModel", "versionDesc", "triggerWords", "isAutoCollection", "covers", "files"),
)
COVER = ("cover", "coverFile")
COVER_FILE = ("width", "height", "format")
FILE = ("name", "aliasName", "downloadUrl", "hash", "sizeKb", "isPrimary")


def check_tree(tree: dict[str, Any], settings: Settings) -> None:
    """
    Refuse a tree that the vendor's page does not allow.

    :param settings: ``any_base_model``, ``any_model_or_source_type`` and ``workshop_unknown_fields`` change that.
    """
    for field in ("modelId", "name"):
        _text(tree, field, "")
    for field, listed in (("modelType", MODEL_TYPES), ("sourceType", SOURCE_TYPES)):
        _text(tree, field, "")
        if not settings.any_model_or_source_type:
            one_of(tree[field], field, listed)
    for field in ("modelDesc", "originalCreator"):
        _text(tree, field, "", optional=True)
    for field in ("source", "originalCreatorHomepage"):
        _address(tree, field, "", optional=True)
    _flag(tree, "isOriginal", "")
    seen: set[str] = set()
    for at, version in enumerate(_rows(tree, "versions", "")):
        where = f"versions[{at}]."
        _check_version(version, where, any_base_model=settings.any_base_model)
        if version["modelVersionId"] in seen:
            raise invalid(f"{where}modelVersionId", "must be unique")
        seen.add(version["modelVersionId"])
    if settings.workshop_unknown_fields == "refuse":
        _check_all_names(tree)


def check_names(part: dict[str, Any], listed: tuple[str, ...], where: str) -> None:
    for field in part:
        if field not in listed:
            raise invalid(f"{where}{field}", "is not allowed")


def _check_all_names(tree: dict[str, Any]) -> None:
    check_names(tree, MODEL, "")
    for at, version in enumerate(tree.get("versions", ())):
        inside = f"versions[{at}]."
        check_names(version, VERSION, inside)
        for count, cover in enumerate(version.get("covers", ())):
            check_names(cover, COVER, f"{inside}covers[{count}].")
            check_names(cover["coverFile"], COVER_FILE, f"{inside}covers[{count}].coverFile.")
        for count, file in enumerate(version.get("files", ())):
            check_names(file, FILE, f"{inside}files[{count}].")


def _check_version(version: dict[str, Any], where: str, *, any_base_model: bool) -> None:
    for field in ("modelVersionId", "name", "baseModel"):
        _text(version, field, where)
    if not any_base_model:
        one_of(version["baseModel"], f"{where}baseModel", BASE_MODEL_VALUES)
    _text(version, "versionDesc", where, optional=True)
    _flag(version, "isAutoCollection", where)
    words = version.get("triggerWords")
    if words is not None and not (isinstance(words, list) and all(isinstance(word, str) for word in words)):
        raise invalid(f"{where}triggerWords", "must be an array of strings")
    for at, cover in enumerate(_rows(version, "covers", where)):
        _check_cover(cover, f"{where}covers[{at}].")
    files = _rows(version, "files", where)
    for at, file in enumerate(files):
        _check_file(file, f"{where}files[{at}].")
    names = [file["name"] for file in files]
    if len(set(names)) < len(names):
        raise invalid(f"{where}files", "must have names of their own")  # a guess: the page has no such rule
    if sum(file.get("isPrimary") is True for file in files) > 1:
        raise invalid(f"{where}files", "must have only one primary model file")


def _check_cover(cover: dict[str, Any], where: str) -> None:
    _address(cover, "cover", where)
    picture = cover.get("coverFile")
    if not isinstance(picture, dict):
        raise invalid(f"{where}coverFile", "must be an object" if "coverFile" in cover else "is required")
    for field in ("width", "height"):
        _size(picture, field, f"{where}coverFile.")
    _text(picture, "format", f"{where}coverFile.", optional=True)


def _check_file(file: dict[str, Any], where: str) -> None:
    for field in ("name", "aliasName", "hash"):
        _text(file, field, where)
    _address(file, "downloadUrl", where)
    _size(file, "sizeKb", where)
    _flag(file, "isPrimary", where)


def _rows(part: dict[str, Any], field: str, where: str) -> list[dict[str, Any]]:
    rows = part.get(field)
    if rows is None and field not in part:
        return []
    if not isinstance(rows, list):
        raise invalid(f"{where}{field}", "must be an array")
    for at, row in enumerate(rows):
        if not isinstance(row, dict):
            raise invalid(f"{where}{field}[{at}]", "must be an object")
    return rows


def _text(part: dict[str, Any], field: str, where: str, *, optional: bool = False) -> None:
    value = part.get(field)
    if value is None and optional and field not in part:
        return
    if field not in part:
        raise invalid(f"{where}{field}", "is required")
    if not isinstance(value, str):
        raise invalid(f"{where}{field}", "must be a string")
    if not value.strip() and not optional:
        raise invalid(f"{where}{field}", "is not allowed to be empty")


def _address(part: dict[str, Any], field: str, where: str, *, optional: bool = False) -> None:
    _text(part, field, where, optional=optional)
    if optional and field not in part:
        return
    try:
        parts = urlsplit(part[field])
        good = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        good = False
    if not good:
        raise invalid(f"{where}{field}", "must be a valid uri")


def _size(part: dict[str, Any], field: str, where: str) -> None:
    if field not in part:
        raise invalid(f"{where}{field}", "is required")
    if isinstance(part[field], int) and abs(part[field]) >= LARGEST:
        raise invalid(f"{where}{field}", "must be a safe number")
    number(part[field], f"{where}{field}")
    if part[field] <= 0:
        raise invalid(f"{where}{field}", "must be a positive number")


def _flag(part: dict[str, Any], field: str, where: str) -> None:
    if field in part and not isinstance(part[field], bool):
        raise invalid(f"{where}{field}", "must be a boolean")
