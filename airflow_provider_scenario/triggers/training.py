"""Wait for a training in the triggerer, without holding a worker."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.sdk.log import mask_secret

from airflow_provider_scenario import pacing
from airflow_provider_scenario.airflow_compat.attempt import Attempt
from airflow_provider_scenario.airflow_compat.threads import run_in_thread
from airflow_provider_scenario.airflow_compat.triggers import on_kill_means_task_ended, triggers_have_on_kill
from airflow_provider_scenario.client.budget import WaitNotice
from airflow_provider_scenario.client.consequences import MAY_HAVE_STARTED, NOTHING_STARTED, TRAINING_CONTINUES
from airflow_provider_scenario.client.errors import PlanCeilingError, ScenarioError
from airflow_provider_scenario.client.secret_text import revealed
from airflow_provider_scenario.hooks.scenario import ScenarioHook
from airflow_provider_scenario.triggers.base import TaskEndingTrigger
from airflow_provider_scenario.watch.cancelling import IN_TRIGGERER, StoppableTraining
from airflow_provider_scenario.watch.decision import TrainingWatch
from airflow_provider_scenario.watch.encryption import CannotDecryptError, decrypt
from airflow_provider_scenario.watch.result import TrainingResult
from airflow_provider_scenario.watch.shared import SharedPoller, shared_poller
from airflow_provider_scenario.watch.slots import waiting_for_slot
from airflow_provider_scenario.watch.start import Started, start_or_adopt, started_before

if TYPE_CHECKING:
    from airflow.triggers.base import TriggerEvent

    from airflow_provider_scenario.watch.decision import Outcome
    from airflow_provider_scenario.watch.polling import PollAnswer


FIRST_POLL = 1 / 3
"""Part of ``poke_interval`` after which a training that has just been started is polled first."""

_OVER = ("trained", "failed", "canceled", "not-started", "secret-changed")
"""Outcomes after which there is nothing to cancel."""


class ScenarioTrainingTrigger(TaskEndingTrigger):
    """
    Poll a training until it has ended, then fire one event: a ``TrainingEvent`` (``watch/result.py``).

    :param model_id: the model that is trained; its status decides. None: only the job is known.
    :param job_id: the training's job; if another job trains the model by then, the status of this job decides.
    :param poke_interval: seconds between two polls, see ``pacing.py``. Default: 30.
    :param deadline: when to give up, as a Unix time in seconds: absolute, so that a triggerer's restart does not
        extend it. None: never.
    :param cancel_on_kill: cancel the training when a person kills, marks or clears the deferred task. Default: False.
    :param pushed_xcoms: XComs that the task has pushed; those that have changed are pushed again before the trigger
        ends the task.
    :param paid_before: creative units that the task has paid for other trainings. None: it pays nothing, as a sensor.
    :param is_ours: False for a training that this task did not start: it is not cancelled and not counted as paid.
        Default: True.
    :param scenario_conn_id: connection of type ``scenario``.
    :param told: former name of ``pushed_xcoms``.
    :param options: see :class:`.TaskEndingTrigger`.
    """

    stored: ClassVar[tuple[str, ...]] = (
        "model_id",
        "job_id",
        "poke_interval",
        "deadline",
        "cancel_on_kill",
        "pushed_xcoms",
        "paid_before",
        "is_ours",
        "scenario_conn_id",
        *TaskEndingTrigger.stored,
    )

    def __init__(
        self,
        *,
        model_id: str | None = None,
        job_id: str | None = None,
        poke_interval: float = 30.0,
        deadline: float | None = None,
        cancel_on_kill: bool = False,
        pushed_xcoms: dict[str, Any] | None = None,
        paid_before: float | None = None,
        is_ours: bool = True,
        scenario_conn_id: str = ScenarioHook.default_conn_name,
        told: dict[str, Any] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.model_id = model_id
        self.job_id = job_id
        self.poke_interval = poke_interval
        self.deadline = deadline
        self.cancel_on_kill = cancel_on_kill
        self.pushed_xcoms = pushed_xcoms or told or {}
        self.paid_before = paid_before
        self.is_ours = is_ours
        self.scenario_conn_id = scenario_conn_id
        self._ended = False
        self._cancelling: asyncio.Future[None] | None = None

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Poll together with all that wait on the connection in this process; log a line when something has changed."""
        try:
            async with shared_poller(self.scenario_conn_id) as shared:
                end = await self._end(shared)
            self._ended = end.outcome in _OVER
            event = await self.last_event(end.to_event(), succeeded=end.outcome == "trained", xcoms=self._xcoms(end))
        except asyncio.CancelledError:
            if not triggers_have_on_kill():
                await self.on_kill()
            raise
        yield event

    def _xcoms(self, end: TrainingResult) -> dict[str, Any]:
        if end.outcome != "trained":
            return {}
        if end.creative_units_cost is None:
            end = replace(end, creative_units_cost=self.pushed_xcoms.get("creative_units_cost"))
        total = None if self.paid_before is None else self.paid_before + (end.creative_units_cost or 0) * self.is_ours
        result: dict[str, object] = {**end.value_or_raise(creative_units_total=total)}
        xcoms = {key: result[key] for key, pushed in self.pushed_xcoms.items() if result[key] not in (None, pushed)}
        if total not in (None, end.creative_units_cost):
            xcoms["creative_units_total"] = total
        if self.do_xcom_push:
            xcoms["return_value"] = result
        return xcoms

    async def _end(self, shared: SharedPoller) -> TrainingResult:
        return await self._wait_for_end(shared, started_at=self.deferred_at)

    async def _wait_for_end(self, shared: SharedPoller, *, started_at: float | None) -> TrainingResult:
        """
        Poll until the training has ended.

        :param started_at: when the training was known to run, as a Unix time in seconds. None: the first poll is now.
        """
        watch = TrainingWatch(
            label=self.model_id or self.job_id or "",
            deadline=self.give_up_at,
            poke_interval=self.poke_interval,
        )
        now, wait_notice = time.time(), WaitNotice(self.log.info)
        # The tasks of a batch that defer within this time of each other share the request of their first poll.
        soon = min(self.poke_interval * FIRST_POLL, pacing.longest_pause)
        pause = 0.0 if started_at is None else max(0.0, min(started_at + soon - now, soon, watch.deadline - now))
        outcome: Outcome | None = None

        def on_answer(answer: PollAnswer) -> float | None:
            nonlocal outcome
            outcome = watch.after(shared.poller.snapshot_of(answer), time.time())
            if watch.log_line:
                self.log.info("%s", watch.log_line)
            if watch.warning:
                self.log.warning("%s", watch.warning)
            return None if outcome else watch.pause

        answer = await shared.poll(
            self.model_id,
            self.job_id,
            after=pause,
            max_wait=watch.deadline - time.time(),
            wait_notice=wait_notice,
            on_answer=on_answer,
        )
        if answer is None or outcome is None:
            return TrainingResult(outcome="timed-out", model_id=self.model_id, job_id=self.job_id)
        return await run_in_thread(shared.poller.fetch_result, outcome, answer, self.model_id, self.job_id, wait_notice)

    async def on_kill(self) -> None:
        """
        Cancel the training if a person has ended the deferred task.

        Below 3.4 ``on_kill`` has other causes too, so the task's state is read first: ``deferred`` means that
        the trigger has moved to another triggerer, or that the task was cleared and its new attempt has deferred; that
        attempt adopts or cancels the training. If the state cannot be read, the training continues.

        Airflow cancels a killed trigger again each second until it has ended, so the cancellation is shielded.
        """
        if not self.cancel_on_kill or self._ended or not self.model_id:
            return
        self._cancelling = asyncio.ensure_future(self._cancel_if_killed())
        await self._finish_cancelling()

    async def _finish_cancelling(self) -> None:
        while self._cancelling and not self._cancelling.done():
            with suppress(asyncio.CancelledError):
                await asyncio.shield(self._cancelling)

    async def _cancel_if_killed(self) -> None:
        if not self.is_ours:
            return
        state: str | None = "not deferred"
        if not on_kill_means_task_ended():
            try:
                state = await run_in_thread(Attempt.of_trigger(self).state)
            except Exception as error:
                self.log.warning(
                    "The task's state cannot be read (%s): the training of %s is not cancelled. %s",
                    type(error).__name__,
                    self.model_id,
                    TRAINING_CONTINUES,
                )
                return
            if state == "deferred":
                self.log.info(
                    "The task is deferred: this trigger has moved to another triggerer, or the task was cleared and "
                    "has deferred again. Nothing is cancelled here; the task continues with %s, or cancels it.",
                    self.model_id,
                )
                return
        training = StoppableTraining(model_id=str(self.model_id), job_id=self.job_id)
        result = await run_in_thread(training.cancel_at_once, ScenarioHook(self.scenario_conn_id).connect, IN_TRIGGERER)
        result.log_to(
            self.log, f"Task killed while deferred; {f'its state is {state!r}' if state else 'it was cleared'}."
        )

    async def cleanup(self) -> None:
        """
        Let a cancellation finish that is under way. Cancel nothing here: this runs at every restart of a triggerer.

        On Python 3.11 Airflow stops waiting for :meth:`on_kill` when it cancels the second time, and closes the log.
        """
        await self._finish_cancelling()


