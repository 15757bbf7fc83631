"""One image of a dataset, and what an author may call a list of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from os import PathLike
from typing import Any

from airflow_provider_scenario.client.errors import InvalidInputError
from airflow_provider_scenario.client.images import MAX_FILE
from airflow_provider_scenario.client.trainers import MAX_IMAGES
from airflow_provider_scenario.datasets.media import HEAD, TAIL, check_media
from airflow_provider_scenario.storage import Location, StorageError

_FIELDS = ("path", "asset_id", "name", "caption")


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetImage:
    """
    One image (or recording) of a dataset: a file (``path``) or an asset (``asset_id``).

    :param name: unique in the dataset, so that a retry can tell what is there already.
    :param caption: what the image shows; None leaves the captioning to the service.
    :param content_type: of a file, once it has been checked.
    """

    name: str
    path: Location | None = None
    asset_id: str | None = None
    caption: str | None = None
    content_type: str | None = field(default=None, compare=False)

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
        The same image, looked at: its size is known, its start and its end have been read.

        :raises InvalidInputError: it is missing, empty, no image, or cut off.
        """
        if self.path is None:
            return self
        path = self.path.measured()
        size = path.size or 0
        whole = path.read(0, size) if 0 < size <= HEAD + TAIL else b""
        head = whole[:HEAD] or (path.read(0, HEAD) if size else b"")
        tail = whole[-TAIL:] or (path.read(max(0, size - TAIL), size) if size else b"")
        return replace(self, path=path, content_type=check_media(path.name, size, head, tail))

    def read(self) -> bytes:
        """
        Read the whole file, one that is not big.

        :raises InvalidInputError: it is missing, empty, no image, or cut off, perhaps only since it was checked.
        :raises StorageError: it has grown since.
        """
        if self.path is None:
            raise InvalidInputError(f"Training image {self.name!r} is an asset: there is no file to read.")
        data = self.path.read(0, MAX_FILE + 1)
        if len(data) > MAX_FILE:
            raise StorageError(f"Training image {self.name!r} has grown since it was checked.")
        check_media(self.path.name, len(data), data[:HEAD], data[-TAIL:])
        return data


def list_images(images: Any) -> list[DatasetImage]:
    """
    Check a list of images without looking at any file, which may lie on another machine than the DAG file.

    :raises InvalidInputError: no image, more than 50, a name twice, or an item that is none of the forms.
    """
    if isinstance(images, str | Mapping) or not isinstance(images, Iterable):
        raise InvalidInputError(f"images is {images!r}; give a folder, or a list of files or asset ids.")
    dataset = [_image(item, position) for position, item in enumerate(images, start=1)]
    if not dataset:
        raise InvalidInputError(f"images is empty; give 1 to {MAX_IMAGES} images (5 to 15 are best).")
    if len(dataset) > MAX_IMAGES:
        raise InvalidInputError(f"images has {len(dataset)} images; a dataset takes at most {MAX_IMAGES}.")
    twice = sorted(name for name, count in Counter(image.name for image in dataset).items() if count > 1)
    if twice:
        raise InvalidInputError(
            f"images has the name {', '.join(map(repr, twice))} more than once; give each image a 'name' of its own, "
            "which is how a retry tells what is there already."
        )
    return dataset


def _image(item: Any, position: int) -> DatasetImage:
    if isinstance(item, str | PathLike) or hasattr(item, "protocol"):
        item = {"path": item}
    where = f"images[{position}]"
    if not isinstance(item, Mapping):
        raise InvalidInputError(f"{where} is {item!r}; give a file path or a dict with 'path' or 'asset_id'.")
    unknown = set(item) - set(_FIELDS)
    if unknown:
        raise InvalidInputError(f"{where} has {', '.join(map(repr, sorted(unknown)))}; known: {', '.join(_FIELDS)}.")
    path, asset_id, caption = item.get("path"), item.get("asset_id"), item.get("caption")
    if bool(path) == bool(asset_id):
        raise InvalidInputError(f"{where} is {dict(item)!r}; give either 'path' or 'asset_id'.")
    if caption is not None and not isinstance(caption, str):
        raise InvalidInputError(f"{where} has the caption {caption!r}; give text.")
    if asset_id:
        return DatasetImage(name=item.get("name") or asset_id, asset_id=asset_id, caption=caption)
    location = Location.of(path)
    return DatasetImage(name=item.get("name") or location.name, path=location, caption=caption)
