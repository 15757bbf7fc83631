"""Training from within an operator: start, then wait deferred or blocking, with the same decisions and the same end."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NoReturn

from airflow_provider_scenario.arguments import (
    DEFAULT_POKE_INTERVAL,
    DEFAULT_TIMEOUT,
    GRACE,
    known,
    price_limit,
    seconds,
)
from airflow_provider_scenario.assets import tell_outlets
from airflow_provider_scenario.client.errors import (
    InvalidInputError,
    PlanCeilingError,
    RequestRefusedError,
    ScenarioError,
)
from airflow_provider_scenario.client.trainers import check_parameters, check_ready
from airflow_provider_scenario.exceptions import (
    TaskDeferralTimeout,
    TrainingTimeoutError,
    permanent_errors_do_not_retry,
)
from airflow_provider_scenario.operators.base import ScenarioOperator
from airflow_provider_scenario.operators.checks import dataset_warnings
from airflow_provider_scenario.watch.decision import TrainingWatch
from airflow_provider_scenario.watch.ending import Ending

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow.sdk import Context
    from airflow.triggers.base import BaseTrigger

    from airflow_provider_scenario.client.schemas import Model
    from airflow_provider_scenario.watch.start import Started

# ``on_kill`` has about five seconds until SIGKILL.
_KILL_TIMEOUT = (1.0, 3.0)


class TrainingOperator(ScenarioOperator):
    """
    Base of the operators that start a training and wait for it.

    :param max_creative_units: fail before anything is paid if the quoted price is higher. Default: no limit.
    :param wait_for_completion: False returns once the training has started. Default: True.
    :param poke_interval: seconds between two looks at the training. Default: 30.
    :param timeout: seconds to wait at most. A shorter ``execution_timeout`` counts too, also while deferred.
        Default: 43200 (12 hours).
    :param deferrable: wait in the triggerer, without holding a worker. Default: True.
    :param cancel_on_kill: cancel the remote training when this task is killed, marked, cleared or out of time.
        Default: True.
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
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.max_creative_units = max_creative_units
        self.wait_for_completion = wait_for_completion
        self.poke_interval = seconds("poke_interval", poke_interval)
        self.timeout = seconds("timeout", timeout)
        self.deferrable = deferrable
        self.cancel_on_kill = cancel_on_kill
        self._waiting_for: str | None = None
        if known(max_creative_units):
            price_limit(max_creative_units)

    def train(self, context: Context, model: Model, parameters: Mapping[str, Any] | None) -> dict[str, Any]:
        """
        Check, quote, start or adopt, and wait; where no slot of the plan is free, wait for one first.

        :param model: as just read.
        """
        from airflow_provider_scenario.watch.start import start_or_adopt

        deadline = self._deadline(context)
        checked = self._check(model, parameters)
        # From here on a kill cancels: the request may be under way when it comes.
        self._waiting_for = model.id
        try:
            started = start_or_adopt(self.hook.client, model, checked, previous_job_id=model.job_id)
        except PlanCeilingError as ceiling:
            if not ceiling.frees_up:
                raise
            self.log.info("Waiting for a slot to train %s: %s", model.id, ceiling)
            started = self._wait_for_slot(model, checked, deadline)
        self.log.info("%s", started)
        context["ti"].xcom_push(key="job_id", value=started.job_id)
        context["ti"].xcom_push(key="creative_units_cost", value=started.creative_units_cost)
        return self._wait(context, started, deadline) if self.wait_for_completion else started.result()

    def result_of(self, context: Context, model: Model) -> dict[str, Any]:
        """The result of a training that an earlier try has started and that has ended well meanwhile."""
        from airflow_provider_scenario.watch.polling import ending

        self.log.info("An earlier try has trained %s: nothing new is started or paid.", model.id)
        return self.conclude(context, ending(self.hook.client, "trained", model, model.id, model.job_id))

    def conclude(self, context: Context, ending: Ending) -> dict[str, Any]:
        """The end of the waiting as the task's result or error; the cost goes to XCom either way."""
        if ending.outcome == "timed-out":
            ending = replace(ending, error=self._stop(ending))
        if ending.creative_units_cost is None:
            # The job does not say; what the service named when it started the training counts.
            ending = replace(ending, creative_units_cost=self._own_xcom(context, "creative_units_cost"))
        for key in ("job_id", "creative_units_cost"):
            if getattr(ending, key) is not None:
                context["ti"].xcom_push(key=key, value=getattr(ending, key))
        result = ending.result()
        tell_outlets(context, self.outlets, result)
        return result

    def execute_complete(self, context: Context, event: dict[str, Any]) -> dict[str, Any]:
        """Go on after the trigger has seen the end."""
        with permanent_errors_do_not_retry():
            return self.conclude(context, Ending.from_event(event))

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Catch the one end that reaches neither the trigger nor :meth:`execute_complete`: Airflow's own time-out."""
        try:
            return super().resume_execution(next_method, next_kwargs, context)
        except TaskDeferralTimeout:
            model_id, job_id = self._own_xcom(context, "model_id"), self._own_xcom(context, "job_id")
            return self.conclude(context, Ending(outcome="timed-out", model_id=model_id, job_id=job_id))

    def on_kill(self) -> None:
        """Cancel the training of a task that is killed while it holds a worker; if deferred, the trigger does it."""
        if not (self.cancel_on_kill and self._waiting_for):
            return
        try:
            with self.hook.connect(timeout=_KILL_TIMEOUT, max_tries=1) as client:
                client.cancel_training(self._waiting_for)
            self.log.info("Task killed: the training of %s was cancelled. A refund is not promised.", self._waiting_for)
        except RequestRefusedError as error:
            self.log.info("Task killed: there was no training to cancel: %s", error)
        except ScenarioError as error:
            self.log.error("Task killed, but the training of %s may go on: %s", self._waiting_for, error)  # noqa: TRY400

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

    def _wait_for_slot(self, model: Model, parameters: dict[str, Any], deadline: float) -> Started:
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
                    **self._trigger_arguments(model.id, deadline),
                ),
            )
        while time.time() < deadline:
            time.sleep(self.poke_interval)
            try:
                now = self.hook.client.get_model(model.id)
                return start_or_adopt(self.hook.client, now, parameters, previous_job_id=model.job_id)
            except PlanCeilingError as ceiling:
                if not ceiling.frees_up:
                    raise
        raise TrainingTimeoutError(f"No slot to train {model.id} was free in time. Nothing was started or billed.")

    def _wait(self, context: Context, started: Started, deadline: float) -> dict[str, Any]:
        if self.deferrable:
            from airflow_provider_scenario.triggers.training import ScenarioTrainingTrigger

            arguments = self._trigger_arguments(started.model_id, deadline)
            self._defer(deadline, ScenarioTrainingTrigger(job_id=started.job_id, **arguments))
        from airflow_provider_scenario.watch.polling import wait_for_training

        ending = wait_for_training(
            # One try a poll: the watch itself goes on asking, ever more slowly.
            self.hook.connect(max_tries=1),
            TrainingWatch(what=started.model_id, deadline=deadline, poke_interval=self.poke_interval),
            model_id=started.model_id,
            job_id=started.job_id,
            log=self.log.info,
        )
        return self.conclude(context, ending)

    def _trigger_arguments(self, model_id: str, deadline: float) -> dict[str, Any]:
        return {
            "scenario_conn_id": self.scenario_conn_id,
            "model_id": model_id,
            "poke_interval": self.poke_interval,
            "deadline": deadline,
            "cancel_on_kill": self.cancel_on_kill,
        }

    def _defer(self, deadline: float, trigger: BaseTrigger) -> NoReturn:
        from airflow_provider_scenario.triggers.training import warn_without_triggerer

        warn_without_triggerer(self.log)
        patience = timedelta(seconds=max(0.0, deadline - time.time())) + GRACE
        self.defer(trigger=trigger, method_name="execute_complete", timeout=patience)

    def _own_xcom(self, context: Context, key: str) -> Any:
        return context["ti"].xcom_pull(task_ids=self.task_id, key=key, map_indexes=context["ti"].map_index)

    def _stop(self, ending: Ending) -> str:
        """Do what the author wants of a training that is not over in time; say what became of it."""
        from airflow_provider_scenario.watch.polling import cancel_training

        if not (self.cancel_on_kill and ending.model_id):
            return "It goes on, and so does its cost; a retry finds it and goes on waiting."
        try:
            return cancel_training(self.hook.client, ending.model_id, ending.job_id)
        except ScenarioError as error:
            return f"It could not be cancelled and may go on, and so may its cost: {error}"
