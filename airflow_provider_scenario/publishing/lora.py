"""A LoRA that was trained on Scenario: its files hosted in a storage, and the tree that AI Creation Workshop lists."""

from __future__ import annotations

import html
import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow_provider_scenario.client.errors import InvalidInputError, ServiceError
from airflow_provider_scenario.client.retrying import Retrying, backoff
from airflow_provider_scenario.provenance import authors_words
from airflow_provider_scenario.publishing.hosting import path_part

if TYPE_CHECKING:
    from airflow_provider_scenario.client.scenario.client import ScenarioClient
    from airflow_provider_scenario.client.scenario.schemas import Epoch, Model
    from airflow_provider_scenario.publishing.hosting import HostedFile, Hosting

COVER_FORMATS = {f"image/{kind}": kind for kind in ("avif", "bmp", "gif", "jpeg", "jpg", "png", "tiff", "webp")}
"""
Media type → suffix of a cover. The service chooses the media type: a suffix made of it could be that of a program. SVG
is left out, since it can hold a script.
"""

WORKSHOP_BASE_MODELS = {"sd-1_5-lora": "v1.5", "sd-xl-lora": "vxl_1.0"}
"""Scenario's model type → the workshop's base model. The workshop lists none for what Scenario trains today."""

TRIES = 3
"""How often a file is fetched at most, each time from its beginning."""

_LONGEST_PAUSE = 10.0
"""Seconds between two polls while Scenario packs a file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Overrides:
    """
    Fields of the tree that the author gives. None: taken from the model at Scenario.

    :param alias: what prompts call the LoRA; with several epochs, the number of the epoch is appended.
    :param base_model: in the workshop's words.
    """

    name: str | None = None
    description: str | None = None
    trigger_words: Sequence[str] | None = None
    alias: str | None = None
    base_model: str | None = None
    source_type: str = "internal"


def chosen_epochs(model: Model, epoch: str | int | None) -> list[Epoch]:
    """
    Return the epochs of a trained LoRA that are published, oldest first.

    :param epoch: such as ``"000003"``, ``3`` or ``"last"``; None: all.
    :raises InvalidInputError: the model cannot be published, or has no such epoch.
    """
    from airflow_provider_scenario.client.scenario.schemas import Epoch

    if model.status != "trained":
        raise InvalidInputError(f"Model {model.id} has the status {model.status!r}; only a trained model is published.")
    if not (model.type or "").endswith("-lora"):
        raise InvalidInputError(f"Model {model.id} has the type {model.type!r}; only a LoRA has a file to publish.")
    # A LoRA without epochs has one file.
    epochs = sorted(model.epochs, key=lambda each: each.epoch) or [Epoch(epoch="last")]
    if epoch is None:
        return epochs
    if epoch == "last":
        return epochs[-1:]
    number = str(epoch).lstrip("0")
    if chosen := [each for each in epochs if each.epoch.lstrip("0") == number]:
        return chosen
    existing = ", ".join(each.epoch for each in epochs)
    raise InvalidInputError(f"epoch is {epoch!r}; model {model.id} has: {existing}. 'last' means the last of them.")


class LoraTreeBuilder:
    """
    Hosts the files of a LoRA and builds its tree. Files that are hosted already are neither packed nor fetched again.

    :param client: of the project that the LoRA was trained in.
    :param hosting: where its files are put.
    :param app_url: of Scenario's web app, for the link to the model.
    :param log: logs one line a file.
    :param pack_timeout: seconds that Scenario may take to pack a file.
    """

    def __init__(
        self,
        client: ScenarioClient,
        hosting: Hosting,
        *,
        app_url: str,
        log: Callable[[str], None],
        pack_timeout: float,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._client, self._hosting = client, hosting
        self._app_url, self._log, self._pack_timeout, self._sleep = app_url, log, pack_timeout, sleep
        # A download that breaks off is started again with a new address: the one before may have expired.
        self._retrying = Retrying(
            tries=TRIES,
            may_retry=lambda error: isinstance(error, ServiceError),
            on_retry=lambda error, _: log(f"{error} The file is fetched again, from its beginning."),
            sleep=sleep,
        )

    def build(self, model: Model, epochs: Sequence[Epoch], overrides: Overrides) -> dict[str, Any]:
        """
        Put the files where the workshop can fetch them, and return the tree: the same each time.

        :param epochs: those that become versions.
        :raises ServiceError: Scenario could not pack a file, or a download broke off several times.
        :raises StorageError: the storage fails.
        """
        description = overrides.description or html.escape(authors_words(model.short_description))
        versions = [self._version(model, epoch, overrides, alone=len(epochs) == 1) for epoch in epochs]
        _refuse_equal_files(model, versions)
        return {
            "modelId": model.id,
            "name": overrides.name or model.name or model.id,
            "modelType": "lora",
            **({"modelDesc": description} if description else {}),
            "source": f"{self._app_url.rstrip('/')}/models/{model.id}",
            "sourceType": overrides.source_type,
            "versions": versions,
        }

    def _version(self, model: Model, epoch: Epoch, overrides: Overrides, *, alone: bool) -> dict[str, Any]:
        alias = overrides.alias or _name_for_prompts(overrides.name or model.name) or model.id
        if not (alone and overrides.alias):
            alias = f"{alias}-{epoch.epoch}"
        concept = model.parameters.get("conceptPrompt")
        triggers = list(overrides.trigger_words or ([concept] if concept and isinstance(concept, str) else []))
        file = self._hosted_file(model, epoch)
        return {
            "modelVersionId": f"{model.id}-{epoch.epoch}",
            "name": f"epoch {epoch.epoch}",
            "baseModel": overrides.base_model or _base_model(model.type or ""),
            **({"triggerWords": triggers} if triggers else {}),
            "covers": self._covers(model, epoch),
            "files": [
                {
                    "name": f"{alias}.safetensors",
                    "aliasName": alias,
                    "downloadUrl": file.address,
                    "hash": file.sha256,
                    "sizeKb": file.size / 1024,
                    "isPrimary": True,
                }
            ],
        }

    def _hosted_file(self, model: Model, epoch: Epoch) -> HostedFile:
        # The job is part of the path: a model that is trained again has other files under the same epochs.
        folder = f"{path_part('id of the model', model.id)}/{path_part('jobId', model.job_id or 'model')}"
        path = f"{folder}/{path_part('epoch', epoch.epoch)}.safetensors"
        packed = _PackedFile(self._client, model, epoch, timeout=self._pack_timeout, sleep=self._sleep)
        file = self._retrying(lambda: self._hosting.host(path, packed.blocks))
        done = "is hosted" if packed.job_id else "was hosted already"
        self._log(f"Epoch {epoch.epoch} of {model.id} {done}: {file.size / 1e6:.1f} MB, SHA-256 {file.sha256}.")
        return file

    def _covers(self, model: Model, epoch: Epoch) -> list[dict[str, Any]]:
        """Return the samples of the epoch; without any, the model's thumbnail."""
        thumbnail = [model.thumbnail.asset_id] if model.thumbnail and model.thumbnail.asset_id else []
        ids = [asset.asset_id for asset in epoch.assets] or thumbnail
        covers = [self._retrying(partial(self._cover, model, asset_id)) for asset_id in ids]
        return [cover for cover in covers if cover]

    def _cover(self, model: Model, asset_id: str) -> dict[str, Any] | None:
        asset = self._client.get_asset(asset_id)
        kind = COVER_FORMATS.get((asset.mime_type or "").lower())
        width, height = (asset.properties.get(side) or asset.metadata.get(side) for side in ("width", "height"))
        if not (kind and width and height):
            self._log(f"Sample {asset_id} is not used as a cover: Scenario did not return its format or size.")
            return None
        path = f"{path_part('id of the model', model.id)}/covers/{path_part('assetId', asset_id)}.{kind}"
        file = self._hosting.host(path, lambda: self._client.fetch_asset(asset))
        return {"cover": file.address, "coverFile": {"width": width, "height": height, "format": kind}}


