from __future__ import annotations

import json

from airflow_provider_scenario.lineage.notes import LineageNotes
from airflow_provider_scenario.watch.result import TrainingResult


def test_what_a_worker_has_noted_crosses_a_deferral_without_secrets():
    before = LineageNotes()
    before.note_connection({"base_url": "http://127.0.0.1:8321/v1", "project_id": "proj_1", "api_secret": "s3cret"})
    before.note_parameters({"nbEpochs": 2, "wandbKey": "k3y"})
    before.note_start("job_1", 120.0, is_ours=False)
    stored = json.dumps(before.to_json())
    assert "s3cret" not in stored
    assert "k3y" not in stored
    after = LineageNotes()
    after.restore(json.loads(stored))
    assert after == before


def test_the_result_does_not_cross_a_deferral():
    notes = LineageNotes()
    notes.note_end(TrainingResult(outcome="trained"), 5.0, is_ours=True)
    assert notes.to_json().keys() == {"is_connected", "inputs", "is_ours"}


def test_what_another_version_has_stored_is_taken_over_as_far_as_it_is_known():
    notes = LineageNotes()
    for stored in (None, "text", {"model_id": "model_1", "newer": 1, "result": {}}):
        notes.restore(stored)
    assert notes == LineageNotes(model_id="model_1")
