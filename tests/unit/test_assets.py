from __future__ import annotations

import pytest
from airflow.sdk import Asset
from airflow.sdk.execution_time.context import OutletEventAccessors

from airflow_provider_scenario.assets import add_to_outlet_events

RESULT = {
    "model_id": "model_1",
    "job_id": "job_1",
    "status": "trained",
    "name": "ink",
    "type": "flux.1-lora",
    "creative_units_cost": 1080,
    "train_seconds": 6600,
    "epochs": [{"epoch": "000001", "asset_ids": ["asset_1"]}],
}


@pytest.mark.parametrize(
    ("written", "stored"),
    [
        ("scenario://model/ink-style", "scenario://model/ink-style"),
        ("scenario://model/ink style/", "scenario://model/ink%20style"),
        ("scenario://model/ink%20style", "scenario://model/ink%20style"),
    ],
)
def test_airflow_brings_the_address_of_a_model_into_one_form(written, stored):
    assert Asset(written).uri == stored


@pytest.mark.parametrize(
    "uri", ["scenario://models/x", "scenario://model", "scenario://model/a/b", "scenario://model/a?b=c"]
)
def test_anything_else_is_refused_with_the_right_form(uri):
    with pytest.raises(ValueError, match="'scenario://model/<name>'"):
        Asset(uri)


def test_an_event_tells_which_model_it_is():
    outlet, other = Asset("scenario://model/ink"), Asset("s3://bucket/ink")
    events = OutletEventAccessors()
    add_to_outlet_events({"outlet_events": events}, [outlet, other], RESULT)
    assert events[outlet].extra == {key: RESULT[key] for key in RESULT if key not in ("status", "train_seconds")}
    assert events[other].extra == {}


def test_a_training_that_has_only_started_tells_nothing():
    add_to_outlet_events({}, [Asset("scenario://model/ink")], {**RESULT, "status": "training"})
