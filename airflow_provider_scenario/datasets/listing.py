"""Many datasets in one folder, for mapped tasks."""

from __future__ import annotations

import logging
from typing import Any

from airflow_provider_scenario.client.errors import InvalidInputError
from airflow_provider_scenario.client.messages import shortened
from airflow_provider_scenario.datasets.folder import read_settings
from airflow_provider_scenario.datasets.settings import Settings
from airflow_provider_scenario.datasets.values import check_text, refuse_templates
from airflow_provider_scenario.storage import Location, OutsideError, StorageError, at_once

log = logging.getLogger(__name__)


def list_datasets(path: Any, *, inside: Any = None, missing_ok: bool = False, **common: Any) -> list[dict[str, Any]]:
    """
    One keyword dict a dataset below a folder, by name, for ``ScenarioTrainLoraOperator.partial(…).expand_kwargs(…)``.

    Looks into no image: what is wrong with a dataset fails the task that trains it, and no other. Folders that programs
    leave behind (``__pycache__``, ``__MACOSX``, and all that start with a dot) are no datasets.

    :param path: the folder of the folders: a path, an ``ObjectStoragePath`` or a URL.
    :param inside: where somebody else chooses the path, such as who triggers the DAG: a folder as ``path`` has it, in
        which it must lie. Such a path may begin with that folder or be relative to it. Default: any path is listed,
        which is right for one that stands in the DAG file.
    :param missing_ok: whether a folder that does not exist is an empty one. Default: it is an error.
    :param common: what all have in common; what a dataset says of itself in its ``training.yaml`` goes before it.
    :return: ``name`` (of the folder, or by ``training.yaml``), ``images`` (the folder), ``common``, and ``type``,
        ``short_description`` and ``preset`` where ``training.yaml`` says so.
    :raises InvalidInputError: there is no such folder or it lies elsewhere; or one in it leads out of it by a link
        or has a template in its path.
    :raises StorageError: the storage cannot be reached.
    """
    root = Location.of(path) if inside is None else Location.of(inside).below(str(path))
    try:
        folders = [folder for folder in root.listed()[0] if not folder.name.startswith("__")]
    except StorageError:
        raise
    except InvalidInputError as problem:
        if missing_ok:
            return []
        raise InvalidInputError(f"list_datasets was given {shortened(str(problem))}") from None
    for folder in folders:
        refuse_templates("list_datasets: the path of a dataset", folder.text)
        check_text("list_datasets: the path of a dataset", folder.text)
    settings = at_once(_settings, folders)
    return [
        {"name": folder.name, "images": folder.text, **common, **_said(own)}
        for folder, own in zip(folders, settings, strict=True)
    ]


def _settings(folder: Location) -> Settings:
    files: list[Location] = []
    try:
        files = folder.listed()[1]
        return read_settings(files)
    except StorageError:
        raise
    except InvalidInputError as problem:
        if isinstance(problem, OutsideError) and not files:
            raise  # the folder is a link: its path, passed on, would be followed as one that the author wrote
        log.warning("Dataset %r fails the task that trains it: %s", folder.text, problem)
        return Settings()


def _said(settings: Settings) -> dict[str, Any]:
    said = settings._asdict()
    del said["parameters"]
    return {key: value for key, value in said.items() if value is not None}
