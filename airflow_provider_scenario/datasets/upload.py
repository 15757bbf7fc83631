"""
Give a model what it lacks of a dataset: several files at once, each read once and not kept.

What is there already is found by its name, so that a retry goes on where an earlier try ended. All of this is free.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, TypeVar

from airflow_provider_scenario.client.errors import InvalidInputError, RequestRefusedError, ServiceError
from airflow_provider_scenario.client.messages import quoted, shown
from airflow_provider_scenario.client.scenario.model_types import TRAINERS
from airflow_provider_scenario.client.scenario.trainers import MAX_IMAGES
from airflow_provider_scenario.datasets.pairs import check_pairs, resolve_pairs
from airflow_provider_scenario.datasets.settings import check_preset

if TYPE_CHECKING:
    from airflow_provider_scenario.airflow_compat.types import Logger
    from airflow_provider_scenario.client.scenario.client import ScenarioClient
    from airflow_provider_scenario.client.scenario.schemas import Model, Upload
    from airflow_provider_scenario.datasets.folder import Dataset
    from airflow_provider_scenario.datasets.images import DatasetImage

T = TypeVar("T")
R = TypeVar("R")

THREADS = 8
"""Files on their way at once. Each of them is in memory, in Base64, while it is."""

PART = 8 * 1024 * 1024
"""Bytes of one part of a big file; the service takes no less than 5 MB, and no more than 10 000 parts."""

MOST_PARTS = 10_000

FIRST_PAUSE, LONGEST_PAUSE, PATIENCE = 0.2, 5.0, 900.0
"""Seconds between looks at a file that the service validates: at first, at most, and when to give up."""

LINE_EVERY, LINE_SHARE, LINE_SOONEST = 5.0, 0.1, 1.0
"""A line in the log every 5 seconds, or every tenth of the files but not twice a second."""


class _StoppedError(Exception):
    """Another file has failed already."""


def attach(
    client: ScenarioClient,
    model: Model | str,
    dataset: Dataset,
    *,
    preset: str | None = None,
    threads: int = THREADS,
    log: Logger,
) -> list[str]:
    """
    Upload the images that a model lacks, set their captions, and then the pairs.

    Checks everything that can be checked before it sends anything. On the first error the other threads finish the
    file they are at and stop; trying again uploads what is missing then.

    :param model: the model or its id; a model that came with only some of its images is read again.
    :param preset: how the service captions images without a caption. Default: what the dataset says, if it does.
    :param threads: files on their way at once.
    :param log: gets a line about every 10 % or 5 s.
    :return: the training image ids, in the order of the dataset's images.
    :raises InvalidInputError: the images do not fit, or a pair names none of them. Nothing was sent.
    :raises PlanCeilingError: the plan allows no more images in a dataset.
    """
    preset = preset or dataset.preset
    check_preset(preset)
    check_threads(threads)
    model = _whole(client, model)
    there = {image.name or image.id: image.id for image in model.training_images}
    captions = {image.id: image.description for image in model.training_images}
    missing = [image for image in dataset.images if not _is_there(image, there)]
    _warn_of_many(model, len(missing), log)
    if dataset.pairs is not None:
        resolve_pairs(dataset.pairs, there | {image.name: _provisional_id(image) for image in missing})
        for warning in check_pairs(dataset.pairs):
            log.warning("%s", warning)

    assets = [image.asset_id for image in missing if image.asset_id]
    if assets:
        client.add_training_assets(model.id, assets, preset=preset)
    files = {image.name for image in missing if not image.asset_id}
    progress = _Progress(model, [image for image in missing if image.name in files], log)

    def give(image: DatasetImage, stop: threading.Event) -> str:
        known = image.asset_id or there.get(image.name)
        image_id = known or _upload(client, model.id, image, preset, stop)
        # Through the asset: a caption in the upload itself is dropped by the API without a word.
        if image.caption and captions.get(image_id) != image.caption:
            client.caption_asset(image_id, image.caption)
        if not known:
            progress.add(image)
        return image_id

    try:
        given = _several_at_once(give, dataset.images, threads)
    except BaseException:
        progress.broken_off()
        raise
    if dataset.pairs is not None:
        ids = there | {image.name: image_id for image, image_id in zip(dataset.images, given, strict=True)}
        client.set_training_pairs(model.id, resolve_pairs(dataset.pairs, ids))
    return given


def as_filled(model: Model, dataset: Dataset, image_ids: Sequence[str]) -> Model | None:
    """
    Return a model that was empty as :func:`attach` has filled it. It takes no request to know that.

    :param model: as the answer to its creation has it.
    :param image_ids: what :func:`attach` has returned.
    :return: None where something is not certain: read the model then.
    """
    from airflow_provider_scenario.client.scenario.schemas import TrainingImage, TrainingImagePair

    each_in_one_request = not any(image.asset_id or image.is_big for image in dataset.images)
    if not (each_in_one_request and model.status == "new" and model.type and not model.training_images):
        return None
    ids = {image.name: image_id for image, image_id in zip(dataset.images, image_ids, strict=True)}
    captions = {image.name: image.caption for image in dataset.images}
    return model.model_copy(
        update={
            "training_images": [TrainingImage(id=ids[name], name=name, description=captions[name]) for name in ids],
            "training_images_number": len(ids),
            "training_image_pairs": [TrainingImagePair(**pair) for pair in resolve_pairs(dataset.pairs or [], ids)],
        }
    )


def check_threads(threads: int) -> None:
    """
    Check how many files are to be uploaded at once.

    :raises InvalidInputError: it is no number from 1 to 32.
    """
    if isinstance(threads, bool) or not isinstance(threads, int) or not 1 <= threads <= 32:
        raise InvalidInputError(f"threads is {shown(threads)}; give a whole number from 1 to 32.")


def _whole(client: ScenarioClient, model: Model | str) -> Model:
    """A list of models shows three images of each; what is missing then would be uploaded twice."""
    if isinstance(model, str):
        return client.get_model(model)
    number = model.training_images_number
    return model if number is None or number == len(model.training_images) else client.get_model(model.id)


def _is_there(image: DatasetImage, there: Mapping[str, str]) -> bool:
    return image.asset_id in there.values() if image.asset_id else image.name in there


def _provisional_id(image: DatasetImage) -> str:
    """Unlike any other image's name or id: a file has no id before it is sent."""
    return image.asset_id or f"\0{image.name}"


