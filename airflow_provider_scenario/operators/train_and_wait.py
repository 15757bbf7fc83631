"""Training from within an operator: start, then wait deferred or blocking, with the same decisions and the same end."""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NoReturn

from airflow_provider_scenario.arguments import (
    DEFAULT_POKE_INTERVAL,
    DEFAULT_TIMEOUT,
    GRACE,
    known,
    one_of,
    price_limit,
    seconds,
)
from airflow_provider_scenario.assets import tell_outlets
from airflow_provider_scenario.client.errors import (
    InvalidInputError,
    PlanCeilingError,
    ScenarioError,
)
from airflow_provider_scenario.client.trainers import check_parameters, check_ready, without_secrets
from airflow_provider_scenario.deferral import ends_in_triggerer, warn_without_triggerer
from airflow_provider_scenario.exceptions import (
    AirflowFailException,
    AirflowTaskTimeout,
    TaskDeferralTimeout,
    TrainingTimeoutError,
    permanent_errors_do_not_retry,
)
from airflow_provider_scenario.operators.base import ScenarioOperator
from airflow_provider_scenario.operators.checks import dataset_warnings
from airflow_provider_scenario.operators.memory import Memory, has_started
from airflow_provider_scenario.task_state import GOES_ON, asked_in_time, state_of
from airflow_provider_scenario.watch.decision import TrainingWatch
from airflow_provider_scenario.watch.ending import Ending

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow.sdk import Context
    from airflow.triggers.base import BaseTrigger

    from airflow_provider_scenario.client.schemas import Model
    from airflow_provider_scenario.operators.memory import OnClear
    from airflow_provider_scenario.watch.start import Started

# ``on_kill`` has about five seconds until SIGKILL, for a question to Airflow and two requests, the latter again where
# the service has failed at once.
_ASKING_TIMEOUT = 1.0
_KILL_TIMEOUT = (0.5, 1.2)
_KILL_PATIENCE = 0.4

# What other tasks and the page can read while the training runs, beside the model's id.
_TOLD = ("job_id", "creative_units_cost")

