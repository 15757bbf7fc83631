"""Start, follow and cancel trainings."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_scenario.arguments import DEFAULT_POKE_INTERVAL, DEFAULT_TIMEOUT, known
from airflow_provider_scenario.client.errors import InvalidInputError
from airflow_provider_scenario.client.ids import check_id
from airflow_provider_scenario.client.trainers import check_parameters
from airflow_provider_scenario.exceptions import permanent_errors_do_not_retry
from airflow_provider_scenario.operators.base import ScenarioOperator
from airflow_provider_scenario.operators.train_and_wait import TrainingOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_scenario.client.schemas import Model


class ScenarioTrainModelOperator(TrainingOperator):
    """
    Train a model on Scenario and wait until it is trained.

    Reads the model before it starts anything: a model that is being trained already, by an earlier try whose answer was
    lost, say, is not started again but waited for. XComs ``model_id``, ``job_id`` and ``creative_units_cost`` are there
    as soon as the training has started.

    :param model_id: id of a model with training images, or with concepts for a composition (templated).
    :param parameters: training parameters, in the API's spelling or in snake case (templated). Default: the trainer's
        own. A ``wandbKey`` must come from a template, never from the DAG file.
    :param max_creative_units: fail before anything is paid if the quoted price is higher (templated). Default: none.
    :param wait_for_completion: False returns once the training has started. Default: True.
    :param poke_interval: seconds between two looks at the training. Default: 30.
    :param timeout: seconds to wait at most. A shorter ``execution_timeout`` counts too, also while deferred.
        Default: 43200 (12 hours).
    :param deferrable: wait in the triggerer, without holding a worker. Default: True.
    :param cancel_on_kill: cancel the remote training when this task is killed, marked, cleared or out of time.
        Default: True.
    :param scenario_conn_id: connection of type ``scenario``. Default: ``scenario_default``.
    :return: ``model_id``, ``job_id``, ``status``, ``name``, ``type``, ``creative_units_cost``, ``train_seconds`` and
        ``epochs`` (each with its sample ``asset_ids``).
    :raises TrainingFailedError: the service reports that the training has failed; carries its error and hint.
    :raises TrainingCanceledError: somebody else cancelled it; not retried.
    :raises TrainingTimeoutError: it was not over in time; says whether it was cancelled.
    """

    template_fields: Sequence[str] = ("model_id", "parameters", "max_creative_units", "scenario_conn_id")
    template_fields_renderers = {"parameters": "json"}  # noqa: RUF012
    ui_color = "#e8e4ff"

    def __init__(
        self,
        *,
        model_id: str,
        parameters: Mapping[str, Any] | None = None,
        max_creative_units: float | str | None = None,
        wait_for_completion: bool = True,
        poke_interval: float = DEFAULT_POKE_INTERVAL,
        timeout: float = DEFAULT_TIMEOUT,
        deferrable: bool = True,
        cancel_on_kill: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            max_creative_units=max_creative_units,
            wait_for_completion=wait_for_completion,
            poke_interval=poke_interval,
            timeout=timeout,
            deferrable=deferrable,
            cancel_on_kill=cancel_on_kill,
            **kwargs,
        )
        self.model_id = model_id
        self.parameters = parameters
        if known(model_id):
            check_id("model_id", model_id)
        if known(parameters):
            check_parameters(parameters or {})
        refuse_secrets_in_dag_file(parameters)

    def execute(self, context: Context) -> dict[str, Any]:
        """Check, start or adopt, wait."""
        with permanent_errors_do_not_retry():
            check_id("model_id", self.model_id)
            model = self.hook.client.get_model(self.model_id)
            self.show_model(context, model.id)
            return self.train(context, model, self.parameters)


class ScenarioCancelTrainingOperator(ScenarioOperator):
    """
    Cancel the training of a model; succeeds too where nothing is being trained, and then does nothing.

    What a cancelled training has cost so far may stay billed: Scenario does not promise a refund.

    :param model_id: id of the model (templated).
    :param job_id: cancel only if this is the job that trains it now (templated). Default: whichever does.
    :param scenario_conn_id: connection of type ``scenario``. Default: ``scenario_default``.
    :return: ``model_id``, ``job_id`` and the ``status`` the model has in the end.
    """

    template_fields: Sequence[str] = ("model_id", "job_id", "scenario_conn_id")
    ui_color = "#e8e4ff"

    def __init__(self, *, model_id: str, job_id: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.model_id = model_id
        self.job_id = job_id
        if known(model_id):
            check_id("model_id", model_id)

    def execute(self, context: Context) -> dict[str, Any]:
        """Cancel, then wait until the service has it so."""
        from airflow_provider_scenario.watch.polling import cancel_training

        with permanent_errors_do_not_retry():
            check_id("model_id", self.model_id)
            self.show_model(context, self.model_id)
            self.log.info("%s", cancel_training(self.hook.client, self.model_id, self.job_id))
            model = self._confirmed()
            return {"model_id": model.id, "job_id": model.job_id, "status": model.status}

    def _confirmed(self, patience: float = 60.0) -> Model:
        give_up = time.monotonic() + patience
        model = self.hook.client.get_model(self.model_id)
        while model.status == "training" and time.monotonic() < give_up:
            if self.job_id and model.job_id != self.job_id:
                break
            time.sleep(2)
            model = self.hook.client.get_model(self.model_id)
        return model


def refuse_secrets_in_dag_file(parameters: Mapping[str, Any] | None) -> None:
    """
    Keep a Weights & Biases key out of the serialised DAG, which Airflow stores in clear text.

    :raises InvalidInputError: ``wandbKey`` stands in the DAG file.
    """
    if not isinstance(parameters, Mapping):
        return
    for name in ("wandbKey", "wandb_key"):
        if isinstance(parameters.get(name), str) and known(parameters[name]):
            raise InvalidInputError(
                f"parameters[{name!r}] is a secret and must not stand in a DAG file (Airflow stores DAGs in its "
                "database); give a template such as '{{ conn.wandb.password }}'."
            )
