"""The endpoints of uploads: a file too big for one request is sent in parts, validated, and becomes an asset."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from airflow_provider_scenario.client.errors import ServiceError
from airflow_provider_scenario.client.messages import quoted
from airflow_provider_scenario.client.scenario.endpoints import Endpoints
from airflow_provider_scenario.client.scenario.schemas import Asset, Upload
from airflow_provider_scenario.client.transport import path

if TYPE_CHECKING:
    from airflow_provider_scenario.client.scenario.schemas import UploadPart


class Uploads(Endpoints):
    """The endpoints of uploads in parts. All of them are free."""

    def create_upload(
        self,
        *,
        file_name: str,
        content_type: str,
        kind: Literal["image", "audio"],
        file_size: int,
        parts: int,
    ) -> Upload:
        """
        Begin an upload; the answer has an address for each part. An upload that is not completed leaves no asset.

        :param file_size: bytes of the whole file.
        :param parts: how many, at most 10 000; each but the last has 5 MB or more.
        """
        action = f"upload {quoted(file_name)} in parts"
        body = {"contentType": content_type, "fileName": file_name, "fileSize": file_size, "kind": kind, "parts": parts}
        answer = self._transport.request("POST", path("uploads"), json=body, action=action, repeatable=True)
        return self._read(Upload, answer, "upload", action)

    def put_part(self, upload: Upload, number: int, data: bytes) -> None:
        """
        Send one part to its signed address, without the key.

        :param upload: as :meth:`create_upload` gave it.
        :param number: of the part, from 1.
        """
        action = f"send part {number} of upload {upload.id}"
        part: UploadPart | None = next((part for part in upload.parts if part.number == number), None)
        if part is None:
            raise ServiceError(f"Could not {action}: Scenario gave no address for it.", maybe_done=False)
        self._transport.put_signed(part.url, data, action=action)

    def complete_upload(self, upload_id: str) -> Upload:
        """Tell Scenario that all parts were sent. Scenario refuses a second time; then read the upload."""
        action = f"complete upload {upload_id}"
        answer = self._transport.request(
            "POST",
            path("uploads", upload_id, "action"),
            json={"action": "complete"},
            action=action,
            repeatable=False,
            if_lost="The upload may be complete: read it.",
        )
        return self._read(Upload, answer, "upload", action, maybe_done=True)

    def get_upload(self, upload_id: str) -> Upload:
        """Read the status of an upload; once ``imported``, ``entity_id`` is its asset."""
        action = f"read upload {upload_id}"
        answer = self._transport.request("GET", path("uploads", upload_id), action=action, repeatable=True)
        return self._read(Upload, answer, "upload", action)

    def name_asset(self, asset_id: str, name: str) -> Asset:
        """Set the name of an asset, which is also its name as a training image."""
        action = f"name asset {asset_id}"
        answer = self._transport.request(
            "PUT", path("assets", asset_id), json={"name": name}, action=action, repeatable=True
        )
        return self._read(Asset, answer, "asset", action)