# Seconds within which the kill of an earlier attempt may still reach the training that this one has adopted.
_LATE_KILL = 60.0


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
        earlier attempt has made, and pay nothing where it is trained. A retry always goes on from the earlier try.
        Default: ``retrain``.
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
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.max_creative_units = max_creative_units
        self.wait_for_completion = wait_for_completion
        self.poke_interval = seconds("poke_interval", poke_interval)
        self.timeout = seconds("timeout", timeout)
        self.deferrable = deferrable
        self.cancel_on_kill = cancel_on_kill
        self.on_clear = on_clear
        one_of("on_clear", on_clear, ("retrain", "reattach"))
        self._ti: Any = None
        self._killed = False
        self._waiting_for: str | None = None
        self._job_id: str | None = None
        if known(max_creative_units):
            price_limit(max_creative_units)

    def pre_execute(self, context: Context) -> None:
        """Keep what :meth:`on_kill` needs to ask for."""
        self._ti = context["ti"]

    def train(
        self, context: Context, model: Model, parameters: Mapping[str, Any] | None, memory: Memory
    ) -> dict[str, Any]:
        """
        Check, quote, start or adopt, and wait; where no slot of the plan is free, wait for one first.

        :param model: as just read.
        """
        from airflow_provider_scenario.watch.start import start_or_adopt

        deadline = self._deadline(context)
        checked = self._check(model, parameters)
        if model.status != "training":
            memory.record(model_id=model.id, job_before=model.job_id)
        self._stop_if_killed()
        # From here on a kill cancels: the request may be under way when it comes.
        self._waiting_for = model.id
        try:
            started = start_or_adopt(self.hook.client, model, checked, previous_job_id=model.job_id)
        except PlanCeilingError as ceiling:
            if not ceiling.frees_up:
                raise
            self.log.info("Waiting for a slot to train %s: %s", model.id, ceiling)
            started = self._wait_for_slot(context, model, checked, deadline)
        self._make_known(context, started, memory)
        if started.adopted:
            for warning in differences(model, checked):
                self.log.warning("%s", warning)
        return self._wait(context, started, deadline) if self.wait_for_completion else started.result()

    def _make_known(self, context: Context, started: Started, memory: Memory) -> None:
        """To the next try, to other tasks, and to whoever reads the log."""
        self._job_id = started.job_id
        self.log.info("%s", started)
        if not started.adopted or (started.job_id and has_started(context, self.hook.client, started.job_id)):
            memory.record(model_id=started.model_id, job_id=started.job_id)
        elif self.cancel_on_kill:
            self.cancel_on_kill = False
            self.log.info("Somebody else has started it: it goes on if this task is killed.")
        for key, value in _told(started).items():
            context["ti"].xcom_push(key=key, value=value)

    def cancel_left_behind(self, context: Context, memory: Memory, model_id: str | None = None) -> None:
        """
        Cancel what this task has trained until a person has cleared it to begin anew: nobody waits for it any more.

        Its trigger does that, but not where no triggerer is alive, nor where this attempt is deferred before it asks:
        then it takes the task for its own.

        :param model_id: the model that is trained now, and is left alone.
        """
        from airflow_provider_scenario.watch.polling import cancel_training

        before = memory.left_behind.get("model_id")
        if not (self.cancel_on_kill and before) or before == model_id:
            return
        try:
            model = self.hook.client.get_model(before)
            if model.status == "training" and model.job_id and has_started(context, self.hook.client, model.job_id):
                self.log.info("The task was cleared. %s", cancel_training(self.hook.client, before, model.job_id))
        except ScenarioError as error:
            self.log.warning("The training of %s may go on, and so may its cost: %s", before, error)

    def result_of(self, context: Context, model: Model) -> dict[str, Any]:
        """The result of a training that an earlier try has started and that has ended well meanwhile."""
        from airflow_provider_scenario.watch.polling import ending

        self.log.info("An earlier try has trained %s: nothing new is started or paid.", model.id)
        return self.conclude(context, ending(self.hook.client, "trained", model, model.id, model.job_id))

    def conclude(self, context: Context, ending: Ending, told: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """
        The end of the waiting as the task's result or error; the cost goes to XCom either way.

        :param told: the XComs that are there already.
        """
        if ending.outcome == "timed-out":
            ending = replace(ending, error=self._stop(context, ending))
        told = {} if told is None else told
        if ending.creative_units_cost is None:
            # The job does not say; what the service named when it started the training counts.
            cost = told.get("creative_units_cost") or self._own_xcom(context, "creative_units_cost")
            ending = replace(ending, creative_units_cost=cost)
        for key in _TOLD:
            value = getattr(ending, key)
            if value is not None and value != told.get(key):
                context["ti"].xcom_push(key=key, value=value)
        result = ending.result()
        tell_outlets(context, self.outlets, result)
        return result

    def execute_complete(
        self,
        context: Context,
        event: dict[str, Any],
        told: Mapping[str, Any] | None = None,
        adopted_at: float | None = None,
    ) -> dict[str, Any]:
        """
        Go on after the trigger has seen the end.

        :param told: the XComs that are there already.
        :param adopted_at: when a training that ran already was adopted, as a Unix time in seconds.
        """
        with permanent_errors_do_not_retry():
            ending = Ending.from_event(event)
            if self._was_killed_late(ending, adopted_at):
                return self._train_again(context)
            return self.conclude(context, ending, told)

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Catch the one end that reaches neither the trigger nor :meth:`execute_complete`: Airflow's own time-out."""
        try:
            return super().resume_execution(next_method, next_kwargs, context)
        except TaskDeferralTimeout:
            told = {key: self._own_xcom(context, key) for key in ("model_id", "job_id", "creative_units_cost")}
            ending = Ending(outcome="timed-out", model_id=told["model_id"], job_id=told["job_id"])
            return self.conclude(context, ending, told)

    def on_kill(self) -> None:
        """
        Cancel the training of a task that a person or a time limit ends while it holds a worker.

        A task that goes on in Airflow's eyes only loses its worker, in a deploy, say, or after missed heartbeats: then
        the training goes on, and a retry goes on waiting for it. If the task is deferred, the trigger decides.
        """
        if not isinstance(sys.exc_info()[1], AirflowTaskTimeout):
            left = "A training that runs goes on, and so does its cost; a retry goes on waiting for it."
            try:
                state = asked_in_time(lambda: state_of(self._ti), _ASKING_TIMEOUT)
            except LookupError:  # nobody to ask: it was not Airflow that has called this
                state = None
            except Exception as error:
                self.log.warning("Told to stop; cannot tell why (%s). %s", type(error).__name__, left)
                return
            if state in GOES_ON:
                self.log.info("The worker stops, the task is not ended by anybody. %s", left)
                return
        self._killed = True
        if self.cancel_on_kill and self._waiting_for:
            self.log.info("Task killed. %s", self._cancelled_in_a_hurry(self._waiting_for))

    def _stop_if_killed(self) -> None:
        """
        Start nothing and leave nothing behind that nobody waits for.

        A process hears only with its next heartbeat that its task was ended, and Airflow then lets it go on for some
        seconds more.
        """
        try:
            state = state_of(self._ti)
        except Exception:  # nobody to ask: then it hears of it as any task does
            state = "running"
        if not self._killed and state in ("running", None):
            return
        fate = "Nothing was started or billed."
        if self._job_id and self._waiting_for:
            fate = f"The training of {self._waiting_for} goes on, and so does its cost."
            if self.cancel_on_kill and (self._killed or state not in GOES_ON):
                fate = self._cancelled_in_a_hurry(self._waiting_for)
        raise AirflowFailException(f"The task was killed. {fate}")

    def _cancelled_in_a_hurry(self, model_id: str) -> str:
        from airflow_provider_scenario.watch.polling import cancel_persistently

        try:
            with self.hook.connect(timeout=_KILL_TIMEOUT, max_tries=1) as client:
                return cancel_persistently(client, model_id, self._job_id, patience=_KILL_PATIENCE)
        except ScenarioError as error:
            return f"The training of {model_id} could not be cancelled and may go on, and so may its cost: {error}"

    def _was_killed_late(self, ending: Ending, adopted_at: float | None) -> bool:
        """
        Whether it was the kill of the attempt before this one that has cancelled the training.

        Clearing a running task starts the next attempt while the old one is still being killed.
        """
        if self._killed or adopted_at is None:
            return False
        return ending.outcome == "canceled" and time.time() - adopted_at < _LATE_KILL

    def _train_again(self, context: Context) -> dict[str, Any]:
        self.log.info("The training was cancelled with the attempt that had started it: it is started anew.")
        result: dict[str, Any] = self.execute(context)
        return result

    def _check(self, model: Model, parameters: Mapping[str, Any] | None) -> dict[str, Any]:
        """Whatever would be refused, or is too dear, is refused here, before anything is paid."""
        checked, warnings = check_parameters(parameters or {}, model.type)
        if model.status == "training":
            return checked
        warnings += check_ready(
            model_id=model.id,
            model_type=model.type,
            images=max(model.training_images_number or 0, len(model.training_images or [])),
            pairs=len(model.training_image_pairs or []),
            concepts=len(model.concepts or []),
        )
        if model.training_images and model.type != "elevenlabs-voice":  # recordings have no captions to judge
            warnings += dataset_warnings(self.hook.client, model.id, model=model)
        for warning in warnings:
            self.log.warning("%s", warning)
        limit = price_limit(self.max_creative_units)
        if limit is not None:
            price = self.hook.client.quote_training(model.id, checked).creative_units_cost
            if price is None or price > limit:
                quoted = "an unknown number of" if price is None else f"{price:g}"
                raise InvalidInputError(
                    f"Training {model.id} would cost {quoted} creative units; max_creative_units is {limit:g}. "
                    "Nothing was started or billed."
                )
            self.log.info("Training %s will cost %g creative units, of at most %g.", model.id, price, limit)
        return checked

    def _deadline(self, context: Context) -> float:
        deadline = time.time() + self.timeout
        started = context["ti"].start_date
        if self.deferrable and self.execution_timeout and started:
            deadline = min(deadline, (started + self.execution_timeout).timestamp())
        return deadline

    def _wait_for_slot(self, context: Context, model: Model, parameters: dict[str, Any], deadline: float) -> Started:
        """Hold the worker until a slot is free, or defer; the trigger then starts the training itself."""
        from airflow_provider_scenario.watch.start import start_or_adopt

        if self.deferrable:
            from airflow_provider_scenario.triggers.training import ScenarioTrainingSlotTrigger

            self._defer(
                deadline,
                ScenarioTrainingSlotTrigger(
                    parameters=parameters,
                    previous_job_id=model.job_id,
                    since=time.time(),
                    wait_for_completion=self.wait_for_completion,
                    **self._trigger_arguments(context, model.id, deadline, dict.fromkeys(_TOLD)),
                ),
            )
        fate = nothing = "Nothing was started or billed."
        while time.time() < deadline:
            time.sleep(self.poke_interval + self.hook.budget.turn())
            self._stop_if_killed()
            try:
                now = self.hook.client.get_model(model.id)
                return start_or_adopt(self.hook.client, now, parameters, previous_job_id=model.job_id)
            except ScenarioError as error:
                if isinstance(error, PlanCeilingError) and error.frees_up:
                    fate = nothing
                    continue
                if error.permanent:
                    raise
                self.log.info("Training %s: not started yet: %s", model.id, error)
                if error.money == "unknown":
                    fate = "The last request to start it may have been carried out; a retry finds out."
        raise TrainingTimeoutError(f"No slot to train {model.id} was free in time. {fate}")

    def _wait(self, context: Context, started: Started, deadline: float) -> dict[str, Any]:
        adopted_at = time.time() if started.adopted else None
        if self.deferrable:
            from airflow_provider_scenario.triggers.training import ScenarioTrainingTrigger

            told = _told(started)
            arguments = self._trigger_arguments(context, started.model_id, deadline, told)
            trigger = ScenarioTrainingTrigger(job_id=started.job_id, **arguments)
            self._defer(deadline, trigger, told=told, adopted_at=adopted_at)
        from airflow_provider_scenario.watch.polling import wait_for_training

        self._stop_if_killed()
        ending = wait_for_training(
            self.hook,
            TrainingWatch(what=started.model_id, deadline=deadline, poke_interval=self.poke_interval),
            model_id=started.model_id,
            job_id=started.job_id,
            log=self.log.info,
        )
        if self._was_killed_late(ending, adopted_at):
            return self._train_again(context)
        return self.conclude(context, ending, _told(started))

    def _trigger_arguments(
        self, context: Context, model_id: str, deadline: float, told: dict[str, Any]
    ) -> dict[str, Any]:
        return {
            "scenario_conn_id": self.scenario_conn_id,
            "model_id": model_id,
            "poke_interval": self.poke_interval,
            "deadline": deadline,
            "cancel_on_kill": self.cancel_on_kill,
            "ends_task": self._ends_in_triggerer(context),
            "returns": self.do_xcom_push,
            "told": told,
        }

    def _ends_in_triggerer(self, context: Context) -> bool:
        return ends_in_triggerer(self, context, stores=True)

    def _defer(self, deadline: float, trigger: BaseTrigger, **kwargs: Any) -> NoReturn:
        if getattr(self._ti, "map_index", -1) < 1:  # one of a batch says it for all
            warn_without_triggerer(self.log)
        self._stop_if_killed()  # as late as can be: nobody takes the deferral of a task that was ended
        patience = timedelta(seconds=max(0.0, deadline - time.time())) + GRACE
        self.defer(trigger=trigger, method_name="execute_complete", kwargs=kwargs, timeout=patience)

    def _own_xcom(self, context: Context, key: str) -> Any:
        return context["ti"].xcom_pull(task_ids=self.task_id, key=key, map_indexes=context["ti"].map_index)

    def _stop(self, context: Context, ending: Ending) -> str:
        """Do what the author wants of a training that is not over in time; say what became of it."""
        from airflow_provider_scenario.watch.polling import cancel_training

        goes_on = "It goes on, and so does its cost; a retry finds it and goes on waiting."
        if not (self.cancel_on_kill and ending.model_id):
            return goes_on
        try:
            if ending.job_id and not has_started(context, self.hook.client, ending.job_id):
                return f"Somebody else has started it. {goes_on}"
            return cancel_training(self.hook.client, ending.model_id, ending.job_id)
        except ScenarioError as error:
            return f"It could not be cancelled and may go on, and so may its cost: {error}"


def differences(model: Model, parameters: Mapping[str, Any]) -> list[str]:
    """What a training that ran already has been started with, where this task asks for something else."""
    return [
        f"{model.id} is being trained with {name}={model.parameters[name]!r}; this task asks for {value!r}. "
        "It is not trained over: clear the task when it has ended to train with that."
        for name, value in without_secrets(parameters).items()
        if name in model.parameters and model.parameters[name] != value
    ]


def _told(started: Started) -> dict[str, Any]:
    return {key: getattr(started, key) for key in _TOLD}
