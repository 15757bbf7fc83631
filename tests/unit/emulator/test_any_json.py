"""Whatever is sent, the service answers, and what was wrong is a 400 with a reason."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider_scenario.emulator.app import SCENARIO

from .direct import PNG, Direct

ENCODED_PNG = PNG.hex()
HUGE = 10**400
ABSURD = [
    *(None, True, False, 0, -1, 0.5, 1e308, -1e308, 5e-324, HUGE, -HUGE, 2**63, "", " ", "x" * 5000, "\0", "\ud800"),
    *("\U0001f600", "true", "NaN", "1e400", "__proto__", [], [None], [[]], [HUGE], ["\udfff"], [{}], {}, {"": None}),
    *({"a": HUGE}, {"modelId": []}, {"modelId": "flux.1-dev", "scale": 1, "modelEpoch": []}, [{"modelId": HUGE}]),
]
JSON = st.sampled_from(ABSURD) | st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=6,
)
RAW = st.sampled_from(
    [
        *(
            b"",
            b"{",
            b"NaN",
            b'{"a": Infinity}',
            b'{"parameters": {"seed": 1e400}}',
            b'{"parameters": {"rank": -1e999}}',
        ),
        *(b"[" * 100_000, b'{"a":' * 100_000, b"[" * 900 + b"]" * 900, b'{"name": "\\ud800"}', b"\xff\xfe", b"null"),
        *(b'{"fileSize": 1e400}', b'{"parameters": {"nbEpochs": %s}}' % (b"9" * 5000), b'{"name": "a", "name": 5}'),
        *(
            b'\xef\xbb\xbf{"name": "a"}',
            b'{"name": "\xed\xa0\x80"}',
            b'{"parameters": ' + b"[" * 190 + b"]" * 190 + b"}",
        ),
    ]
)
PARAMETERS = {
    "age": "young",
    "batchSize": 1,
    "classPrompt": "a man",
    "cloneType": "instant",
    "conceptPrompt": "hero",
    "gender": "f",
    "language": "en",
    "learningRate": 1e-4,
    "learningRateTextEncoder": 1e-5,
    "learningRateUnet": 1e-5,
    "lrScheduler": "linear",
    "maxTrainSteps": 100,
    "nbEpochs": 2,
    "nbRepeats": 2,
    "numTextTrainSteps": 1,
    "numUNetTrainSteps": 1,
    "optimizeFor": "likeness",
    "priorLossWeight": 1,
    "randomCrop": True,
    "scaleLr": True,
    "randomCropRatio": 0.5,
    "randomCropScale": 0.5,
    "rank": 8,
    "removeBackgroundNoise": True,
    "seed": 1,
    "samplePrompts": ["a"],
    "textEncoderTrainingRatio": 0.5,
    "validationFrequency": 1,
    "validationPrompt": "a",
    "voiceDescription": "deep",
    "wandbKey": "x",
}
TEXTS = {"name": "hero", "shortDescription": "a", "classSlug": "a-b"}
CONCEPTS = [{"modelId": "flux.1-dev", "scale": 1, "modelEpoch": "000001"}]
BODIES: dict[str, Any] = {
    "POST /models": {
        **TEXTS,
        "type": "flux.1-lora",
        "baseModelId": "flux.1-dev",
        "collectionIds": ["a"],
        "concepts": CONCEPTS,
    },
    "PUT /models/{modelId}": {
        **TEXTS,
        "concepts": CONCEPTS,
        "epoch": "000001",
        "negativePromptEmbedding": "a",
        "promptEmbedding": "b",
        "parameters": PARAMETERS,
        "thumbnail": "{assetId}",
        "type": "flux.1-lora",
    },
    "POST /models/get-bulk": {
        "modelIds": ["{modelId}"],
        "minimal": False,
        "allTrainingImages": True,
        "thumbnail": True,
    },
    "POST /models/{modelId}/copy": {"copyAsTrained": True, "copyExamples": True},
    "POST /models/{modelId}/download": {"modelEpoch": "000001"},
    "PUT /models/{modelId}/tags": {"add": ["a"], "delete": ["b"], "strict": False},
    "PUT /models/{modelId}/description": {"description": "a"},
    "PUT /models/{modelId}/prompt-guide": {"promptGuide": "a"},
    "POST /models/{modelId}/training-images": {"assetId": "{assetId}", "data": "a", "name": "a", "preset": "style"},
    "PUT /models/{modelId}/training-images/{imageId}": {"assetIds": ["{assetId}"], "preset": "default"},
    "PUT /models/{modelId}/training-images/pairs": [
        {"sourceId": "{imageId}", "targetId": "{imageId}", "instruction": "a"}
    ],
    "PUT /models/{modelId}/train": {"parameters": PARAMETERS},
    "POST /models/{modelId}/train/action": {"action": "cancel"},
    "POST /jobs/{jobId}/action": {"action": "cancel"},
    "POST /assets": {"name": "a", "image": ENCODED_PNG, "collectionIds": ["a"], "parentId": "{assetId}", "hide": True},
    "PUT /assets/{assetId}": {"description": "a", "name": "b"},
    "POST /assets/get-bulk": {"assetIds": ["{assetId}"]},
    "DELETE /assets": {"assetIds": ["{assetId}"]},
    "POST /uploads": {
        "fileName": "a.png",
        "contentType": "image/png",
        "kind": "image",
        "parts": 1,
        "fileSize": 3,
        "assetOptions": {"collectionIds": ["a"], "parentId": "{assetId}", "hide": True},
    },
    "POST /uploads/{uploadId}/action": {"action": "complete"},
}
QUERY_NAMES = [
    *(
        "dryRun",
        "trainingImagesCount",
        "originalAssets",
        "projectId",
        "pageSize",
        "paginationToken",
        "privacy",
        "status",
    ),
    *("type", "types", "sortBy", "sortDirection", "createdAfter", "createdBefore", "updatedAfter", "updatedBefore"),
    *("tags", "collectionId", "collectionIds", "hideResults", "authorId", "workflowId", "blacklisted", "ids"),
]
QUERY_VALUES = [
    *(
        "true",
        "api",
        "false",
        "",
        "0",
        "1",
        "-1",
        "99999999999",
        "1" * 5000,
        "NaN",
        "1e400",
        "\ud800",
        "\0",
        "createdAt",
    ),
    *(
        "updatedAt",
        "0001-01-01T00:00:00+23:59",
        "9999-12-31T23:59:59-23:59",
        "2026-01-01",
        "score",
        "private",
        "public",
    ),
    *("W251bGwsIG51bGxd", "WzFlNDAwLCBbMWU0MDAsIDFdXQ==", "WzEsIFsx" + "MDAw" * 150 + "LCAieCJdXQ==", "trained", "x,y"),
    *("W1s=" * 3000, "WzEsIHsiMCI6IDEsICIxIjogMn1d"),
]
QUERY = st.lists(st.tuples(st.sampled_from(QUERY_NAMES), st.sampled_from(QUERY_VALUES)), max_size=5)
ROUTES = sorted({(method, route.template) for (method, _), routes in SCENARIO._routes.items() for route in routes})


def places(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where in a body something else can be put."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [at, *(place for key, item in inside for place in places(item, (*at, key)))]


def put(body: Any, at: tuple[Any, ...], value: Any) -> Any:
    if not at:
        return value
    body = copy.deepcopy(body)
    inner = body
    for key in at[:-1]:
        inner = inner[key]
    inner[at[-1]] = value
    return body


def a_service_with_a_bit_of_everything() -> tuple[Direct, dict[str, str]]:
    service = Direct()
    trained = service.model()
    image = service.add_image(trained)
    job = service.train(trained, samplePrompts=["a"], nbEpochs=2)["job"]["jobId"]
    service.advance(1)
    upload = {"fileName": "a.png", "contentType": "image/png", "kind": "image", "parts": 1, "fileSize": 3}
    upload_id = service.v1("POST", "/uploads", upload).json()["upload"]["id"]
    names = {"modelId": trained, "imageId": image, "assetId": image, "jobId": job, "uploadId": upload_id}
    return service, {**names, "projectId": "proj_emulator", "teamId": "team_emulator"}


def filled(value: Any, names: dict[str, str]) -> Any:
    """Ids instead of their names in braces."""
    if isinstance(value, str):
        return names.get(value[1:-1], value) if value.startswith("{") else value
    if isinstance(value, list):
        return [filled(item, names) for item in value]
    return {key: filled(item, names) for key, item in value.items()} if isinstance(value, dict) else value


def path_of(template: str, names: dict[str, str]) -> str:
    return "/".join(names.get(part[1:-1], part) if part.startswith("{") else part for part in template.split("/"))


def check(got: Any) -> None:
    assert got.status < 500, got
    answer = got.json()
    if got.status == 400:
        assert isinstance(answer["reason"], str), got


def check_everything(service: Direct, names: dict[str, str]) -> None:
    """What was taken in is given out again."""
    for _ in range(2):
        for method, template in ROUTES:
            if method == "GET":
                check(service.v1(method, path_of(template, names)))
        check(service.v1("POST", "/models/get-bulk", {"modelIds": [names["modelId"]], "settings": True}))
        for switch in ("ledger", "settings", "faults", "outcomes"):
            check(service.call("GET", f"/emulator/{switch}"))
        service.advance(1)


@pytest.mark.parametrize(("method", "template"), ROUTES, ids=" ".join)
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_every_body_and_query_gets_an_answer(method, template, data):
    service, names = a_service_with_a_bit_of_everything()
    if data.draw(st.booleans(), "new model"):
        names["modelId"] = service.model()
        names["imageId"] = service.add_image(names["modelId"])
    body = BODIES.get(f"{method} {template}", {})
    at = data.draw(st.sampled_from(places(body)), "place")
    sent = data.draw(RAW | JSON.map(lambda value: filled(put(body, at, value), names)), "body")
    if data.draw(st.sampled_from([0, 0, 0, 1]), "odd id"):
        names = {
            **names,
            data.draw(st.sampled_from(sorted(names)), "name"): data.draw(st.text(), "id").replace("/", ""),
        }
    query = data.draw(QUERY, "query")
    check(service.v1(method, path_of(template, names), sent, query))
    check_everything(service, names)


@pytest.mark.parametrize(
    ("method", "template"),
    sorted((method, template) for method, template in ROUTES if f"{method} {template}" in BODIES),
)
def test_every_absurd_value_in_every_field_gets_an_answer(method, template):
    body = BODIES[f"{method} {template}"]
    for at in places(body):
        service, names = a_service_with_a_bit_of_everything()
        for value in ABSURD:
            check(service.v1(method, path_of(template, names), filled(put(body, at, value), names)))
        check_everything(service, names)


@pytest.mark.parametrize(
    "raw", [b'{"name": "\\ud800"}', b'{"parameters": {"seed": 1e400}}', b'{"x": NaN}', b"[" * 300 + b"]" * 300]
)
def test_values_that_json_does_not_have_get_a_400_with_a_reason(raw):
    service = Direct()
    got = service.v1("PUT", f"/models/{service.model()}", raw)
    assert (got.status, got.json()["reason"]) == (400, "Invalid JSON in the request body")


@pytest.mark.parametrize("options", [{"collectionIds": 5}, {"collectionIds": {"a": 1}}, {"parentId": []}])
def test_options_of_an_upload_are_checked_when_it_is_made_and_not_when_it_is_imported(options):
    body = {"fileName": "a.png", "contentType": "image/png", "kind": "image", "parts": 1, "fileSize": 3}
    assert Direct().v1("POST", "/uploads", {**body, "assetOptions": options}).status == 400


SWITCHES = [("POST", name) for name in ("settings", "faults", "outcomes", "overrides", "captcha", "advance", "reset")]


@pytest.mark.parametrize(("method", "name"), SWITCHES)
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_no_switch_breaks_the_emulator(method, name, data):
    service, names = a_service_with_a_bit_of_everything()
    fields = [
        "training_seconds",
        "train_model",
        "cooldown_seconds",
        "seconds",
        "kind",
        "model",
        "fail_at",
        "fields",
        "action",
        "limits",
        "x",
    ]
    body = data.draw(RAW | JSON | st.dictionaries(st.sampled_from(fields), JSON, min_size=1, max_size=2), "body")
    got = service.call(method, f"/emulator/{name}", body)
    assert got.status < 500, got
    json.loads(got.content)
    service.v1("PUT", f"/models/{names['modelId']}/train", {})
    check_everything(service, names)


def test_the_last_value_of_a_repeated_query_key_counts_as_in_the_aws_gateway():
    service = Direct()
    model_id = service.model()
    service.add_image(model_id)
    train = ("PUT", f"/models/{model_id}/train", {})
    assert service.v1(*train, [("dryRun", "true"), ("dryRun", "api")]).status == 269
    assert service.v1(*train, [("dryRun", "false"), ("dryRun", "true")]).status == 269
    assert service.v1(*train, [("dryRun", "true"), ("dryRun", "false")]).status == 200
