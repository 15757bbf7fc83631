"""Many datasets in one folder, one mapped task each."""

from __future__ import annotations

import logging
from typing import Any

from airflow_provider_scenario.client.errors import InvalidInputError
from airflow_provider_scenario.client.messages import quoted, shortened
from airflow_provider_scenario.client.values import check_encodable
from airflow_provider_scenario.datasets.folder import is_media, read_settings
from airflow_provider_scenario.datasets.settings import Settings
from airflow_provider_scenario.datasets.values import refuse_templates, some_of
from airflow_provider_scenario.storage import (
    AnyPath,
    Location,
    MissingError,
    OutsideError,
    StorageError,
    map_in_threads,
)

log = logging.getLogger(__name__)


def list_datasets(
    path: AnyPath, *, inside: AnyPath | None = None, missing_ok: bool = False, **common: Any
) -> list[dict[str, Any]]:
    """
    List the datasets in a folder, by name: one dict each for ``ScenarioTrainLoraOperator.partial(…).expand_kwargs(…)``.

    Images are not read, so that a wrong dataset fails only the task that trains it. Folders that programs make
    (``__pycache__``, ``__MACOSX``, and all whose names start with a dot) are not datasets.

    :param path: the folder of the datasets: a path, an ``ObjectStoragePath`` or a URL.
    :param inside: a folder in which ``path`` must lie. Give it if the person who triggers the DAG chooses ``path``,
        which may then be relative to it. Default: any path is listed, which is right for a path in the DAG file.
    :param missing_ok: return an empty list if the folder does not exist or has no folders in it. Default: that is an
        error. A folder that is a dataset itself is always an error.
    :param common: added to every dict; the ``training.yaml`` of a dataset wins over it.
    :return: ``name`` (of the folder, or from ``training.yaml``), ``images`` (the folder), ``common``, and ``type``,
        ``short_description`` and ``preset`` where ``training.yaml`` sets them.
    :raises WrongFolderError: an InvalidInputError: the folder does not exist, has no datasets, is a dataset itself or
        does not lie in ``inside``; or a dataset in it leads out of it by a link or has a template in its path; or a
        package is missing to read it. Airflow does not retry the task that raises it.
    :raises StorageError: the storage cannot be reached. Airflow retries the task.
    """
    try:
        return _list_datasets(path, inside, missing_ok, common)
    except InvalidInputError as problem:
        if not problem.permanent:
            raise
        message = str(problem)
    from airflow_provider_scenario.exceptions import WrongFolderError  # imports Airflow

    raise WrongFolderError(message)


def _list_datasets(
    path: AnyPath, inside: AnyPath | None, missing_ok: bool, common: dict[str, Any]
) -> list[dict[str, Any]]:
    root = Location.of(path) if inside is None else Location.of(inside).subfolder(str(path))
    try:
        folders, files = root.list_folder()
    except StorageError:
        raise
    except InvalidInputError as problem:
        if missing_ok and isinstance(problem, MissingError):
            return []
        raise InvalidInputError(f"list_datasets: {shortened(str(problem))}") from None
    folders = [folder for folder in folders if not folder.name.startswith("__")]
    for folder in folders:
        refuse_templates("list_datasets: the path of a dataset", folder.text)
        check_encodable(f"list_datasets: the path of the dataset {quoted(folder.text)}", folder.text)
    found = map_in_threads(_read_outline, folders)
    _check_level(root, files, any(has_images for has_images, _ in found))
    if not (folders or missing_ok):
        raise InvalidInputError(
            f"list_datasets found no datasets in {quoted(root.text)}: there are no folders in it. Give a folder with a "
            "folder for each dataset, or missing_ok=True where an empty list is right."
        )
    return [
        {"name": folder.name, "images": folder.text, **common, **_model_fields(own)}
        for folder, (_, own) in zip(folders, found, strict=True)
    ]


def _check_level(root: Location, files: list[Location], has_datasets: bool) -> None:
    """
    Check that the folder is not a dataset itself: images beside its folders suggest so.

    :raises InvalidInputError: it is a dataset; names the folder to give.
    """
    images = [file.name for file in files if is_media(file)]
    if not images:
        return
    if has_datasets:
        log.warning("Not trained, because they lie in %s and not in a dataset: %s.", quoted(root.text), some_of(images))
        return
    above = root.text.rstrip("/").rpartition("/")[0]
    folder = f"the folder above, {quoted(above)}" if above.strip(":/") and not above.endswith(":/") else "the one above"
    raise InvalidInputError(
        f"list_datasets: {quoted(root.text)} is a dataset itself: {quoted(images[0])} lies in it. Give {folder}, to "
        "train all datasets there; or give this one to ScenarioTrainLoraOperator as images."
    )


def _read_outline(folder: Location) -> tuple[bool, Settings]:
    """Whether a folder has images, and its ``training.yaml``. Errors are logged: the dataset's task raises them."""
    files: list[Location] = []
    try:
        files = folder.list_folder()[1]
        return any(map(is_media, files)), read_settings(files)
    except StorageError:
        raise
    except InvalidInputError as problem:
        if isinstance(problem, OutsideError) and not files:
            raise  # the folder is a link: the task would take its path for one that the author wrote, and follow it
        log.warning("Dataset %r is wrong, and the task that trains it will fail: %s", folder.text, problem)
        return any(map(is_media, files)), Settings()


def _model_fields(settings: Settings) -> dict[str, str]:
    return {key: value for key, value in settings._asdict().items() if key != "parameters" and value is not None}
