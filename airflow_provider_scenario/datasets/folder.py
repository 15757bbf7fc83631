"""
A dataset: a folder with images, their captions, pairs of images, and training parameters.

========================  ==============================================================================================
``*.png``, ``*.jpg`` …    the images; for ``elevenlabs-voice`` recordings (``*.mp3``, ``*.wav`` …)
``<stem>.txt``            the caption of the image with this stem, as kohya and musubi trainers have it
``metadata.jsonl``        captions as Hugging Face's imagefolder has them: ``{"file_name": …, "text": …}`` a line; and
                          pairs for the edit types: ``{"source": …, "target": …, "instruction": …}`` by file name,
                          the instruction is optional
``training.yaml``         (``.yml``, ``.json``) training parameters in either spelling, and ``name``, ``type``,
                          ``short_description``, ``preset``
========================  ==============================================================================================

People other than the author of the DAG may write into such a folder, so nothing in it is trusted. Only regular files
that really lie in it are read, wherever links lead. Text files have a size limit. YAML with anchors, aliases or merge
keys is refused. So are templates in ``training.yaml`` and in the path of the folder: Airflow could render them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from airflow_provider_scenario.client.consequences import NOTHING_SENT
from airflow_provider_scenario.client.errors import InvalidInputError
from airflow_provider_scenario.client.messages import quoted, shortened
from airflow_provider_scenario.client.scenario.model_types import TRAINERS
from airflow_provider_scenario.client.values import check_encodable
from airflow_provider_scenario.datasets import metadata
from airflow_provider_scenario.datasets.images import DatasetImage, Images, list_images
from airflow_provider_scenario.datasets.media import IMAGES, RECORDINGS
from airflow_provider_scenario.datasets.settings import FILE_NAMES, MAX_BYTES, Settings, parse_settings
from airflow_provider_scenario.datasets.values import errors_of, refuse_templates
from airflow_provider_scenario.storage import Location, StorageError, is_path, map_in_threads

_UNSUPPORTED = ("metadata.csv", "metadata.parquet")


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """
    The images that a model learns from, and what belongs to them. All of it is checked.

    :param pairs: ``source``, ``target`` (names of images) and perhaps ``instruction`` each. None: the model's pairs
        stay as they are.
    :param parameters: training parameters in ``training.yaml``, in the API's spelling.
    :param name: of the model, in ``training.yaml``; so are ``type``, ``short_description`` and ``preset``.
    :param source: the folder; None for a list.
    :param ignored: names of the files and folders in it that are not read.
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
        """Whether the dataset holds images or recordings."""
        return "recording" if any(image.is_recording for image in self.images) else "image"

    @property
    def fingerprint(self) -> list[tuple[str, int, str | None]]:
        """Name, size and caption of each image. It changes when the images or captions do."""
        return [(image.name, image.size, image.caption) for image in self.images]


def read_dataset(source: Images) -> Dataset:
    """
    Read and check the ``images`` of an author, files included, before anything is sent.

    Mostly the start and the end of an image are read; more of it where bytes follow the end of the picture.

    :param source: a folder as a path, an ``ObjectStoragePath`` or a URL such as ``s3://conn_id@bucket/folder``; or a
        list of files (either of those), of asset ids as ``{"asset_id": …}``, or of
        ``{"path": …, "name": …, "caption": …}``. A ``.txt`` of the same stem beside a file is its caption.
    :raises InvalidInputError: names the dataset, the file, the line and what would be right.
    :raises StorageError: an InvalidInputError that may be gone on a retry: the storage cannot be reached. It is
        ``permanent`` where a package is missing or the scheme is unknown.
    """
    if is_path(source):
        return read_folder(Location.of(source))
    images = list_images(source)
    with errors_of(""):
        return Dataset(images=map_in_threads(_with_caption, images))


def read_folder(folder: Location) -> Dataset:
    """Read a dataset from its folder; raises as :func:`read_dataset`."""
    refuse_templates("The path of the dataset", folder.text)
    try:
        folders, files = folder.list_folder()
    except StorageError as problem:
        raise type(problem)(shortened(str(problem))) from None
    except InvalidInputError as problem:
        wrong = shortened(str(problem))
        raise InvalidInputError(f"images: {wrong} Give the folder of a dataset, or a list of files.") from None
    with errors_of(f"Dataset {quoted(folder.text, 300)}: "):
        return replace(_read(folder, files), ignored=_ignored(folders, files))


def read_settings(files: Iterable[Location]) -> Settings:
    """
    Read ``training.yaml``, if it exists.

    :raises InvalidInputError: there are two of them, or a value is wrong.
    """
    found = [file for file in files if file.name in FILE_NAMES]
    if len(found) > 1:
        raise InvalidInputError(f"{' and '.join(file.name for file in found)} are in the folder; keep one of them.")
    return parse_settings(found[0].name, found[0].read_text(MAX_BYTES)) if found else Settings()


