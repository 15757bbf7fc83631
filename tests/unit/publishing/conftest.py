from __future__ import annotations

import pytest

from airflow_provider_scenario.hooks.scenario import ScenarioHook

SHA = "0" * 64


def tree(number=1, **changes):
    """A tree that the service takes."""
    file = {
        "name": f"hero-{number}.safetensors",
        "aliasName": f"hero-{number}",
        "downloadUrl": f"https://example.com/hero-{number}.safetensors",
        "hash": SHA,
        "sizeKb": 1.5,
    }
    version = {"modelVersionId": f"hero-{number}-1", "name": "epoch 1", "baseModel": "vxl_1.0", "files": [file]}
    model = {"modelId": f"hero-{number}", "name": f"Hero {number}", "modelType": "lora", "sourceType": "internal"}
    return {**model, "versions": [version], **changes}


def with_file(**changes):
    one = tree()
    one["versions"][0]["files"][0].update(changes)
    return one


@pytest.fixture
def scenario(emulator):
    with ScenarioHook().client as client:
        yield client
