"""How a training that did not end well, or an error of the client, fails an Airflow task."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from airflow_provider_scenario.airflow_compat.exceptions import AirflowException, AirflowFailException
from airflow_provider_scenario.client.errors import InvalidInputError, ScenarioError


class ConnectionMissingError(AirflowFailException):
    """There is no connection of that id. Not retried: somebody has to make it. Nothing was sent."""


class ChangedInputError(AirflowFailException):
    """A retry asks for something else than the first attempt. Not retried: an existing training is never replaced."""


class WrongFolderError(InvalidInputError, AirflowFailException):
    """
    ``list_datasets`` was given what no retry mends: a wrong folder, or a storage that needs a package.

    It is called within a user's own task, so the exception itself says to Airflow that the task is not retried.
    """


class TrainingFailedError(AirflowException):
    """The service reports that the training has failed. A retry would train, and pay, again."""


class TrainingFailedForGoodError(TrainingFailedError, AirflowFailException):
    """The training has failed, and the task is not to pay a second time. Not retried."""


class TrainingNotStartedError(AirflowFailException):
    """Scenario refused to start the training for good. Nothing was paid."""


class SecretChangedError(AirflowException):
    """The connection's secret was changed while a task with secret parameters waited for a slot. Nothing was paid."""


class TrainingTimeoutError(AirflowException):
    """The training was not over at the task's deadline. The text says whether it was cancelled or goes on."""


class TrainingTimeoutForGoodError(TrainingTimeoutError, AirflowFailException):
    """The training was cancelled because time was up, and the task is not to pay a second time. Not retried."""


class TrainingCanceledError(AirflowFailException):
    """Somebody cancelled the training. Not retried: a retry would pay for what a person has just stopped."""


class WatchingRefusedError(AirflowFailException):
    """Scenario no longer lets us look at the training, which itself goes on. Not retried: it would be refused again."""


class ListingFailedError(AirflowFailException):
    """AI Creation Workshop reports that it could not list the file. Not retried: the same again is already known."""


class ModelsNotSyncedError(AirflowException):
    """Of many model trees, some were not synced; the log has a table of them. A retry sends all of them again."""


@contextmanager
def permanent_errors_do_not_retry() -> Iterator[None]:
    """Fail the task for good where trying again cannot help (credentials, bad input, plan ceiling)."""
    try:
        yield
    except ScenarioError as error:
        if error.permanent:
            raise AirflowFailException(str(error)) from error
        raise