def _warn_of_many(model: Model, new: int, log: Logger) -> None:
    trainer = TRAINERS.get(model.type or "")
    have = len(model.training_images)
    if new and have + new > MAX_IMAGES and not (trainer and trainer.dataset == "audio"):
        log.warning(
            "Adding %d to the %d training images of %s: a dataset may take at most %d, or fewer by the plan; Scenario "
            "decides.",
            *(new, have, model.id, MAX_IMAGES),
        )


def _upload(
    client: ScenarioClient, model_id: str, image: DatasetImage, preset: str | None, stop: threading.Event
) -> str:
    if image.is_big:
        asset_id = _upload_in_parts(client, image, stop)
        client.add_training_assets(model_id, [asset_id], preset=preset)
        return asset_id
    added = client.add_training_image(
        model_id, data=image.read(), name=image.name, content_type=image.content_type, preset=preset
    )
    return added.id


def _upload_in_parts(client: ScenarioClient, image: DatasetImage, stop: threading.Event) -> str:
    """A file too big for one request, never made smaller: as an asset of the same name, one part at a time."""
    if image.path is None:
        raise InvalidInputError(f"Training image {quoted(image.name)} is no file.")
    part_size = max(PART, -(-image.size // MOST_PARTS))
    upload = client.create_upload(
        file_name=image.name,
        content_type=image.content_type or "application/octet-stream",
        kind="audio" if image.is_recording else "image",
        file_size=image.size,
        parts=-(-image.size // part_size),
    )
    for number, start in enumerate(range(0, image.size, part_size), start=1):
        _go_on(stop)
        end = min(start + part_size, image.size)
        client.put_part(upload, number, image.path.read(start, end))
    try:
        client.complete_upload(upload.id)
    except ServiceError as lost:
        if not lost.maybe_done or client.get_upload(upload.id).status == "pending":
            raise
    asset_id = _imported(client, upload.id, image, stop)
    # A retry knows it by its name, which an upload need not keep as it was.
    client.name_asset(asset_id, image.name)
    return asset_id


def _imported(client: ScenarioClient, upload_id: str, image: DatasetImage, stop: threading.Event) -> str:
    pause, deadline = FIRST_PAUSE, time.monotonic() + PATIENCE
    while True:
        upload: Upload = client.get_upload(upload_id)
        if upload.entity_id and upload.status == "imported":
            return upload.entity_id
        if upload.status == "failed":
            raise RequestRefusedError(
                f"Scenario refused the file {quoted(image.name)}: {upload.error_message or 'it does not say why'}. "
                "It is not in the dataset."
            )
        if time.monotonic() >= deadline:
            raise ServiceError(
                f"Uploaded {quoted(image.name)}, and after {PATIENCE:g} s Scenario has not imported it "
                f"(upload {upload_id} is {upload.status!r}).",
                maybe_done=False,
            )
        stop.wait(pause)
        _go_on(stop)
        pause = min(LONGEST_PAUSE, pause * 2)


def _go_on(stop: threading.Event) -> None:
    if stop.is_set():
        raise _StoppedError


def _several_at_once(function: Callable[[T, threading.Event], R], items: Iterable[T], threads: int) -> list[R]:
    """The function of each item, in order. The first error in time stops the others soon, and is the one raised."""
    stop = threading.Event()
    errors: list[BaseException] = []

    def guarded(item: T) -> R:
        _go_on(stop)
        try:
            return function(item, stop)
        except BaseException as problem:
            if not isinstance(problem, _StoppedError):
                errors.append(problem)
            stop.set()
            raise

    with ThreadPoolExecutor(threads, thread_name_prefix="upload") as pool:
        try:
            futures = [pool.submit(guarded, item) for item in items]
            wait(futures, return_when=FIRST_EXCEPTION)
        finally:
            stop.set()
            pool.shutdown(wait=True, cancel_futures=True)
    if errors:
        raise errors[0]
    return [future.result() for future in futures]


class _Progress:
    """Lines in the log while files are on their way."""

    def __init__(self, model: Model, files: list[DatasetImage], log: Logger) -> None:
        self._what = f"{len(files)} files ({sum(file.size for file in files) / 1e6:.1f} MB)"
        self._model, self._files, self._log = model, len(files), log
        self._lock = threading.Lock()
        self._done, self._bytes = 0, 0
        self._told, self._told_at = 0, time.monotonic()

    def add(self, image: DatasetImage) -> None:
        """One more file is there."""
        with self._lock:
            self._done, self._bytes = self._done + 1, self._bytes + image.size
            now = time.monotonic()
            since, more = now - self._told_at, self._done - self._told
            if since >= LINE_EVERY or (since >= LINE_SOONEST and more >= LINE_SHARE * self._files):
                self._told, self._told_at = self._done, now
                self._say()

    def broken_off(self) -> None:
        """There will be no more for now."""
        if self._files:
            self._log.warning(
                "Uploaded %d of %s to model %r (%s), then broke off; a retry uploads the rest.",
                *(self._done, self._what, self._model.name, self._model.id),
            )

    def _say(self) -> None:
        self._log.info(
            "Uploaded %d of %s to model %r (%s), %.1f MB.",
            *(self._done, self._what, self._model.name, self._model.id, self._bytes / 1e6),
        )
