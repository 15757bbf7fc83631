"""Waiting for a training from within an operator: deferred or blocking, with the same decisions and the same end."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NoReturn

from airflow_provider_scenario.arguments import DEFAULT_POKE_INTERVAL, DEFAULT_TIMEOUT, GRACE, seconds
from airflow_provider_scenario.client.errors import ScenarioError
from airflow_provider_scenario.exceptions import TaskDeferralTimeout, permanent_errors_do_not_retry
from airflow_provider_scenario.operators.base import ScenarioOperator
from airflow_provider_scenario.watch.decision import TrainingWatch
from airflow_provider_scenario.watch.ending import Ending

if TYPE_CHECKING:
    from airflow.sdk import Context

# ``on_kill`` has about five seconds until SIGKILL.
_KILL_TIMEOUT = (1.0, 3.0)


class TrainingWaiter(ScenarioOperator):
    """
    Base of the operators that wait for a training which they have started.

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
        poke_interval: float = DEFAULT_POKE_INTERVAL,
        timeout: float = DEFAULT_TIMEOUT,
        deferrable: bool = True,
        cancel_on_kill: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.poke_interval = seconds("poke_interval", poke_interval)
        self.timeout = seconds("timeout", timeout)
        self.deferrable = deferrable
        self.cancel_on_kill = cancel_on_kill
        self._waiting_for: tuple[str, str | None] | None = None

    def wait(self, context: Context, model_id: str, job_id: str | None) -> dict[str, Any]:
        """
        Return the training's result, now or through :meth:`execute_complete`.

        :raises TaskDeferred: when ``deferrable``.
        """
        self._waiting_for = (model_id, job_id)
        deadline = time.time() + self.timeout
        if self.deferrable:
            self._defer(context, model_id, job_id, deadline)
        from airflow_provider_scenario.watch.polling import wait_for_training

        ending = wait_for_training(
            # One try a poll: the watch itself goes on asking, ever more slowly.
            self.hook.connect(max_tries=1),
            TrainingWatch(what=model_id, deadline=deadline, poke_interval=self.poke_interval),
            model_id=model_id,
            job_id=job_id,
            log=self.log.info,
        )
        return self._conclude(context, ending)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> dict[str, Any]:
        """Go on after the trigger has seen the end."""
        with permanent_errors_do_not_retry():
            return self._conclude(context, Ending.from_event(event))

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Catch the one end that reaches neither the trigger nor :meth:`execute_complete`: Airflow's own time-out."""
        try:
            return super().resume_execution(next_method, next_kwargs, context)
        except TaskDeferralTimeout:
            model_id, job_id = self._own_xcom(context, "model_id"), self._own_xcom(context, "job_id")
            return self._conclude(context, Ending(outcome="timed-out", model_id=model_id, job_id=job_id))

    def on_kill(self) -> None:
        """Cancel the training of a task that is killed while it holds a worker; if deferred, the trigger does it."""
        if not (self.cancel_on_kill and self._waiting_for):
            return
        model_id, _ = self._waiting_for
        try:
            with self.hook.connect(timeout=_KILL_TIMEOUT, max_tries=1) as client:
                client.cancel_training(model_id)
            self.log.info("Task killed: the training of %s was cancelled. A refund is not promised.", model_id)
        except ScenarioError as error:
            self.log.error("Task killed, but the training of %s may go on, and its cost: %s", model_id, error)  # noqa: TRY400

    def _defer(self, context: Context, model_id: str, job_id: str | None, deadline: float) -> NoReturn:
        from airflow_provider_scenario.triggers.training import ScenarioTrainingTrigger, warn_without_triggerer

        started = context["ti"].start_date
        if self.execution_timeout and started:
            deadline = min(deadline, (started + self.execution_timeout).timestamp())
        warn_without_triggerer(self.log)
        self.defer(
            trigger=ScenarioTrainingTrigger(
                scenario_conn_id=self.scenario_conn_id,
                model_id=model_id,
                job_id=job_id,
                poke_interval=self.poke_interval,
                deadline=deadline,
                cancel_on_kill=self.cancel_on_kill,
            ),
            method_name="execute_complete",
            timeout=timedelta(seconds=max(0.0, deadline - time.time())) + GRACE,
        )

    def _conclude(self, context: Context, ending: Ending) -> dict[str, Any]:
        if ending.outcome == "timed-out":
            ending = replace(ending, error=self._stop(ending))
        if ending.creative_units_cost is None:
            # The job does not say; what the service named when it started the training counts.
            ending = replace(ending, creative_units_cost=self._own_xcom(context, "creative_units_cost"))
        else:
            context["ti"].xcom_push(key="creative_units_cost", value=ending.creative_units_cost)
        return ending.result()

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
