"""Estimate the cost of trainings before anything is paid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_scenario.arguments import known
from airflow_provider_scenario.client.scenario.trainers import check_parameters
from airflow_provider_scenario.cost_estimate import CostEstimator, check_item, cost_table, named, with_defaults
from airflow_provider_scenario.exceptions import permanent_errors_do_not_retry
from airflow_provider_scenario.operators.base import ScenarioOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_scenario.cost_estimate import CostEstimate

# Seconds to connect and to read. ``on_kill`` has about five seconds until SIGKILL.
_KILL_TIMEOUT = (1.0, 3.0)


class ScenarioEstimateTrainingCostOperator(ScenarioOperator):
    """
    Estimate what a batch of trainings would cost. Nothing is started, uploaded or billed.

    Scenario quotes a price only for a model: for each type a temporary model is created, which is free, and deleted at
    the end. Equal trainings are quoted once. The sum is in the XCom ``creative_units``; the log has a table.

    The price of an edit type depends on its number of images. The ``concepts`` of a composition must be trained
    already: a composition of LoRAs of the same batch cannot be quoted yet.

    :param trainings: a list of ``{"type": …, "images": …, "parameters": {…}, "name": …}``, as ``list_datasets`` returns
        it for ``ScenarioTrainLoraOperator``; other keys are ignored. ``images`` is a number or a dataset, which is read
        and checked; its ``training.yaml`` overrides ``parameters``. ``{"model_id": …, "parameters": {…}}`` is for an
        existing model, ``{"type": "flux.1-composition", "concepts": […]}`` for a composition (templated).
    :param type: of the trainings without a ``type`` (templated).
    :param parameters: of the trainings without ``parameters``, in either spelling (templated).
    :param scenario_conn_id: connection of type ``scenario``. Default: ``scenario_default``.
    :return: ``creative_units``, the sum, and ``trainings`` with ``name``, ``type``, ``images`` and ``creative_units``.
    """

    template_fields: Sequence[str] = ("trainings", "type", "parameters", "scenario_conn_id")
    template_fields_renderers = {"trainings": "json", "parameters": "json"}  # noqa: RUF012
    ui_color = "#fff3d6"
    operator_extra_links = ()  # there is no model to show

    def __init__(
        self,
        *,
        trainings: Any,
        type: str | None = None,  # noqa: A002 - the API's word
        parameters: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.trainings = trainings
        self.type = type
        self.parameters = parameters
        self._estimator: CostEstimator | None = None
        self._check_when_parsed()

    def _check(self, *, only_known: bool = False) -> list[str]:
        final = self._final(only_known)
        if final("parameters"):
            check_parameters(self.parameters)
        if only_known and isinstance(self.trainings, list | tuple):  # `execute` reads and checks each
            for place, item in enumerate(self.trainings, start=1):
                if known(item) and final("type", "parameters"):
                    with named(place, item):
                        check_item(with_defaults(item, self.type, self.parameters))
        return super()._check(only_known=only_known)

    def execute(self, context: Context) -> CostEstimate:
        """Read and check all trainings, quote each price once, add the prices up."""
        with permanent_errors_do_not_retry():
            self._check()
            self._estimator = CostEstimator(lambda: self.hook.client, self.log)
            trainings = self._estimator.read(self.trainings, type=self.type, parameters=self.parameters)
            estimate = self._estimator.estimate(trainings)
            context["ti"].xcom_push(key="creative_units", value=estimate["creative_units"])
            for line in cost_table(estimate):
                self.log.info("%s", line)
            return estimate

    def on_kill(self) -> None:
        """Delete the temporary models."""
        if self._estimator and self._estimator.has_temporary_models:
            with self.hook.connect(timeout=_KILL_TIMEOUT, max_tries=1) as client:
                self._estimator.delete_temporary_models(client)
