"""
Cancelling a training: which one, whose it is, whether the author allows it, and how much time there is.

All code that cancels calls this: a kill in a worker or in the triggerer, a time-out, a clear, the operator that cancels
and the page.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, NamedTuple

from airflow_provider_scenario.airflow_compat.attempt import call_with_timeout, is_ended, is_task_timeout
from airflow_provider_scenario.airflow_compat.exceptions import AirflowFailException
from airflow_provider_scenario.client.consequences import (
    A_RETRY_WAITS,
    NO_REFUND,
    NOTHING_STARTED,
    RUNNING_TRAINING_CONTINUES,
    TRAINING_CONTINUES,
    TRAINING_MAY_CONTINUE,
)
from airflow_provider_scenario.client.errors import ConflictError, RequestRefusedError, ScenarioError

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_scenario.airflow_compat.attempt import Attempt
    from airflow_provider_scenario.airflow_compat.types import Logger
    from airflow_provider_scenario.client.scenario.client import ScenarioClient
    from airflow_provider_scenario.client.scenario.schemas import Model

Effect = Literal["cancelled", "over", "continues", "unknown"]
"""``over``: nothing to cancel; ``continues``: cancelling it is not allowed; ``unknown``: the request has failed."""


class CancelResult(NamedTuple):
    """
    What a cancellation has done to the training and its cost.

    :param text: the same as sentences for the log.
    """

    effect: Effect
    text: str

    def log_to(self, log: Logger, reason: str) -> None:
        """Log it after the reason; as a warning if the training may continue unnoticed."""
        (log.warning if self.effect == "unknown" else log.info)("%s %s", reason, self.text)


class CancelLimits(NamedTuple):
    """
    How much time there is to cancel a training.

    :param timeout: seconds to connect, and to wait for an answer.
    :param retry_for: seconds after which the requests are not sent again.
    """

    timeout: tuple[float, float]
    retry_for: float


IN_WORKER = CancelLimits(timeout=(0.5, 1.2), retry_for=0.4)
"""``on_kill`` has about five seconds until SIGKILL: for reading the task's state from Airflow and two requests, which
are sent again if the service fails at once."""

IN_TRIGGERER = CancelLimits(timeout=(2.0, 4.0), retry_for=5.0)
"""Airflow lets ``on_kill`` of a trigger take thirty seconds; a service that hangs must not take them all."""

IN_TIMEOUT = CancelLimits(timeout=(3.0, 8.0), retry_for=15.0)
"""After an ``execution_timeout`` Airflow lets a worker run for another minute (``[core] killed_task_cleanup_time``)."""

_STATE_TIMEOUT = 1.0
"""Seconds to wait for the task's state in ``on_kill``, see :data:`IN_WORKER`."""

