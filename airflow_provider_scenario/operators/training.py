"""Start, follow and cancel trainings."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow_provider_scenario.arguments import DEFAULT_POKE_INTERVAL, DEFAULT_TIMEOUT
from airflow_provider_scenario.attempts.create import (
    create_marked_model,
    find_created_model,
    marker_is_needed,
    replace_marker,
)
from airflow_provider_scenario.attempts.once_per_dataset import find_or_create_model_of
from airflow_provider_scenario.client.errors import ScenarioError
from airflow_provider_scenario.client.ids import check_id
from airflow_provider_scenario.client.scenario.secret_parameters import without_secrets
from airflow_provider_scenario.client.scenario.trainers import check_parameters, check_ready
from airflow_provider_scenario.client.values import Spelling
from airflow_provider_scenario.datasets import (
    attach,
    check_kind,
    check_pairs,
    check_preset,
    list_images,
    log_review,
    model_after_upload,
    read_dataset,
    resolve_pairs,
)
from airflow_provider_scenario.datasets.settings import merged_parameters, overruled_message
from airflow_provider_scenario.datasets.upload import check_threads
from airflow_provider_scenario.exceptions import permanent_errors_do_not_retry
from airflow_provider_scenario.operators._training_base import TrainingOperator
from airflow_provider_scenario.operators.base import ScenarioOperator, check_model_fields
from airflow_provider_scenario.watch.cancelling import cancel_training

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_scenario.airflow_compat.mapping import CheckedPartial
    from airflow_provider_scenario.airflow_compat.types import Lineage
    from airflow_provider_scenario.attempts.earlier import EarlierAttempts, OnClear, OnRetry
    from airflow_provider_scenario.attempts.once_per_dataset import DatasetModel
    from airflow_provider_scenario.client.scenario.schemas import Model
    from airflow_provider_scenario.client.scenario.trainers import CheckedParameters
    from airflow_provider_scenario.datasets import Dataset
    from airflow_provider_scenario.lineage.reporting import Moment
    from airflow_provider_scenario.watch.result import TrainingResult
    from airflow_provider_scenario.watch.start import TaskResult


class ScenarioTrainModelOperator(TrainingOperator):
    """
    Train a model on Scenario and wait until it is trained.

    Reads the model first. If it is being trained already, for example by an earlier attempt whose response was lost,
    the task waits for that training and starts none. The XComs ``model_id``, ``job_id`` and ``creative_units_cost`` are
    pushed as soon as the training has started.

    :param model_id: id of a model with training images, or with concepts for a composition (templated).
    :param parameters: training parameters, in the API's spelling or in snake case (templated). Default: those of the
        trainer. A ``wandbKey`` must come from a template, never from the DAG file. A name that this provider does not
        know is sent with a warning, unless it resembles a known name: then it is an error. The entries of a dictionary
        ``extra_parameters`` are sent unchecked.
    :param max_creative_units: fail before anything is paid if the quoted price is higher (templated). Default:
        no limit.
    :param wait_for_completion: False returns once the training has started. Default: True.
    :param poke_interval: seconds between two polls of the training. Far from the end the pauses are longer (up to ten
        times, at most 300 seconds), close to the end shorter (down to a third). Default: 30.
    :param timeout: seconds to wait at most. A shorter ``execution_timeout`` counts too, also while deferred.
        Default: 43200 (12 hours).
    :param deferrable: wait in the triggerer, without holding a worker. Default: True.
    :param cancel_on_kill: cancel the training in Scenario when this task is killed, marked, cleared or out of time. A
        training that this task did not start is never cancelled. Default: True.
    :param on_clear: what the task does after a person has cleared it: ``retrain`` trains and pays again; ``reattach``
        continues with the model of an earlier attempt, and pays nothing if it is trained. Default: ``retrain``.
    :param on_retry: what a retry does if the training of an earlier attempt has failed or was cancelled at the
        deadline: ``resume`` fails the task at once and pays nothing; ``retrain`` trains and pays again. A training that
        still runs or has succeeded is never paid again. Default: ``resume``.
    :param scenario_conn_id: connection of type ``scenario``. Default: ``scenario_default``.
    :return: ``model_id``, ``job_id``, ``status``, ``name``, ``type``, ``creative_units_cost``, ``train_seconds`` and
        ``epochs`` (each with its sample ``asset_ids``).
    :raises TrainingFailedError: the training has failed; carries Scenario's error and hint.
    :raises TrainingCanceledError: the training was cancelled, but not by this task; not retried.
    :raises TrainingTimeoutError: the training did not end in time; says whether it was cancelled.
    """

    custom_operator_name = "ScenarioTrainModelOperator"  # the Trainings page finds tasks by it, also of subclasses
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
        on_clear: OnClear = "retrain",
        on_retry: OnRetry = "resume",
        **kwargs: Any,
    ) -> None:
        super().__init__(
            max_creative_units=max_creative_units,
            wait_for_completion=wait_for_completion,
            poke_interval=poke_interval,
            timeout=timeout,
            deferrable=deferrable,
            cancel_on_kill=cancel_on_kill,
            on_clear=on_clear,
            on_retry=on_retry,
            **kwargs,
        )
        self.model_id = model_id
        self.parameters = parameters
        self._check_when_parsed()

    def _check(self, *, only_known: bool = False) -> list[str]:
        final = self._final(only_known)
        if final("model_id"):
            check_id("model_id", self.model_id)
        if only_known and final("parameters"):  # the model is not known yet, and its type decides the rest
            check_parameters(self.parameters)
        return super()._check(only_known=only_known)

    def execute(self, context: Context) -> TaskResult:
        """Read the model, start its training or adopt the one that runs, wait."""
        with permanent_errors_do_not_retry():
            self._check()
            parameters = check_parameters(self.parameters)
            self.lineage_notes.note_parameters(parameters)
            inputs = {"model_id": self.model_id, "parameters": without_secrets(self.parameters or {})}
            earlier = self.earlier_attempts(context, inputs)
            self.cancel_training_before_clear(earlier, except_model_id=self.model_id)
            model = self.hook.client.get_model(self.model_id)
            self.lineage_notes.note_model(model)
            self.show_model(context, model.id)
            if self._is_trained_already(earlier, model) or self.must_not_pay_again(earlier, model):
                return self.result_of_earlier(context, model)
            return self.train(context, model, parameters, earlier)

    def _lineage_at(self, moment: Moment) -> Lineage:
        return self._training_at(moment)

    def _is_trained_already(self, earlier: EarlierAttempts, model: Model) -> bool:
        if model.status != "trained" or not model.job_id:
            return False
        return earlier.continued_attempt_started(self.hook.client, model.job_id)


_LORA_MODEL_FIELDS = ("name", "type", "short_description", "class_slug", "collection_ids")


class ScenarioTrainLoraOperator(TrainingOperator):
    """
    Train one LoRA, from its dataset to the trained model, in one task: create, attach, check, train, wait.

    Made for ``.expand_kwargs(list_datasets("s3://bucket/characters"))``: one mapped task per dataset. Airflow renders
    templates of the DAG file only, not those that another task returns: give templates to ``partial``. Everything is
    checked before anything is created. A retry finds the model of an earlier attempt, uploads only what is missing, and
    waits for a training that runs, or returns the result of one that has succeeded. Clearing a finished task trains a
    new model.

    :param name: of the model, 1 to 64 characters (templated); shown in the grid of a mapped task.
    :param type: what is trained, such as ``flux.2-dev-lora`` (templated).
    :param images: the dataset: a folder (local, or an ``ObjectStoragePath`` such as ``s3://bucket/dir``) or a list of
        images, as for :class:`.ScenarioAddTrainingImagesOperator` (templated).
    :param parameters: as for :class:`ScenarioTrainModelOperator` (templated). The dataset's ``training.yaml`` overrides
        them, and the log says so.
    :param pairs: for edit types; they replace those of the dataset (templated).
    :param preset: what the captions that Scenario writes describe: ``default``, ``style`` or ``subject`` (templated).
    :param short_description: at most 256 characters (templated). Default: the DAG and the run that created it.
    :param class_slug: slug of the model's class (templated).
    :param collection_ids: collections to put the model into (templated).
    :param threads: how many images are uploaded at once. Default: 8.
    :param max_creative_units: fail before anything is paid if the quoted price is higher (templated). Default:
        no limit.
    :param wait_for_completion: False returns once the training has started. Default: True.
    :param poke_interval: seconds between two polls of the training. Far from the end the pauses are longer (up to ten
        times, at most 300 seconds), close to the end shorter (down to a third). Default: 30.
    :param timeout: seconds to wait at most. A shorter ``execution_timeout`` counts too, also while deferred.
        Default: 43200 (12 hours).
    :param deferrable: wait in the triggerer, without holding a worker. Default: True.
    :param cancel_on_kill: cancel the training in Scenario when this task is killed, marked, cleared or out of time. A
        training that this task did not start is never cancelled. Default: True.
    :param on_clear: what the task does after a person has cleared it: ``retrain`` trains and pays again; ``reattach``
        continues with the model of an earlier attempt, and pays nothing if it is trained. Default: ``retrain``.
    :param on_retry: what a retry does if the training of an earlier attempt has failed or was cancelled at the
        deadline: ``resume`` fails the task at once and pays nothing; ``retrain`` trains and pays again. A training that
        still runs or has succeeded is never paid again. Default: ``resume``.
    :param once_per_dataset: train each dataset once in the project of the connection, across tasks, runs and DAGs, and
        also after a clear. If there is a model of the same images, captions, pairs, ``training.yaml`` and ``type`` that
        is trained or being trained, the task returns its result and pays nothing. The name of the model and the DAG's
        ``parameters`` do not count. Reads each file once more, and keeps a marker (``[dataset …]``) in the model's
        description. To train a dataset again, leave this out or delete its model in Scenario. Default: False.
    :param scenario_conn_id: connection of type ``scenario``. Default: ``scenario_default``.
    :return: as :class:`ScenarioTrainModelOperator`.
    """

    custom_operator_name = "ScenarioTrainLoraOperator"  # the Trainings page finds tasks by it, also of subclasses
    template_fields: Sequence[str] = (
        "name",
        "type",
        "images",
        "parameters",
        "pairs",
        "preset",
        "short_description",
        "class_slug",
        "collection_ids",
        "max_creative_units",
        "scenario_conn_id",
    )
    template_fields_renderers = {"images": "json", "parameters": "json", "pairs": "json"}  # noqa: RUF012
    ui_color = "#e8e4ff"

    def __init__(
        self,
        *,
        name: str,
        type: str,  # noqa: A002 - the API's word
        images: Any,
        parameters: Mapping[str, Any] | None = None,
        pairs: Sequence[Mapping[str, str]] | None = None,
        preset: str | None = None,
        short_description: str | None = None,
        class_slug: str | None = None,
        collection_ids: Sequence[str] | None = None,
        threads: int = 8,
        max_creative_units: float | str | None = None,
        wait_for_completion: bool = True,
        poke_interval: float = DEFAULT_POKE_INTERVAL,
        timeout: float = DEFAULT_TIMEOUT,
        deferrable: bool = True,
        cancel_on_kill: bool = True,
        on_clear: OnClear = "retrain",
        on_retry: OnRetry = "resume",
        once_per_dataset: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            max_creative_units=max_creative_units,
            wait_for_completion=wait_for_completion,
            poke_interval=poke_interval,
            timeout=timeout,
            deferrable=deferrable,
            cancel_on_kill=cancel_on_kill,
            on_clear=on_clear,
            on_retry=on_retry,
            **kwargs,
        )
        self.name = name
        self.type = type
        self.images = images
        self.parameters = parameters
        self.pairs = pairs
        self.preset = preset
        self.short_description = short_description
        self.class_slug = class_slug
        self.collection_ids = collection_ids
        self.threads = threads
        self.once_per_dataset = once_per_dataset
        self._check_when_parsed()

    @classmethod
    def partial(cls, *, map_index_template: str = "{{ task.name }}", **kwargs: Any) -> CheckedPartial:
        """Name each mapped task after its model, unless the author has named it; Airflow reads the name here."""
        return super().partial(map_index_template=map_index_template, **kwargs)

    def execute(self, context: Context) -> TaskResult:
        """Check everything, create or find the model, upload what it lacks, train it."""
        with permanent_errors_do_not_retry():
            dataset, merged, parameters = self._checked_input()
            self.lineage_notes.note_images(dataset.images)
            self.lineage_notes.note_parameters(parameters)
            logged = log_review(self.name, dataset, self.log)
            earlier = self.earlier_attempts(context, self._inputs(dataset, merged))
            found = find_created_model(self.hook.client, earlier)
            self.cancel_training_before_clear(earlier)
            if self.once_per_dataset:
                found, is_anothers = self._model_of(dataset, earlier, found)
                if is_anothers:
                    return self.take_over(context, found, earlier)
            model = found or create_marked_model(self.hook.client, earlier, self._model_fields)
            self.show_model(context, model.id, is_ours=earlier.has_created(model))
            if model.status == "trained" or self.must_not_pay_again(earlier, model):
                return self.result_of_earlier(context, model)
            model = self._with_dataset(model, dataset, is_new=found is None)
            is_shared = self.once_per_dataset and not earlier.has_created(model)
            return self.train(context, model, parameters, earlier, already_logged=logged, is_shared=is_shared)

    def _lineage_at(self, moment: Moment) -> Lineage:
        return self._training_at(moment, images=self.images)

    @property
    def _model_fields(self) -> dict[str, Any]:
        return {field: getattr(self, field) or None for field in _LORA_MODEL_FIELDS}

    def _inputs(self, dataset: Dataset, parameters: dict[str, Any]) -> dict[str, Any]:
        """The arguments that must not change before a retry, as JSON; another description trains the same model."""
        learned = {"parameters": without_secrets(parameters), "images": dataset.fingerprint, "pairs": dataset.pairs}
        return {**self._model_fields, "short_description": None, **learned}

    def _model_of(self, dataset: Dataset, earlier: EarlierAttempts, own: Model | None) -> DatasetModel:
        return find_or_create_model_of(
            *(dataset, self.hook.client, earlier, self._model_fields, own),
            cancel_on_kill=self.cancel_on_kill,
            turn=self.hook.budget.turn,
            log=self.log,
        )

    def _with_dataset(self, model: Model, dataset: Dataset, *, is_new: bool) -> Model:
        """
        Upload what the model lacks of the dataset, unless it is being trained.

        :param is_new: the model was just created: if it holds the dataset as sent, it need not be read again.
        """
        if model.status == "training":
            return model
        client = self.hook.client
        image_ids = attach(client, model, dataset, preset=self.preset, threads=self.threads, log=self.log)
        filled = model_after_upload(model, dataset, image_ids) if is_new else None
        return filled or client.get_model(model.id)

    def conclude(self, context: Context, result: TrainingResult, **options: Any) -> TaskResult:
        """Also replace the marker by the author's description; with ``once_per_dataset`` the markers stay behind it."""
        returned = super().conclude(context, result, **options)
        if self.once_per_dataset:
            return returned
        try:
            replace_marker(
                *(self.hook.client, context, str(returned["model_id"]), self.short_description), on_clear=self.on_clear
            )
        except ScenarioError as error:
            self.log.warning("The model is trained, but its marker cannot be replaced by the description: %s", error)
        return returned

    def ends_in_triggerer(self, context: Context) -> bool:
        """A worker is needed to replace the marker by the author's description."""
        keeps_marker = self.once_per_dataset or marker_is_needed(context, self.on_clear)
        return (keeps_marker or not self.short_description) and super().ends_in_triggerer(context)

    def _checked_input(self) -> tuple[Dataset, dict[str, Any], CheckedParameters]:
        """
        Refuse what Scenario would refuse, before anything is created; warnings are logged before the payment.

        :return: the dataset; the parameters of both, as they were given; the same, checked.
        """
        for warning in self._check():
            self.log.warning("%s", warning)
        dataset = read_dataset(self.images)
        check_kind(dataset, self.type)
        if self.pairs is not None:
            dataset = replace(dataset, pairs=[dict(pair) for pair in self.pairs])
        if dataset.pairs is not None:
            resolve_pairs(dataset.pairs, {image.name: image.asset_id or image.name for image in dataset.images})
        merged, overruled = merged_parameters(dataset.parameters, self.parameters)
        if overruled:
            self.log.info("%s", overruled_message(self.name, overruled))
        parameters = check_parameters(merged, self.type, spelling=Spelling(self.parameters or ()))
        check_ready(
            model_id=repr(self.name), model_type=self.type, images=len(dataset.images), pairs=len(dataset.pairs or [])
        )
        return dataset, merged, parameters

    def _check(self, *, only_known: bool = False) -> list[str]:
        final, warnings = self._final(only_known), super()._check(only_known=only_known)
        warnings += check_model_fields(self, _LORA_MODEL_FIELDS, final)
        if final("parameters"):  # before the dataset is read, whose own parameters are merged into these
            check_parameters(self.parameters, self.type if final("type") else None)
        if final("preset"):
            check_preset(None if self.preset == "" else self.preset)
        if final("pairs") and self.pairs is not None:
            check_pairs(self.pairs)
        if final("images") and isinstance(self.images, list | tuple):
            list_images(self.images)
        if final("threads"):
            check_threads(self.threads)
        return warnings


class ScenarioCancelTrainingOperator(ScenarioOperator):
    """
    Cancel the training of a model; succeeds if there is none.

    A cancelled training may stay billed: Scenario does not promise a refund.

    :param model_id: id of the model (templated).
    :param job_id: cancel only this training of the model (templated). Default: the one that runs.
    :param scenario_conn_id: connection of type ``scenario``. Default: ``scenario_default``.
    :return: ``model_id``, ``job_id`` and the ``status`` of the model after the cancellation.
    """

    template_fields: Sequence[str] = ("model_id", "job_id", "scenario_conn_id")
    ui_color = "#e8e4ff"

    def __init__(self, *, model_id: str, job_id: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.model_id = model_id
        self.job_id = job_id
        self._check_when_parsed()

    def _check(self, *, only_known: bool = False) -> list[str]:
        if self._final(only_known)("model_id"):
            check_id("model_id", self.model_id)
        return super()._check(only_known=only_known)

    def execute(self, context: Context) -> dict[str, Any]:
        """Cancel, then wait until the model's status shows it."""
        with permanent_errors_do_not_retry():
            self._check()
            self.show_model(context, self.model_id)
            self.log.info("%s", cancel_training(self.hook.client, self.model_id, self.job_id).text)
            model = self._wait_until_cancelled()
            return {"model_id": model.id, "job_id": model.job_id, "status": model.status}

    def _wait_until_cancelled(self, timeout: float = 60.0) -> Model:
        give_up = time.monotonic() + timeout
        model = self.hook.client.get_model(self.model_id)
        while model.status == "training" and time.monotonic() < give_up:
            if self.job_id and model.job_id != self.job_id:
                break
            time.sleep(2)
            model = self.hook.client.get_model(self.model_id)
        return model
