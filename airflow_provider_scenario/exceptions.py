"""The errors that fail an Airflow task, and whether Airflow retries after each."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from airflow_provider_scenario.airflow_compat.exceptions import AirflowException, AirflowFailException
from airflow_provider_scenario.client.errors import InvalidInputError, ScenarioError


class ConnectionMissingError(AirflowFailException):
    """The connection does not exist. Not retried: a person has to add it. Nothing was sent."""


class ChangedInputError(AirflowFailException):
    """A retry has other inputs than the attempt before it. Not retried: an existing training is never replaced."""


class WrongFolderError(InvalidInputError, AirflowFailException):
    """
    ``list_datasets`` cannot read its folder: it is wrong, or its storage needs a package. Not retried.

    A user's own task calls ``list_datasets``, without our operators: the class of the error prevents the retry.
    """


class TrainingFailedError(AirflowException):
    """Scenario reports that the training has failed. A retry would train, and pay, again."""


class TrainingFailedForGoodError(TrainingFailedError, AirflowFailException):
    """The training has failed, and ``on_retry`` forbids to pay a second time. Not retried."""


class TrainingNotStartedError(AirflowFailException):
    """Scenario refused the training, and would refuse it again. Not retried. Nothing was billed."""


class SecretChangedError(AirflowException):
    """The connection's secret was changed while a task with secret parameters waited for a slot. Nothing was billed."""


class TrainingTimeoutError(AirflowException):
    """The training had not ended at the task's deadline. The message says whether it was cancelled or continues."""


class TrainingTimeoutForGoodError(TrainingTimeoutError, AirflowFailException):
    """The training was cancelled at the task's deadline, and ``on_retry`` forbids to pay a second time. Not retried."""


class TrainingCanceledError(AirflowFailException):
    """A person cancelled the training. Not retried: a retry would pay for what a person has just stopped."""


class WatchingRefusedError(AirflowFailException):
    """Scenario refuses the polls; the training itself continues. Not retried: Scenario would refuse them again."""


class ListingFailedError(AirflowFailException):
    """AI Creation Workshop reports that it could not list the file. Not retried: it already knows the same data."""


class ModelsNotSyncedError(AirflowException):
    """Some of the model trees were not synced; the log has a table of them. A retry sends all of them again."""


@contextmanager
def permanent_errors_do_not_retry() -> Iterator[None]:
    """Fail the task without a retry where a retry would fail again (credentials, bad input, plan ceiling)."""
    try:
        yield
    except ScenarioError as error:
        if error.permanent:
            raise AirflowFailException(str(error)) from error
        raise
