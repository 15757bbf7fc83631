"""A LoRA that Scenario has trained, as the tree that AI Creation Workshop lists."""

from __future__ import annotations

import html
import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_provider_scenario.client.errors import InvalidInputError, ServiceError
from airflow_provider_scenario.provenance import authors_words
from airflow_provider_scenario.publishing.hosting import path_part

if TYPE_CHECKING:
    from airflow_provider_scenario.client.scenario.client import ScenarioClient
    from airflow_provider_scenario.client.scenario.schemas import Epoch, Model
    from airflow_provider_scenario.publishing.hosting import HostedFile, Hosting

COVERS = {f"image/{kind}": kind for kind in ("avif", "bmp", "gif", "jpeg", "jpg", "png", "tiff", "webp")}
"""
Media type → suffix of a cover. The service names the type: a suffix made of it could be that of a program. No SVG,
which can hold a script.
"""

BASE_MODELS = {"sd-1_5-lora": "v1.5", "sd-xl-lora": "vxl_1.0"}
"""Scenario's type → the workshop's base model. Its list has none for what Scenario trains today."""

TRIES = 3
"""How often a file is fetched at most, each time from its beginning."""

_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 10.0
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """
    What an author says of a LoRA; None leaves it to what Scenario knows.

    :param alias: what prompts call the LoRA; where several epochs are published, each has its number behind it.
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
    The epochs of a trained LoRA that are published, oldest first.

    :param epoch: such as ``"000003"``, ``3`` or ``"last"``; None: all.
    :raises InvalidInputError: the model cannot be published, or has no such epoch.
    """
    from airflow_provider_scenario.client.scenario.schemas import Epoch

    if model.status != "trained":
        raise InvalidInputError(f"Model {model.id} is {model.status!r}; only a trained one can be published.")
    if not (model.type or "").endswith("-lora"):
        raise InvalidInputError(f"Model {model.id} is a {model.type!r}; only a LoRA has a file that can be published.")
    # One without epochs is what it is.
    epochs = sorted(model.epochs, key=lambda found: found.epoch) or [Epoch(epoch="last")]
    if epoch is None:
        return epochs
    if epoch == "last":
        return epochs[-1:]
    wanted = str(epoch).lstrip("0")
    if chosen := [found for found in epochs if found.epoch.lstrip("0") == wanted]:
        return chosen
    there = ", ".join(found.epoch for found in epochs)
    raise InvalidInputError(f"epoch is {epoch!r}; model {model.id} has: {there}. 'last' is the last of them.")


