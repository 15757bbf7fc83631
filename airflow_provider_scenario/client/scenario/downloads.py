"""The endpoints of downloads: trained models, which Scenario packs first, and assets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_scenario.client.errors import ServiceError
from airflow_provider_scenario.client.scenario.endpoints import Endpoints, given
from airflow_provider_scenario.client.scenario.schemas import Download
from airflow_provider_scenario.client.transport import path

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_scenario.client.scenario.schemas import Asset


class Downloads(Endpoints):
    """The endpoints of downloads. No price is documented for them."""

    def download_model(self, model_id: str, *, epoch: str | None = None) -> str:
        """
        Start a job that packs a trained model, and return its id. Never sent twice.

        :param epoch: which checkpoint; default: the selected one, or the latest.
        """
        action = f"prepare the download of model {model_id}"
        answer = self._transport.request(
            "POST",
            path("models", model_id, "download"),
            json=given(modelEpoch=epoch),
            action=action,
            repeatable=False,
            if_lost="Scenario may be packing it; another request would start a second job.",
        )
        return Download.read(answer.json, action=action, maybe_done=True, answer=answer).job_id

    def get_download(self, job_id: str) -> Download:
        """Read the status of a download, and its address when it is ready."""
        action = f"read download {job_id}"
        answer = self._transport.request("GET", path("assets", "download", job_id), action=action, repeatable=True)
        return Download.read(answer.json, action=action, answer=answer)

    def fetch_download(self, download: Download) -> Iterator[bytes]:
        """
        Fetch a packed model, in blocks of 1 MB. Each call is one try.

        :param download: just read with :meth:`get_download`: its address expires.
        :raises ServiceError: it is not ready, the storage cannot be reached, or the file breaks off.
        """
        return self._fetch(download.download_url, action=f"fetch download {download.job_id}")

    def fetch_asset(self, asset: Asset) -> Iterator[bytes]:
        """
        Fetch the file of an asset, in blocks of 1 MB. Each call is one try.

        :param asset: as just read: its address expires.
        :raises ServiceError: the storage cannot be reached, or the file breaks off.
        """
        return self._fetch(asset.url, action=f"fetch asset {asset.id}")

    def _fetch(self, address: str | None, *, action: str) -> Iterator[bytes]:
        if not address:
            raise ServiceError(f"Could not {action}: Scenario gave no address for it.", maybe_done=False)
        return self._transport.get_signed(address, action=action)
