"""Wait for a training that another task or a person has started."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseSensorOperator, PokeReturnValue

from airflow_provider_scenario.airflow_compat.deferral import method_to_resume
from airflow_provider_scenario.airflow_compat.exceptions import AirflowFailException, AirflowSensorTimeout
from airflow_provider_scenario.arguments import (
    DEFAULT_POKE_INTERVAL,
    DEFAULT_TIMEOUT,
    GRACE,
    CheckedOperator,
    in_seconds,
    seconds,
)
from airflow_provider_scenario.client.budget import WaitNotice
from airflow_provider_scenario.client.consequences import RUNNING_TRAINING_CONTINUES
from airflow_provider_scenario.client.errors import InvalidInputError
from airflow_provider_scenario.client.ids import check_id
from airflow_provider_scenario.deferral import ends_in_triggerer, warn_without_triggerer
from airflow_provider_scenario.exceptions import (
    TrainingFailedError,
    TrainingTimeoutError,
    permanent_errors_do_not_retry,
)
from airflow_provider_scenario.hooks.scenario import ScenarioHook
from airflow_provider_scenario.lineage.reporting import ReportsLineage
from airflow_provider_scenario.links import ScenarioModelLink
from airflow_provider_scenario.watch.decision import TrainingWatch
from airflow_provider_scenario.watch.result import TrainingResult

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_scenario.airflow_compat.types import Lineage
    from airflow_provider_scenario.lineage.reporting import Moment
    from airflow_provider_scenario.watch.polling import Poller
    from airflow_provider_scenario.watch.result import TrainingEvent
    from airflow_provider_scenario.watch.start import TaskResult


class ScenarioTrainingSensor(ReportsLineage, CheckedOperator, BaseSensorOperator):
    """
    Wait until a training has succeeded; fail when it has failed or was cancelled.

    It does not cancel the training when it is killed or times out, unless ``cancel_on_kill``. A successful training
    ends a deferred sensor without another worker start, unless outlets, callbacks or listeners need one (below Airflow
    3.3: or its result does; see ``do_xcom_push``).

    :param model_id: the model that is trained; its status decides (templated).
    :param job_id: the training's job (templated). Alone: its status decides. With ``model_id``: excludes earlier and
        later trainings of the same model.
    :param poke_interval: seconds between two polls; a deferred sensor polls less often while the end is far away, see
        :class:`.ScenarioTrainModelOperator`. Default: 30.
    :param timeout: seconds to wait at most. Default: 43200 (12 hours).
    :param deferrable: wait in the triggerer, without holding a worker. Default: True.
    :param cancel_on_kill: cancel the training when the sensor is killed while deferred. Default: False.
    :param soft_fail: skip instead of failing, also when the training has failed. Default: False.
    :param scenario_conn_id: connection of type ``scenario``. Default: ``scenario_default``.
    :return: the same dict as :class:`.ScenarioTrainModelOperator`.
    :raises AirflowFailException: the training has failed or was cancelled. Not retried: the status stays the same.
    :raises AirflowSensorTimeout: the training did not end in time.
    """

    custom_operator_name = "ScenarioTrainingSensor"  # the Trainings page finds tasks by it, also of subclasses
    template_fields: Sequence[str] = ("model_id", "job_id", "scenario_conn_id")
    operator_extra_links = (ScenarioModelLink(),)
    ui_color = "#e8e4ff"

    def __init__(
        self,
        *,
        model_id: str | None = None,
        job_id: str | None = None,
        poke_interval: float = DEFAULT_POKE_INTERVAL,
        timeout: float = DEFAULT_TIMEOUT,
        deferrable: bool = True,
        cancel_on_kill: bool = False,
        scenario_conn_id: str = ScenarioHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.poke_interval = in_seconds(poke_interval)
        self.timeout = in_seconds(timeout)
        self.model_id = model_id
        self.job_id = job_id
        self.deferrable = deferrable
        self.cancel_on_kill = cancel_on_kill
        self.scenario_conn_id = scenario_conn_id
        self._check_when_parsed()

    @cached_property
    def hook(self) -> ScenarioHook:
        """One hook per task: one connection lookup and one HTTP session."""
        return ScenarioHook(self.scenario_conn_id)

    @cached_property
    def _poller(self) -> Poller:
        from airflow_provider_scenario.watch.polling import Poller

        return Poller(self.hook)

    @cached_property
    def _wait_notice(self) -> WaitNotice:
        return WaitNotice(self.log.info)

    @cached_property
    def _watch(self) -> TrainingWatch:
        return TrainingWatch(
            label=self.model_id or self.job_id or "",
            deadline=time.time() + self.timeout,
            poke_interval=float(self.poke_interval),
        )

    def execute(self, context: Context) -> Any:
        """Poll once; then defer, or continue as Airflow's sensors do."""
        with permanent_errors_do_not_retry():
            self._check()
            self.lineage_notes.model_id = self.model_id
            self.lineage_notes.note_connection(self.hook.settings)
            if self.model_id:
                self.hook.show_model(context, self.model_id, job_id=self.job_id)
            if not self.deferrable:
                return super().execute(context)
            result = self._poll()
            if not result:
                return self._defer(context)
            # As after a deferral, because Airflow handles soft_fail and never_fail there.
            return self.resume_execution("execute_complete", {"event": result.to_event()}, context)

    def poke(self, context: Context) -> PokeReturnValue:  # noqa: ARG002
        """Poll once; the sensor is done when the training is."""
        result = self._poll()
        return PokeReturnValue(is_done=bool(result), xcom_value=self._value_or_raise(result) if result else None)

    def _poll(self) -> TrainingResult | None:
        max_wait = self._watch.deadline - time.time()
        answer = self._poller.poll(self.model_id, self.job_id, max_wait=max_wait, wait_notice=self._wait_notice)
        if answer is None:
            return None  # as below
        outcome = self._watch.after(self._poller.snapshot_of(answer), time.time())
        if self._watch.log_line:
            self.log.info("%s", self._watch.log_line)
        if self._watch.warning and not self.deferrable:  # else the trigger logs it
            self.log.warning("%s", self._watch.warning)
        if outcome in (None, "timed-out"):
            # At the deadline Airflow's own sensor loop raises the error.
            return None
        return self._poller.fetch_result(outcome, answer, self.model_id, self.job_id)

    def execute_complete(self, context: Context, event: TrainingEvent) -> TaskResult:  # noqa: ARG002
        """Return the result, or raise the error, of the trigger's event."""
        return self._value_or_raise(TrainingResult.from_event(event))

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Take over what was noted for OpenLineage, then continue as Airflow does, but lose no event of the trigger."""
        self.restore_lineage(next_kwargs)
        return super().resume_execution(method_to_resume(next_method, next_kwargs), next_kwargs, context)

    def _defer(self, context: Context) -> None:
        from airflow_provider_scenario.triggers.training import ScenarioTrainingTrigger

        warn_without_triggerer(self.log)
        self.defer(
            trigger=ScenarioTrainingTrigger(
                scenario_conn_id=self.scenario_conn_id,
                model_id=self.model_id,
                job_id=self.job_id,
                poke_interval=float(self.poke_interval),
                deadline=self._watch.deadline,
                cancel_on_kill=self.cancel_on_kill,
                end_from_trigger=ends_in_triggerer(self, context, stores=self.do_xcom_push),
                do_xcom_push=self.do_xcom_push,
                deferred_at=time.time(),
            ),
            method_name="execute_complete",
            kwargs=self.deferred_lineage(),
            timeout=timedelta(seconds=self.timeout) + GRACE,
        )

    def _value_or_raise(self, result: TrainingResult) -> TaskResult:
        self.lineage_notes.note_end(result, is_ours=False)
        return _value_or_raise(result)

    def _lineage_at(self, moment: Moment) -> Lineage:
        from airflow_provider_scenario.lineage.report import of_waiting

        return of_waiting(self.lineage_notes, moment)

    def _check(self, *, only_known: bool = False) -> list[str]:
        final = self._final(only_known)
        if not self.model_id and not self.job_id:
            raise InvalidInputError("model_id and job_id are both empty; give at least one of them.")
        for name in ("model_id", "job_id"):
            value = getattr(self, name)
            if value not in (None, "") and final(name):
                check_id(name, value)
        for name in ("poke_interval", "timeout"):
            if final(name):
                seconds(name, getattr(self, name))
        return super()._check(only_known=only_known)


def _value_or_raise(result: TrainingResult) -> TaskResult:
    try:
        return result.value_or_raise()
    except TrainingFailedError as error:
        # A retry cannot help: unlike the operator, the sensor does not start a new training.
        raise AirflowFailException(str(error)) from error
    except TrainingTimeoutError as error:
        raise AirflowSensorTimeout(f"{error} The sensor did not cancel it. {RUNNING_TRAINING_CONTINUES}") from error