class Publisher:
    """
    Re-hosts the files of a LoRA and builds its tree. What is hosted already is neither packed nor fetched again.

    :param client: where the LoRA was trained.
    :param hosting: where its files go.
    :param app_url: of Scenario's web app, for the way back.
    :param log: is told what happens, a line a file.
    :param patience: seconds that Scenario may take to pack a file.
    """

    def __init__(
        self,
        client: ScenarioClient,
        hosting: Hosting,
        *,
        app_url: str,
        log: Callable[[str], None],
        patience: float,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._client, self._hosting = client, hosting
        self._app_url, self._log, self._patience, self._sleep = app_url, log, patience, sleep

    def publish(self, model: Model, epochs: Sequence[Epoch], words: Words) -> dict[str, Any]:
        """
        Put the files where the workshop can fetch them, and return the tree: each time the same.

        :param epochs: which become versions.
        :raises ServiceError: Scenario could not pack a file, or it broke off again and again.
        :raises StorageError: the storage fails.
        """
        description = words.description or html.escape(authors_words(model.short_description))
        versions = [self._version(model, epoch, words, alone=len(epochs) == 1) for epoch in epochs]
        _refuse_the_same_twice(model, versions)
        return {
            "modelId": model.id,
            "name": words.name or model.name or model.id,
            "modelType": "lora",
            **({"modelDesc": description} if description else {}),
            "source": f"{self._app_url.rstrip('/')}/models/{model.id}",
            "sourceType": words.source_type,
            "versions": versions,
        }

    def _version(self, model: Model, epoch: Epoch, words: Words, *, alone: bool) -> dict[str, Any]:
        alias = words.alias or _plain_name(words.name or model.name) or model.id
        if not (alone and words.alias):
            alias = f"{alias}-{epoch.epoch}"
        concept = model.parameters.get("conceptPrompt")
        triggers = list(words.trigger_words or ([concept] if concept and isinstance(concept, str) else []))
        file = self._lora(model, epoch)
        return {
            "modelVersionId": f"{model.id}-{epoch.epoch}",
            "name": f"epoch {epoch.epoch}",
            "baseModel": words.base_model or _base_model(model.type or ""),
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

    def _lora(self, model: Model, epoch: Epoch) -> HostedFile:
        # Its training is part of the path: a model that is trained again has other files, under the same epochs.
        folder = f"{path_part('id of the model', model.id)}/{path_part('jobId', model.job_id or 'model')}"
        path = f"{folder}/{path_part('epoch', epoch.epoch)}.safetensors"
        packed = _Packed(self._client, model, epoch, self._patience, self._sleep)
        file = self._persistently(lambda: self._hosting.host(path, packed.blocks))
        done = "is hosted" if packed.job_id else "was hosted already"
        self._log(f"Epoch {epoch.epoch} of {model.id} {done}: {file.size / 1e6:.1f} MB, SHA-256 {file.sha256}.")
        return file

    def _covers(self, model: Model, epoch: Epoch) -> list[dict[str, Any]]:
        """The samples of the epoch; without any, the model's thumbnail."""
        thumbnail = [model.thumbnail.asset_id] if model.thumbnail and model.thumbnail.asset_id else []
        ids = [asset.asset_id for asset in epoch.assets] or thumbnail
        covers = [self._persistently(partial(self._cover, model, asset_id)) for asset_id in ids]
        return [cover for cover in covers if cover]

    def _cover(self, model: Model, asset_id: str) -> dict[str, Any] | None:
        asset = self._client.get_asset(asset_id)
        kind = COVERS.get((asset.mime_type or "").lower())
        width, height = (asset.properties.get(side) or asset.metadata.get(side) for side in ("width", "height"))
        if not (kind and width and height):
            self._log(f"Sample {asset_id} becomes no cover: Scenario does not say that it is a picture, and its size.")
            return None
        path = f"{path_part('id of the model', model.id)}/covers/{path_part('assetId', asset_id)}.{kind}"
        file = self._hosting.host(path, lambda: self._client.fetch_asset(asset))
        return {"cover": file.address, "coverFile": {"width": width, "height": height, "format": kind}}

    def _persistently(self, attempt: Callable[[], T]) -> T:
        """Again where a file breaks off: its address may have expired on the way."""
        for tried in range(1, TRIES):
            try:
                return attempt()
            except ServiceError as error:
                self._log(f"{error} Fetching it again, from the beginning ({tried} of {TRIES} tries).")
        return attempt()


class _Packed:
    """The file of one epoch, which Scenario packs when it is first wanted. ``job_id`` is None if it never was."""

    def __init__(
        self, client: ScenarioClient, model: Model, epoch: Epoch, patience: float, sleep: Callable[[float], None]
    ) -> None:
        self._client, self._model, self._patience, self._sleep = client, model, patience, sleep
        self._give_up = float("inf")
        # Documented for Flux LoRAs only, so it is left out where there is no choice.
        self._epoch = epoch.epoch if len(model.epochs) > 1 else None
        self.job_id: str | None = None

    def blocks(self) -> Iterator[bytes]:
        """Fetch it, by an address that was just made."""
        if self.job_id is None:
            self.job_id = self._client.download_model(self._model.id, epoch=self._epoch)
            self._give_up = min(self._give_up, time.monotonic() + self._patience)
        pause = _FIRST_PAUSE
        while True:
            download = self._client.get_download(self.job_id)
            if download.download_url:
                return _safetensors(self._client.fetch_download(download), self._what)
            if download.job_status in ("failure", "canceled"):
                job_id, self.job_id = self.job_id, None
                raise ServiceError(f"Scenario could not pack {self._what} (job {job_id}).", maybe_done=False)
            if time.monotonic() > self._give_up:
                raise ServiceError(
                    f"Scenario has not packed {self._what} within {self._patience:g} s (job {self.job_id}, "
                    f"{download.job_status}).",
                    maybe_done=False,
                )
            self._sleep(pause)
            pause = min(pause * 1.5, _LONGEST_PAUSE)

    @property
    def _what(self) -> str:
        return f"epoch {self._epoch} of {self._model.id}" if self._epoch else self._model.id


def _safetensors(blocks: Iterable[bytes], what: str) -> Iterator[bytes]:
    """
    The same blocks, if they are what the workshop can list: eight bytes of length, then a JSON header.

    :raises InvalidInputError: it is an archive.
    :raises ServiceError: it is something else, such as a page of a proxy.
    """
    blocks, head = iter(blocks), b""
    while len(head) <= 8 and (block := next(blocks, b"")):
        head += block
    if head.startswith(b"PK"):
        raise InvalidInputError(
            f"What Scenario has packed for {what} is a ZIP archive, no .safetensors. Unpack it into a storage of yours "
            "and publish that with 'model'."
        )
    if head[8:9] != b"{":
        raise ServiceError(f"What Scenario has packed for {what} is no .safetensors file.", maybe_done=False)
    yield head
    yield from blocks


def _refuse_the_same_twice(model: Model, versions: Sequence[dict[str, Any]]) -> None:
    """Which epoch a download has is documented for Flux LoRAs only; for others it may be left out of account."""
    first: dict[str, str] = {}
    for version in versions:
        same = first.setdefault(version["files"][0]["hash"], version["name"])
        if same != version["name"]:
            raise InvalidInputError(
                f"Scenario gave the same file for {same} and {version['name']} of {model.id}: it seems to let nobody "
                f"choose the epoch of a {model.type!r}. Publish what it gives, with epoch='last'."
            )


def _base_model(model_type: str) -> str:
    return BASE_MODELS.get(model_type, model_type.removesuffix("-lora"))


def _plain_name(name: str | None) -> str:
    """Letters, digits and hyphens: prompts name a LoRA by it."""
    return re.sub(r"[^A-Za-z0-9]+", "-", name or "").strip("-")
