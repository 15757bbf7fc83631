"""Create and update models, and upload their training images."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow_provider_scenario.arguments import UNKNOWN, known
from airflow_provider_scenario.attempts.create import create_model_once, replace_marker
from airflow_provider_scenario.attempts.earlier import EarlierAttempts
from airflow_provider_scenario.client.errors import InvalidInputError
from airflow_provider_scenario.client.ids import check_id
from airflow_provider_scenario.client.messages import shortened, shown
from airflow_provider_scenario.client.scenario.model_fields import check_epoch, check_field
from airflow_provider_scenario.client.values import check_text, check_texts
from airflow_provider_scenario.datasets import (
    attach,
    check_kind,
    check_pairs,
    check_preset,
    list_images,
    log_review,
    read_dataset,
)
from airflow_provider_scenario.datasets.upload import check_threads
from airflow_provider_scenario.exceptions import permanent_errors_do_not_retry
from airflow_provider_scenario.operators.base import ScenarioOperator, check_model_fields

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_scenario.airflow_compat.types import Lineage
    from airflow_provider_scenario.client.scenario.schemas import Model
    from airflow_provider_scenario.lineage.reporting import Moment

_CREATE_FIELDS = ("name", "type", "short_description", "class_slug", "collection_ids", "concepts", "base_model_id")
_UPDATE_FIELDS = (
    "name",
    "short_description",
    "type",
    "class_slug",
    "concepts",
    "epoch",
    "thumbnail",
    "parameters",
    "prompt_embedding",
    "negative_prompt_embedding",
)
_OTHER_FIELDS = ("description", "thumbnail_from_epoch", "add_tags", "delete_tags")  # set through other endpoints
_NULLABLE_FIELDS = ("class_slug", "epoch", "thumbnail", "description")  # the fields for which the API documents a null


class ScenarioCreateModelOperator(ScenarioOperator):
    """
    Create an empty model, which is free; upload training images and train it with other tasks.

    The XCom ``model_id`` is pushed as soon as the model exists. A retry finds the model of an earlier attempt by a
    marker in its short description. At the end the author's description replaces the marker; below Airflow 3.3, which
    records nothing for the next attempt, the marker stays behind the description. A retry whose input has changed
    fails.

    :param name: 1 to 64 characters (templated).
    :param type: what is trained, such as ``flux.2-dev-lora``; a type this package does not know warns (templated).
    :param short_description: at most 256 characters (templated). Default: the DAG and the run
        that created it.
    :param class_slug: slug of the model's class (templated).
    :param collection_ids: collections to put the model into (templated).
    :param concepts: for ``flux.1-composition``, its LoRAs: ``{"model_id": …, "scale": -2…2}`` and, for another epoch
        than the last, ``"model_epoch"`` (templated).
    :param base_model_id: follows from ``type``; leave it out when in doubt (templated).
    :param scenario_conn_id: connection of type ``scenario``. Default: ``scenario_default``.
    :return: the model's id.
    """

    template_fields: Sequence[str] = (*_CREATE_FIELDS, "scenario_conn_id")
    template_fields_renderers = {"concepts": "json"}  # noqa: RUF012
    ui_color = "#efe9ff"

    def __init__(
        self,
        *,
        name: str,
        type: str,  # noqa: A002 - the API's word
        short_description: str | None = None,
        class_slug: str | None = None,
        collection_ids: Sequence[str] | None = None,
        concepts: Sequence[Mapping[str, Any]] | None = None,
        base_model_id: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.name = name
        self.type = type
        self.short_description = short_description
        self.class_slug = class_slug
        self.collection_ids = collection_ids
        self.concepts = concepts
        self.base_model_id = base_model_id
        self._check_when_parsed()

    def execute(self, context: Context) -> str:
        """Check, create or find the model, push its id."""
        with permanent_errors_do_not_retry():
            for warning in self._check():
                self.log.warning("%s", warning)
            client = self.hook.client
            fields = {field: getattr(self, field) or None for field in _CREATE_FIELDS}
            inputs = {**fields, "short_description": None}  # another description does not need another model
            earlier = EarlierAttempts(context, self.task_id, inputs, retries=self.retries)
            model = create_model_once(client, earlier, fields)
            self.show_model(context, model.id, is_ours=earlier.has_created(model))
            replace_marker(client, context, model.id, self.short_description, on_clear="retrain")
            self.log.info("Created model %r (%s) as %s.", model.name, model.type, model.id)
            return model.id

    def _check(self, *, only_known: bool = False) -> list[str]:
        final, warnings = self._final(only_known), super()._check(only_known=only_known)
        warnings += check_model_fields(self, _CREATE_FIELDS, final)
        composition = self.type == "flux.1-composition" and not self.concepts
        if composition and final("concepts"):
            raise InvalidInputError(
                f"concepts is {shown(self.concepts)}; a flux.1-composition needs LoRAs: "
                "give [{'model_id': …, 'scale': 1}, …]."
            )
        return warnings

    def _lineage_at(self, moment: Moment) -> Lineage:
        from airflow_provider_scenario.lineage.report import of_creation

        return of_creation(self.lineage_notes, moment, self.concepts)


class ScenarioUpdateModelOperator(ScenarioOperator):
    """
    Change a model. Fields that are not given stay as they are.

    :param model_id: id of the model (templated).
    :param name: 1 to 64 characters (templated).
    :param short_description: at most 256 characters (templated).
    :param description: text for the model's page, in markdown (templated).
    :param type: only while the model's status is ``new`` (templated).
    :param class_slug: slug of the model's class (templated).
    :param concepts: the LoRAs of a composition (templated).
    :param epoch: which checkpoint a trained Flux.1 or Kontext LoRA uses: ``"000003"``, ``3`` or ``"last"`` (templated).
    :param thumbnail: id of the asset to show (templated).
    :param thumbnail_from_epoch: show the first sample of this epoch instead: ``"000003"``, ``3`` or ``"last"``
        (templated).
    :param parameters: training parameters to keep with the model, in either spelling (templated).
    :param prompt_embedding: text added to every prompt (templated).
    :param negative_prompt_embedding: text added to every negative prompt (templated).
    :param add_tags: tags to add; existing ones are ignored (templated).
    :param delete_tags: tags to remove; missing ones are ignored (templated).
    :param unset: names of fields to empty: ``class_slug``, ``epoch`` (back to the last), ``thumbnail``,
        ``description``.
    :param scenario_conn_id: connection of type ``scenario``. Default: ``scenario_default``.
    :return: the model's id.
    """

    template_fields: Sequence[str] = ("model_id", *_UPDATE_FIELDS, *_OTHER_FIELDS, "scenario_conn_id")
    template_fields_renderers = {"concepts": "json", "parameters": "json", "description": "md"}  # noqa: RUF012
    ui_color = "#efe9ff"

    def __init__(
        self,
        *,
        model_id: str,
        name: str | None = None,
        short_description: str | None = None,
        description: str | None = None,
        type: str | None = None,  # noqa: A002 - the API's word
        class_slug: str | None = None,
        concepts: Sequence[Mapping[str, Any]] | None = None,
        epoch: str | int | None = None,
        thumbnail: str | None = None,
        thumbnail_from_epoch: str | int | None = None,
        parameters: Mapping[str, Any] | None = None,
        prompt_embedding: str | None = None,
        negative_prompt_embedding: str | None = None,
        add_tags: Sequence[str] | None = None,
        delete_tags: Sequence[str] | None = None,
        unset: Sequence[str] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.model_id = model_id
        self.name = name
        self.short_description = short_description
        self.description = description
        self.type = type
        self.class_slug = class_slug
        self.concepts = concepts
        self.epoch = epoch
        self.thumbnail = thumbnail
        self.thumbnail_from_epoch = thumbnail_from_epoch
        self.parameters = parameters
        self.prompt_embedding = prompt_embedding
        self.negative_prompt_embedding = negative_prompt_embedding
        self.add_tags = add_tags
        self.delete_tags = delete_tags
        self.unset = () if unset is None else unset
        self._check_when_parsed()

    def execute(self, context: Context) -> str:
        """Check, then send one request each for the model, its page and its tags; a retry may send them again."""
        with permanent_errors_do_not_retry():
            for warning in self._check():
                self.log.warning("%s", warning)
            self.show_model(context, self.model_id)
            client = self.hook.client
            fields = {field: getattr(self, field) for field in _UPDATE_FIELDS if getattr(self, field) is not None}
            fields |= {field: None for field in self.unset if field != "description"}
            if self.thumbnail_from_epoch is not None:
                fields["thumbnail"] = first_sample(client.get_model(self.model_id), self.thumbnail_from_epoch)
            if fields:
                client.update_model(self.model_id, **fields)
            if self.description is not None or "description" in self.unset:
                client.set_description(self.model_id, self.description)
            if self.add_tags or self.delete_tags:
                add, delete = self.add_tags or (), self.delete_tags or ()
                client.update_tags(self.model_id, add=add, delete=delete, strict=False)
            given = [field for field in (*_UPDATE_FIELDS, *_OTHER_FIELDS) if getattr(self, field) is not None]
            self.log.info("Updated %s of model %s.", ", ".join([*given, *self.unset]), self.model_id)
            return self.model_id

    def _check(self, *, only_known: bool = False) -> list[str]:
        given = {
            field: getattr(self, field)
            for field in (*_UPDATE_FIELDS, *_OTHER_FIELDS)
            if getattr(self, field) is not None
        }
        final, warnings = self._final(only_known), super()._check(only_known=only_known)
        for field, value in {"model_id": self.model_id, **given}.items():
            if not final(field):
                continue
            if field in _UPDATE_FIELDS:
                warnings += check_field(field, value)
            else:
                _CHECKS[field](value)
        unset = _unsettable(self.unset) if final("unset") else ()
        final_fields = [field for field, value in given.items() if value is not UNKNOWN]
        if both := [field for field in unset if field in final_fields]:
            raise InvalidInputError(f"{', '.join(both)} is given and also in unset; choose one.")
        if "thumbnail_from_epoch" in final_fields and ("thumbnail" in final_fields or "thumbnail" in unset):
            raise InvalidInputError("thumbnail_from_epoch is given and thumbnail too; choose one.")
        tags = [set(given.get(field, [])) for field in ("add_tags", "delete_tags") if known(given.get(field))]
        if len(tags) == 2 and (both := sorted(set.intersection(*tags))):
            named = shortened(", ".join(map(shown, both)), 300)
            raise InvalidInputError(f"{named} is in add_tags and in delete_tags; choose one.")
        if not (given or unset):
            raise InvalidInputError(
                f"Nothing to update; give at least one of: {', '.join((*_UPDATE_FIELDS, *_OTHER_FIELDS))}."
            )
        return warnings


def first_sample(model: Model, epoch: str | int) -> str:
    """
    Return the asset id of the first sample of an epoch.

    :param epoch: such as ``000003``, ``3`` or ``last``.
    :raises InvalidInputError: there is no such epoch, or it has no sample; names the epochs with samples.
    """
    samples = {each.epoch: each.assets[0].asset_id for each in model.epochs if each.assets}
    wanted = check_epoch("thumbnail_from_epoch", epoch) or max(samples, default="")
    if wanted in samples:
        return samples[wanted]
    found = f"epochs with samples: {', '.join(sorted(samples))}" if samples else "no epoch has a sample"
    raise InvalidInputError(
        f"thumbnail_from_epoch is {shown(epoch)}; model {model.id} ({model.status}): {found}. Only trainings with "
        "sample_prompts have samples. Nothing was changed."
    )


def _unsettable(unset: Any) -> tuple[str, ...]:
    """
    Check ``unset``, which is not templated.

    :raises InvalidInputError: it is not a list of names from ``_NULLABLE_FIELDS``.
    """
    if unset is None:
        return ()
    if isinstance(unset, str | bytes | Mapping) or not isinstance(unset, Iterable):
        raise InvalidInputError(f"unset is {shown(unset)}; give a list with any of: {', '.join(_NULLABLE_FIELDS)}.")
    names = tuple(unset)
    if wrong := [name for name in names if name not in _NULLABLE_FIELDS]:
        raise InvalidInputError(f"unset is {shown(wrong)}; these fields can be emptied: {', '.join(_NULLABLE_FIELDS)}.")
    return names


_CHECKS: dict[str, Callable[[Any], object]] = {
    "model_id": partial(check_id, "model_id"),
    "description": partial(check_text, "description", shortest=1),
    "thumbnail_from_epoch": partial(check_epoch, "thumbnail_from_epoch"),
    "add_tags": partial(check_texts, "add_tags", what="tags"),
    "delete_tags": partial(check_texts, "delete_tags", what="tags"),
}


class ScenarioAddTrainingImagesOperator(ScenarioOperator):
    """
    Upload the training images of a model, with captions, and with pairs for the edit types. Free.

    Every file is checked before the first one is sent. Several files are uploaded at once, large ones in parts, and
    none is resized. A retry reads the model and uploads only the images that are missing, by name; the others only get
    their caption. On Airflow 3.3 a retry fails if the dataset has changed since an earlier attempt: a model must not be
    trained on a mixture of both.

    :param model_id: id of a model (templated).
    :param images: a folder (path, ``ObjectStoragePath`` or URL such as ``s3://conn_id@bucket/folder``) with images,
        captions and pairs, see ``datasets/folder.py``; or a list of files, of
        ``{"path": …, "name": …, "caption": …}`` or of ``{"asset_id": …, "caption": …}``. A ``.txt`` of the same stem
        beside a file is its caption; without one Scenario writes the caption (templated).
    :param pairs: for edit types, ``[{"source": …, "target": …, "instruction": …}]`` by image name or asset id, where
        the instruction may be left out; they replace the model's pairs. Default: those of the folder's
        ``metadata.jsonl``, if there are any (templated).
    :param preset: what the captions that Scenario writes describe: ``default``, ``style`` or ``subject`` (templated).
    :param threads: how many files are uploaded at once. Default: 8.
    :param scenario_conn_id: connection of type ``scenario``. Default: ``scenario_default``.
    :return: the training image ids, in the order of ``images``.
    """

    template_fields: Sequence[str] = ("model_id", "images", "pairs", "preset", "scenario_conn_id")
    template_fields_renderers = {"images": "json", "pairs": "json"}  # noqa: RUF012
    ui_color = "#efe9ff"

    def __init__(
        self,
        *,
        model_id: str,
        images: Any,
        pairs: Sequence[Mapping[str, str]] | None = None,
        preset: str | None = None,
        threads: int = 8,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.model_id = model_id
        self.images = images
        self.pairs = pairs
        self.preset = preset
        self.threads = threads
        self._check_when_parsed()

    def _check(self, *, only_known: bool = False) -> list[str]:
        final, warnings = self._final(only_known), super()._check(only_known=only_known)
        if final("threads"):
            check_threads(self.threads)
        if final("model_id"):
            check_id("model_id", self.model_id)
        if final("preset"):
            check_preset(self.preset)
        if final("images") and isinstance(self.images, list | tuple):
            list_images(self.images)
        if final("pairs") and self.pairs is not None:
            warnings += check_pairs(self.pairs)
        return warnings

    def execute(self, context: Context) -> list[str]:
        """Check everything, then upload what is missing."""
        with permanent_errors_do_not_retry():
            self._check()
            dataset = read_dataset(self.images)
            self.lineage_notes.note_images(dataset.images)
            if self.pairs is not None:
                dataset = replace(dataset, pairs=list(self.pairs))
            inputs = {"model_id": self.model_id, "images": dataset.fingerprint, "pairs": self.pairs}
            EarlierAttempts(context, self.task_id, inputs).update_record(model_id=self.model_id)
            model = self.hook.client.get_model(self.model_id)
            self.show_model(context, model.id)
            check_kind(dataset, model.type)
            log_review(model.name or model.id, dataset, self.log)
            ids = attach(self.hook.client, model, dataset, preset=self.preset, threads=self.threads, log=self.log)
            self.log.info("Model %r (%s) has all %d training images.", model.name, model.id, len(ids))
            return ids

    def _lineage_at(self, moment: Moment) -> Lineage:
        from airflow_provider_scenario.lineage.report import of_upload

        return of_upload(self.lineage_notes, moment, self.images)
