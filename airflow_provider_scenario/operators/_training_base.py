"""The base of the operators that train a model: their common arguments, and what Airflow calls."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow_provider_scenario.airflow_compat.attempt import Attempt
from airflow_provider_scenario.airflow_compat.deferral import method_to_resume
from airflow_provider_scenario.airflow_compat.exceptions import AirflowTaskTimeout, TaskDeferralTimeout
from airflow_provider_scenario.arguments import (
    DEFAULT_POKE_INTERVAL,
    DEFAULT_TIMEOUT,
    in_seconds,
    one_of,
    price_limit,
    seconds,
)
from airflow_provider_scenario.attempts.cancel_superseded import cancel_training_before_clear
from airflow_provider_scenario.attempts.conclude import conclude
from airflow_provider_scenario.attempts.earlier import EarlierAttempts
from airflow_provider_scenario.attempts.preflight import check_before_paying
from airflow_provider_scenario.attempts.task import own_xcom, push_total
from airflow_provider_scenario.attempts.training_attempt import TrainingAttempt, was_cancelled_by_late_kill
from airflow_provider_scenario.client.consequences import NOTHING_NEW
from airflow_provider_scenario.deferral import ends_in_triggerer
from airflow_provider_scenario.exceptions import permanent_errors_do_not_retry
from airflow_provider_scenario.operators.base import ScenarioOperator
from airflow_provider_scenario.watch.cancelling import KillHandler
from airflow_provider_scenario.watch.decision import FINAL_STATUSES
from airflow_provider_scenario.watch.result import TrainingResult

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_scenario.airflow_compat.types import Lineage
    from airflow_provider_scenario.attempts.earlier import OnClear, OnRetry
    from airflow_provider_scenario.attempts.task import PushedXComs
    from airflow_provider_scenario.client.scenario.schemas import Model
    from airflow_provider_scenario.lineage.reporting import Moment
    from airflow_provider_scenario.watch.decision import Outcome
    from airflow_provider_scenario.watch.result import TrainingEvent
    from airflow_provider_scenario.watch.start import TaskResult


class TrainingOperator(ScenarioOperator):
    """
    Base of the operators that start a training and wait for it. The operators describe the arguments.

    ``execute`` of an operator calls :meth:`earlier_attempts` and :meth:`cancel_training_before_clear`, then one of
    :meth:`train`, :meth:`take_over` and :meth:`result_of_earlier`.
    """

    parameters: Any
    """The author's training parameters."""

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
        self.on_clear: OnClear = on_clear
        self.on_retry: OnRetry = on_retry

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

    @cached_property
    def kill_handler(self) -> KillHandler:
        """Cancels the training if this attempt is killed in the worker."""
        return KillHandler(lambda **options: self.hook.connect(**options), self.log)

    def pre_execute(self, context: Context) -> None:
        """Store the attempt, so that :meth:`on_kill` can read its state."""
        self.kill_handler.attempt = Attempt.of_context(context)

    def on_kill(self) -> None:
        """
        Cancel the training if a person or a time limit ends the task while it holds a worker.

        While the task is deferred, its trigger does that.
        """
        self.kill_handler.on_kill()

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Call :meth:`execute_complete` with the trigger's event; at Airflow's own deferral timeout there is none."""
        self.restore_lineage(next_kwargs)
        try:
            return super().resume_execution(method_to_resume(next_method, next_kwargs), next_kwargs, context)
        except TaskDeferralTimeout:
            model_id, job_id, cost = (
                own_xcom(self, context, key) for key in ("model_id", "job_id", "creative_units_cost")
            )
            pushed: PushedXComs = {"job_id": job_id, "creative_units_cost": cost}
            result = TrainingResult(outcome="timed-out", model_id=model_id, job_id=job_id)
            return self.conclude(context, result, pushed_xcoms=pushed)

    def execute_complete(
        self,
        context: Context,
        event: TrainingEvent,
        pushed_xcoms: PushedXComs | None = None,
        adopted_at: float | None = None,
        is_ours: bool | None = None,
        **former: Any,
    ) -> TaskResult:
        """
        Continue after the trigger has fired.

        :param pushed_xcoms: see :class:`~.attempts.task.DeferredKwargs`, as the other two.
        :param former: arguments of tasks that an older version has deferred: ``told``, now ``pushed_xcoms``.
        """
        with permanent_errors_do_not_retry():
            result = TrainingResult.from_event(event)
            pushed = pushed_xcoms or former.get("told")
            return self._conclude_or_retrain(
                context, result, pushed_xcoms=pushed, adopted_at=adopted_at, is_ours=is_ours
            )

    def earlier_attempts(self, context: Context, inputs: Mapping[str, Any]) -> EarlierAttempts:
        """
        Return what earlier attempts have done, and push what they have paid.

        :param inputs: the arguments that must not change before a retry, as JSON.
        """
        earlier = EarlierAttempts(context, self.task_id, inputs, on_clear=self.on_clear, retries=self.retries)
        push_total(context, earlier.total_paid(), None)
        return earlier

    def cancel_training_before_clear(self, earlier: EarlierAttempts, *, except_model_id: str | None = None) -> None:
        """Cancel the training of an attempt before the clear, unless ``cancel_on_kill`` is False."""
        if self.cancel_on_kill:
            cancel_training_before_clear(self.hook.client, earlier, self.log, except_model_id=except_model_id)

    def must_not_pay_again(self, earlier: EarlierAttempts, model: Model) -> bool:
        """
        Whether an earlier attempt paid for a training that failed or was cancelled at its deadline, and ``on_retry`` is
        ``resume``.

        :param model: as just read.
        """
        if self.on_retry != "resume" or not earlier.is_retry or not model.job_id:
            return False
        given_up = earlier.record is not None and earlier.record.given_up == model.job_id
        if model.status == "failed" or (model.status == "training-canceled" and given_up):
            return earlier.continued_attempt_started(self.hook.client, model.job_id)
        return False

    def train(
        self,
        context: Context,
        model: Model,
        parameters: Mapping[str, Any] | None,
        earlier: EarlierAttempts,
        *,
        already_logged: Collection[str] = (),
        is_shared: bool = False,
    ) -> TaskResult:
        """
        Check the price, start or adopt the training, wait for it.

        :param model: as just read.
        :param already_logged: see :func:`check_before_paying`.
        :param is_shared: True if another task may start the same training.
        """
        checked = check_before_paying(
            *(self.hook.client, model, parameters, price_limit(self.max_creative_units), self.log),
            already_logged=already_logged,
        )
        attempt = TrainingAttempt(self, context, earlier)
        try:
            attempt.start(model, checked, is_shared=is_shared)
            return self._wait(context, attempt)
        except AirflowTaskTimeout:  # `execution_timeout` while the task holds a worker
            training = self.kill_handler.training
            if training is None:
                raise
            result = TrainingResult(outcome="timed-out", model_id=training.model_id, job_id=training.job_id)
            return self.conclude(context, result, is_ours=training.is_ours)

    def take_over(self, context: Context, model: Model, earlier: EarlierAttempts) -> TaskResult:
        """
        Return the result of a model that another task trains or has trained; start, pay and cancel nothing.

        :param model: as a list has it, or as just read.
        """
        self.show_model(context, model.id)
        if model.status == "trained":
            return self._conclude_read(context, "trained", self.hook.client.get_model(model.id), is_ours=False)
        attempt = TrainingAttempt(self, context, earlier)
        attempt.adopt(model)
        return self._wait(context, attempt)

    def result_of_earlier(self, context: Context, model: Model) -> TaskResult:
        """
        Return the result, or raise the error, of a training that an earlier attempt has started.

        :param model: as just read; its status is final.
        """
        self.log.info(
            "The training of %s by an earlier attempt has ended (%s). %s", model.id, model.status, NOTHING_NEW
        )
        return self._conclude_read(context, FINAL_STATUSES[model.status or ""], model, is_ours=True)

    def conclude(
        self,
        context: Context,
        result: TrainingResult,
        *,
        pushed_xcoms: PushedXComs | None = None,
        is_ours: bool | None = None,
    ) -> TaskResult:
        """Return the task's result, or raise its error, see :func:`~.attempts.conclude.conclude`."""
        return conclude(self, context, result, pushed_xcoms=pushed_xcoms, is_ours=is_ours)

    def ends_in_triggerer(self, context: Context) -> bool:
        """Whether the trigger can end the task without a worker, if the training succeeds."""
        return ends_in_triggerer(self, context, stores=True)

    def _training_at(self, moment: Moment, *, images: Any = None) -> Lineage:
        from airflow_provider_scenario.lineage.report import of_training

        return of_training(
            self.lineage_notes,
            moment,
            images=images,
            parameters=self.parameters,
            max_creative_units=self.max_creative_units,
            outlets=self.outlets,
        )

    def _wait(self, context: Context, attempt: TrainingAttempt) -> TaskResult:
        if not self.wait_for_completion:
            return attempt.started.result()
        return self._conclude_or_retrain(context, attempt.wait(), **attempt.deferred_kwargs)

    def _conclude_or_retrain(
        self,
        context: Context,
        result: TrainingResult,
        *,
        pushed_xcoms: PushedXComs | None,
        adopted_at: float | None,
        is_ours: bool | None,
    ) -> TaskResult:
        if not self.kill_handler.was_killed and was_cancelled_by_late_kill(result, adopted_at):
            self.log.info(
                "Killing the previous attempt cancelled its training. This attempt starts a new one, which is billed."
            )
            retrained: TaskResult = self.execute(context)
            return retrained
        return self.conclude(context, result, pushed_xcoms=pushed_xcoms, is_ours=is_ours)

    def _conclude_read(self, context: Context, outcome: Outcome, model: Model, *, is_ours: bool) -> TaskResult:
        from airflow_provider_scenario.watch.polling import fetch_result

        result = fetch_result(self.hook.client, outcome, model, model.id, model.job_id)
        return self.conclude(context, result, is_ours=is_ours)
