"""One attempt of a task that trains: start or adopt the training, then wait for it, deferred or in the worker."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NoReturn

from airflow_provider_scenario.airflow_compat.deferral import call_after_deferral, is_called_after_refused_deferral
from airflow_provider_scenario.arguments import GRACE
from airflow_provider_scenario.attempts.start import (
    StartedOnce,
    parameter_differences,
    start_once,
    start_when_slot_is_free,
)
from airflow_provider_scenario.attempts.task import DeferredKwargs, PushedXComs, deadline_of, push_total, time_limit_of
from airflow_provider_scenario.client.errors import PlanCeilingError
from airflow_provider_scenario.client.scenario.secret_parameters import only_secrets, without_secrets
from airflow_provider_scenario.deferral import warn_without_triggerer
from airflow_provider_scenario.watch.cancelling import StoppableTraining
from airflow_provider_scenario.watch.decision import TrainingWatch

if TYPE_CHECKING:
    from airflow.sdk import Context
    from airflow.triggers.base import BaseTrigger

    from airflow_provider_scenario.attempts.earlier import EarlierAttempts
    from airflow_provider_scenario.attempts.task import TrainingTask
    from airflow_provider_scenario.client.scenario.schemas import Model
    from airflow_provider_scenario.client.scenario.trainers import CheckedParameters
    from airflow_provider_scenario.watch.result import TrainingResult
    from airflow_provider_scenario.watch.start import Started

# Seconds after the adoption of a training in which the kill of the attempt before may still cancel it.
_LATE_KILL = 60.0


class TrainingAttempt:
    """
    One attempt of a task that trains a model.

    Call :meth:`start` or :meth:`adopt`, then :meth:`wait`. The deadline counts from the construction, so that waiting
    for a slot uses it up.

    ``started`` is the training that runs, ``training`` the same as a kill sees it.
    """

    started: Started
    training: StoppableTraining

    def __init__(self, task: TrainingTask, context: Context, earlier: EarlierAttempts) -> None:
        self._task = task
        self._context = context
        self._earlier = earlier
        self._deadline = deadline_of(task, context)
        self._adopted_at: float | None = None

    def start(self, model: Model, parameters: CheckedParameters, *, is_shared: bool = False) -> None:
        """
        Start the training of a model or adopt the one that runs; if no slot of the plan is free, wait for one.

        :param model: as just read.
        :param is_shared: True if another task may start the same training, which is then not ours.
        """
        kill_handler = self._task.kill_handler
        kill_handler.stop_if_ended()
        self.training = self._may_be_started(model, is_shared=is_shared)
        kill_handler.watch(self.training)  # before the request: a kill during the request must cancel what it starts
        self.started, is_ours = self._start_or_wait_for_slot(model, parameters)
        if is_ours and self.started.creative_units_cost is None:  # started by an earlier attempt
            self.started = replace(self.started, creative_units_cost=self._earlier.cost_of(self.started.job_id))
        self._adopted_at = time.time() if self.started.adopted and is_ours else None
        self.training = replace(self.training, job_id=self.started.job_id, is_ours=is_ours)
        kill_handler.watch(self.training)
        self._announce()
        if self.started.adopted:
            for difference in parameter_differences(model, parameters):
                self._task.log.warning("%s", difference)

    def adopt(self, model: Model) -> None:
        """
        Take over a training that another task has started: it is not paid by this task, and never cancelled.

        :param model: as just read, or as a list has it.
        """
        from airflow_provider_scenario.watch.start import Started

        self.started = Started(model_id=model.id, job_id=model.job_id, adopted=True)
        self.training = StoppableTraining(
            model_id=model.id, job_id=model.job_id, is_ours=False, cancel_on_kill=self._task.cancel_on_kill
        )
        self._announce()

    def wait(self) -> TrainingResult:
        """Defer until the training has ended, or hold the worker and return how it has ended."""
        if self._task.deferrable:
            from airflow_provider_scenario.triggers.training import ScenarioTrainingTrigger

            kwargs = self._trigger_kwargs(self._pushed_xcoms)
            self._defer(ScenarioTrainingTrigger(job_id=self.started.job_id, **kwargs), self.deferred_kwargs)
        from airflow_provider_scenario.watch.polling import wait_for_training

        self._task.kill_handler.stop_if_ended()
        return wait_for_training(
            self._task.hook,
            TrainingWatch(label=self.started.model_id, deadline=self._deadline, poke_interval=self._task.poke_interval),
            model_id=self.started.model_id,
            job_id=self.started.job_id,
            log=self._task.log.info,
            warn=self._task.log.warning,
        )

    @property
    def deferred_kwargs(self) -> DeferredKwargs:
        """What is needed when the waiting has ended."""
        return {
            "pushed_xcoms": self._pushed_xcoms,
            "adopted_at": self._adopted_at,
            "is_ours": self.training.is_ours,
        }

    @property
    def _pushed_xcoms(self) -> PushedXComs:
        return {"job_id": self.started.job_id, "creative_units_cost": self.started.creative_units_cost}

    def _may_be_started(self, model: Model, *, is_shared: bool) -> StoppableTraining:
        training = StoppableTraining(model_id=model.id, cancel_on_kill=self._task.cancel_on_kill, is_ours=not is_shared)
        if model.status != "training":
            return training
        is_ours = self._earlier.earlier_attempt_started(self._task.hook.client, model, model.job_id)
        return replace(training, job_id=model.job_id, is_ours=is_ours)

    def _start_or_wait_for_slot(self, model: Model, parameters: CheckedParameters) -> StartedOnce:
        task, earlier = self._task, self._earlier
        try:
            return start_once(task.hook.client, earlier, model, parameters, previous_job_id=model.job_id)
        except PlanCeilingError as ceiling:
            if not ceiling.frees_up:
                raise
            task.log.info("Waiting for a slot to train %s: %s", model.id, ceiling)
        if task.deferrable:
            self._defer_for_slot(model, parameters)
        return start_when_slot_is_free(
            task, earlier, model, parameters, deadline=self._deadline, time_limit=time_limit_of(task)
        )

    def _defer_for_slot(self, model: Model, parameters: CheckedParameters) -> NoReturn:
        """Defer; the trigger starts the training when a slot is free."""
        from airflow_provider_scenario.triggers.training import ScenarioTrainingSlotTrigger

        if self.training.is_ours:
            self._earlier.update_record(model_id=model.id, previous_job_id=model.job_id, requested=True)
        self._task.hook.show_model(self._context, model.id, is_ours=self.training.is_ours)
        trigger = ScenarioTrainingSlotTrigger(
            parameters=without_secrets(parameters),
            encrypted=self._encrypted(only_secrets(parameters)),
            previous_job_id=model.job_id,
            since=time.time(),
            wait_for_completion=self._task.wait_for_completion,
            **self._trigger_kwargs({"job_id": None, "creative_units_cost": None}),
        )
        self._defer(trigger, {})

    def _encrypted(self, secrets: Mapping[str, Any]) -> str | None:
        from airflow_provider_scenario.watch.encryption import encrypt

        return encrypt(secrets, self._task.hook.settings["api_secret"]) if secrets else None

    def _trigger_kwargs(self, pushed_xcoms: PushedXComs) -> dict[str, Any]:
        task = self._task
        return {
            "scenario_conn_id": task.scenario_conn_id,
            "model_id": self.training.model_id,
            "poke_interval": task.poke_interval,
            "deadline": self._deadline,
            "cancel_on_kill": task.cancel_on_kill,
            "end_from_trigger": task.ends_in_triggerer(self._context),
            "do_xcom_push": task.do_xcom_push,
            "pushed_xcoms": pushed_xcoms,
            "paid_before": self._earlier.total_paid(except_job_id=self.training.job_id),
            "is_ours": self.training.is_ours,
            "deferred_at": time.time(),
        }

    def _defer(self, trigger: BaseTrigger, kwargs: DeferredKwargs) -> NoReturn:
        kill_handler = self._task.kill_handler
        if kill_handler.attempt is None or kill_handler.attempt.map_index < 1:  # once per batch of mapped tasks
            warn_without_triggerer(self._task.log)
        if kill_handler.was_killed or not is_called_after_refused_deferral():
            kill_handler.stop_if_ended()  # check last: Airflow ignores a deferral from an ended task
        call_after_deferral(kill_handler.cancel_if_ended)
        # Airflow's own limit comes later than our deadline: only the trigger can report how the training has ended.
        limit = timedelta(seconds=max(0.0, self._deadline - time.time())) + GRACE
        kwargs_and_notes = {**kwargs, **self._task.deferred_lineage()}
        self._task.defer(trigger=trigger, method_name="execute_complete", kwargs=kwargs_and_notes, timeout=limit)

    def _announce(self) -> None:
        """Make the training known: in the log, on the page and in the XComs."""
        started, training = self.started, self.training
        self._task.lineage_notes.note_start(started.job_id, started.creative_units_cost, is_ours=training.is_ours)
        self._task.log.info("%s", started)
        if not training.is_ours and self._task.cancel_on_kill:
            self._task.log.info("This task did not start it: killing the task does not cancel it.")
        self._task.hook.show_model(self._context, started.model_id, job_id=started.job_id, is_ours=training.is_ours)
        for key, value in self._pushed_xcoms.items():
            self._context["ti"].xcom_push(key=key, value=value)
        push_total(self._context, self._earlier.total_paid(), started.creative_units_cost)


def was_cancelled_by_late_kill(result: TrainingResult, adopted_at: float | None) -> bool:
    """
    Whether the kill of the attempt before this one has cancelled the training.

    Clearing a running task starts the next attempt while Airflow still kills the old one.

    :param adopted_at: when this attempt adopted a training of its own task. None: it has not.
    """
    return adopted_at is not None and result.outcome == "canceled" and time.time() - adopted_at < _LATE_KILL
