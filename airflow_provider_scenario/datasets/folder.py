"""
A dataset: a folder with images, their captions, pairs of them, and how they want to be trained.

========================  ==============================================================================================
``*.png``, ``*.jpg`` …    the images; for ``elevenlabs-voice`` recordings (``*.mp3``, ``*.wav`` …)
``<stem>.txt``            the caption of the image with this stem, as kohya and musubi trainers have it
``metadata.jsonl``        captions as Hugging Face's imagefolder has them: ``{"file_name": …, "text": …}`` a line; and
                          pairs for the edit types: ``{"source": …, "target": …, "instruction": …}`` by file name,
                          where the instruction may be left out
``training.yaml``         (``.yml``, ``.json``) training parameters in either spelling, and ``name``, ``type``,
                          ``short_description``, ``preset``
========================  ==============================================================================================

Others than the author of the DAG may write into such a folder, so nothing in it is trusted: only regular files are read
that really lie in it, wherever links lead; text files have a size limit; YAML has no anchors, aliases or merge keys;
``training.yaml`` and the path of the folder hold no templates, because Airflow could render them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from os import PathLike
from typing import Any, Literal

from airflow_provider_scenario.client.errors import InvalidInputError
from airflow_provider_scenario.client.messages import quoted, shortened
from airflow_provider_scenario.client.scenario.model_types import TRAINERS
from airflow_provider_scenario.datasets import metadata
from airflow_provider_scenario.datasets.images import DatasetImage, list_images
from airflow_provider_scenario.datasets.media import IMAGES, RECORDINGS
from airflow_provider_scenario.datasets.settings import FILE_NAMES, MAX_BYTES, Settings, parse_settings
from airflow_provider_scenario.datasets.values import check_text, refuse_templates
from airflow_provider_scenario.storage import Location, StorageError, at_once

_UNREAD = ("metadata.csv", "metadata.parquet")


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """
    What a model is to learn from, checked.

    :param images: what is learned from.
    :param pairs: ``source``, ``target`` (names of images) and perhaps ``instruction`` each; None leaves a model's pairs
        alone.
    :param parameters: training parameters of its ``training.yaml``, in the API's spelling.
    :param name: what ``training.yaml`` calls the model; ``type``, ``short_description``, ``preset`` are its too.
    :param source: the folder; None for a list.
    :param ignored: names of the files and folders in it that are none of these.
    """

    images: list[DatasetImage]
    pairs: Sequence[Mapping[str, str]] | None = None
    parameters: dict[str, Any] = field(default_factory=dict)
    name: str | None = None
    type: str | None = None
    short_description: str | None = None
    preset: str | None = None
    source: str | None = None
    ignored: Sequence[str] = ()

    @property
    def kind(self) -> Literal["image", "recording"]:
        """What it holds."""
        return "recording" if any(image.is_recording for image in self.images) else "image"

    @property
    def fingerprint(self) -> list[tuple[str, int, str | None]]:
        """Name, size and caption of each image: another one where what is learned from has changed."""
        return [(image.name, image.size, image.caption) for image in self.images]


def read_dataset(source: Any) -> Dataset:
    """
    Understand and check what an author calls ``images``, files included, before anything is sent.

    Of an image mostly the start and the end are read; more of it where bytes follow the end of the picture.

    :param source: a folder as a path, an ``ObjectStoragePath`` or a URL such as ``s3://conn_id@bucket/folder``; or a
        list of files (either of those), of asset ids as ``{"asset_id": …}``, or of
        ``{"path": …, "name": …, "caption": …}``. A ``.txt`` of the same stem beside a file is its caption.
    :raises InvalidInputError: names the dataset, the file, the line and what would be right.
    :raises StorageError: an InvalidInputError that may be gone next time: the storage cannot be reached. Not where its
        package is missing or its scheme is unknown: that one is ``permanent``.
    """
    if isinstance(source, str | PathLike) or hasattr(source, "protocol"):
        return read_folder(Location.of(source))
    images = list_images(source)
    try:
        return Dataset(images=at_once(_with_caption, images))
    except InvalidInputError as problem:
        wrong, kind = str(problem), type(problem)
    raise kind(shortened(wrong))


def read_folder(folder: Location) -> Dataset:
    """As :func:`read_dataset`."""
    refuse_templates("The path of the dataset", folder.text)
    try:
        folders, files = folder.listed()
    except StorageError as problem:
        raise type(problem)(shortened(str(problem))) from None
    except InvalidInputError as problem:
        wrong = shortened(str(problem))
        raise InvalidInputError(f"images is {wrong} Give a folder or a list of files.") from None
    try:
        return replace(_read(folder, files), ignored=_ignored(folders, files))
    except InvalidInputError as problem:
        wrong, kind = str(problem), type(problem)
    raise kind(f"Dataset {quoted(folder.text, 300)}: {shortened(wrong)}")


def read_settings(files: Iterable[Location]) -> Settings:
    """
    Read ``training.yaml``, if there is one.

    :raises InvalidInputError: there are two of them, or it says what cannot be.
    """
    found = [file for file in files if file.name in FILE_NAMES]
    if len(found) > 1:
        raise InvalidInputError(f"there are {' and '.join(file.name for file in found)}; keep one.")
    return parse_settings(found[0].name, found[0].read_text(MAX_BYTES)) if found else Settings()


def is_media(file: Location) -> bool:
    """Whether a file is an image or a recording, by its name."""
    return file.suffix in IMAGES | RECORDINGS


def _read(folder: Location, files: list[Location]) -> Dataset:
    named = {file.name: file for file in files}
    images = _images(files)
    texts = _texts(files, images)
    for unread in _UNREAD:
        if unread in named:
            raise InvalidInputError(f"{unread} is not read here; write the same as {metadata.FILE_NAME}.")
    settings = read_settings(files)
    notes = metadata.Metadata({}, None)
    if metadata.FILE_NAME in named:
        text = named[metadata.FILE_NAME].read_text(metadata.MAX_BYTES)
        notes = metadata.parse_metadata(text, (image.name for image in images))
    captions = dict(zip(texts, at_once(_caption_in, texts.values()), strict=True))
    checked = at_once(
        DatasetImage.checked,
        [
            DatasetImage(name=image.name, path=image, caption=_one_caption(image, captions, notes.captions))
            for image in images
        ],
    )
    _check_one_kind(checked)
    return Dataset(
        images=checked,
        pairs=notes.pairs,
        parameters=settings.parameters,
        name=settings.name,
        type=settings.type,
        short_description=settings.short_description,
        preset=settings.preset,
        source=folder.text,
    )


def _ignored(folders: list[Location], files: list[Location]) -> list[str]:
    read = (*FILE_NAMES, metadata.FILE_NAME)
    unread = [file.name for file in files if not (is_media(file) or file.suffix == ".txt" or file.name in read)]
    return unread + [f"{folder.name}/" for folder in folders]


def _images(files: list[Location]) -> list[Location]:
    images = [file for file in files if is_media(file)]
    if not images:
        raise InvalidInputError(
            "it is a folder without images; looked for "
            f"{', '.join(sorted(IMAGES))}, and for recordings {', '.join(sorted(RECORDINGS))}."
        )
    stems: dict[str, str] = {}
    for image in images:
        check_text("the name of an image", image.name)
        if image.stem in stems:
            raise InvalidInputError(
                f"{quoted(stems[image.stem])} and {quoted(image.name)} have the same stem: "
                "a caption could be either's. Rename one."
            )
        stems[image.stem] = image.name
    return images


def _texts(files: list[Location], images: list[Location]) -> dict[str, Location]:
    """Caption files by stem."""
    stems = {image.stem for image in images}
    texts: dict[str, Location] = {}
    for text in files:
        if text.suffix != ".txt":
            continue
        if text.stem not in stems:
            raise InvalidInputError(
                f"{quoted(text.name)} is a caption without an image: there is no image {quoted(text.stem)} beside it."
            )
        if text.stem in texts:
            raise InvalidInputError(
                f"{quoted(texts[text.stem].name)} and {quoted(text.name)} are one image's caption; keep one."
            )
        texts[text.stem] = text
    return texts


def _caption_in(text: Location) -> str | None:
    return metadata.check_caption(quoted(text.name), text.read_text(metadata.MAX_CAPTION))


def _one_caption(image: Location, texts: dict[str, str | None], noted: dict[str, str | None]) -> str | None:
    text, note = texts.get(image.stem), noted.get(image.name)
    if text and note and text != note:
        raise InvalidInputError(
            f"{quoted(image.name)} has one caption in {quoted(image.stem + '.txt')} and another in "
            f"{metadata.FILE_NAME}; keep one."
        )
    return text or note


def _check_one_kind(images: list[DatasetImage]) -> None:
    kinds = {image.is_recording: image.name for image in images}
    if len(kinds) > 1:
        raise InvalidInputError(
            f"it has images ({quoted(kinds[False])}) and recordings ({quoted(kinds[True])}); "
            "a model learns from one of them."
        )


def _with_caption(image: DatasetImage) -> DatasetImage:
    checked = image.checked()
    if checked.path is None or checked.caption:
        return checked
    text = checked.path.beside(f"{checked.path.stem}.txt")
    return replace(checked, caption=_caption_in(text) if text.exists() else None)


def check_kind(dataset: Dataset, model_type: str | None) -> None:
    """
    Check that a model learns from what the dataset holds: a voice from recordings, an image type from pictures.

    Says nothing of a type that is not known here, and of assets, whose kind only Scenario knows.

    :raises InvalidInputError: names the first file that is of the other kind.
    """
    trainer = TRAINERS.get(model_type) if isinstance(model_type, str) else None
    if trainer is None or trainer.dataset == "concepts":
        return
    hears = trainer.dataset == "audio"
    for image in dataset.images:
        if image.content_type is not None and image.is_recording != hears:
            what, takes = ("a recording", "images") if image.is_recording else ("an image", "recordings")
            raise InvalidInputError(
                f"{quoted(image.name)} is {what}; {model_type} learns from {takes}. Nothing was sent."
            )
