"""Files behind signed URLs, which need a signature instead of credentials."""

from __future__ import annotations

from airflow_provider_scenario.emulator import pictures
from airflow_provider_scenario.emulator.downloads import safetensors
from airflow_provider_scenario.emulator.routing import Answer, Call, Refusal, Routes

routes = Routes()


class StorageRefusal(Refusal):
    """Storage refuses in XML: a client must not parse every response as JSON."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(status, message, code)

    def answer(self) -> Answer:
        error = f"<Error><Code>{self.name}</Code><Message>{self.reason}</Message></Error>"
        document = f'<?xml version="1.0" encoding="UTF-8"?>\n{error}'.encode()
        return Answer(document, self.status, "application/xml")


def denied() -> StorageRefusal:
    return StorageRefusal(403, "AccessDenied", "Access Denied")


def check_signature(call: Call) -> None:
    if not call.state.signer.is_valid(call.path, call.query, call.now):
        raise denied()
    if call.method == "PUT" and "authorization" in call.headers:
        raise StorageRefusal(400, "InvalidArgument", "Only one auth mechanism allowed")


@routes.serve("HEAD", "/assets/{assetId}")
@routes.serve("GET", "/assets/{assetId}")
async def asset(call: Call) -> Answer:
    found = call.state.assets.get(call.params["assetId"])
    if found is None:
        raise denied()
    return Answer(await pictures.content_of(call.state, found), content_type=found.mime_type)


@routes.serve("HEAD", "/downloads/{file}")
@routes.serve("GET", "/downloads/{file}")
def download(call: Call) -> Answer:
    job = call.state.jobs.get(call.params["file"].removesuffix(".safetensors"))
    model = call.state.models.get(job.model_id or "") if job is not None else None
    if job is None or model is None:
        raise denied()
    content = safetensors(model, job.metadata["input"]["modelEpoch"])
    disposition = f'attachment; filename="{model.id}.safetensors"'
    return Answer(content, content_type="application/octet-stream", headers={"content-disposition": disposition})


@routes.serve("PUT", "/uploads/{uploadId}/{part}")
def upload_part(call: Call) -> Answer:
    upload = call.state.uploads.get(call.params["uploadId"])
    if upload is None or upload.completed_at is not None:
        raise denied()
    upload.parts[int(call.params["part"])] = call.raw
    return Answer(b"", content_type="application/xml", headers={"etag": f'"{len(call.raw):x}"'})