_STATE_TIMEOUT_AFTER_DEFERRAL = 10.0
"""As above, after a refused deferral: no SIGKILL is near, and nothing else would cancel the training."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoppableTraining:
    """
    The training that a task waits for.

    :param model_id: the model that is trained.
    :param job_id: the training's job; another training of the same model is not cancelled. None: any training is.
    :param is_ours: False for a training that this task did not start, which is never cancelled.
    :param cancel_on_kill: whether the author wants it cancelled when the waiting ends early.
    """

    model_id: str
    job_id: str | None = None
    is_ours: bool = True
    cancel_on_kill: bool = True

    @property
    def may_be_cancelled(self) -> bool:
        """Whether this task has started it and its author allows it."""
        return self.is_ours and self.cancel_on_kill

    def cancel(self, client: ScenarioClient) -> CancelResult:
        """
        Cancel it if that is allowed, with the client's own time-outs and retries.

        :return: the effect on the training and its cost.
        """
        if not self.may_be_cancelled:
            reason = "" if self.is_ours else "This task did not start it. "
            return CancelResult("continues", f"{reason}{TRAINING_CONTINUES} {A_RETRY_WAITS}")
        try:
            return cancel_training(client, self.model_id, self.job_id)
        except ScenarioError as error:
            return self.could_not_be_cancelled(error)

    def cancel_at_once(self, connect: Callable[..., ScenarioClient], limits: CancelLimits) -> CancelResult:
        """
        Cancel it if that is allowed, in the little time that is left; sent again after an error that may pass.

        :param connect: makes a client, see :meth:`ScenarioHook.connect`.
        :return: as :meth:`cancel`.
        """
        if not self.may_be_cancelled:
            return CancelResult("continues", f"Model {self.model_id}: {TRAINING_CONTINUES}")
        try:
            with connect(timeout=limits.timeout, max_tries=1) as client:
                return self._cancel_with_retries(client, limits.retry_for)
        except ScenarioError as error:
            return self.could_not_be_cancelled(error)

    def _cancel_with_retries(self, client: ScenarioClient, retry_for: float) -> CancelResult:
        give_up = time.monotonic() + retry_for
        while True:
            try:
                return cancel_training(client, self.model_id, self.job_id)
            except ScenarioError as error:
                if error.permanent or time.monotonic() >= give_up:
                    raise
            time.sleep(retry_for / 10)

    def could_not_be_cancelled(self, error: ScenarioError) -> CancelResult:
        """Return the result where the request to cancel it has failed."""
        text = f"The training of {self.model_id} could not be cancelled. {TRAINING_MAY_CONTINUE} {error}"
        return CancelResult("unknown", text)


def is_anothers(model: Model, job_id: str | None) -> bool:
    """Whether another job trains the model now than the one that the task waits for."""
    return bool(job_id and model.job_id and model.job_id != job_id)


def cancel_training(client: ScenarioClient, model_id: str, job_id: str | None) -> CancelResult:
    """
    Cancel the model's training, unless it is over or another job than ``job_id`` trains the model now.

    :raises ScenarioError: the request has failed; the training may continue.
    """
    model = client.get_model(model_id, only_status=True)
    if model.status != "training":
        effect: Effect = "cancelled" if model.status == "training-canceled" else "over"
        return CancelResult(effect, f"Nothing to cancel: the status of {model_id} is {model.status!r}.")
    if is_anothers(model, job_id):
        return CancelResult(
            "over", f"Not cancelled: job {model.job_id} trains {model_id} now, and this task waits for job {job_id}."
        )
    try:
        client.cancel_training(model_id)
    except ConflictError:
        raise  # the training runs and can be cancelled with the next request
    except RequestRefusedError as error:
        return CancelResult("over", f"Nothing to cancel: {error}")
    return CancelResult("cancelled", f"The training of {model_id} ({model.job_id}) was cancelled. {NO_REFUND}")


class KillHandler:
    """
    Cancels the training when the attempt that runs in this worker is killed.

    A process learns only with its next heartbeat that its task was ended, and Airflow lets it run for some seconds
    more. So :meth:`stop_if_ended` reads the task's state before each step that costs something.

    :param connect: makes a client, see :meth:`ScenarioHook.connect`.

    ``attempt`` is the attempt whose state is read; None outside of Airflow.
    """

    def __init__(self, connect: Callable[..., ScenarioClient], log: Logger) -> None:
        self.attempt: Attempt | None = None
        self._connect = connect
        self._log = log
        self._killed = False
        self._training: StoppableTraining | None = None

    @property
    def was_killed(self) -> bool:
        """Whether :meth:`on_kill` has found that the task was ended."""
        return self._killed

    @property
    def training(self) -> StoppableTraining | None:
        """The training that a kill cancels; None until its start is requested."""
        return self._training

    def watch(self, training: StoppableTraining) -> None:
        """Let a kill cancel this training from here on, if that is allowed."""
        self._training = training

    def on_kill(self) -> None:
        """
        Cancel the training if a person or a time limit ends the task.

        If Airflow still counts the task as active, only this worker stops, as in a deploy or after missed heartbeats:
        then the training continues, and a retry waits for it.
        """
        effect = f"{RUNNING_TRAINING_CONTINUES} {A_RETRY_WAITS}"
        try:
            if not (is_task_timeout() or is_ended(call_with_timeout(self._task_state, _STATE_TIMEOUT))):
                self._log.info("Only this worker stops: the task was not ended. %s", effect)
                return
        except Exception as error:
            self._log.warning(
                "This worker stops, and the task's state cannot be read (%s): the training is not cancelled. %s",
                type(error).__name__,
                effect,
            )
            return
        self._killed = True
        if self._training and self._training.may_be_cancelled:
            self._training.cancel_at_once(self._connect, IN_WORKER).log_to(self._log, "Task killed.")

    def stop_if_ended(self) -> None:
        """
        Fail if the task was ended, and cancel its training.

        :raises AirflowFailException: the task was ended; names the effect on its training.
        """
        try:
            state = self._task_state()
        except Exception:  # then Airflow ends this attempt itself, as that of any task
            state = None
        if not self._killed and state in ("running", None):
            return
        effect = NOTHING_STARTED
        if self._training and self._training.job_id:
            cancels = self._training.cancel_on_kill and (self._killed or is_ended(state))
            effect = replace(self._training, cancel_on_kill=cancels).cancel_at_once(self._connect, IN_WORKER).text
        raise AirflowFailException(f"The task was killed. {effect}")

    def cancel_if_ended(self) -> None:
        """
        Cancel the training if the task was ended while it deferred.

        Airflow then refuses the deferral and starts no trigger: nothing else would cancel the training.
        """
        attempt, training = self.attempt, self._training
        if self._killed or not (attempt and training and training.job_id and training.may_be_cancelled):
            return
        try:
            ended = is_ended(call_with_timeout(attempt.state, _STATE_TIMEOUT_AFTER_DEFERRAL))
        except Exception as error:
            self._log.warning(
                "The task's state cannot be read after the deferral (%s). If the task was ended meanwhile: %s",
                type(error).__name__,
                TRAINING_CONTINUES,
            )
            return
        if ended:
            result = training.cancel_at_once(self._connect, IN_WORKER)
            self._log.warning("The task was ended while it deferred. %s", result.text)

    def _task_state(self) -> str | None:
        """Return the task's state; None outside of Airflow's processes."""
        try:
            return self.attempt.state() if self.attempt else None
        except LookupError:
            return None
