"""The endpoints of datasets: training images, their captions, and pairs of them."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from airflow_provider_scenario.client.consequences import NOTHING_SENT
from airflow_provider_scenario.client.encoding import encoded
from airflow_provider_scenario.client.errors import AlreadyTrainingImageError, InvalidInputError
from airflow_provider_scenario.client.ids import check_id
from airflow_provider_scenario.client.messages import quoted, shown
from airflow_provider_scenario.client.scenario.endpoints import Endpoints, flag, given, unique_ids
from airflow_provider_scenario.client.scenario.media_files import image_type_of
from airflow_provider_scenario.client.scenario.pairs import checked_pairs
from airflow_provider_scenario.client.scenario.schemas import Asset, DatasetScore, TrainingImage, TrainingImagePair
from airflow_provider_scenario.client.transport import path
from airflow_provider_scenario.client.values import check_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ASSETS_A_CALL = 10
"""Assets attached in one call: 400 'Too many assetIds provided in a single request' beyond (observed)."""


class Datasets(Endpoints):
    """The endpoints of training images and of the assets behind them. All of them are free."""

    def add_training_image(
        self,
        model_id: str,
        *,
        data: bytes,
        name: str,
        content_type: str | None = None,
        preset: str | None = None,
        original_assets: bool | None = None,
    ) -> TrainingImage:
        """
        Upload a file into the dataset of a model. Never sent twice: the dataset would hold it twice.

        :param data: the file; encoded it must stay under about 6 MB.
        :param name: file name; unique names let a retry find what is there.
        :param content_type: default: found from the first bytes.
        :param preset: how the service captions it: ``default``, ``style`` or ``subject``.
        :param original_assets: as for :meth:`get_model`.
        :raises PlanCeilingError: the plan allows no more images in a dataset.
        """
        action = f"add training image {quoted(name)} to model {model_id}"
        content = _with_data(data, content_type, name=name, preset=preset)
        del data  # may be the last reference: one copy in memory is enough while the answer is awaited
        answer = self._transport.request(
            "POST",
            path("models", model_id, "training-images"),
            query={"originalAssets": flag(original_assets, "original_assets")},
            content=content,
            action=action,
            repeatable=False,
            if_lost="The image may have been added: read the model before adding it again.",
        )
        return self._read(TrainingImage, answer, "trainingImage", action, maybe_done=True)

    def add_training_assets(self, model_id: str, asset_ids: Iterable[str], preset: str | None = None) -> None:
        """
        Add assets of the project to the dataset of a model. Assets that it has already are skipped.

        Ten go in one call. If the dataset has one of them already, Scenario refuses all ten; then they go one by one.

        :param preset: how the service captions them: ``default``, ``style`` or ``subject``.
        """
        wanted = unique_ids(asset_ids, "asset_ids")
        for start in range(0, len(wanted), ASSETS_A_CALL):
            ids = wanted[start : start + ASSETS_A_CALL]
            try:
                self._attach(model_id, ids, preset)
            except AlreadyTrainingImageError:
                if len(ids) > 1:
                    for asset_id in ids:
                        self.add_training_assets(model_id, [asset_id], preset)

    def _attach(self, model_id: str, ids: Sequence[str], preset: str | None) -> None:
        _check_preset(preset)
        one = ids[0] if len(ids) == 1 else None
        self._transport.request(
            "POST",
            path("models", model_id, "training-images"),
            json=given(assetId=one, assetIds=None if one else list(ids), preset=preset),
            action=f"add {f'asset {one}' if one else f'{len(ids)} assets'} to the dataset of model {model_id}",
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
        preset: str | None = None,
        original_assets: bool | None = None,
    ) -> TrainingImage:
        """
        Replace an image of the dataset by a file (``data`` and ``name``) or by an asset.

        :param original_assets: as for :meth:`get_model`.
        :raises InvalidInputError: neither or both are given.
        """
        if (data is None) == (asset_id is None) or (data is None) != (name is None):
            raise InvalidInputError(f"Replace a training image with data and name, or with asset_id. {NOTHING_SENT}")
        action = f"replace training image {training_image_id} of model {model_id}"
        _check_preset(preset)
        if asset_id is not None:
            check_id("asset_id", asset_id)
        asset = given(assetId=asset_id, preset=preset)
        answer = self._transport.request(
            "PUT",
            path("models", model_id, "training-images", training_image_id),
            query={"originalAssets": flag(original_assets, "original_assets")},
            json=asset if data is None else None,
            content=_with_data(data, content_type, name=name or "", preset=preset) if data is not None else None,
            action=action,
            repeatable=False,
            if_lost="It may have been replaced: read the model before trying again.",
        )
        return self._read(TrainingImage, answer, "trainingImage", action, maybe_done=True)

    def delete_training_image(self, model_id: str, training_image_id: str) -> None:
        """Remove an image from the dataset of a model."""
        self._transport.request(
            "DELETE",
            path("models", model_id, "training-images", training_image_id),
            action=f"delete training image {training_image_id} of model {model_id}",
            repeatable=True,
        )

    def set_training_pairs(
        self, model_id: str, pairs: Iterable[TrainingImagePair | Mapping[str, Any]]
    ) -> list[TrainingImagePair]:
        """
        Replace all pairs an edit model learns from; their images must be in the dataset already.

        :param pairs: ``source_id``, ``target_id`` and, optionally, ``instruction`` each, in either spelling.
        :raises InvalidInputError: a source is its own target, a pair is given twice, or it is not a list of pairs.
        """
        action = f"set the training pairs of model {model_id}"
        body = checked_pairs(pairs)
        answer = self._transport.request(
            "PUT", path("models", model_id, "training-images", "pairs"), json=body, action=action, repeatable=True
        )
        return self._read_list(TrainingImagePair, answer, "pairs", action)

    def get_dataset_score(self, model_id: str) -> DatasetScore:
        """Read how Scenario rates the dataset of a model: a score, and warnings by image."""
        action = f"score the dataset of model {model_id}"
        answer = self._transport.request(
            "GET", path("models", model_id, "scores", "training-dataset"), action=action, repeatable=True
        )
        return DatasetScore.read(answer.json, action=action, answer=answer)

    def caption_asset(self, asset_id: str, description: str) -> Asset:
        """Set the caption of a training image: the description of its asset."""
        check_text("description", description)
        action = f"caption asset {asset_id}"
        answer = self._transport.request(
            "PUT", path("assets", asset_id), json={"description": description}, action=action, repeatable=True
        )
        return self._read(Asset, answer, "asset", action)

    def get_asset(self, asset_id: str, *, original_assets: bool | None = None) -> Asset:
        """
        Read an asset.

        :param original_assets: as for :meth:`get_model`.
        """
        action = f"read asset {asset_id}"
        query = {"originalAssets": flag(original_assets, "original_assets")}
        answer = self._transport.request("GET", path("assets", asset_id), query=query, action=action, repeatable=True)
        return self._read(Asset, answer, "asset", action)


def _check_preset(preset: str | None) -> None:
    if preset is not None:
        check_text("preset", preset)


def _with_data(data: bytes, content_type: str | None, *, name: str, preset: str | None) -> bytes:
    """Write a body with a file in it as JSON. With ``json.dumps`` the file would be in memory five times."""
    if not isinstance(data, bytes | bytearray):
        raise InvalidInputError(f"data must be the bytes of a file, not {shown(data)}. {NOTHING_SENT}")
    check_text("name", name)
    _check_preset(preset)
    if content_type is not None:
        check_text("content_type", content_type)
    kind = content_type or image_type_of(data)
    if kind is None:
        raise InvalidInputError(
            f"Training image {quoted(name)} is not an image of a known kind, by its first bytes. {NOTHING_SENT}"
        )
    head, tail = encoded({"data": f"data:{kind};base64,"}), encoded(given(name=name, preset=preset))
    return b"".join((head[:-2], base64.b64encode(data), b'",', tail[1:]))