def is_media(file: Location) -> bool:
    """Whether a file is an image or a recording, by its name."""
    return file.suffix in IMAGES | RECORDINGS


def _read(folder: Location, files: list[Location]) -> Dataset:
    named = {file.name: file for file in files}
    images = _images(files)
    texts = _texts(files, images)
    for name in _UNSUPPORTED:
        if name in named:
            raise InvalidInputError(f"{name} is not supported; write the same as {metadata.FILE_NAME}.")
    settings = read_settings(files)
    in_metadata = metadata.Metadata({}, None)
    if metadata.FILE_NAME in named:
        text = named[metadata.FILE_NAME].read_text(metadata.MAX_BYTES)
        in_metadata = metadata.parse_metadata(text, (image.name for image in images))
    captions = dict(zip(texts, map_in_threads(_read_caption, texts.values()), strict=True))
    checked = map_in_threads(
        DatasetImage.checked,
        [
            DatasetImage(name=image.name, path=image, caption=_caption_of(image, captions, in_metadata.captions))
            for image in images
        ],
    )
    _check_one_kind(checked)
    return Dataset(
        images=checked,
        pairs=in_metadata.pairs,
        source=folder.text,
        **settings._asdict(),
    )


def _ignored(folders: list[Location], files: list[Location]) -> list[str]:
    read = (*FILE_NAMES, metadata.FILE_NAME)
    unread = [file.name for file in files if not (is_media(file) or file.suffix == ".txt" or file.name in read)]
    return unread + [f"{folder.name}/" for folder in folders]


def _images(files: list[Location]) -> list[Location]:
    images = [file for file in files if is_media(file)]
    if not images:
        raise InvalidInputError(
            f"the folder has no images ({', '.join(sorted(IMAGES))}) and no recordings "
            f"({', '.join(sorted(RECORDINGS))})."
        )
    stems: dict[str, str] = {}
    for image in images:
        check_encodable(f"the name of the image {quoted(image.name)}", image.name)
        if image.stem in stems:
            raise InvalidInputError(
                f"{quoted(stems[image.stem])} and {quoted(image.name)} have the same stem: "
                "a caption could belong to either. Rename one."
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
                f"{quoted(text.name)} is a caption without an image: no image beside it is called {quoted(text.stem)}."
            )
        if text.stem in texts:
            raise InvalidInputError(
                f"{quoted(texts[text.stem].name)} and {quoted(text.name)} are captions of the same image; keep one."
            )
        texts[text.stem] = text
    return texts


def _read_caption(text: Location) -> str | None:
    return metadata.check_caption(quoted(text.name), text.read_text(metadata.MAX_CAPTION))


def _caption_of(image: Location, texts: dict[str, str | None], in_metadata: dict[str, str | None]) -> str | None:
    text, other = texts.get(image.stem), in_metadata.get(image.name)
    if text and other and text != other:
        raise InvalidInputError(
            f"{quoted(image.name)} has one caption in {quoted(image.stem + '.txt')} and another in "
            f"{metadata.FILE_NAME}; keep one."
        )
    return text or other


def _check_one_kind(images: list[DatasetImage]) -> None:
    kinds = {image.is_recording: image.name for image in images}
    if len(kinds) > 1:
        raise InvalidInputError(
            f"the folder has images ({quoted(kinds[False])}) and recordings ({quoted(kinds[True])}); "
            "a model learns from one of the two."
        )


def _with_caption(image: DatasetImage) -> DatasetImage:
    checked = image.checked()
    if checked.path is None or checked.caption:
        return checked
    text = checked.path.sibling(f"{checked.path.stem}.txt")
    return replace(checked, caption=_read_caption(text) if text.exists() else None)


def check_kind(dataset: Dataset, model_type: str | None) -> None:
    """
    Check that a model can learn from the dataset: a voice learns from recordings, every other type from images.

    Passes for a type that is not known here, and for assets, whose kind only Scenario knows.

    :raises InvalidInputError: names the first file of the wrong kind.
    """
    trainer = TRAINERS.get(model_type) if isinstance(model_type, str) else None
    if trainer is None or trainer.dataset == "concepts":
        return
    needs_recordings = trainer.dataset == "audio"
    for image in dataset.images:
        if image.content_type is not None and image.is_recording != needs_recordings:
            what, takes = ("a recording", "images") if image.is_recording else ("an image", "recordings")
            raise InvalidInputError(f"{quoted(image.name)} is {what}; {model_type} learns from {takes}. {NOTHING_SENT}")
