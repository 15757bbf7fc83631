from __future__ import annotations

import pytest


def started(api, name="hero", **fields):
    return api.train(api.model(name, images=1, **fields))["job"]["jobId"]


def listed(api, **query):
    return [job["jobId"] for job in api.call("GET", "/jobs", **query).json()["jobs"]]


def test_a_job_has_its_history_and_bill_but_not_its_model(api):
    job_id = started(api)
    api.advance(0.3)
    job = api.call("GET", f"/jobs/{job_id}").json()["job"]
    assert [entry["status"] for entry in job["statusHistory"]] == ["queued", "warming-up", "in-progress"]
    assert job["billing"] == {"cuCost": 60, "cuDiscount": 0}
    assert job["metadata"] == {"input": {}}
    assert job["progress"] == pytest.approx(0.3, abs=0.01)


def test_an_unknown_job_is_not_found(api):
    answer = api.call("GET", "/jobs/job_none")
    assert (answer.status_code, answer.json()["reason"]) == (404, "Job job_none not found")


def test_a_training_cannot_be_cancelled_as_a_job(api):
    job_id = started(api)
    answer = api.call("POST", f"/jobs/{job_id}/action", {"action": "cancel"})
    assert (answer.status_code, answer.json()["reason"]) == (
        400,
        "Cannot cancel this type of job. Action not permitted.",
    )


def test_jobs_come_newest_first_fifty_at_a_time_and_at_most_a_hundred(api):
    jobs = [started(api, f"m{number}") for number in range(3)]
    assert listed(api) == jobs[::-1]
    first = api.call("GET", "/jobs", pageSize=2).json()
    assert [job["jobId"] for job in first["jobs"]] == [jobs[2], jobs[1]]
    assert listed(api, pageSize=2, paginationToken=first["nextPaginationToken"]) == [jobs[0]]
    assert api.call("GET", "/jobs", pageSize=101).status_code == 400


def test_jobs_are_filtered_by_status_and_type_and_types_wins(api):
    flux, musubi = started(api, type="flux.1-lora"), started(api)
    assert listed(api, type="flux-model-training") == [flux]
    assert listed(api, type="upload", types="musubi-model-training,upload") == [musubi]
    assert listed(api, status="success") == []
    api.advance(1)
    assert sorted(listed(api, status="success")) == sorted([flux, musubi])
    assert api.call("GET", "/jobs", status="succeeded").status_code == 400


def test_created_after_excludes_the_filters_that_updated_after_requires(api):
    job_id = started(api)
    assert listed(api, createdAfter="2026-01-01T00:00:00Z") == [job_id]
    assert listed(api, status="queued", updatedAfter="2026-01-01T00:00:00Z") == [job_id]
    assert api.call("GET", "/jobs", status="queued", createdAfter="2026-01-01T00:00:00Z").status_code == 400
    assert api.call("GET", "/jobs", updatedAfter="2026-01-01T00:00:00Z").status_code == 400


def test_the_author_filter_lists_the_last_thirty_days_unless_a_date_is_given(api):
    job_id = started(api)
    api.emulator.switch("advance", seconds=31 * 24 * 3600)
    assert listed(api, authorId="api_emulator") == []
    assert listed(api, authorId="api_emulator", createdAfter="2026-01-01T00:00:00Z") == [job_id]
    assert listed(api) == [job_id]
