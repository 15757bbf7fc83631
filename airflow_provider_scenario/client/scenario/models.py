"""Models: create, read, change, list, delete."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any, Final, Literal, TypedDict, Unpack

from airflow_provider_scenario.client.messages import shown
from airflow_provider_scenario.client.scenario.endpoints import Endpoints, filters_of, flag, given, unique_texts
from airflow_provider_scenario.client.scenario.model_fields import checked_fields
from airflow_provider_scenario.client.scenario.schemas import Description, Model, TagChange
from airflow_provider_scenario.client.schema import warn_once
from airflow_provider_scenario.client.transport import path

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from airflow_provider_scenario.client.answers import Answer
    from airflow_provider_scenario.client.scenario.parameters import TrainingParameters

BULK = 50
"""Models read in one call. No limit is documented; the vendor's Blender add-on reads 50."""


class Unset(Enum):
    """The type of ``UNSET``: not given, as opposed to None, which unsets a field."""

    UNSET = "unset"

    def __repr__(self) -> str:
        return "UNSET"


UNSET: Final = Unset.UNSET


class ModelFilters(TypedDict, total=False):
    """
    The filters of ``list_models``.

    ``created_after``/``created_before`` need ``sort_by="createdAt"``; ``updated_*``, ``tags``, ``type``, ``types`` and
    ``collection_ids`` work for public models only, ``status`` and ``collection_id`` for private ones only.
    """

    page_size: int
    """1-500, default 100."""
    privacy: Literal["private", "public"]
    status: str
    """``new``, ``training``, ``trained``, ``failed`` or ``deleted`` (the last 30 days); the service ignores others."""
    type: str
    types: Sequence[str]
    sort_by: Literal["createdAt", "updatedAt", "score"]
    sort_direction: Literal["asc", "desc"]
    created_after: str | datetime
    created_before: str | datetime
    updated_after: str | datetime
    updated_before: str | datetime
    tags: Sequence[str] | str
    collection_id: str
    collection_ids: Sequence[str] | str
    blacklisted: bool
    loaded_only: bool
    original_assets: bool


class BulkSwitches(TypedDict, total=False):
    """Which parts of each model ``get_models`` returns; ``minimal`` is id, name and type, and overrides the others."""

    all_training_images: bool
    minimal: bool
    settings: bool
    thumbnail: bool
    training_images_preview: bool


_WHILE_IT_IS_TRAINED = ("id", "status", "name", "jobId", "trainingProgress")


def _only_status(row: Any) -> Any:
    """
    Drop what is not needed while a model is trained, before it is read.

    A whole model becomes some 200 Python objects. In a process in which thousands of tasks wait, so many objects soon
    trigger a full garbage collection, which stops the process for a tenth of a second and more.
    """
    if not isinstance(row, dict) or row.get("status") != "training":
        return row
    return {name: row[name] for name in _WHILE_IT_IS_TRAINED if name in row}


