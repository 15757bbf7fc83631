"""Which images a model is trained with: files with their captions, or assets that Scenario has already."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any

from airflow_provider_scenario.client.errors import InvalidInputError
from airflow_provider_scenario.client.images import TrainingImageFile, read_image
from airflow_provider_scenario.client.trainers import MAX_IMAGES

_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".gif", ".avif", ".tif", ".tiff", ".heic", ".heif"})
_FIELDS = ("path", "asset_id", "name", "caption")


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetImage:
    """
    One image of a dataset: a file (``path``) or an asset (``asset_id``).

    :param name: unique in the dataset, so that a retry can tell what is there already.
    :param caption: what the image shows; None leaves the captioning to the service.
    """

    name: str
    path: Path | None = None
    asset_id: str | None = None
    caption: str | None = None

    def read(self) -> TrainingImageFile:
        """
        Read the file.

        :raises InvalidInputError: it is missing, empty, no image, or too big to be sent.
        """
        return read_image(self.path or Path())


def read_dataset(images: Any) -> list[DatasetImage]:
    """
    Understand and check what an author calls ``images``, files included, before anything is sent.

    :param images: a folder (its image files, by name), or a list of file paths, of asset ids as
        ``{"asset_id": …}``, or of ``{"path": …, "name": …, "caption": …}``. Beside a file, a ``.txt`` of the same stem
        holds its caption, as kohya and musubi trainers have it.
    :raises InvalidInputError: names the image and what would be right.
    """
    dataset = list_images(_files(images) if isinstance(images, str | PathLike) else images)
    for image in dataset:
        if image.path:
            image.read()
    return [replace(image, caption=image.caption or _caption_beside(image.path)) for image in dataset]


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


def resolve_pairs(pairs: Any, ids: Mapping[str, str]) -> list[dict[str, str]]:
    """
    Turn pairs of image names into pairs of ids.

    :param pairs: ``[{"source": …, "target": …, "instruction": …}]``, each side an image's name or asset id.
    :param ids: name → id of every image of the model.
    :raises InvalidInputError: a side is no image of the model, or the instruction is missing.
    """
    if isinstance(pairs, str | Mapping) or not isinstance(pairs, Iterable):
        raise InvalidInputError(f"pairs is {pairs!r}; give a list of {{'source', 'target', 'instruction'}}.")
    known = {**{id_: id_ for id_ in ids.values()}, **ids}
    resolved = []
    for position, pair in enumerate(pairs, start=1):
        if not isinstance(pair, Mapping) or set(pair) != {"source", "target", "instruction"}:
            raise InvalidInputError(f"pairs[{position}] is {pair!r}; give 'source', 'target' and 'instruction'.")
        for side in ("source", "target"):
            if pair[side] not in known:
                raise InvalidInputError(
                    f"pairs[{position}] has {side} {pair[side]!r}, which is no image of this model; "
                    f"images: {', '.join(sorted(ids))}."
                )
        if not isinstance(pair["instruction"], str) or not pair["instruction"].strip():
            raise InvalidInputError(f"pairs[{position}] has the instruction {pair['instruction']!r}; say what changes.")
        resolved.append(
            {
                "source_id": known[pair["source"]],
                "target_id": known[pair["target"]],
                "instruction": pair["instruction"],
            }
        )
    return resolved


def _files(folder: str | PathLike[str]) -> list[Path]:
    if not Path(folder).is_dir():
        raise InvalidInputError(
            f"images is {str(folder)!r}, which is no folder here; give a folder or a list of files."
        )
    files = sorted(path for path in Path(folder).iterdir() if path.suffix.lower() in _SUFFIXES)
    if not files:
        raise InvalidInputError(
            f"images is {str(folder)!r}, a folder without images; looked for {', '.join(sorted(_SUFFIXES))}."
        )
    return files


def _image(item: Any, position: int) -> DatasetImage:
    if isinstance(item, str | PathLike):
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
    path = Path(str(path))
    return DatasetImage(name=item.get("name") or path.name, path=path, caption=caption)


def _caption_beside(path: Path | None) -> str | None:
    beside = path.with_suffix(".txt") if path else None
    if not beside or not beside.is_file():
        return None
    try:
        return beside.read_text(encoding="utf-8").strip() or None
    except UnicodeDecodeError:
        raise InvalidInputError(f"caption {str(beside)!r} is no UTF-8 text.") from None
