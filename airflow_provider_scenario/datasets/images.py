"""One image of a dataset, and the forms in which an author lists images."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias, TypedDict

from airflow_provider_scenario.client.errors import InvalidInputError
from airflow_provider_scenario.client.ids import wrong_with_id
from airflow_provider_scenario.client.messages import quoted, shortened, shown
from airflow_provider_scenario.client.scenario.media_files import MAX_FILE
from airflow_provider_scenario.client.values import check_encodable
from airflow_provider_scenario.datasets.media import check_media
from airflow_provider_scenario.storage import PART_SIZE, AnyPath, Location, StorageError, is_path


class ImageFields(TypedDict, total=False):
    """
    An image with more than its path.

    :param path: of a file. Give this or ``asset_id``.
    :param asset_id: of an asset that Scenario has already.
    :param name: unique in the dataset. Default: the file's name, or the asset's id.
    :param caption: what the image shows.
    """

    path: AnyPath
    asset_id: str
    name: str | None
    caption: str | None


Images: TypeAlias = "AnyPath | Iterable[AnyPath | ImageFields]"
"""What an author may give as ``images``: the folder of a dataset, or a list."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetImage:
    """
    One image (or recording) of a dataset: a file (``path``) or an asset (``asset_id``).

    :param name: unique in the dataset: a retry finds by it what is uploaded already.
    :param caption: what the image shows; None leaves the captioning to Scenario.
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
        """Bytes of the file; 0 for an asset or a file that has not been checked."""
        return self.path.size or 0 if self.path else 0

    @property
    def needs_parts(self) -> bool:
        """Whether the file is too big for one request and is uploaded in parts."""
        return self.size > MAX_FILE

    @property
    def is_recording(self) -> bool:
        """Whether it is audio."""
        return (self.content_type or "").startswith("audio/")

    def checked(self) -> DatasetImage:
        """
        The same image with its size, content type and dimensions, read from the file.

        :raises InvalidInputError: the file does not exist, is empty or cut off, or is not an image or recording.
        """
        if self.path is None:
            return self
        path = self.path.with_size()
        media = check_media(path.name, path.size or 0, path.read)
        return replace(self, path=path, content_type=media.content_type, dimensions=media.dimensions)

    def content_hash(self) -> str:
        """
        Identify the content: SHA-256 of the whole file, read in blocks; or the id of the asset.

        :raises InvalidInputError: the file does not exist.
        :raises StorageError: it cannot be read.
        """
        if self.path is None:
            return f"asset {self.asset_id}"
        digest = hashlib.sha256()
        path = self.path.with_size()
        for start in range(0, path.size or 0, PART_SIZE):
            digest.update(path.read(start, start + PART_SIZE))
        return digest.hexdigest()

    def read(self) -> bytes:
        """
        Read the whole file, of an image that is sent in one request. It is checked again: it may have changed since.

        :raises InvalidInputError: the file does not exist, is empty or cut off, or is not an image or recording.
        :raises StorageError: it has grown since it was checked.
        """
        if self.path is None:
            raise InvalidInputError(f"Training image {quoted(self.name)} is an asset: there is no file to read.")
        data = self.path.read(0, MAX_FILE + 1)
        if len(data) > MAX_FILE:
            raise StorageError(f"Training image {quoted(self.name)} has grown since it was checked.")
        check_media(self.path.name, len(data), lambda start, end: data[start:end])
        return data


def list_images(images: Images) -> list[DatasetImage]:
    """
    Check a list of images without reading any file: the files may lie on another machine than the DAG file.

    The number of images is not checked: it depends on the plan, which only Scenario knows.

    :raises InvalidInputError: the list is empty, has a name twice, or an item in none of the forms.
    """
    if isinstance(images, str | bytes | Mapping) or not isinstance(images, Iterable):
        raise InvalidInputError(f"images is {shown(images)}; give a folder, or a list of files or asset ids.")
    dataset = [_image(item, f"images[{position}]") for position, item in enumerate(images, start=1)]
    if not dataset:
        raise InvalidInputError("images is empty; give at least one image (5 to 15 are best).")
    twice = sorted(name for name, count in Counter(image.name for image in dataset).items() if count > 1)
    if twice:
        raise InvalidInputError(
            f"images has the name {shortened(', '.join(map(repr, twice)), 500)} more than once; give each image its "
            "own 'name': a retry finds by it what is uploaded already."
        )
    return dataset


def _image(item: object, where: str) -> DatasetImage:
    if is_path(item):
        item = {"path": item}
    if not isinstance(item, Mapping):
        raise InvalidInputError(f"{where} is {shown(item)}; give a file path or a dict with 'path' or 'asset_id'.")
    unknown = [key for key in item if key not in ImageFields.__annotations__]
    if unknown:
        named = shortened(", ".join(sorted(map(repr, unknown))), 300)
        raise InvalidInputError(f"{where} has {named}; known: {', '.join(ImageFields.__annotations__)}.")
    path, asset_id, caption = item.get("path"), item.get("asset_id"), item.get("caption")
    if (path in (None, "")) == (asset_id in (None, "")):
        raise InvalidInputError(f"{where} is {shown(dict(item))}; give either 'path' or 'asset_id'.")
    if caption is not None and not isinstance(caption, str):
        raise InvalidInputError(f"{where} has the caption {shown(caption)}; give text.")
    check_encodable(f"the caption of {where}", caption or "")
    if asset_id not in (None, ""):
        if wrong := wrong_with_id(asset_id):
            raise InvalidInputError(f"{where} has an asset_id that {wrong}.")
        return DatasetImage(name=_name(where, item.get("name"), asset_id), asset_id=asset_id, caption=caption)
    if not is_path(path):
        raise InvalidInputError(f"{where} has the path {shown(path)}; give the path or URL of a file.")
    location = Location.of(path)
    return DatasetImage(name=_name(where, item.get("name"), location.name), path=location, caption=caption)


def _name(where: str, given: Any, default: str) -> str:
    if given is not None and not isinstance(given, str):
        raise InvalidInputError(f"{where} has the name {shown(given)}; give text.")
    name = given or default
    if not name:
        raise InvalidInputError(f"{where} is the path of a folder; give the path of a file.")
    check_encodable(f"the name of {where}", name)
    return name
