"""Jobs: retrieve one, list many, and an action that refuses trainings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_scenario.emulator import checks
from airflow_provider_scenario.emulator.model_list import take_page
from airflow_provider_scenario.emulator.routing import Answer, Call, Refusal, Routes
from airflow_provider_scenario.emulator.state import AUTHOR_ID
from airflow_provider_scenario.emulator.views import job_updated_at, job_view

if TYPE_CHECKING:
    from airflow_provider_scenario.emulator.records import Job

routes = Routes()
LARGEST_PAGE, DEFAULT_PAGE = 100, 50
RECENTLY = 30 * 24 * 3600
STATUSES = ("pending", "queued", "warming-up", "in-progress", "finalizing", "success", "failure", "canceled")


def find_job(call: Call) -> Job:
    job = call.state.jobs.get(call.params["jobId"])
    if job is None:
        raise Refusal(404, f"Job {call.params['jobId']} not found", "JobNotFoundError")
    return job


@routes.serve("GET", "/jobs/{jobId}")
def retrieve(call: Call) -> Answer:
    return Answer({"job": job_view(call.state, find_job(call), call.now)})


@routes.serve("POST", "/jobs/{jobId}/action")
def act(call: Call) -> Answer:
    """Refuse: the service cancels only inference jobs here, and the emulator has none."""
    find_job(call)
    raise Refusal(400, "Cannot cancel this type of job. Action not permitted.")


@routes.serve("GET", "/jobs")
def list_jobs(call: Call) -> Answer:
    """Newest first; with a filter by status, type or workflow, last updated first."""
    query, now = call.query, call.now
    size = checks.page_size(query, default=DEFAULT_PAGE, most=LARGEST_PAGE)
    by_update = any(name in query for name in ("status", "type", "types", "workflowId"))
    created_after, updated_after = checks.moment(query, "createdAfter"), checks.moment(query, "updatedAfter")
    if created_after is not None and by_update:
        raise Refusal(400, '"createdAfter" is only allowed without "status", "type", "types" and "workflowId"')
    if updated_after is not None and not by_update:
        raise Refusal(400, '"updatedAfter" is only allowed with "status", "type", "types" or "workflowId"')
    if "status" in query:
        checks.one_of(query["status"], "status", STATUSES)
    recent_only = "authorId" in query or query.get("hideResults") == "false"
    after = updated_after if by_update else created_after
    if after is None:
        after = now - RECENTLY if recent_only else 0.0

    def order(job: Job) -> tuple[float, str]:
        return job_updated_at(job, now) if by_update else job.timeline.started, job.id

    jobs = [job for job in call.state.jobs.values() if _matches_filters(job, query, now) and order(job)[0] > after]
    jobs.sort(key=order, reverse=True)
    page, token = take_page(call.state, jobs, size, query.get("paginationToken"), order, descending=True)
    answer: dict[str, object] = {"jobs": [job_view(call.state, job, now) for job in page]}
    if token is not None:
        answer["nextPaginationToken"] = token
    return Answer(answer)


def _matches_filters(job: Job, query: dict[str, str], now: float) -> bool:
    types = query.get("types") or query.get("type")
    return (
        (not types or job.type in types.split(","))
        and ("status" not in query or job.timeline.job_history(now)[-1][0] == query["status"])
        and query.get("authorId", AUTHOR_ID) == AUTHOR_ID
        and "workflowId" not in query
    )
