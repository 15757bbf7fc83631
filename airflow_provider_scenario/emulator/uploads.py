"""Uploads in parts, for files too large for one request."""

from __future__ import annotations

from typing import Any

from airflow_provider_scenario.emulator import checks, formats
from airflow_provider_scenario.emulator.assets import add_asset
from airflow_provider_scenario.emulator.checks import invalid
from airflow_provider_scenario.emulator.records import Job, Upload
from airflow_provider_scenario.emulator.routing import Answer, Call, Refusal, Routes
from airflow_provider_scenario.emulator.settings import Outcome
from airflow_provider_scenario.emulator.state import AUTHOR_ID, PROJECT_ID, iso
from airflow_provider_scenario.emulator.timeline import Timeline
from airflow_provider_scenario.emulator.views import COMPLIANCE

routes = Routes()
KINDS = ("3d", "asset", "audio", "avatar", "image", "model", "text", "video")
MOST_PARTS = 10_000
SMALLEST_PART = 5 * 1024 * 1024
PART_URL_SECONDS = 3600.0
# Seconds after its completion until an upload has each status.
STEPS = ((0.0, "validating"), (0.1, "validated"), (0.2, "imported"))


@routes.serve("POST", "/uploads")
def create(call: Call) -> Answer:
    body = call.body()
    if any(field in body for field in ("url", "huggingFaceModelName", "civitaiModelUrl")):
        raise Refusal(400, "The emulator does not import from URLs; send the file in parts")
    name, content_type = checks.required_text(body, "fileName"), checks.required_text(body, "contentType")
    checks.one_of(body.get("kind"), "kind", KINDS)
    if body["kind"] == "model":
        raise Refusal(400, "The emulator imports no models")
    checks.number(body.get("parts"), "parts", least=1, most=MOST_PARTS, whole=True)
    checks.number(body.get("fileSize"), "fileSize", least=1)
    options = body.get("assetOptions", {})
    if not isinstance(options, dict):
        raise invalid("assetOptions", "must be of type object")
    checks.texts(options, "collectionIds", label="assetOptions.collectionIds")
    checks.text(options, "parentId", label="assetOptions.parentId", nullable=True)
    job = Job(call.state.new_id("job_"), "upload", Timeline(call.now, 1.0, Outcome(stall_at=0.0)))
    upload = Upload(
        id=call.state.new_id("upload_"),
        file_name=name,
        kind=body["kind"],
        content_type=content_type,
        file_size=body["fileSize"],
        parts_count=int(body["parts"]),
        created_at=call.now,
        job=job,
        asset_options=options,
    )
    call.state.uploads[upload.id] = upload
    call.state.jobs[job.id] = job
    return Answer({"upload": _view(call, upload)})


@routes.serve("GET", "/uploads/{uploadId}")
def retrieve(call: Call) -> Answer:
    return Answer({"upload": _view(call, _find(call))})


@routes.serve("POST", "/uploads/{uploadId}/action")
def complete(call: Call) -> Answer:
    upload, body = _find(call), call.body()
    checks.one_of(body.get("action"), "action", ("complete",))
    if upload.completed_at is not None:
        raise Refusal(400, "Upload is already complete")
    missing = [number for number in range(1, upload.parts_count + 1) if number not in upload.parts]
    if missing:
        raise Refusal(400, f"Parts {missing[:10]} have not been uploaded")
    upload.completed_at = call.now
    upload.error = _validation_error(upload)
    started = upload.job.timeline.started
    outcome = Outcome(fail_at=1.0) if upload.error else Outcome()
    upload.job.timeline = Timeline(started, call.now + STEPS[-1][0] - started, outcome)
    if upload.error:
        upload.job.metadata["error"] = upload.error
    return Answer({"upload": _view(call, upload)})


def _validation_error(upload: Upload) -> str | None:
    """Why the file is refused; the service shows it after validation."""
    sizes = [len(upload.parts[number]) for number in sorted(upload.parts)]
    if any(size < SMALLEST_PART for size in sizes[:-1]):
        return "Your proposed upload is smaller than the minimum allowed size"
    if sum(sizes) != upload.file_size:
        return f"File size mismatch: expected {upload.file_size} bytes, received {sum(sizes)}"
    found = formats.mime_type(_whole(upload))
    if upload.kind in ("image", "avatar", "audio") and (found or "").partition("/")[0] != upload.kind.replace(
        "avatar", "image"
    ):
        return "Unhandled file format"
    return None


def _whole(upload: Upload) -> bytes:
    return b"".join(upload.parts[number] for number in sorted(upload.parts))


def _find(call: Call) -> Upload:
    upload = call.state.uploads.get(call.params["uploadId"])
    if upload is None:
        raise Refusal(404, f"Upload {call.params['uploadId']} not found", "UploadNotFoundError")
    return upload


def _status(upload: Upload, now: float) -> str:
    if upload.completed_at is None:
        return "pending"
    status = [name for after, name in STEPS if upload.completed_at + after <= now][-1]
    return "failed" if upload.error is not None and status != "validating" else status


def _import(call: Call, upload: Upload) -> None:
    content = _whole(upload)
    mime_type = formats.mime_type(content) or upload.content_type
    asset = add_asset(call.state, upload.file_name, content, mime_type, call.now)
    asset.collection_ids = list(upload.asset_options.get("collectionIds") or [])
    asset.parent_id, asset.hidden = upload.asset_options.get("parentId"), upload.asset_options.get("hide") is True
    upload.asset_id = asset.id
    upload.parts.clear()


def _view(call: Call, upload: Upload) -> dict[str, Any]:
    status = _status(upload, call.now)
    if status == "imported" and upload.asset_id is None:
        _import(call, upload)
    view: dict[str, Any] = {
        "id": upload.id,
        "status": status,
        "kind": upload.kind,
        "source": "multipart",
        "fileName": upload.file_name,
        "originalFileName": upload.file_name,
        "contentType": upload.content_type,
        "fileSize": upload.file_size,
        "partsCount": upload.parts_count,
        "assetOptions": upload.asset_options,
        "jobId": upload.job.id,
        "authorId": AUTHOR_ID,
        "ownerId": PROJECT_ID,
        "createdAt": iso(upload.created_at),
        "updatedAt": iso(upload.completed_at or upload.created_at),
        "complianceMetadata": COMPLIANCE,
    }
    if status == "pending":
        view["parts"] = [_part(call, upload, number) for number in range(1, upload.parts_count + 1)]
    if upload.asset_id is not None:
        view["entityId"] = upload.asset_id
    if status == "failed":
        view["errorMessage"] = upload.error
    return view


def _part(call: Call, upload: Upload, number: int) -> dict[str, Any]:
    url = call.state.signer.url(call.base, f"/cdn/uploads/{upload.id}/{number}", call.now, PART_URL_SECONDS)
    return {"number": number, "url": url, "expires": iso(call.now + PART_URL_SECONDS)}
