"""A trained model as a file."""

from __future__ import annotations

import json
import random
import struct

from airflow_provider_scenario.emulator import checks
from airflow_provider_scenario.emulator.jobs import find_job
from airflow_provider_scenario.emulator.models import find_model
from airflow_provider_scenario.emulator.records import Job, Model
from airflow_provider_scenario.emulator.routing import Answer, Call, Refusal, Routes
from airflow_provider_scenario.emulator.timeline import Timeline

routes = Routes()
JOB_TYPE = "model-download"
RANK = 4


@routes.serve("POST", "/models/{modelId}/download")
def download(call: Call) -> Answer:
    """Start a download job; ``GET /assets/download/{jobId}`` has the link when the job is done."""
    model, body = find_model(call, own=True), call.body()
    if model.status != "trained":
        raise Refusal(400, "Only trained models can be downloaded")
    epoch = checks.text(body, "modelEpoch")
    if epoch is not None and epoch not in dict(model.epochs):
        raise Refusal(400, f"Epoch {epoch} not found in model {model.id}")
    if call.query.get("dryRun") in ("true", "api"):
        return Answer({"creativeUnitsCost": 0, "creativeUnitsDiscount": 0, "costDetails": {}}, 269)
    timeline = Timeline(call.now, min(1.0, call.state.settings.training_seconds / 10))
    chosen = epoch or model.epoch or (model.epochs[-1][0] if model.epochs else "000001")
    job = Job(call.state.new_id("job_"), JOB_TYPE, timeline, model.id, {"input": {"modelEpoch": chosen}})
    call.state.jobs[job.id] = job
    return Answer({"jobId": job.id})


@routes.serve("GET", "/assets/download/{jobId}")
def status(call: Call) -> Answer:
    job = find_job(call)
    if job.type != JOB_TYPE:
        raise Refusal(404, f"Download {job.id} not found", "DownloadNotFoundError")
    answer = {"jobId": job.id, "jobStatus": job.timeline.job_history(call.now)[-1][0]}
    if answer["jobStatus"] == "success":
        path = f"/cdn/downloads/{job.id}.safetensors"
        answer["downloadUrl"] = call.state.signer.url(call.base, path, call.now, call.state.settings.url_seconds)
    return Answer(answer)


def safetensors(model: Model, epoch: str) -> bytes:
    """A small but valid LoRA file: the same bytes for the same epoch of the same model."""
    values = random.Random(f"{model.id}/{epoch}")  # noqa: S311
    tensors: dict[str, object] = {
        "__metadata__": {
            "format": "pt",
            "modelspec.title": model.name or model.id,
            "ss_base_model_version": model.type,
            "ss_output_name": f"{model.id}-{epoch}",
            "ss_trigger_word": str(model.parameters.get("conceptPrompt", "")),
        }
    }
    content = b""
    for part, shape in (("lora_down", (RANK, 16)), ("lora_up", (16, RANK))):
        weights = [values.gauss(0, 0.02) for _ in range(shape[0] * shape[1])]
        begin = len(content)
        content += struct.pack(f"<{len(weights)}f", *weights)
        name = f"transformer.single_transformer_blocks.0.attn.to_q.{part}.weight"
        tensors[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [begin, len(content)]}
    header = json.dumps(tensors, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    return struct.pack("<Q", len(header)) + header + content
