"""
Add the images of a dataset to a model: several files at once, each read once and not kept in memory.

Images that the model has already are found by name, so a retry uploads only the rest. All of this is free.
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
"""Files uploaded at once. Each of them is in memory meanwhile, in Base64."""

PART_SIZE, MAX_PARTS = 8 * 1024 * 1024, 10_000
"""Bytes of one part of a big file, and parts of a file; Scenario requires 5 MB or more for each part but the last."""

FIRST_PAUSE, LONGEST_PAUSE, IMPORT_TIMEOUT = 0.2, 5.0, 900.0
"""Seconds between two polls of an upload that Scenario imports: first and longest pause, and when to give up."""

LOG_SECONDS, LOG_SHARE, LOG_MIN_SECONDS = 5.0, 0.1, 1.0
"""Progress is logged every 5 seconds, or after a tenth of the files, but at most once a second."""


class _StoppedError(Exception):
    """Another file has failed; its error is raised."""


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

    Everything that can be checked is checked before anything is sent. On the first error the other threads finish
    their file and stop; a retry uploads the rest.

    :param model: the model or its id. A model that was read with only some of its images is read again.
    :param preset: how Scenario captions images without a caption. Default: the dataset's own preset.
    :param threads: files uploaded at once.
    :param log: gets a line about every 10 % or 5 s.
    :return: the training image ids, in the order of the dataset's images.
    :raises InvalidInputError: the images do not fit, or a pair names an image that is not there. Nothing was sent.
    :raises PlanCeilingError: the plan allows no more images in a dataset.
    """
    preset = preset or dataset.preset
    check_preset(preset)
    check_threads(threads)
    model = _with_all_images(client, model)
    there = {image.name or image.id: image.id for image in model.training_images}
    captions = {image.id: image.description for image in model.training_images}
    missing = [image for image in dataset.images if not _is_uploaded(image, there)]
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

    def add(image: DatasetImage, stop: threading.Event) -> str:
        known = image.asset_id or there.get(image.name)
        image_id = known or _upload(client, model.id, image, preset, stop)
        # Not in the upload itself: the API drops a caption there without an error.
        if image.caption and captions.get(image_id) != image.caption:
            client.caption_asset(image_id, image.caption)
        if not known:
            progress.add(image)
        return image_id

    try:
        image_ids = _map_until_error(add, dataset.images, threads)
    except BaseException:
        progress.log_stop()
        raise
    if dataset.pairs is not None:
        ids = there | {image.name: image_id for image, image_id in zip(dataset.images, image_ids, strict=True)}
        client.set_training_pairs(model.id, resolve_pairs(dataset.pairs, ids))
    return image_ids


def model_after_upload(model: Model, dataset: Dataset, image_ids: Sequence[str]) -> Model | None:
    """
    Return a new model with the images that :func:`attach` has added. This saves a request.

    :param model: from the response to its creation.
    :param image_ids: the result of :func:`attach`.
    :return: None where a field is not certain: read the model then.
    """
    from airflow_provider_scenario.client.scenario.schemas import TrainingImage, TrainingImagePair

    all_in_one_request = not any(image.asset_id or image.needs_parts for image in dataset.images)
    if not (all_in_one_request and model.status == "new" and model.type and not model.training_images):
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
    Check the number of files to upload at once.

    :raises InvalidInputError: it is not a whole number from 1 to 32.
    """
    if isinstance(threads, bool) or not isinstance(threads, int) or not 1 <= threads <= 32:
        raise InvalidInputError(f"threads is {shown(threads)}; give a whole number from 1 to 32.")


def _with_all_images(client: ScenarioClient, model: Model | str) -> Model:
    """A list of models has three images of each: the others would be uploaded again."""
    if isinstance(model, str):
        return client.get_model(model)
    number = model.training_images_number
    return model if number is None or number == len(model.training_images) else client.get_model(model.id)


def _is_uploaded(image: DatasetImage, there: Mapping[str, str]) -> bool:
    return image.asset_id in there.values() if image.asset_id else image.name in there


def _provisional_id(image: DatasetImage) -> str:
    """The asset's id, or something that cannot be the id of another image: a file gets its id when it is sent."""
    return image.asset_id or f"\0{image.name}"


def _warn_of_many(model: Model, new: int, log: Logger) -> None:
    trainer = TRAINERS.get(model.type or "")
    have = len(model.training_images)
    if new and have + new > MAX_IMAGES and not (trainer and trainer.dataset == "audio"):
        log.warning(
            "Adding %d to the %d training images of %s: a dataset may have at most %d, and the plan may allow fewer. "
            "Scenario may refuse some.",
            *(new, have, model.id, MAX_IMAGES),
        )


