"""Many datasets in one folder, for mapped tasks."""

from __future__ import annotations

import logging
from typing import Any

from airflow_provider_scenario.client.errors import InvalidInputError
from airflow_provider_scenario.client.messages import quoted, shortened
from airflow_provider_scenario.datasets.folder import is_media, read_settings
from airflow_provider_scenario.datasets.settings import Settings
from airflow_provider_scenario.datasets.values import check_text, refuse_templates, some_of
from airflow_provider_scenario.storage import Location, MissingError, OutsideError, StorageError, at_once

log = logging.getLogger(__name__)


def list_datasets(path: Any, *, inside: Any = None, missing_ok: bool = False, **common: Any) -> list[dict[str, Any]]:
    """
    One keyword dict a dataset below a folder, by name, for ``ScenarioTrainLoraOperator.partial(…).expand_kwargs(…)``.

    Looks into no image: what is wrong with a dataset fails the task that trains it, and no other. Folders that programs
    leave behind (``__pycache__``, ``__MACOSX``, and all that start with a dot) are not datasets.

    :param path: the folder of the folders: a path, an ``ObjectStoragePath`` or a URL.
    :param inside: where somebody else chooses the path, such as who triggers the DAG: a folder as ``path`` has it, in
        which it must lie. Such a path may begin with that folder or be relative to it. Default: any path is listed,
        which is right for one that stands in the DAG file.
    :param missing_ok: whether no datasets are fine: a folder that does not exist, or has no folders in it, is an empty
        list. Default: it is an error. A folder that is a dataset itself is an error in any case.
    :param common: what all have in common; what a dataset says of itself in its ``training.yaml`` goes before it.
    :return: ``name`` (of the folder, or by ``training.yaml``), ``images`` (the folder), ``common``, and ``type``,
        ``short_description`` and ``preset`` where ``training.yaml`` says so.
    :raises WrongFolderError: an InvalidInputError: there is no such folder, no dataset in it, it is a dataset itself or
        it lies elsewhere; or one in it leads out of it by a link or has a template in its path; or a package is missing
        to read it. Airflow does not retry the task in which it is raised.
    :raises StorageError: the storage cannot be reached. Airflow retries the task.
    """
    try:
        return _listed(path, inside, missing_ok, common)
    except InvalidInputError as problem:
        if not problem.permanent:
            raise
        wrong = str(problem)
    from airflow_provider_scenario.exceptions import WrongFolderError  # imports Airflow

    raise WrongFolderError(wrong)


def _listed(path: Any, inside: Any, missing_ok: bool, common: dict[str, Any]) -> list[dict[str, Any]]:
    root = Location.of(path) if inside is None else Location.of(inside).below(str(path))
    try:
        folders, files = root.listed()
    except StorageError:
        raise
    except InvalidInputError as problem:
        if missing_ok and isinstance(problem, MissingError):
            return []
        raise InvalidInputError(f"list_datasets was given {shortened(str(problem))}") from None
    folders = [folder for folder in folders if not folder.name.startswith("__")]
    for folder in folders:
        refuse_templates("list_datasets: the path of a dataset", folder.text)
        check_text("list_datasets: the path of a dataset", folder.text)
    found = at_once(_look_into, folders)
    _check_level(root, files, any(has_images for has_images, _ in found))
    if not (folders or missing_ok):
        raise InvalidInputError(
            f"list_datasets found no datasets in {quoted(root.text)}: there are no folders in it. Give a folder with a "
            "folder for each dataset, or missing_ok=True where no datasets are fine."
        )
    return [
        {"name": folder.name, "images": folder.text, **common, **_said(own)}
        for folder, (_, own) in zip(folders, found, strict=True)
    ]


def _check_level(root: Location, files: list[Location], has_datasets: bool) -> None:
    """
    Look for images beside the datasets: their folder may be a dataset itself.

    :raises InvalidInputError: it is; says which folder to give.
    """
    images = [file.name for file in files if is_media(file)]
    if not images:
        return
    if has_datasets:
        log.warning("Not trained, as they lie in %s itself, not in a dataset: %s.", quoted(root.text), some_of(images))
        return
    above = root.text.rstrip("/").rpartition("/")[0]
    folder = f"the folder above, {quoted(above)}" if above.strip(":/") and not above.endswith(":/") else "the one above"
    raise InvalidInputError(
        f"list_datasets was given {quoted(root.text)}, which is a dataset itself: {quoted(images[0])} lies in it. Give "
        f"{folder}, to train all datasets there; or give this one to ScenarioTrainLoraOperator as images."
    )


def _look_into(folder: Location) -> tuple[bool, Settings]:
    """Whether there are images in it, and what its ``training.yaml`` says."""
    files: list[Location] = []
    try:
        files = folder.listed()[1]
        return any(map(is_media, files)), read_settings(files)
    except StorageError:
        raise
    except InvalidInputError as problem:
        if isinstance(problem, OutsideError) and not files:
            raise  # the folder is a link: its path, passed on, would be followed as one that the author wrote
        log.warning("Dataset %r fails the task that trains it: %s", folder.text, problem)
        return any(map(is_media, files)), Settings()


def _said(settings: Settings) -> dict[str, Any]:
    said = settings._asdict()
    del said["parameters"]
    return {key: value for key, value in said.items() if value is not None}
