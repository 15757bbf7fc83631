"""
Stopping a training: which one, whose it is, whether the author lets it be cancelled, and how much time there is.

Every way in which a task may end before its training comes through here: a kill in a worker or in the triggerer, a
time-out, a clear that leaves a training behind, the operator that cancels, and the page.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, NamedTuple

from airflow_provider_scenario.airflow_compat.attempt import in_time, is_ended, is_task_timeout
from airflow_provider_scenario.airflow_compat.exceptions import AirflowFailException
from airflow_provider_scenario.client.errors import ConflictError, RequestRefusedError, ScenarioError

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_scenario.airflow_compat.attempt import Attempt
    from airflow_provider_scenario.airflow_compat.types import Logger
    from airflow_provider_scenario.client.scenario.client import ScenarioClient
    from airflow_provider_scenario.client.scenario.schemas import Model

GOES_ON = "It goes on, and so does its cost; a retry finds it and goes on waiting."


class CancelResult(NamedTuple):
    """
    What became of a training that was to stop, and of its cost.

    :param state: ``over`` where there was nothing to cancel, ``unknown`` where the request to cancel it has failed.
    :param text: the same as a sentence for the log.
    """

    state: Literal["cancelled", "over", "goes on", "unknown"]
    text: str

    def log_to(self, log: Logger, before: str) -> None:
        """Log it after the sentence that says why; as a warning where the cost may go on unseen."""
        (log.warning if self.state == "unknown" else log.info)("%s %s", before, self.text)


class CancelTiming(NamedTuple):
    """
    How much time there is to cancel a training.

    :param timeout: seconds to connect, and to wait for an answer.
    :param patience: seconds after which no further attempt begins.
    """

    timeout: tuple[float, float]
    patience: float


IN_WORKER = CancelTiming(timeout=(0.5, 1.2), patience=0.4)
"""``on_kill`` has about five seconds until SIGKILL, for a question to Airflow and two requests, which are sent again
where the service fails at once."""

IN_TRIGGERER = CancelTiming(timeout=(2.0, 4.0), patience=5.0)
"""Airflow lets ``on_kill`` of a trigger take thirty seconds; a service that hangs must not take them all."""

IN_TIMEOUT = CancelTiming(timeout=(3.0, 8.0), patience=15.0)
"""After an ``execution_timeout`` Airflow lets a worker go on for a minute (``[core] killed_task_cleanup_time``)."""

_ASKING_AIRFLOW = 1.0  # seconds
_ASKING_AFTER_DEFERRAL = 10.0  # seconds; nobody else would cancel the training, and no SIGKILL is near


@dataclass(frozen=True, slots=True, kw_only=True)
class StoppableTraining:
    """
    A training that somebody waits for.

    :param model_id: the model that is trained.
    :param job_id: the training's job; another training of the same model is left alone. None: whichever it is.
    :param is_ours: False for a training that somebody else has started, which is never cancelled.
    :param cancel_on_kill: whether the author wants it cancelled when the waiting ends early.
    """

    model_id: str
    job_id: str | None = None
    is_ours: bool = True
    cancel_on_kill: bool = True

    @property
    def may_be_cancelled(self) -> bool:
        """Whether it is ours and its author allows it."""
        return self.is_ours and self.cancel_on_kill

    def cancel(self, client: ScenarioClient) -> CancelResult:
        """
        Cancel it if that is allowed, with the client's own time-outs and retries.

        :return: what became of it and of its cost.
        """
        if not self.is_ours:
            return CancelResult("goes on", f"Somebody else has started it. {GOES_ON}")
        if not self.cancel_on_kill:
            return CancelResult("goes on", GOES_ON)
        try:
            return cancel_training(client, self.model_id, self.job_id)
        except ScenarioError as error:
            return self.could_not_be_cancelled(error)

    def cancel_at_once(self, connect: Callable[..., ScenarioClient], haste: CancelTiming) -> CancelResult:
        """
        Cancel it if that is allowed, in the little time that is left; tried again while the service only stumbles.

        :param connect: makes a client, see :meth:`ScenarioHook.connect`.
        :return: as :meth:`cancel`.
        """
        if not self.may_be_cancelled:
            return CancelResult("goes on", f"The training of {self.model_id} goes on, and so does its cost.")
        try:
            with connect(timeout=haste.timeout, max_tries=1) as client:
                return self._cancel_persistently(client, haste.patience)
        except ScenarioError as error:
            return self.could_not_be_cancelled(error)

    def _cancel_persistently(self, client: ScenarioClient, patience: float) -> CancelResult:
        give_up = time.monotonic() + patience
        while True:
            try:
                return cancel_training(client, self.model_id, self.job_id)
            except ScenarioError as error:
                if error.permanent or time.monotonic() >= give_up:
                    raise
            time.sleep(patience / 10)

    def could_not_be_cancelled(self, error: ScenarioError) -> CancelResult:
        """What to say where the request to cancel it has failed."""
        text = f"The training of {self.model_id} could not be cancelled and may go on, and so may its cost: {error}"
        return CancelResult("unknown", text)


def is_anothers(model: Model, job_id: str | None) -> bool:
    """Whether the model is by now trained by another job than the one that is waited for."""
    return bool(job_id and model.job_id and model.job_id != job_id)


def cancel_training(client: ScenarioClient, model_id: str, job_id: str | None) -> CancelResult:
    """
    Cancel the model's training, unless it is over or is by now another one than ``job_id``.

    :raises ScenarioError: the request has failed; the training may go on.
    """
    model = client.get_model(model_id, only_status=True)
    if model.status != "training":
        state: Literal["cancelled", "over"] = "cancelled" if model.status == "training-canceled" else "over"
        return CancelResult(state, f"Nothing to cancel: {model_id} is {model.status}.")
    if is_anothers(model, job_id):
        return CancelResult("over", f"Not cancelled: {model_id} is by now trained by {model.job_id}, not by {job_id}.")
    try:
        client.cancel_training(model_id)
    except ConflictError:
        raise  # it trains, and can be cancelled at the next try
    except RequestRefusedError as error:
        return CancelResult("over", f"Nothing to cancel: {error}")
    text = f"The training of {model_id} ({model.job_id}) was cancelled. Scenario does not promise a refund."
    return CancelResult("cancelled", text)


class KillGuard:
    """
    Knows whether the attempt that runs in this worker is to stop, and which training goes with it.

    :param connect: makes a client, see :meth:`ScenarioHook.connect`.

    ``attempt`` is what to ask Airflow about; None outside of Airflow.

    A process learns only with its next heartbeat that its task was ended, and Airflow lets it go on for some seconds
    more. So Airflow is asked before each step that costs or that nobody would wait for.
    """

    def __init__(self, connect: Callable[..., ScenarioClient], log: Logger) -> None:
        self.attempt: Attempt | None = None
        self._connect = connect
        self._log = log
        self._killed = False
        self._training: StoppableTraining | None = None

    @property
    def was_killed(self) -> bool:
        """Whether :meth:`kill` has found that the task was ended."""
        return self._killed

    @property
    def training(self) -> StoppableTraining | None:
        """The training that a kill cancels; None until there may be one."""
        return self._training

    def watch(self, training: StoppableTraining) -> None:
        """From here on a kill cancels this training, if that is allowed."""
        self._training = training

    def kill(self) -> None:
        """
        Handle ``on_kill``: cancel the training if a person or a time limit ends the task.

        A task that goes on in Airflow's eyes only loses its worker, in a deploy, say, or after missed heartbeats: then
        the training goes on, and a retry goes on waiting for it.
        """
        left = "A training that runs goes on, and so does its cost; a retry goes on waiting for it."
        try:
            if not (is_task_timeout() or is_ended(in_time(self._ask_for_state, _ASKING_AIRFLOW))):
                self._log.info("The worker stops, the task is not ended by anybody. %s", left)
                return
        except Exception as error:
            self._log.warning("Told to stop; cannot tell why (%s). %s", type(error).__name__, left)
            return
        self._killed = True
        if self._training and self._training.may_be_cancelled:
            self._training.cancel_at_once(self._connect, IN_WORKER).log_to(self._log, "Task killed.")

    def stop_if_ended(self) -> None:
        """
        Start nothing, and leave nothing behind that nobody waits for.

        :raises AirflowFailException: the task was ended; says what became of its training.
        """
        try:
            state = self._ask_for_state()
        except Exception:  # then the attempt hears of its end as any task does
            state = None
        if not self._killed and state in ("running", None):
            return
        fate = "Nothing was started or billed."
        if self._training and self._training.job_id:
            cancels = self._training.cancel_on_kill and (self._killed or is_ended(state))
            fate = replace(self._training, cancel_on_kill=cancels).cancel_at_once(self._connect, IN_WORKER).text
        raise AirflowFailException(f"The task was killed. {fate}")

    def cancel_if_ended(self) -> None:
        """
        Cancel the training if the task was ended while it deferred.

        Airflow then refuses the deferral and starts no trigger, so that nobody else would cancel it.
        """
        attempt, training = self.attempt, self._training
        if self._killed or not (attempt and training and training.job_id and training.may_be_cancelled):
            return
        try:
            ended = is_ended(in_time(attempt.state, _ASKING_AFTER_DEFERRAL))
        except Exception as error:
            self._log.warning(
                "Cannot tell whether the task was ended while it deferred (%s). If it was, its training goes on, and "
                "so does its cost.",
                type(error).__name__,
            )
            return
        if ended:
            fate = training.cancel_at_once(self._connect, IN_WORKER)
            self._log.warning("The task was ended while it deferred. %s", fate.text)

    def _ask_for_state(self) -> str | None:
        """None where nobody is there to ask: it was not Airflow, then, that has called this."""
        try:
            return self.attempt.state() if self.attempt else None
        except LookupError:
            return None
