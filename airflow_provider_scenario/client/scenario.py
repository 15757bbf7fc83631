"""
Scenario's API: one method an endpoint, typed in and out.

Nothing here decides or waits. What a call costs, whether it may be sent twice and what a lost answer means is said where
the call is made; everything about the wire is in :mod:`.transport`, what travels is in :mod:`.schemas`.
"""

from __future__ import annotations

import base64
import itertools
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, Literal, Self, TypedDict, Unpack

from airflow_provider_scenario.client.errors import (
    AlreadyTrainingImageError,
    InvalidInputError,
    RequestRefusedError,
    ServiceError,
)
from airflow_provider_scenario.client.images import content_type_of
from airflow_provider_scenario.client.schemas import (
    Asset,
    Download,
    Job,
    Model,
    Project,
    Quote,
    S,
    StartedTraining,
    TagChange,
    TrainingImage,
    TrainingImagePair,
    tell_once,
)
from airflow_provider_scenario.client.trainers import TrainingParameters, camel_keys, check_concepts
from airflow_provider_scenario.client.transport import Answer, Transport, path

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    import requests

DEFAULT_BASE_URL = "https://api.cloud.scenario.com/v1"

BULK = 50
"""Models asked for in one call; no limit is documented, the vendor's Blender add-on asks for 50."""

ASSETS_A_CALL = 10
"""Assets attached in one call: 400 'Too many assetIds provided in a single request' beyond (reference, section 4)."""

DRY_RUN = 269
"""Status of an answer that only quotes a price."""

Preset = Literal["default", "style", "subject"]
"""How the service captions training images by itself."""


class Unset(Enum):
    """The type of ``UNSET``: not given, as opposed to None, which unsets a field."""

    UNSET = "unset"

    def __repr__(self) -> str:
        return "UNSET"


UNSET: Final = Unset.UNSET


class ModelFilters(TypedDict, total=False):
    """
    What ``list_models`` can be asked for.

    ``created_after``/``created_before`` need ``sort_by="createdAt"``; ``updated_*``, ``tags``, ``type``, ``types`` and
    ``collection_ids`` work for public models only, ``status`` and ``collection_id`` for private ones only.
    """

    page_size: int
    """1-500, default 100."""
    privacy: Literal["private", "public"]
    status: str
    """``new``, ``training``, ``trained``, ``failed`` or ``deleted`` (the last 30 days). Others are ignored by the service."""
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


class JobFilters(TypedDict, total=False):
    """
    What ``list_jobs`` can be asked for. There is no filter by model.

    ``created_after`` works only without ``status``, ``type``, ``types`` and ``workflow_id``, ``updated_after`` only with
    one of them.
    """

    page_size: int
    """1-100, default 50."""
    status: str
    type: str
    types: Sequence[str]
    author_id: str
    workflow_id: str
    hide_results: bool
    created_after: str | datetime
    updated_after: str | datetime


class BulkSwitches(TypedDict, total=False):
    """What ``get_models`` returns of each model; ``minimal`` is id, name and type, and overrides the others."""

    all_training_images: bool
    minimal: bool
    settings: bool
    thumbnail: bool
    training_images_preview: bool