def _upload(
    client: ScenarioClient, model_id: str, image: DatasetImage, preset: str | None, stop: threading.Event
) -> str:
    if image.needs_parts:
        asset_id = _upload_in_parts(client, image, stop)
        client.add_training_assets(model_id, [asset_id], preset=preset)
        return asset_id
    added = client.add_training_image(
        model_id, data=image.read(), name=image.name, content_type=image.content_type, preset=preset
    )
    return added.id


def _upload_in_parts(client: ScenarioClient, image: DatasetImage, stop: threading.Event) -> str:
    """Upload a file too big for one request, unchanged, one part at a time; it becomes an asset of the same name."""
    if image.path is None:
        raise InvalidInputError(f"Training image {quoted(image.name)} is an asset: there is no file to upload.")
    part_size = max(PART_SIZE, -(-image.size // MAX_PARTS))
    upload = client.create_upload(
        file_name=image.name,
        content_type=image.content_type or "application/octet-stream",
        kind="audio" if image.is_recording else "image",
        file_size=image.size,
        parts=-(-image.size // part_size),
    )
    for number, start in enumerate(range(0, image.size, part_size), start=1):
        _raise_if_stopped(stop)
        end = min(start + part_size, image.size)
        client.put_part(upload, number, image.path.read(start, end))
    try:
        client.complete_upload(upload.id)
    except ServiceError as error:
        if not error.maybe_done or client.get_upload(upload.id).status == "pending":
            raise
    asset_id = _wait_for_import(client, upload.id, image, stop)
    # A retry finds the asset by its name, and Scenario may have changed that.
    client.name_asset(asset_id, image.name)
    return asset_id


def _wait_for_import(client: ScenarioClient, upload_id: str, image: DatasetImage, stop: threading.Event) -> str:
    pause, deadline = FIRST_PAUSE, time.monotonic() + IMPORT_TIMEOUT
    while True:
        upload: Upload = client.get_upload(upload_id)
        if upload.entity_id and upload.status == "imported":
            return upload.entity_id
        if upload.status == "failed":
            raise RequestRefusedError(
                f"Scenario refused the file {quoted(image.name)}: {upload.error_message or 'no reason is given'}. "
                "It is not in the dataset."
            )
        if time.monotonic() >= deadline:
            raise ServiceError(
                f"{quoted(image.name)} is uploaded, but Scenario has not imported it after {IMPORT_TIMEOUT:g} s "
                f"(upload {upload_id} is {upload.status!r}).",
                maybe_done=False,
            )
        stop.wait(pause)
        _raise_if_stopped(stop)
        pause = min(LONGEST_PAUSE, pause * 2)


def _raise_if_stopped(stop: threading.Event) -> None:
    if stop.is_set():
        raise _StoppedError


def _map_until_error(function: Callable[[T, threading.Event], R], items: Iterable[T], threads: int) -> list[R]:
    """Call the function with each item in threads; results in order. The first error stops the others and is raised."""
    stop = threading.Event()
    errors: list[BaseException] = []

    def guarded(item: T) -> R:
        _raise_if_stopped(stop)
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
    """Logs how many files are uploaded."""

    def __init__(self, model: Model, files: list[DatasetImage], log: Logger) -> None:
        self._total = f"{len(files)} files ({sum(file.size for file in files) / 1e6:.1f} MB)"
        self._model, self._files, self._log = model, len(files), log
        self._lock = threading.Lock()
        self._done, self._bytes = 0, 0
        self._logged, self._logged_at = 0, time.monotonic()

    def add(self, image: DatasetImage) -> None:
        """Count an uploaded file."""
        with self._lock:
            self._done, self._bytes = self._done + 1, self._bytes + image.size
            now = time.monotonic()
            since, more = now - self._logged_at, self._done - self._logged
            if since >= LOG_SECONDS or (since >= LOG_MIN_SECONDS and more >= LOG_SHARE * self._files):
                self._logged, self._logged_at = self._done, now
                self._log_progress()

    def log_stop(self) -> None:
        """Warn that the upload has stopped."""
        if self._files:
            self._log.warning(
                "Uploaded %d of %s to model %r (%s), then stopped; a retry uploads the rest.",
                *(self._done, self._total, self._model.name, self._model.id),
            )

    def _log_progress(self) -> None:
        self._log.info(
            "Uploaded %d of %s to model %r (%s), %.1f MB.",
            *(self._done, self._total, self._model.name, self._model.id, self._bytes / 1e6),
        )
