"""Logs the contents of a dataset before the training is paid for."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import TYPE_CHECKING

from airflow_provider_scenario.client.errors import InvalidInputError
from airflow_provider_scenario.client.messages import quoted
from airflow_provider_scenario.datasets.images import DatasetImage
from airflow_provider_scenario.datasets.values import first_of, some_of
from airflow_provider_scenario.storage import map_in_threads

if TYPE_CHECKING:
    from airflow_provider_scenario.airflow_compat.types import Logger
    from airflow_provider_scenario.datasets.folder import Dataset

RECOMMENDED_SIDE = 1024
"""Pixels of width and height that Scenario recommends."""

TOO_SMALL, NO_CAPTION, EMPTY_CAPTION, SAME = (
    "Width and height must be larger than 1024",
    "Missing caption",
    "Empty caption",
    "Same asset",
)
"""Scenario's own warnings about such images, in its dataset score."""

_MAX_LOGGED = 10


def log_review(name: str, dataset: Dataset, log: Logger) -> frozenset[str]:
    """
    Log what is in a dataset, and warn of images that are too small or identical. Never fails.

    Only files of equal size are read.

    :param name: of the model.
    :return: warnings of Scenario's score that are covered here and need not be logged again.
    """
    log.info("%s", dataset_summary(name, dataset))
    small = [image for image in dataset.images if image.dimensions and min(image.dimensions) < RECOMMENDED_SIDE]
    if small:
        sizes = [f"{quoted(image.name)} ({'x'.join(map(str, image.dimensions or ()))})" for image in small]
        log.warning(
            "Dataset: %s smaller than the recommended %d pixels on a side: %s.",
            *(_count(len(small), "image"), RECOMMENDED_SIDE, first_of(sizes, _MAX_LOGGED)),
        )
    try:
        same = _identical_images(dataset.images)
    except InvalidInputError as problem:  # the upload reports it, if it is still so
        log.debug("Cannot check for identical images: %s", problem)
        same = []
    if same:
        groups = [" = ".join(map(quoted, group)) for group in same]
        what = _count(sum(map(len, same)), dataset.kind)
        log.warning("Dataset: %s that are the same: %s.", what, first_of(groups, _MAX_LOGGED))
    return _covered_warnings(dataset.images)


def dataset_summary(name: str, dataset: Dataset) -> str:
    """Such as ``'knight': 6 images, 5 captions ('03.jpg' has none: Scenario writes it); ignored: 'b.psd'``."""
    parts = [_count(len(dataset.images), dataset.kind)]
    if dataset.kind == "image":
        captions = sum(bool(image.caption) for image in dataset.images)
        # An asset may have a caption in Scenario.
        without = [image.name for image in dataset.images if not image.caption and image.path]
        has, writes = ("has", "it") if len(without) == 1 else ("have", "them")
        none = f" ({some_of(without)} {has} none: Scenario writes {writes})" if without else ""
        parts.append(_count(captions, "caption") + none)
    if dataset.pairs:
        parts.append(_count(len(dataset.pairs), "pair"))
    ignored = f"; ignored: {some_of(dataset.ignored)}" if dataset.ignored else ""
    return f"{quoted(name)}: {', '.join(parts)}{ignored}."


def _identical_images(images: Iterable[DatasetImage]) -> list[list[str]]:
    by_size: dict[int, list[DatasetImage]] = defaultdict(list)
    for image in images:
        if image.size:
            by_size[image.size].append(image)
    alike = [image for group in by_size.values() if len(group) > 1 for image in group]
    by_content: dict[str, list[str]] = defaultdict(list)
    for image, content in zip(alike, map_in_threads(DatasetImage.content_hash, alike), strict=True):
        by_content[content].append(image.name)
    return [names for names in by_content.values() if len(names) > 1]


def _covered_warnings(images: list[DatasetImage]) -> frozenset[str]:
    """Scenario's warnings for which every image has been checked here."""
    if not all(image.path for image in images):
        return frozenset()
    sized = {TOO_SMALL} if all(image.dimensions for image in images) else set()
    return frozenset({NO_CAPTION, EMPTY_CAPTION, SAME} | sized)


def _count(number: int, what: str) -> str:
    return f"{number or 'no'} {what}{'' if number == 1 else 's'}"
