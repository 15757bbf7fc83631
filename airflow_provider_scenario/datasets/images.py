"""One image of a dataset, and what an author may call a list of them."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from os import PathLike
from typing import Any

from airflow_provider_scenario.client.errors import InvalidInputError
from airflow_provider_scenario.client.ids import wrong_with_id
from airflow_provider_scenario.client.messages import quoted, shortened, shown
from airflow_provider_scenario.client.scenario.image_files import MAX_FILE
from airflow_provider_scenario.datasets.media import check_media
from airflow_provider_scenario.datasets.values import check_text
from airflow_provider_scenario.storage import PART, Location, StorageError

_FIELDS = ("path", "asset_id", "name", "caption")


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetImage:
    """
    One image (or recording) of a dataset: a file (``path``) or an asset (``asset_id``).

    :param name: unique in the dataset, so that a retry can tell what is there already.
    :param caption: what the image shows; None leaves the captioning to the service.
    :param content_type: of a file, once it has been checked; ``dimensions``, its width and height, too.
    """

    name: str
    path: Location | None = None
    asset_id: str | None = None
    caption: str | None = None
    content_type: str | None = field(default=None, compare=False)
    dimensions: tuple[int, int] | None = field(default=None, compare=False)

    @property
    def size(self) -> int:
        """Bytes of the file; 0 for an asset or a file nobody has looked at."""
        return self.path.size or 0 if self.path else 0

    @property
    def is_big(self) -> bool:
        """Whether the file is too big for one request."""
        return self.size > MAX_FILE

    @property
    def is_recording(self) -> bool:
        """Whether it is to be heard."""
        return (self.content_type or "").startswith("audio/")

    def checked(self) -> DatasetImage:
        """
        The same image, looked at: its size is known, its start and, where that matters, its end have been read.

        :raises InvalidInputError: it is missing, empty, no image, or cut off.
        """
        if self.path is None:
            return self
        path = self.path.measured()
        media = check_media(path.name, path.size or 0, path.read)
        return replace(self, path=path, content_type=media.content_type, dimensions=media.dimensions)

    def content_hash(self) -> str:
        """
        Tell its content from any other: SHA-256 of the whole file, read in blocks; the id of an asset.

        :raises InvalidInputError: it is missing.
        :raises StorageError: it cannot be read.
        """
        if self.path is None:
            return f"asset {self.asset_id}"
        digest = hashlib.sha256()
        path = self.path.measured()
        for start in range(0, path.size or 0, PART):
            digest.update(path.read(start, start + PART))
        return digest.hexdigest()

    def read(self) -> bytes:
        """
        Read the whole file, one that is not big.

        :raises InvalidInputError: it is missing, empty, no image, or cut off, perhaps only since it was checked.
        :raises StorageError: it has grown since.
        """
        if self.path is None:
            raise InvalidInputError(f"Training image {quoted(self.name)} is an asset: there is no file to read.")
        data = self.path.read(0, MAX_FILE + 1)
        if len(data) > MAX_FILE:
            raise StorageError(f"Training image {quoted(self.name)} has grown since it was checked.")
        check_media(self.path.name, len(data), lambda start, end: data[start:end])
        return data


def list_images(images: Any) -> list[DatasetImage]:
    """
    Check a list of images without looking at any file, which may lie on another machine than the DAG file.

    How many a dataset may have, only Scenario knows: it depends on the plan.

    :raises InvalidInputError: no image, a name twice, or an item that is none of the forms.
    """
    if isinstance(images, str | bytes | Mapping) or not isinstance(images, Iterable):
        raise InvalidInputError(f"images is {shown(images)}; give a folder, or a list of files or asset ids.")
    dataset = [_image(item, f"images[{position}]") for position, item in enumerate(images, start=1)]
    if not dataset:
        raise InvalidInputError("images is empty; give at least one image (5 to 15 are best).")
    twice = sorted(name for name, count in Counter(image.name for image in dataset).items() if count > 1)
    if twice:
        raise InvalidInputError(
            f"images has the name {shortened(', '.join(map(repr, twice)), 500)} more than once; give each image a "
            "'name' of its own, which is how a retry tells what is there already."
        )
    return dataset


def _image(item: Any, where: str) -> DatasetImage:
    if _is_path(item):
        item = {"path": item}
    if not isinstance(item, Mapping):
        raise InvalidInputError(f"{where} is {shown(item)}; give a file path or a dict with 'path' or 'asset_id'.")
    unknown = [key for key in item if key not in _FIELDS]
    if unknown:
        named = shortened(", ".join(sorted(map(repr, unknown))), 300)
        raise InvalidInputError(f"{where} has {named}; known: {', '.join(_FIELDS)}.")
    path, asset_id, caption = item.get("path"), item.get("asset_id"), item.get("caption")
    if (path in (None, "")) == (asset_id in (None, "")):
        raise InvalidInputError(f"{where} is {shown(dict(item))}; give either 'path' or 'asset_id'.")
    if caption is not None and not isinstance(caption, str):
        raise InvalidInputError(f"{where} has the caption {shown(caption)}; give text.")
    check_text(f"the caption of {where}", caption or "")
    if asset_id not in (None, ""):
        if wrong := wrong_with_id(asset_id):
            raise InvalidInputError(f"{where} has an asset_id that {wrong}.")
        return DatasetImage(name=_name(where, item.get("name"), asset_id), asset_id=asset_id, caption=caption)
    if not _is_path(path):
        raise InvalidInputError(f"{where} has the path {shown(path)}; give the path or URL of a file.")
    location = Location.of(path)
    return DatasetImage(name=_name(where, item.get("name"), location.name), path=location, caption=caption)


def _is_path(value: Any) -> bool:
    return isinstance(value, str | PathLike) or hasattr(value, "protocol")


def _name(where: str, given: Any, default: str) -> str:
    if given is not None and not isinstance(given, str):
        raise InvalidInputError(f"{where} has the name {shown(given)}; give text.")
    name = given or default
    if not name:
        raise InvalidInputError(f"{where} is the path of a folder; give that of a file.")
    check_text(f"the name of {where}", name)
    return name