class ScenarioClient:
    """
    Scenario's API for one project. Safe to use from several threads.

    Long on purpose: one method an endpoint, and none of them decides anything.

    :param transport: the way to the service.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    @classmethod
    def connect(
        cls,
        *,
        api_key: str,
        api_secret: str,
        base_url: str = DEFAULT_BASE_URL,
        project_id: str | None = None,
        timeout: tuple[float, float] | float = 60.0,
        verify: bool | str = True,
        pool_size: int = 10,
        session: requests.Session | None = None,
    ) -> Self:
        """Make a client with a transport of its own; the parameters are those of :class:`.Transport`."""
        return cls(
            Transport(
                base_url,
                api_key,
                api_secret,
                project_id=project_id,
                timeout=timeout,
                verify=verify,
                pool_size=pool_size,
                session=session,
            )
        )

    def __repr__(self) -> str:
        return f"ScenarioClient({self._transport!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    # Models

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
    ) -> Model:
        """
        Create a model, which is free. Never sent twice: a second one would look the same.

        :param name: at most 64 characters; default: the service invents one when training starts.
        :param type: model type, such as ``flux.2-dev-lora``.
        :param short_description: at most 256 characters; default: invented like the name.
        :param concepts: ``{model_id, scale, model_epoch}`` of each LoRA, for compositions.
        :param base_model_id: default: follows from the type.
        :raises ServiceError: ``maybe_done`` when the model may have been created.
        """
        asked = f"create model {name!r}" if name else "create a model"
        body = _given(
            baseModelId=base_model_id,
            classSlug=class_slug,
            collectionIds=list(collection_ids) if collection_ids is not None else None,
            concepts=check_concepts(concepts) if concepts is not None else None,
            name=name,
            shortDescription=short_description,
            type=type,
        )
        answer = self._transport.request(
            "POST",
            path("models"),
            json=body,
            asked=asked,
            repeatable=False,
            if_lost="The model may have been created, which is free: look for it before creating another.",
        )
        return self._read(Model, answer, "model", asked, maybe_done=True)

    def get_model(self, model_id: str) -> Model:
        """Read a model, with all its training images."""
        asked = f"read model {model_id}"
        answer = self._transport.request("GET", path("models", model_id), asked=asked, repeatable=True)
        return self._read(Model, answer, "model", asked)

    def update_model(
        self,
        model_id: str,
        *,
        class_slug: str | Unset | None = UNSET,
        concepts: Sequence[Mapping[str, Any]] | Unset | None = UNSET,
        epoch: str | Unset | None = UNSET,
        name: str | Unset | None = UNSET,
        negative_prompt_embedding: str | Unset | None = UNSET,
        parameters: Mapping[str, Any] | TrainingParameters | Unset | None = UNSET,
        prompt_embedding: str | Unset | None = UNSET,
        short_description: str | Unset | None = UNSET,
        thumbnail: str | Unset | None = UNSET,
        type: str | Unset | None = UNSET,  # noqa: A002 - the API's name
    ) -> Model:
        """
        Change a model. A field that is not given stays, None unsets it.

        :param epoch: which checkpoint the model uses; trained Flux.1 and Kontext LoRAs only. None: the latest.
        :param thumbnail: an asset id.
        :param type: only while the status is ``new``.
        """
        asked = f"update model {model_id}"
        if not isinstance(concepts, Unset) and concepts is not None:
            concepts = check_concepts(concepts)
        if not isinstance(parameters, Unset) and parameters is not None:
            parameters = camel_keys(parameters, "parameters")
        fields = {
            "classSlug": class_slug,
            "concepts": concepts,
            "epoch": epoch,
            "name": name,
            "negativePromptEmbedding": negative_prompt_embedding,
            "parameters": parameters,
            "promptEmbedding": prompt_embedding,
            "shortDescription": short_description,
            "thumbnail": thumbnail,
            "type": type,
        }
        body = {field: value for field, value in fields.items() if not isinstance(value, Unset)}
        answer = self._transport.request("PUT", path("models", model_id), json=body, asked=asked, repeatable=True)
        return self._read(Model, answer, "model", asked)

    def list_models(self, **filters: Unpack[ModelFilters]) -> Iterator[Model]:
        """
        List models page by page as they are read; each has at most its first three training images.

        :param filters: see :class:`ModelFilters`.
        """
        status = filters.get("status")
        if status not in (None, "new", "training", "trained", "failed", "deleted"):
            tell_once("status filter", status, f"Scenario ignores the status filter {status!r} and lists everything.")
        return self._pages(Model, path("models"), "models", _query(ModelFilters, filters), "list models")

    def get_models(self, model_ids: Iterable[str], **switches: Unpack[BulkSwitches]) -> list[Model]:
        """
        Read many models with one call for each 50 of them. Ids that are unknown are left out.

        :param switches: see :class:`BulkSwitches`.
        """
        found: list[Model] = []
        wanted = list(dict.fromkeys(model_ids))
        for start in range(0, len(wanted), BULK):
            ids = wanted[start : start + BULK]
            asked = f"read {len(ids)} models" if len(ids) > 1 else f"read model {ids[0]}"
            # The order of the keys is the vendor's, so that the bytes can be compared.
            body = dict(sorted({**_query(BulkSwitches, switches), "modelIds": ids}.items()))
            answer = self._transport.request(
                "POST", path("models", "get-bulk"), json=body, asked=asked, repeatable=True
            )
            found += self._read_list(Model, answer, "models", asked)
        return found

    def delete_model(self, model_id: str) -> None:
        """
        Delete a model; it can be restored for 30 days on higher plans.

        :raises NotFoundError: there is none; also when an earlier try has deleted it and its answer was lost.
        """
        self._transport.request("DELETE", path("models", model_id), asked=f"delete model {model_id}", repeatable=True)

    def update_tags(
        self, model_id: str, *, add: Sequence[str] = (), delete: Sequence[str] = (), strict: bool | None = None
    ) -> TagChange:
        """
        Add and delete tags of a model.

        :param strict: refuse to add what is there or delete what is not (the service's default). False makes the call
            safe to repeat.
        """
        asked = f"change the tags of model {model_id}"
        body = _given(add=list(add) or None, delete=list(delete) or None, strict=strict)
        answer = self._transport.request(
            "PUT", path("models", model_id, "tags"), json=body, asked=asked, repeatable=strict is False
        )
        return TagChange.read(answer.json, asked=asked, maybe_done=strict is not False)

    # Datasets

    def add_training_image(
        self,
        model_id: str,
        *,
        data: bytes,
        name: str,
        content_type: str | None = None,
        preset: Preset | None = None,
    ) -> TrainingImage:
        """
        Upload a file into the dataset of a model. Never sent twice: the dataset would hold it twice.

        :param data: the file; encoded it must stay under about 6 MB (see :mod:`.images`).
        :param name: file name; unique names let a retry find what is there.
        :param content_type: default: found from the first bytes.
        :param preset: how the service captions it.
        :raises PlanCeilingError: the plan allows no more images in a dataset.
        """
        asked = f"add training image {name!r} to model {model_id}"
        answer = self._transport.request(
            "POST",
            path("models", model_id, "training-images"),
            json=_given(data=_data_url(data, name, content_type), name=name, preset=preset),
            asked=asked,
            repeatable=False,
            if_lost="The image may have been added: read the model before adding it again.",
        )
        return self._read(TrainingImage, answer, "trainingImage", asked, maybe_done=True)

    def add_training_assets(self, model_id: str, asset_ids: Iterable[str], preset: Preset | None = None) -> None:
        """
        Put assets that are in the project into the dataset of a model. What is there already counts as put there.

        Ten go in one call. When one of ten is there already the service refuses all ten, so they go one by one.

        :param preset: how the service captions them.
        """
        wanted = list(dict.fromkeys(asset_ids))
        for start in range(0, len(wanted), ASSETS_A_CALL):
            ids = wanted[start : start + ASSETS_A_CALL]
            try:
                self._attach(model_id, ids, preset)
            except AlreadyTrainingImageError:
                if len(ids) > 1:
                    for asset_id in ids:
                        self.add_training_assets(model_id, [asset_id], preset)

    def _attach(self, model_id: str, ids: Sequence[str], preset: Preset | None) -> None:
        one = ids[0] if len(ids) == 1 else None
        self._transport.request(
            "POST",
            path("models", model_id, "training-images"),
            json=_given(assetId=one, assetIds=None if one else list(ids), preset=preset),
            asked=f"add {f'asset {one}' if one else f'{len(ids)} assets'} to the dataset of model {model_id}",
            repeatable=False,
            if_lost="They may have been added: read the model before adding them again.",
        )

    def replace_training_image(
        self,
        model_id: str,
        training_image_id: str,
        *,
        data: bytes | None = None,
        name: str | None = None,
        asset_id: str | None = None,
        content_type: str | None = None,
        preset: Preset | None = None,
    ) -> TrainingImage:
        """
        Put another image in the place of one of the dataset: either a file (``data`` and ``name``) or an asset.

        :raises InvalidInputError: neither or both are given.
        """
        if (data is None) == (asset_id is None) or (data is None) != (name is None):
            raise InvalidInputError("Replace a training image with data and name, or with asset_id. Nothing was sent.")
        asked = f"replace training image {training_image_id} of model {model_id}"
        file = _data_url(data, name or "", content_type) if data is not None else None
        answer = self._transport.request(
            "PUT",
            path("models", model_id, "training-images", training_image_id),
            json=_given(assetId=asset_id, data=file, name=name, preset=preset),
            asked=asked,
            repeatable=False,
            if_lost="It may have been replaced: read the model before trying again.",
        )
        return self._read(TrainingImage, answer, "trainingImage", asked, maybe_done=True)

    def delete_training_image(self, model_id: str, training_image_id: str) -> None:
        """Take an image out of the dataset of a model."""
        self._transport.request(
            "DELETE",
            path("models", model_id, "training-images", training_image_id),
            asked=f"delete training image {training_image_id} of model {model_id}",
            repeatable=True,
        )

    def set_training_pairs(
        self, model_id: str, pairs: Iterable[TrainingImagePair | Mapping[str, Any]]
    ) -> list[TrainingImagePair]:
        """
        Replace all pairs an edit model learns from; their images must be in the dataset already.

        :param pairs: ``source_id``, ``target_id`` and ``instruction`` each, in either spelling.
        """
        asked = f"set the training pairs of model {model_id}"
        body = [_pair(pair) for pair in pairs]
        answer = self._transport.request(
            "PUT", path("models", model_id, "training-images", "pairs"), json=body, asked=asked, repeatable=True
        )
        return self._read_list(TrainingImagePair, answer, "pairs", asked)

    def caption_asset(self, asset_id: str, description: str) -> Asset:
        """Set the caption of a training image: the description of its asset."""
        asked = f"caption asset {asset_id}"
        answer = self._transport.request(
            "PUT", path("assets", asset_id), json={"description": description}, asked=asked, repeatable=True
        )
        return self._read(Asset, answer, "asset", asked)

    def get_asset(self, asset_id: str) -> Asset:
        """Read an asset."""
        asked = f"read asset {asset_id}"
        answer = self._transport.request("GET", path("assets", asset_id), asked=asked, repeatable=True)
        return self._read(Asset, answer, "asset", asked)

    # Training

    def quote_training(
        self,
        model_id: str,
        parameters: Mapping[str, Any] | TrainingParameters | None = None,
        *,
        training_images_count: int | None = None,
        tier: Literal["true", "api"] = "true",
    ) -> Quote:
        """
        Ask what a training would cost; nothing is started.

        :param parameters: training parameters, in either spelling.
        :param training_images_count: how many images to count while the model has none.
        :param tier: ``api`` for the price of the API tier.
        :raises ServiceError: no price came back; with ``money`` 'spent' if the service has started a training all the
            same.
        """
        asked = f"quote the training of model {model_id}"
        answer = self._transport.request(
            "PUT",
            path("models", model_id, "train"),
            query={"dryRun": tier, "trainingImagesCount": training_images_count},
            json=_parameters(parameters),
            asked=asked,
            repeatable=True,
            accept=(402,),
        )
        origin = {"request": f"PUT /models/{model_id}/train", "status": answer.status, "trace_id": answer.trace_id}
        if job_id := _job_id(answer):
            problem = ServiceError(
                f"Asked Scenario to {asked}, and it has started job {job_id} instead. It is billed: cancel the training "
                "or wait for it, and tell Scenario's support.",
                maybe_done=True,
                body=answer.json,
                **origin,
            )
            problem.money = "spent"
            raise problem
        price = _price(answer.json)
        if price is None:
            raise ServiceError(
                f"Asked Scenario to {asked}; its answer names no price. Nothing was started or billed.",
                maybe_done=False,
                body=answer.json,
                **origin,
            )
        return Quote.read({**answer.json, "creativeUnitsCost": price}, asked=asked)

    def train(self, model_id: str, parameters: Mapping[str, Any] | TrainingParameters | None = None) -> StartedTraining:
        """
        Start the training of a model. **This costs creative units.** Never sent twice.

        :param parameters: training parameters, in either spelling; default: what the service takes by itself.
        :raises AlreadyTrainingError: somebody has started it.
        :raises PlanCeilingError: the plan forbids it.
        :raises ServiceError: ``maybe_done`` when it may have been started and billed: read the model first.
        """
        asked = f"train model {model_id}"
        if_lost = "It may have been started and billed: read the model before starting it again."
        answer = self._transport.request(
            "PUT",
            path("models", model_id, "train"),
            json=_parameters(parameters),
            asked=asked,
            repeatable=False,
            if_lost=if_lost,
        )
        if not _job_id(answer):
            raise _not_launched(answer, asked, model_id)
        return StartedTraining.read(answer.json, asked=asked, maybe_done=True, request=f"PUT /models/{model_id}/train")

    def cancel_training(self, model_id: str) -> Model:
        """Cancel the training of a model. What was billed may stay billed; confirm by reading the model again."""
        asked = f"cancel the training of model {model_id}"
        answer = self._transport.request(
            "POST", path("models", model_id, "train", "action"), json={"action": "cancel"}, asked=asked, repeatable=True
        )
        return self._read(Model, answer, "model", asked)

    # Jobs, downloads, projects

    def get_job(self, job_id: str) -> Job:
        """Read a job: progress, what it was billed at, and why it failed."""
        asked = f"read job {job_id}"
        answer = self._transport.request("GET", path("jobs", job_id), asked=asked, repeatable=True)
        return self._read(Job, answer, "job", asked)

    def list_jobs(self, **filters: Unpack[JobFilters]) -> Iterator[Job]:
        """
        List jobs page by page as they are read.

        :param filters: see :class:`JobFilters`.
        """
        return self._pages(Job, path("jobs"), "jobs", _query(JobFilters, filters), "list jobs")

    def download_model(self, model_id: str, *, epoch: str | None = None) -> str:
        """
        Ask for an archive of a trained model and return the id of the job that makes it. Never sent twice.

        :param epoch: which checkpoint; default: the selected one, or the latest.
        """
        asked = f"prepare the download of model {model_id}"
        answer = self._transport.request(
            "POST", path("models", model_id, "download"), json=_given(modelEpoch=epoch), asked=asked, repeatable=False
        )
        return Download.read(answer.json, asked=asked, maybe_done=True).job_id

    def get_download(self, job_id: str) -> Download:
        """Read how far a download is, and its address when it is ready."""
        asked = f"read download {job_id}"
        answer = self._transport.request("GET", path("assets", "download", job_id), asked=asked, repeatable=True)
        return Download.read(answer.json, asked=asked)

    def list_projects(self) -> Iterator[Project]:
        """List the projects the key can see."""
        return self._pages(Project, path("projects"), "projects", {}, "list projects", in_project=False)

    def get_project(self, project_id: str) -> Project:
        """Read a project."""
        asked = f"read project {project_id}"
        answer = self._transport.request(
            "GET", path("projects", project_id), asked=asked, repeatable=True, in_project=False
        )
        return self._read(Project, answer, "project", asked)

    # Reading answers

    def _pages(
        self, schema: type[S], address: str, name: str, query: Mapping[str, Any], asked: str, *, in_project: bool = True
    ) -> Iterator[S]:
        """Read pages until there is no token left: a page may be short, even empty, while more follow."""
        token: str | None = None
        seen: set[str] = set()
        for number in itertools.count(1):
            answer = self._transport.request(
                "GET",
                address,
                query={**query, "paginationToken": token},
                asked=f"{asked} (page {number})",
                repeatable=True,
                in_project=in_project,
            )
            yield from self._read_list(schema, answer, name, asked)
            token = answer.json.get("nextPaginationToken")
            if not token:
                return
            if token in seen:
                raise ServiceError(
                    f"Asked Scenario to {asked}; page {number} leads back to an earlier one, so the list has no end.",
                    maybe_done=False,
                    request=f"GET {address}",
                    status=answer.status,
                    trace_id=answer.trace_id,
                )
            seen.add(token)

    def _read(self, schema: type[S], answer: Answer, name: str, asked: str, *, maybe_done: bool = False) -> S:
        return schema.read(answer.json.get(name), asked=asked, maybe_done=maybe_done)

    def _read_list(self, schema: type[S], answer: Answer, name: str, asked: str) -> list[S]:
        rows = answer.json.get(name)
        if not isinstance(rows, list):
            raise ServiceError(
                f"Asked Scenario to {asked}; its answer is unreadable: it has no list of {name}.",
                maybe_done=False,
                status=answer.status,
                trace_id=answer.trace_id,
            )
        return [schema.read(row, asked=asked) for row in rows]


def _given(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _query(known: type, filters: Mapping[str, Any]) -> dict[str, Any]:
    """Filters in the API's spelling. A name nobody knows is an error here: the service would ignore it silently."""
    for name in filters:
        if name not in known.__annotations__:
            raise TypeError(f"unexpected keyword argument {name!r}; known: {', '.join(known.__annotations__)}")
    return camel_keys({name: value for name, value in filters.items() if value is not None}, "filters")


def _parameters(parameters: Mapping[str, Any] | TrainingParameters | None) -> dict[str, Any]:
    return {} if parameters is None else {"parameters": camel_keys(parameters, "parameters")}


def _data_url(data: bytes, name: str, content_type: str | None) -> str:
    kind = content_type or content_type_of(data)
    if kind is None:
        raise InvalidInputError(f"Training image {name!r} is no image this provider knows, by its first bytes.")
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def _pair(pair: TrainingImagePair | Mapping[str, Any]) -> dict[str, Any]:
    if isinstance(pair, TrainingImagePair):
        return pair.model_dump(by_alias=True, exclude_none=True, include={"source_id", "target_id", "instruction"})
    return camel_keys(pair, "pair")


def _job_id(answer: Answer) -> str | None:
    job = answer.json.get("job")
    found = job.get("jobId") or job.get("id") if isinstance(job, dict) else answer.json.get("jobId")
    return found if isinstance(found, str) and found else None


def _price(answer: Mapping[str, Any]) -> float | None:
    """The price under the name the schema gives it, or under one of those only the prose documentation has."""
    units = answer.get("creativeUnits")
    places = (
        answer.get("creativeUnitsCost"),
        answer.get("estimatedCost"),
        units.get("estimatedCreativeUnits") if isinstance(units, dict) else None,
    )
    return next((price for price in places if isinstance(price, int | float) and not isinstance(price, bool)), None)


def _not_launched(answer: Answer, asked: str, model_id: str) -> RequestRefusedError | ServiceError:
    origin: dict[str, Any] = {
        "request": f"PUT /models/{model_id}/train",
        "status": answer.status,
        "trace_id": answer.trace_id,
        "body": answer.json,
    }
    checked = answer.json.get("ipDetection")
    if isinstance(checked, dict) and checked.get("action") == "blocked":
        return RequestRefusedError(
            f"Scenario refused to {asked}: the team's copyright check has blocked it. No training was started; the "
            f"check itself may be billed ({checked.get('creativeUnitsCharged', '?')} creative units). Look at the "
            "findings, and change the dataset.",
            **origin,
        )
    if answer.status == DRY_RUN:
        fate = "Nothing was started or billed."
    else:
        fate = "Most likely nothing was started: read the model before starting it again."
    return ServiceError(
        f"Asked Scenario to {asked}; it answered {answer.status} without a job. {fate}",
        maybe_done=answer.status != DRY_RUN,
        **origin,
    )