class ScenarioTrainingSlotTrigger(ScenarioTrainingTrigger):
    """
    Wait for a slot of the plan's ``parallel-training``, start the training, then wait until it has ended.

    Of those that wait in one triggerer, the one that has waited longest gets the slot; only it sends requests.

    :param model_id: the model to train.
    :param parameters: training parameters, checked, in the API's spelling; without secrets, because Airflow stores and
        logs them. Triggers that an earlier version of this provider has stored hold the secrets too.
    :param encrypted: the secret parameters, see ``watch/encryption.py``. None: there are none.
    :param previous_job_id: the job that had trained the model before. If another job trains it now, that is the wanted
        training: this trigger started it in a triggerer that died.
    :param since: when the waiting began, as a Unix time in seconds.
    :param wait_for_completion: False fires as soon as the training has started.
    """

    stored: ClassVar[tuple[str, ...]] = (
        # The job is known only once the training has started, and then read from the model.
        *(name for name in ScenarioTrainingTrigger.stored if name != "job_id"),
        "parameters",
        "encrypted",
        "previous_job_id",
        "since",
        "wait_for_completion",
    )

    def __init__(
        self,
        *,
        model_id: str,
        parameters: dict[str, Any],
        encrypted: str | None = None,
        previous_job_id: str | None = None,
        since: float,
        wait_for_completion: bool = True,
        **options: Any,
    ) -> None:
        super().__init__(model_id=model_id, **options)
        self.parameters = parameters
        self.encrypted = encrypted
        self.previous_job_id = previous_job_id
        self.since = since
        self.wait_for_completion = wait_for_completion
        self._starting: asyncio.Future[Started] | None = None

    async def _end(self, shared: SharedPoller) -> TrainingResult:
        started = await self._start(shared)
        if isinstance(started, TrainingResult):
            return started
        self.job_id, self.is_ours = started.job_id, self._has_started(started)
        self.log.info("%s", started)
        if not self.wait_for_completion:
            return TrainingResult(outcome="started", model_id=self.model_id, job_id=self.job_id, status="training")
        end = await self._wait_for_end(shared, started_at=time.time())
        return (
            end
            if end.creative_units_cost is not None
            else replace(end, creative_units_cost=started.creative_units_cost)
        )

    async def _start(self, shared: SharedPoller) -> Started | TrainingResult:
        deadline = self.give_up_at
        consequence = NOTHING_STARTED
        with waiting_for_slot(self.scenario_conn_id, self.since) as place:
            while time.time() < deadline:
                if place.is_first():
                    self._starting = asyncio.ensure_future(run_in_thread(self._try_to_start, shared))
                    try:
                        # Shielded: a kill must wait for a paid request that is under way, to cancel what it starts.
                        return await asyncio.shield(self._starting)
                    except CannotDecryptError:
                        return TrainingResult(outcome="secret-changed", model_id=self.model_id)
                    except ScenarioError as error:
                        if error.permanent and not (isinstance(error, PlanCeilingError) and error.frees_up):
                            return TrainingResult(outcome="not-started", model_id=self.model_id, error=str(error))
                        if isinstance(error, PlanCeilingError):
                            consequence = NOTHING_STARTED
                        else:
                            self.log.info("The training of %s has not started yet: %s", self.model_id, error)
                        if error.money == "unknown":
                            consequence = MAY_HAVE_STARTED
                await asyncio.sleep(max(0.0, min(self.poke_interval, pacing.longest_pause, deadline - time.time())))
        error_text = f"No slot of the plan was free. {consequence}"
        return TrainingResult(outcome="timed-out", model_id=self.model_id, error=error_text)

    def _try_to_start(self, shared: SharedPoller) -> Started:
        client = shared.poller.client
        model = client.get_model(str(self.model_id))
        earlier = started_before(model, self.previous_job_id)
        return earlier or start_or_adopt(
            client, model, {**self.parameters, **self._secrets()}, previous_job_id=self.previous_job_id
        )

    def _has_started(self, started: Started) -> bool:
        """Whether this task has started the training; if the model is shared, another task may have."""
        return self.is_ours or not started.adopted

    def _secrets(self) -> dict[str, Any]:
        """Decrypt the secret parameters; if that fails, a retry renders their templates again."""
        if self.encrypted is None:
            return {}
        secrets = decrypt(self.encrypted, ScenarioHook(self.scenario_conn_id).settings["api_secret"])
        for secret in secrets.values():
            mask_secret(revealed(secret))
        return secrets

    async def _cancel_if_killed(self) -> None:
        """Wait for a start that is under way, then cancel the training."""
        if self._starting and not self._starting.done():
            await asyncio.wait([self._starting], timeout=20)
        start = self._starting
        if start and start.done() and not start.cancelled() and not start.exception():
            self.is_ours = self._has_started(start.result())
        await super()._cancel_if_killed()