class Models(Endpoints):
    """The endpoints of models. All of them are free."""

    def create_model(
        self,
        *,
        name: str | None = None,
        type: str | None = None,  # noqa: A002 - the API's name
        short_description: str | None = None,
        class_slug: str | None = None,
        collection_ids: Sequence[str] | None = None,
        concepts: Sequence[Mapping[str, Any]] | None = None,
        base_model_id: str | None = None,
        original_assets: bool | None = None,
    ) -> Model:
        """
        Create a model, which is free. Never sent twice: there would be two equal models.

        :param name: at most 64 characters; default: the service invents one when training starts.
        :param type: model type, such as ``flux.2-dev-lora``.
        :param short_description: at most 256 characters; default: invented like the name.
        :param concepts: ``{model_id, scale, model_epoch}`` of each LoRA, for compositions.
        :param base_model_id: default: follows from the type.
        :param original_assets: as for :meth:`get_model`.
        :raises InvalidInputError: a field is of the wrong kind or too long; nothing was sent.
        :raises ServiceError: ``maybe_done`` when the model may have been created.
        """
        action = f"create model {shown(name)}" if name else "create a model"
        fields = given(
            base_model_id=base_model_id,
            class_slug=class_slug,
            collection_ids=collection_ids,
            concepts=concepts,
            name=name,
            short_description=short_description,
            type=type,
        )
        body = checked_fields(fields)
        answer = self._transport.request(
            "POST",
            path("models"),
            query=_files(original_assets),
            json=body,
            action=action,
            repeatable=False,
            if_lost="The model may have been created, which is free: search for it before you create another.",
        )
        return self._read(Model, answer, "model", action, maybe_done=True)

    def get_model(self, model_id: str, *, original_assets: bool | None = None, only_status: bool = False) -> Model:
        """
        Read a model, with all its training images.

        :param original_assets: whether the addresses in the answer lead to the files as they were uploaded, instead of
            transformed ones. Default: the service decides.
        :param only_status: do not fail where the dataset in the answer cannot be read: it counts as absent.
        """
        action = f"read model {model_id}"
        query = _files(original_assets)
        answer = self._transport.request("GET", path("models", model_id), query=query, action=action, repeatable=True)
        return self._read(Model, answer, "model", action, only_status=only_status)

    def update_model(
        self,
        model_id: str,
        *,
        class_slug: str | Unset | None = UNSET,
        concepts: Sequence[Mapping[str, Any]] | Unset | None = UNSET,
        epoch: str | int | Unset | None = UNSET,
        name: str | Unset | None = UNSET,
        negative_prompt_embedding: str | Unset | None = UNSET,
        parameters: Mapping[str, Any] | TrainingParameters | Unset | None = UNSET,
        prompt_embedding: str | Unset | None = UNSET,
        short_description: str | Unset | None = UNSET,
        thumbnail: str | Unset | None = UNSET,
        type: str | Unset | None = UNSET,  # noqa: A002 - the API's name
        original_assets: bool | None = None,
    ) -> Model:
        """
        Change a model. A field that is not given stays, None unsets it.

        :param epoch: which checkpoint the model uses, such as ``"000003"`` or ``3``; trained Flux.1 and Kontext LoRAs
            only. None or ``"last"``: the latest.
        :param thumbnail: an asset id.
        :param type: only while the status is ``new``.
        :param original_assets: as for :meth:`get_model`.
        :raises InvalidInputError: a field is of the wrong kind or too long; nothing was sent.
        """
        action = f"update model {model_id}"
        fields = {
            "class_slug": class_slug,
            "concepts": concepts,
            "epoch": epoch,
            "name": name,
            "negative_prompt_embedding": negative_prompt_embedding,
            "parameters": parameters,
            "prompt_embedding": prompt_embedding,
            "short_description": short_description,
            "thumbnail": thumbnail,
            "type": type,
        }
        body = checked_fields({field: value for field, value in fields.items() if not isinstance(value, Unset)})
        query = _files(original_assets)
        answer = self._transport.request(
            "PUT", path("models", model_id), query=query, json=body, action=action, repeatable=True
        )
        return self._read(Model, answer, "model", action)

    def list_models(self, **filters: Unpack[ModelFilters]) -> Iterator[Model]:
        """
        List models page by page as they are read; each has at most its first three training images.

        :param filters: see :class:`ModelFilters`.
        """
        status = filters.get("status")
        query = filters_of(ModelFilters, filters)
        if status not in (None, "new", "training", "trained", "failed", "deleted"):
            message = f"Scenario ignores the status filter {shown(status)} and lists everything."
            warn_once("status filter", status, message)
        return self._pages(Model, path("models"), "models", query=query, action="list models")

    def get_models(
        self,
        model_ids: Iterable[str],
        *,
        original_assets: bool | None = None,
        only_status: bool = False,
        **switches: Unpack[BulkSwitches],
    ) -> list[Model]:
        """
        Read many models with one call for each 50 of them. Ids that are unknown are left out.

        Models that cannot be read are left out too: one odd model must not make the others unreadable. Reading that
        model alone raises the reason.

        :param original_assets: as for :meth:`get_model`.
        :param only_status: of a model that is being trained, read only its status and progress.
        :param switches: see :class:`BulkSwitches`.
        """
        found: list[Model] = []
        for name, value in switches.items():
            flag(value, name)
        wanted = unique_texts(model_ids, "model_ids")
        for start in range(0, len(wanted), BULK):
            ids = wanted[start : start + BULK]
            action = f"read {len(ids)} models" if len(ids) > 1 else f"read model {ids[0]}"
            # The order of the keys is the vendor's, so that the bytes can be compared.
            body = dict(sorted({**filters_of(BulkSwitches, switches), "modelIds": ids}.items()))
            answer = self._transport.request(
                "POST",
                path("models", "get-bulk"),
                query=_files(original_assets),
                json=body,
                action=action,
                repeatable=True,
            )
            if only_status and isinstance(rows := answer.json.get("models"), list):
                rows[:] = map(_only_status, rows)
            found += self._read_list(Model, answer, "models", action, skip_unreadable=True)
        return found

    def delete_model(self, model_id: str) -> None:
        """
        Delete a model; it can be restored for 30 days on higher plans.

        :raises NotFoundError: there is no such model; also when an earlier try has deleted it and its answer was lost.
        """
        self._transport.request("DELETE", path("models", model_id), action=f"delete model {model_id}", repeatable=True)

    def update_tags(
        self, model_id: str, *, add: Sequence[str] = (), delete: Sequence[str] = (), strict: bool | None = None
    ) -> TagChange:
        """
        Add and delete tags of a model.

        :param strict: refuse to add a tag that the model has, or to delete one that it has not (Scenario's default).
            False makes the call safe to repeat.
        """
        action = f"change the tags of model {model_id}"
        body = given(add=unique_texts(add, "add") or None, delete=unique_texts(delete, "delete") or None, strict=strict)
        answer = self._transport.request(
            "PUT", path("models", model_id, "tags"), json=body, action=action, repeatable=strict is False
        )
        return TagChange.read(answer.json, action=action, maybe_done=strict is not False, answer=answer)

    def get_description(self, model_id: str, *, original_assets: bool | None = None) -> str:
        """
        Read the page of a model, which is markdown; empty if it has none.

        :param original_assets: as for :meth:`get_model`.
        """
        action = f"read the description of model {model_id}"
        answer = self._transport.request(
            "GET",
            path("models", model_id, "description"),
            query=_files(original_assets),
            action=action,
            repeatable=True,
        )
        return _page(answer, action)

    def set_description(self, model_id: str, text: str | None, *, original_assets: bool | None = None) -> str:
        """
        Write the page of a model and return it as the service keeps it.

        :param text: markdown; ``{asset:<id>}`` and ``{model:<id>}`` refer to assets and models. None removes the page.
        :param original_assets: as for :meth:`get_model`.
        """
        action = f"describe model {model_id}"
        answer = self._transport.request(
            "PUT",
            path("models", model_id, "description"),
            query=_files(original_assets),
            json={"description": text},
            action=action,
            repeatable=True,
        )
        return _page(answer, action)


def _files(original_assets: bool | None) -> dict[str, bool | None]:
    return {"originalAssets": flag(original_assets, "original_assets")}


def _page(answer: Answer, action: str) -> str:
    return Description.read(answer.json.get("description") or {}, action=action, answer=answer).value
