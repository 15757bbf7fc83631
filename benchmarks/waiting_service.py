"""
The service of ``benchmarks/waiting.py``: the emulator and dbt Cloud's endpoint for a job run, over HTTPS.

Both run in one process and one event loop, and each answer is delayed by the same time. Prints its address.

    python waiting_service.py CERTIFICATE KEY THINK_SECONDS

``POST /waiting/begin?count=…&seconds=…&oldest=…`` replaces all trainings by ``count`` new ones (``model_0``, ``job_0``,
…) of that duration, which began at times spread evenly over the last ``oldest`` seconds. ``GET /waiting/report`` has
the requests by kind, and for each job that was requested (our trigger does so once, after it has noticed the end) how
long before that it had ended.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
import time
from collections import Counter
from typing import Any
from urllib.parse import parse_qsl

import uvicorn

from airflow_provider_scenario.emulator.app import create_app
from airflow_provider_scenario.emulator.ledger import StartedTraining
from airflow_provider_scenario.emulator.records import Asset, Job, Model
from airflow_provider_scenario.emulator.state import State, iso
from airflow_provider_scenario.emulator.timeline import Timeline

IMAGES = 3
TYPE = "flux.2-dev-lora"

# What dbt Cloud documents for GET /api/v2/accounts/{}/runs/{}/, without included relations. 3: running.
RUN = {
    **dict.fromkeys(("trigger_id", "environment_id", "account_id", "project_id", "job_definition_id"), 42),
    **dict.fromkeys(("dbt_version", "git_branch", "git_sha", "status_message", "owner_thread_id"), "of no importance"),
    **dict.fromkeys(("executed_by_thread_id", "deferring_run_id", "artifact_s3_path", "finished_at"), None),
    **dict.fromkeys(("created_at", "updated_at", "dequeued_at", "started_at"), "2026-01-01 12:00:00.000000+00:00"),
    **dict.fromkeys(("artifacts_saved", "has_docs_generated", "has_sources_generated", "is_complete"), False),
    **dict.fromkeys(("is_success", "is_error", "is_cancelled", "notifications_sent", "scribe_enabled"), False),
    **dict.fromkeys(("duration", "queued_duration", "run_duration"), "00:10:00"),
    **dict.fromkeys(("duration_humanized", "queued_duration_humanized", "run_duration_humanized"), "10 minutes"),
    "trigger": None,
    "job": None,
    "environment": None,
    "run_steps": [],
    "in_progress": True,
    "status": 3,
    "status_humanized": "Running",
    "href": "https://cloud.getdbt.com/deploy/42/projects/42/runs/42",
}


class Service:
    def __init__(self, think: float) -> None:
        self.think = think
        self.state = State()
        self.emulator = create_app(self.state)
        self.requests: Counter[str] = Counter()
        self.noticed: dict[str, float] = {}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        path, method = scope["path"], scope["method"]
        if path == "/waiting/begin":
            query = dict(parse_qsl(scope["query_string"].decode()))
            return await self.answer(
                send, self.begin(int(query["count"]), float(query["seconds"]), float(query["oldest"]))
            )
        if path == "/waiting/report":
            noticed = list(self.noticed.values())
            return await self.answer(send, {"requests": self.requests, "noticed": noticed})
        await asyncio.sleep(self.think)
        if "/accounts/" in path:
            self.requests["GET run"] += 1
            run = int(path.rstrip("/").rpartition("/")[2])
            return await self.answer(send, {"status": {"code": 200, "is_success": True}, "data": {"id": run, **RUN}})
        if path.startswith("/v1/jobs/"):
            self.requests["GET job"] += 1
            job = self.state.jobs[path.rpartition("/")[2]]
            self.noticed.setdefault(job.id, time.time() - self.think - job.timeline.ends_at)
        else:
            self.requests["get-bulk" if path.endswith("/get-bulk") else f"{method} model"] += 1
        return await self.emulator(scope, receive, send)

    @staticmethod
    async def answer(send: Any, content: Any) -> None:
        body = json.dumps(content).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def begin(self, count: int, seconds: float, oldest: float) -> dict[str, int]:
        self.state.reset()
        self.requests.clear()
        self.noticed.clear()
        now = time.time()
        for number in range(count):
            began = now - oldest * number / count
            model = Model(f"model_{number}", TYPE, began, began, f"lora-{number}", "A model.", "training")
            for image in range(IMAGES):
                asset = Asset(f"asset_{number}_{image}", f"{image}.jpg", "image", "image/jpeg", began, began)
                self.state.assets[asset.id] = asset
                model.training_images[asset.id] = began
            model.parameters = {"nbEpochs": 10, "learningRate": 1e-5, "samplePrompts": ["a house", "a tree"]}
            model.job = Job(f"job_{number}", "flux2-dev-lora-training", Timeline(began, seconds), model.id, {}, 1080)
            self.state.models[model.id], self.state.jobs[model.job.id] = model, model.job
            self.state.schedule_end(model.job)
            entry = StartedTraining(model.id, model.name, model.type, model.job.id, 1080, iso(began))
            self.state.ledger.trainings.append(entry)
        return {"trainings": count}


def main() -> None:
    certificate, key, think = sys.argv[1:]
    bound = socket.create_server(("127.0.0.1", 0), backlog=4096)  # listens before uvicorn has started
    print(f"listening on https://127.0.0.1:{bound.getsockname()[1]}", flush=True)
    config = uvicorn.Config(
        Service(float(think)),
        ssl_certfile=certificate,
        ssl_keyfile=key,
        log_level="critical",
        access_log=False,
        lifespan="off",
        backlog=4096,
        timeout_keep_alive=600,
        timeout_graceful_shutdown=1,
    )
    uvicorn.Server(config).run(sockets=[bound])


if __name__ == "__main__":
    main()