class _PackedFile:
    """The file of one epoch, which Scenario packs on request. ``job_id`` is None until packing was requested."""

    def __init__(
        self, client: ScenarioClient, model: Model, epoch: Epoch, *, timeout: float, sleep: Callable[[float], None]
    ) -> None:
        self._client, self._model, self._timeout, self._sleep = client, model, timeout, sleep
        self._deadline = float("inf")
        # The field `epoch` is documented for Flux LoRAs only, so it is left out if there is only one.
        self._epoch = epoch.epoch if len(model.epochs) > 1 else None
        self.job_id: str | None = None

    def blocks(self) -> Iterator[bytes]:
        """Have it packed, and fetch it by an address that was just made."""
        if self.job_id is None:
            self.job_id = self._client.download_model(self._model.id, epoch=self._epoch)
            self._deadline = min(self._deadline, time.monotonic() + self._timeout)
        polls = 0
        while True:
            download = self._client.get_download(self.job_id)
            if download.download_url:
                return _safetensors(self._client.fetch_download(download), self._label)
            if download.job_status in ("failure", "canceled"):
                job_id, self.job_id = self.job_id, None
                raise ServiceError(f"Scenario could not pack {self._label} (job {job_id}).", maybe_done=False)
            if time.monotonic() > self._deadline:
                raise ServiceError(
                    f"Scenario has not packed {self._label} within {self._timeout:g} s (job {self.job_id}, "
                    f"{download.job_status}).",
                    maybe_done=False,
                )
            polls += 1
            self._sleep(backoff(polls, longest=_LONGEST_PAUSE))

    @property
    def _label(self) -> str:
        return f"epoch {self._epoch} of {self._model.id}" if self._epoch else self._model.id


def _safetensors(blocks: Iterable[bytes], label: str) -> Iterator[bytes]:
    """
    Yield the same blocks if they are a .safetensors file: eight bytes of length, then a JSON header.

    :raises InvalidInputError: it is an archive.
    :raises ServiceError: it is something else, such as a page of a proxy.
    """
    blocks, head = iter(blocks), b""
    while len(head) <= 8 and (block := next(blocks, b"")):
        head += block
    if head.startswith(b"PK"):
        raise InvalidInputError(
            f"Scenario gave a ZIP archive for {label}, not a .safetensors file. Unpack it into a storage of yours, and "
            "sync its tree with AICreationWorkshopSyncModelOperator."
        )
    if head[8:9] != b"{":
        raise ServiceError(f"Scenario gave a file for {label} that is not a .safetensors file.", maybe_done=False)
    yield head
    yield from blocks


def _refuse_equal_files(model: Model, versions: Sequence[dict[str, Any]]) -> None:
    """The field ``epoch`` of a download is documented for Flux LoRAs only; for other types it may be ignored."""
    first: dict[str, str] = {}
    for version in versions:
        same = first.setdefault(version["files"][0]["hash"], version["name"])
        if same != version["name"]:
            raise InvalidInputError(
                f"Scenario gave the same file for {same} and {version['name']} of {model.id}: it seems to ignore the "
                f"epoch for the type {model.type!r}. Publish this one file with epoch='last'."
            )


def _base_model(model_type: str) -> str:
    return WORKSHOP_BASE_MODELS.get(model_type, model_type.removesuffix("-lora"))


def _name_for_prompts(name: str | None) -> str:
    """Letters, digits and hyphens."""
    return re.sub(r"[^A-Za-z0-9]+", "-", name or "").strip("-")
