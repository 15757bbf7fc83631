"""Training from within an operator: start, then wait deferred or blocking, with the same decisions and the same end."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, NoReturn

from airflow_provider_scenario.airflow_compat.attempt import Attempt
from airflow_provider_scenario.airflow_compat.deferral import call_after_deferral, is_called_after_refused_deferral
from airflow_provider_scenario.airflow_compat.exceptions import AirflowTaskTimeout, TaskDeferralTimeout
from airflow_provider_scenario.arguments import (
    DEFAULT_POKE_INTERVAL,
    DEFAULT_TIMEOUT,
    GRACE,
    in_seconds,
    one_of,
    price_limit,
    seconds,
)
from airflow_provider_scenario.assets import tell_outlets
from airflow_provider_scenario.attempts.once import is_own_training, start_once
from airflow_provider_scenario.attempts.preflight import check_before_paying
from airflow_provider_scenario.attempts.record import EarlierAttempts, record_end, record_given_up
from airflow_provider_scenario.client.errors import PlanCeilingError, ScenarioError
from airflow_provider_scenario.client.messages import shown
from airflow_provider_scenario.client.scenario.trainers import as_sent, only_secrets, without_secrets
from airflow_provider_scenario.deferral import ends_in_triggerer, warn_without_triggerer
from airflow_provider_scenario.exceptions import (
    TrainingFailedError,
    TrainingFailedForGoodError,
    TrainingTimeoutError,
    TrainingTimeoutForGoodError,
    permanent_errors_do_not_retry,
)
from airflow_provider_scenario.operators.base import ScenarioOperator
from airflow_provider_scenario.watch.cancelling import IN_TIMEOUT, KillHandler, StoppableTraining
from airflow_provider_scenario.watch.decision import FINAL_STATUSES, TrainingWatch
from airflow_provider_scenario.watch.result import TrainingResult

if TYPE_CHECKING:
    from airflow.sdk import Context
    from airflow.triggers.base import BaseTrigger

    from airflow_provider_scenario.attempts.record import OnClear, OnRetry
    from airflow_provider_scenario.client.scenario.client import ScenarioClient
    from airflow_provider_scenario.client.scenario.schemas import Model
    from airflow_provider_scenario.watch.cancelling import CancelResult
    from airflow_provider_scenario.watch.start import Started

# XComs for other tasks and the page while the training runs, beside the model's id.
_PUSHED_AT_START = ("job_id", "creative_units_cost")

# Seconds within which the kill of an earlier attempt may still reach the training that this one has adopted.
_LATE_KILL = 60.0

_FOR_GOOD: dict[type[Exception], type[Exception]] = {
    TrainingFailedError: TrainingFailedForGoodError,
    TrainingTimeoutError: TrainingTimeoutForGoodError,
}
_NOT_AGAIN = (
    "Airflow does not retry it, because a retry would pay again. To train anew, clear the task, or set "
    "on_retry='retrain'."
)


class TrainingOperator(ScenarioOperator):
    """
    Base of the operators that start a training and wait for it.

    :param max_creative_units: fail before anything is paid if the quoted price is higher. Default: no limit.
    :param wait_for_completion: False returns once the training has started. Default: True.
    :param poke_interval: seconds between two looks at the training; up to ten times that while the end is far
        (at most 300), and down to a third of it towards the end. Default: 30.
    :param timeout: seconds to wait at most. A shorter ``execution_timeout`` counts too, also while deferred.
        Default: 43200 (12 hours).
    :param deferrable: wait in the triggerer, without holding a worker. Default: True.
    :param cancel_on_kill: cancel the remote training when this task is killed, marked, cleared or out of time; never
        one that somebody else has started. Default: True.
    :param on_clear: what clearing the finished task means: ``retrain`` (and pay again), or ``reattach`` to what an
        earlier attempt has made, and pay nothing where it is trained. Default: ``retrain``.
    :param on_retry: a retry goes on from the earlier attempt. What it does where the training has failed, or was
        cancelled because time was up, so that there is nothing to go on from: ``resume`` fails the task at once and
        pays nothing; ``retrain`` trains, and pays, again. Default: ``resume``.
    """

    def __init__(
        self,
        *,
        max_creative_units: float | str | None = None,
        wait_for_completion: bool = True,
        poke_interval: float = DEFAULT_POKE_INTERVAL,
        timeout: float = DEFAULT_TIMEOUT,
        deferrable: bool = True,
        cancel_on_kill: bool = True,
        on_clear: OnClear = "retrain",
        on_retry: OnRetry = "resume",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.max_creative_units = max_creative_units
        self.wait_for_completion = wait_for_completion
        self.poke_interval = in_seconds(poke_interval)
        self.timeout = in_seconds(timeout)
        self.deferrable = deferrable
        self.cancel_on_kill = cancel_on_kill
        self.on_clear = on_clear
        self.on_retry = on_retry

    def _check(self, *, only_known: bool = False) -> list[str]:
        final = self._final(only_known)
        for name in ("poke_interval", "timeout"):
            if final(name):
                seconds(name, getattr(self, name))
        if final("on_clear"):
            one_of("on_clear", self.on_clear, ("retrain", "reattach"))
        if final("on_retry"):
            one_of("on_retry", self.on_retry, ("resume", "retrain"))
        if final("max_creative_units"):
            price_limit(self.max_creative_units)
        return super()._check(only_known=only_known)

    def pre_execute(self, context: Context) -> None:
        """Let :meth:`on_kill` know what to ask Airflow about."""
        self._kill_guard.attempt = Attempt.of_context(context)

    def on_kill(self) -> None:
        """
        Cancel the training if a person or a time limit ends the task while it holds a worker.

        While the task is deferred, the trigger does it.
        """
        self._kill_guard.on_kill()

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Catch the one end that reaches neither the trigger nor :meth:`execute_complete`: Airflow's own time-out."""
        try:
            return super().resume_execution(next_method, next_kwargs, context)
        except TaskDeferralTimeout:
            pushed = {key: self._own_xcom(context, key) for key in ("model_id", *_PUSHED_AT_START)}
            ending = TrainingResult(outcome="timed-out", model_id=pushed["model_id"], job_id=pushed["job_id"])
            return self.conclude(context, ending, pushed_xcoms=pushed)

    def execute_complete(
        self,
        context: Context,
        event: dict[str, Any],
        pushed_xcoms: Mapping[str, Any] | None = None,
        adopted_at: float | None = None,
        is_ours: bool | None = None,
        **former: Any,
    ) -> dict[str, Any]:
        """
        Go on after the trigger has seen the end.

        :param pushed_xcoms: the XComs that are there already.
        :param adopted_at: when this task has come by a running training of its own, as a Unix time in seconds.
        :param is_ours: whether this task has started the training. None: ask what was recorded.
        :param former: what the version before called ``told``.
        """
        with permanent_errors_do_not_retry():
            ending = TrainingResult.from_event(event)
            if self._was_killed_late(ending, adopted_at):
                return self._train_again(context)
            return self.conclude(context, ending, pushed_xcoms=pushed_xcoms or former.get("told"), is_ours=is_ours)

    def remember(self, context: Context, inputs: Mapping[str, Any]) -> EarlierAttempts:
        """
        Return what earlier attempts have done, and push what they have paid.

        :param inputs: what the author asks for, as JSON.
        """
        memory = EarlierAttempts(context, self.task_id, inputs, on_clear=self.on_clear, retries=self.retries)
        self._push_total(context, memory.paid_before(), None)
        return memory

    def train(
        self,
        context: Context,
        model: Model,
        parameters: Mapping[str, Any] | None,
        memory: EarlierAttempts,
        *,
        covered: Collection[str] = (),
        is_shared: bool = False,
    ) -> dict[str, Any]:
        """
        Check, quote, start or adopt, and wait; where no slot of the plan is free, wait for one first.

        :param model: as just read.
        :param covered: what has been said of its dataset already, see :func:`check_before_paying`.
        :param is_shared: whether another task may start the same training, which is then that task's.
        """
        checked = check_before_paying(
            self.hook.client, model, parameters, price_limit(self.max_creative_units), self.log, covered=covered
        )
        try:
            return self._start_and_wait(context, model, checked, memory, is_shared=is_shared)
        except AirflowTaskTimeout:  # while it holds a worker
            training = self._kill_guard.training
            if training is None:
                raise
            ending = TrainingResult(outcome="timed-out", model_id=training.model_id, job_id=training.job_id)
            return self.conclude(context, ending, is_ours=training.is_ours)

    def has_ended_badly_before(self, memory: EarlierAttempts, model: Model) -> bool:
        """
        Whether an attempt before this one has paid for a training that failed or was given up, and once is enough.

        :param model: as just read.
        """
        if self.on_retry != "resume" or not memory.is_retry or not model.job_id:
            return False
        given_up = memory.earlier is not None and memory.earlier.given_up == model.job_id
        if model.status == "failed" or (model.status == "training-canceled" and given_up):
            return memory.has_trained(self.hook.client, model.job_id)
        return False

    def _start_and_wait(
        self,
        context: Context,
        model: Model,
        checked: dict[str, Any],
        memory: EarlierAttempts,
        *,
        is_shared: bool,
    ) -> dict[str, Any]:
        client = self.hook.client
        deadline = self._deadline(context)
        self._kill_guard.stop_if_ended()
        training = StoppableTraining(model_id=model.id, cancel_on_kill=self.cancel_on_kill, is_ours=not is_shared)
        if model.status == "training":
            is_ours = is_own_training(client, memory, model, model.job_id)
            training = replace(training, job_id=model.job_id, is_ours=is_ours)
        self._kill_guard.watch(training)  # a kill may come while the request is under way
        try:
            started, is_ours = start_once(client, memory, model, checked, previous_job_id=model.job_id)
        except PlanCeilingError as ceiling:
            if not ceiling.frees_up:
                raise
            self.log.info("Waiting for a slot to train %s: %s", model.id, ceiling)
            started, is_ours = self._wait_for_slot(context, training, model, checked, memory, deadline)
        if is_ours and started.creative_units_cost is None:  # an earlier attempt has started it
            started = replace(started, creative_units_cost=memory.price_of(started.job_id))
        training = replace(training, job_id=started.job_id, is_ours=is_ours)
        self._kill_guard.watch(training)
        self._announce(context, started, training, memory)
        if started.adopted:
            for warning in differences(model, checked):
                self.log.warning("%s", warning)
        if not self.wait_for_completion:
            return started.result()
        return self._wait(context, started, training, deadline, memory)

    def cancel_left_behind(self, memory: EarlierAttempts, model_id: str | None = None) -> None:
        """
        Cancel what this task has trained until a person has cleared it to begin anew: nobody waits for it any more.

        Its trigger does that, but not where no triggerer is alive, nor where this attempt is deferred before it asks:
        then it takes the task for its own.

        :param model_id: the model that is trained now, and is left alone.
        """
        left = memory.left_behind
        if not (self.cancel_on_kill and left and left.model_id) or left.model_id == model_id:
            return
        client = self.hook.client
        try:
            model = client.get_model(left.model_id)
            if model.status == "training" and model.job_id and memory.has_started(client, model, model.job_id):
                training = StoppableTraining(model_id=model.id, job_id=model.job_id)
                training.cancel(client).log_to(self.log, "The task was cleared.")
        except ScenarioError as error:
            self.log.warning("The training of %s may go on, and so may its cost: %s", left.model_id, error)

    def result_of(self, context: Context, model: Model) -> dict[str, Any]:
        """
        The result, or the error, of a training that an earlier attempt has started and that has ended meanwhile.

        :param model: as just read; its status is a final one.
        """
        from airflow_provider_scenario.watch.polling import fetch_result

        self.log.info("An earlier attempt has trained %s: nothing new is started or paid.", model.id)
        outcome = FINAL_STATUSES[model.status or ""]
        return self.conclude(
            context, fetch_result(self.hook.client, outcome, model, model.id, model.job_id), is_ours=True
        )

    def take(self, context: Context, model: Model, memory: EarlierAttempts) -> dict[str, Any]:
        """
        The result of a model that another task has trained or is training: nothing is started, paid or cancelled.

        :param model: as a list shows it, or as just read.
        """
        from airflow_provider_scenario.watch.polling import fetch_result
        from airflow_provider_scenario.watch.start import Started

        self.show_model(context, model.id)
        if model.status == "trained":
            client = self.hook.client
            trained = fetch_result(client, "trained", client.get_model(model.id), model.id, model.job_id)
            return self.conclude(context, trained, is_ours=False)
        training = StoppableTraining(
            model_id=model.id, job_id=model.job_id, is_ours=False, cancel_on_kill=self.cancel_on_kill
        )
        started = Started(model_id=model.id, job_id=model.job_id, adopted=True)
        self._announce(context, started, training, memory)
        if not self.wait_for_completion:
            return started.result()
        return self._wait(context, started, training, self._deadline(context), memory)

    def conclude(
        self,
        context: Context,
        ending: TrainingResult,
        *,
        pushed_xcoms: Mapping[str, Any] | None = None,
        is_ours: bool | None = None,
    ) -> dict[str, Any]:
        """
        The end of the waiting as the task's result or error; the cost goes to XCom either way.

        :param pushed_xcoms: the XComs that are there already.
        :param is_ours: whether this task has started the training. None: ask what was recorded.
        """
        is_over = ending.outcome == "failed"
        if ending.outcome == "timed-out":
            ending, is_over = self._out_of_time(context, ending, is_ours=is_ours)
        pushed = pushed_xcoms or {}
        if ending.creative_units_cost is None:
            # The job does not say; what the service named when it started the training counts.
            cost = pushed.get("creative_units_cost") or self._own_xcom(context, "creative_units_cost")
            ending = replace(ending, creative_units_cost=cost)
        for key in _PUSHED_AT_START:
            value = getattr(ending, key)
            if value is not None and value != pushed.get(key):
                context["ti"].xcom_push(key=key, value=value)
        cost, is_paid = ending.creative_units_cost, is_ours is not False
        total = record_end(context, ending.job_id, creative_units=cost, is_ours=is_paid)
        self._push_total(context, total, cost)
        if is_ours and ending.model_id and ending.job_id != pushed.get("job_id"):
            self.hook.show_model(context, ending.model_id, job_id=ending.job_id, is_ours=True)
        try:
            result = ending.value_or_raise(creative_units_total=total, time_limit=self._time_limit)
        except (TrainingFailedError, TrainingTimeoutError) as error:
            if is_over and is_paid and self.on_retry == "resume":
                raise _FOR_GOOD[type(error)](f"{error} {_NOT_AGAIN}") from None
            raise
        tell_outlets(context, self.outlets, result)
        return result

    def _push_total(self, context: Context, total: float, last: float | None) -> None:
        """Push what all attempts have paid, where the training that ran last does not say it."""
        if total != (last or 0):
            context["ti"].xcom_push(key="creative_units_total", value=total)

    @cached_property
    def _kill_guard(self) -> KillHandler:
        return KillHandler(lambda **options: self.hook.connect(**options), self.log)

    def _deadline(self, context: Context) -> float:
        deadline: float = time.time() + self.timeout
        started = context["ti"].start_date
        if self.deferrable and self.execution_timeout and started:
            deadline = min(deadline, (started + self.execution_timeout).timestamp())
        return deadline

    @property
    def _time_limit(self) -> str:
        """For messages: which of the author's limits comes first."""
        limit = self.execution_timeout
        if limit is not None and limit.total_seconds() < self.timeout:
            return f"execution_timeout={limit}"
        return f"timeout={self.timeout:g} s"

    def _announce(
        self, context: Context, started: Started, training: StoppableTraining, memory: EarlierAttempts
    ) -> None:
        """Make it known to other tasks, and to whoever reads the log."""
        self.log.info("%s", started)
        if not training.is_ours and self.cancel_on_kill:
            self.log.info("Somebody else has started it: it goes on if this task is killed.")
        self.hook.show_model(context, started.model_id, job_id=started.job_id, is_ours=training.is_ours)
        for key, value in _pushed_at_start(started).items():
            context["ti"].xcom_push(key=key, value=value)
        self._push_total(context, memory.paid_before(), started.creative_units_cost)

    def _wait_for_slot(
        self,
        context: Context,
        training: StoppableTraining,
        model: Model,
        parameters: dict[str, Any],
        memory: EarlierAttempts,
        deadline: float,
    ) -> tuple[Started, bool]:
        """
        Hold the worker until a slot is free, or defer; the trigger then starts the training itself.

        :param training: not ours where another task may start it.
        """
        if self.deferrable:
            from airflow_provider_scenario.triggers.training import ScenarioTrainingSlotTrigger

            if training.is_ours:
                memory.record(model_id=model.id, previous_job_id=model.job_id, requested=True)
            self.hook.show_model(context, model.id, is_ours=training.is_ours)
            self._defer(
                deadline,
                ScenarioTrainingSlotTrigger(
                    parameters=without_secrets(parameters),
                    encrypted=self._encrypted(only_secrets(parameters)),
                    previous_job_id=model.job_id,
                    since=time.time(),
                    wait_for_completion=self.wait_for_completion,
                    **self._trigger_arguments(context, training, deadline, memory, dict.fromkeys(_PUSHED_AT_START)),
                ),
            )
        client = self.hook.client
        fate = nothing = "Nothing was started or billed."
        while time.time() < deadline:
            time.sleep(max(0.0, min(self.poke_interval + self.hook.budget.turn(), deadline - time.time())))
            self._kill_guard.stop_if_ended()
            try:
                now = client.get_model(model.id)
                return start_once(client, memory, now, parameters, previous_job_id=model.job_id)
            except ScenarioError as error:
                if isinstance(error, PlanCeilingError) and error.frees_up:
                    fate = nothing
                    continue
                if error.permanent:
                    raise
                self.log.info("Training %s: not started yet: %s", model.id, error)
                if error.money == "unknown":
                    fate = "The last request to start it may have been carried out; a retry finds out."
        raise TrainingTimeoutError(f"No slot to train {model.id} was free within {self._time_limit}. {fate}")

    def _encrypted(self, secrets: Mapping[str, Any]) -> str | None:
        from airflow_provider_scenario.watch.encryption import encrypt

        return encrypt(secrets, self.hook.settings["api_secret"]) if secrets else None

    def _wait(
        self, context: Context, started: Started, training: StoppableTraining, deadline: float, memory: EarlierAttempts
    ) -> dict[str, Any]:
        adopted_at = time.time() if started.adopted and training.is_ours else None
        pushed = _pushed_at_start(started)
        if self.deferrable:
            from airflow_provider_scenario.triggers.training import ScenarioTrainingTrigger

            arguments = self._trigger_arguments(context, training, deadline, memory, pushed)
            trigger = ScenarioTrainingTrigger(job_id=started.job_id, **arguments)
            self._defer(deadline, trigger, pushed_xcoms=pushed, adopted_at=adopted_at, is_ours=training.is_ours)
        from airflow_provider_scenario.watch.polling import wait_for_training

        self._kill_guard.stop_if_ended()
        ending = wait_for_training(
            self.hook,
            TrainingWatch(label=started.model_id, deadline=deadline, poke_interval=self.poke_interval),
            model_id=started.model_id,
            job_id=started.job_id,
            log=self.log.info,
            warn=self.log.warning,
        )
        if self._was_killed_late(ending, adopted_at):
            return self._train_again(context)
        return self.conclude(context, ending, pushed_xcoms=pushed, is_ours=training.is_ours)

    def _trigger_arguments(
        self,
        context: Context,
        training: StoppableTraining,
        deadline: float,
        memory: EarlierAttempts,
        pushed_xcoms: dict[str, Any],
    ) -> dict[str, Any]:
        return {
            "scenario_conn_id": self.scenario_conn_id,
            "model_id": training.model_id,
            "poke_interval": self.poke_interval,
            "deadline": deadline,
            "cancel_on_kill": self.cancel_on_kill,
            "end_from_trigger": self._ends_in_triggerer(context),
            "do_xcom_push": self.do_xcom_push,
            "pushed_xcoms": pushed_xcoms,
            "paid_before": memory.paid_before(training.job_id),
            "is_ours": training.is_ours,
            "deferred_at": time.time(),
        }

    def _ends_in_triggerer(self, context: Context) -> bool:
        return ends_in_triggerer(self, context, stores=True)

    def _defer(self, deadline: float, trigger: BaseTrigger, **kwargs: Any) -> NoReturn:
        attempt = self._kill_guard.attempt
        if attempt is None or attempt.map_index < 1:  # one of a batch says it for all
            warn_without_triggerer(self.log)
        if self._kill_guard.was_killed or not is_called_after_refused_deferral():
            self._kill_guard.stop_if_ended()  # check last: Airflow refuses the deferral of an ended task
        call_after_deferral(self._kill_guard.cancel_if_ended)
        patience = timedelta(seconds=max(0.0, deadline - time.time())) + GRACE
        self.defer(trigger=trigger, method_name="execute_complete", kwargs=kwargs, timeout=patience)

    def _own_xcom(self, context: Context, key: str) -> Any:
        return context["ti"].xcom_pull(task_ids=self.task_id, key=key, map_indexes=context["ti"].map_index)

    def _out_of_time(
        self, context: Context, ending: TrainingResult, *, is_ours: bool | None
    ) -> tuple[TrainingResult, bool]:
        """
        Look once more, since the end may have come unseen; else do what the author wants of the training.

        :return: how it ended, and whether it certainly is over without a result: then a retry would pay again.
        """
        from airflow_provider_scenario.watch.polling import fetch_missed_end

        with self.hook.connect(timeout=IN_TIMEOUT.timeout, max_tries=1) as client:
            if end := fetch_missed_end(client, ending.model_id, ending.job_id):
                return end, end.outcome == "failed"
            fate = self._stop(context, client, ending, is_ours=is_ours)
        return replace(ending, error=fate.text), fate.effect == "cancelled"

    def _stop(
        self, context: Context, client: ScenarioClient, ending: TrainingResult, *, is_ours: bool | None
    ) -> CancelResult:
        training = StoppableTraining(
            model_id=ending.model_id or "",
            job_id=ending.job_id,
            cancel_on_kill=self.cancel_on_kill and bool(ending.model_id),
        )
        if is_ours is None and training.cancel_on_kill and ending.job_id:
            memory = EarlierAttempts(context, self.task_id, None, on_clear=self.on_clear, retries=self.retries)
            try:
                is_ours = memory.has_started(client, client.get_model(training.model_id), ending.job_id)
            except ScenarioError as error:
                return training.could_not_be_cancelled(error)
        training = replace(training, is_ours=is_ours is not False)
        if not training.may_be_cancelled:
            return training.cancel(client)
        record_given_up(context, ending.job_id)  # first: this attempt may die before it says so
        return training.cancel_at_once(self.hook.connect, IN_TIMEOUT)

    def _was_killed_late(self, ending: TrainingResult, adopted_at: float | None) -> bool:
        """
        Whether it was the kill of the attempt before this one that has cancelled the training.

        Clearing a running task starts the next attempt while the old one is still being killed.

        :param adopted_at: None unless this attempt has adopted a training that this task itself had started.
        """
        if self._kill_guard.was_killed or adopted_at is None:
            return False
        return ending.outcome == "canceled" and time.time() - adopted_at < _LATE_KILL

    def _train_again(self, context: Context) -> dict[str, Any]:
        self.log.info("The training was cancelled with the attempt that had started it: it is started anew.")
        result: dict[str, Any] = self.execute(context)
        return result


def differences(model: Model, parameters: Mapping[str, Any]) -> list[str]:
    """What a training that ran already has been started with, where this task asks for something else."""
    return [
        f"{model.id} is being trained with {name}={shown(model.parameters[name])}; this task asks for {shown(value)}. "
        "It is not trained over: clear the task when it has ended to train with that."
        for name, value in as_sent(without_secrets(parameters)).items()
        if name in model.parameters and model.parameters[name] != value
    ]


def _pushed_at_start(started: Started) -> dict[str, Any]:
    return {key: getattr(started, key) for key in _PUSHED_AT_START}
