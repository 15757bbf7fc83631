"""
Every field of the vendor's pages: what is sent arrives at the service, and what it may answer the emulator can say.

``pytest -s`` prints the whole table.
"""

from __future__ import annotations

import base64
import json
import sys
from collections import Counter
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import httpx
import pytest

from airflow_provider_scenario.client.scenario.client import ScenarioClient
from tests.contract import scenario_pages as pages
from tests.contract.test_emulator_with_vendor_sdk import PNG
from tests.contract.wire import Recorder, Sent, forward_to, recorder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_scenario.emulator.server import RunningEmulator

SECONDS = 1000
MAPS = ("uiConfig.inputProperties",)
"""Objects whose keys are names and not fields."""

WAV = b"RIFF\x24\x00\x00\x00WAVEfmt "
ALL_PARAMETERS: dict[str, Any] = {
    "age": "young",
    "batchSize": 1,
    "classPrompt": "a man",
    "cloneType": "instant",
    "conceptPrompt": "hero",
    "gender": "female",
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
    "priorLossWeight": 1.0,
    "randomCrop": True,
    "randomCropRatio": 0.5,
    "randomCropScale": 0.5,
    "rank": 8,
    "removeBackgroundNoise": True,
    "samplePrompts": ["a"],
    "sampleSourceImages": ["asset_a"],
    "scaleLr": True,
    "seed": 1,
    "validationFrequency": 1,
    "textEncoderTrainingRatio": 0.5,
    "validationPrompt": "a",
    "voiceDescription": "deep",
    "wandbKey": "x",
}


def flat(value: Any, at: str = "") -> Iterator[tuple[str, Any]]:
    """Every field below, such as ``epochs[].epoch``, with its value; a list of values is a field with each of them."""
    if isinstance(value, dict):
        for name, item in value.items():
            place = f"{at}.*" if at in MAPS else f"{at}.{name}".lstrip(".")
            yield place, item
            yield from flat(item, place)
    elif isinstance(value, list):
        for item in value:
            if isinstance(item, dict):
                yield from flat(item, f"{at}[]")
            else:
                yield at, item


def tell(title: str, rows: list[tuple[str, str, str]]) -> None:
    """Print a table; pytest shows it with ``-s``."""
    width = max(len(where) + len(what) for where, what, _ in rows) + 2
    lines = [f"{(where + ' ' + what).ljust(width)} {how}" for where, what, how in rows]
    sys.stdout.write("\n".join(["", f"{title}: {len(rows)}", *lines, ""]))


# Requests


@pytest.fixture
def wire(emulator: RunningEmulator) -> Iterator[Recorder]:
    """What our client sends is written down on its way to the emulator."""
    emulator.switch("settings", limits="lenient")
    with recorder() as recording:
        recording.reply = forward_to(emulator.url)
        yield recording


def use_every_field(client: ScenarioClient, emulator: RunningEmulator) -> None:
    lora = client.create_model(name="a", type="flux.1-lora", base_model_id="flux.1-dev", original_assets=True)
    asset = client.add_training_image(lora.id, data=PNG, name="a.png").id
    client.train(lora.id, {"samplePrompts": ["a"], "nbEpochs": 2}, original_assets=True)
    client.cancel_training(lora.id, original_assets=True)
    client.train(lora.id)
    emulator.switch("advance", seconds=SECONDS)
    client.update_model(lora.id, epoch="000001", thumbnail=asset)
    concepts = [{"model_id": lora.id, "scale": 0.5, "model_epoch": "000001"}]
    both = client.create_model(
        type="flux.1-composition", short_description="s", class_slug="a-b", collection_ids=["c"], concepts=concepts
    )
    client.update_model(both.id, concepts=concepts, original_assets=True)
    client.update_model(
        both.id, name="n", short_description="s", class_slug="a-b", prompt_embedding="p", negative_prompt_embedding="n"
    )
    kontext = client.create_model(type="flux.1-krea-lora")
    client.update_model(kontext.id, type="flux.1-kontext-lora", parameters=ALL_PARAMETERS)
    client.quote_training(kontext.id, ALL_PARAMETERS, training_images_count=5)


def elements(sent: Sent) -> tuple[str, set[str]]:
    """The call, and what of it the pages could name."""
    parts = sent.path.removeprefix("/v1/").split("/")
    body = json.loads(sent.body) if sent.body else {}
    call = f"{sent.method} /" + "/".join("{modelId}" if place == 1 else part for place, part in enumerate(parts))
    return call, {
        *({"path modelId"} if len(parts) > 1 else ()),
        *(f"query {name}" for pair in sent.query for name, _ in parse_qsl(pair)),
        *(f"body {field}" for field, _ in flat(body)),
    }


def test_every_element_of_every_request_arrives(wire, emulator):
    with ScenarioClient.connect(api_key="demo", api_secret="demo", base_url=wire.url, max_tries=1) as client:
        use_every_field(client, emulator)
    arrived: dict[str, set[str]] = {}
    for sent in wire.sent:
        call, found = elements(sent)
        arrived.setdefault(call, set()).update(found)
    wanted = [(call, element) for call, listed in pages.REQUESTS.items() for element in listed]
    missing = [(call, element) for call, element in wanted if element not in arrived[call]]
    rows = [(call, element, "-" if (call, element) in missing else "arrives") for call, element in wanted]
    tell(f"Request elements, of which {len(wanted) - len(missing)} arrive", rows)
    assert missing == []


# Answers

Seen = set[tuple[str, str, str]]


class Service:
    """The emulator over HTTP. What it says of models and jobs is noted: where, which field, which value."""

    def __init__(self, emulator: RunningEmulator) -> None:
        self.emulator = emulator
        self.seen: Seen = set()
        self._http = httpx.Client(base_url=emulator.url, auth=("demo", "demo"), timeout=60)

    def call(self, method: str, path: str, body: Any = None, **query: Any) -> Any:
        got = self._http.request(method, path, json=body, params=query)
        assert got.status_code < 300, got.text
        answer = got.json()
        self._note("started", answer if "creativeUnitsCost" in answer else {})
        for job in (answer.get("job"), *answer.get("jobs", ())):
            self._note("job", job)
        for model in (answer.get("model"), *answer.get("models", ())):
            self._note("model", model)
        return answer

    def _note(self, where: str, found: Any) -> None:
        for field, value in flat(found or {}):
            self.seen.add((where, field, ""))
            if not isinstance(value, dict | list):
                self.seen.add((where, field, str(value)))

    def model(self, **fields: Any) -> str:
        return self.call("POST", "/models", {"type": "flux.1-lora", **fields})["model"]["id"]

    def add(self, model_id: str, content: bytes = PNG, kind: str = "image/png") -> str:
        body = {"data": f"data:{kind};base64,{base64.b64encode(content).decode()}", "name": "a"}
        return self.call("POST", f"/models/{model_id}/training-images", body)["trainingImage"]["id"]

    def train(self, model_id: str, **parameters: Any) -> str:
        return self.call("PUT", f"/models/{model_id}/train", {"parameters": parameters})["job"]["jobId"]

    def look(self, model_id: str) -> None:
        model = self.call("GET", f"/models/{model_id}")["model"]
        if "jobId" in model:
            self.call("GET", f"/jobs/{model['jobId']}")

    def watch(self, model_id: str) -> None:
        """Until its end."""
        for _ in range(21):
            self.look(model_id)
            self.emulator.switch("advance", seconds=SECONDS / 20)
        self.look(model_id)

    def close(self) -> None:
        self._http.close()


def a_lora_is_trained(service: Service) -> str:
    model_id = service.model(name="lora", shortDescription="s", classSlug="a-b", collectionIds=["c"])
    image = service.add(model_id)
    service.call("PUT", f"/models/{model_id}/tags", {"add": ["t"]})
    texts = {"promptEmbedding": "p", "negativePromptEmbedding": "n", "thumbnail": image}
    service.call("PUT", f"/models/{model_id}", texts)
    service.emulator.switch("outcomes", times=1, retryable_error="GPU lost")
    service.train(model_id, samplePrompts=["a"], nbEpochs=2)
    service.watch(model_id)
    service.call("PUT", f"/models/{model_id}", {"epoch": "000001"})
    return model_id


def it_is_composed_copied_and_downloaded(service: Service, lora: str) -> None:
    concepts = [{"modelId": lora, "scale": 1, "modelEpoch": "000001"}]
    service.model(type="flux.1-composition", concepts=concepts)
    service.emulator.switch("settings", copy_seconds=10)
    service.look(service.call("POST", f"/models/{lora}/copy", {})["model"]["id"])
    job_id = service.call("POST", f"/models/{lora}/download", {})["jobId"]
    service.call("GET", f"/jobs/{job_id}")


def trainings_end_in_every_way(service: Service) -> None:
    service.emulator.switch("settings", pending_seconds=10, soft_deletion_days=30)
    service.emulator.switch("outcomes", times=1, fail_at=0.5)
    for model_type in ("zimage-lora", "sd-1_5-lora"):
        failed = service.model(type=model_type)
        service.add(failed)
        service.train(failed, conceptPrompt="hero")
        service.watch(failed)
    service.train(failed)
    service.call("POST", f"/models/{failed}/train/action", {"action": "cancel"})
    service.look(failed)


def a_voice_is_cloned(service: Service) -> None:
    voice = service.model(type="elevenlabs-voice")
    service.add(voice, WAV, "audio/wav")
    service.train(voice, cloneType="professional")
    service.emulator.switch("advance", seconds=10)
    service.look(voice)
    service.emulator.switch("captcha", action="reject")
    service.look(voice)
    service.emulator.switch("captcha", action="solve")
    service.watch(voice)


def an_edit_type_learns_from_pairs(service: Service) -> None:
    model_id = service.model(type="flux.1-kontext-lora")
    pair = {"sourceId": service.add(model_id), "targetId": service.add(model_id), "instruction": "at night"}
    service.call("PUT", f"/models/{model_id}/training-images/pairs", [pair])
    for scheduler in pages.PARAMETERS["lrScheduler"]:
        parameters = {**ALL_PARAMETERS, "lrScheduler": scheduler}
        service.call("PUT", f"/models/{model_id}", {"parameters": parameters})
    service.look(model_id)


def every_type_is_made_and_base_models_are_looked_at(service: Service) -> None:
    for model_type in pages.MODEL["type"]:
        service.model(type=model_type)
    for model_id in ("flux.1-dev", "gpt-image-1"):
        service.look(model_id)
    upload = {"fileName": "a.png", "contentType": "image/png", "kind": "image", "parts": 1, "fileSize": 9}
    job_id = service.call("POST", "/uploads", upload)["upload"]["jobId"]
    service.call("GET", f"/jobs/{job_id}")
    service.call("GET", "/jobs")
    service.call("GET", "/models")


def put_in(place: str, value: Any) -> dict[str, Any]:
    """An object that has the value in that place."""
    name, dot, rest = place.partition(".")
    inner = put_in(rest, value) if dot else value
    return {name.removesuffix("[]"): [inner]} if name.endswith("[]") else {name: inner}


def override(service: Service, where: str, field: str, value: str, lora: str) -> None:
    """Have something shown, and look at it."""
    shown = int(value) if value.isdigit() else value or {"shown": "by an override"}
    wrapped = [shown] if field == "capabilities" else shown
    service.emulator.switch("overrides", of=where, model=lora, fields=put_in(field, wrapped))
    service.look(lora)


def rows_of(where: str, listed: dict[str, tuple[str, ...]]) -> list[tuple[str, str, str]]:
    """A row a field, and one for each value of an enum."""
    return [(where, field, value) for field, values in listed.items() for value in ("", *values)]


def may_be_overridden(row: tuple[str, str, str]) -> bool:
    """What the hand-written list allows: the values that it names, or all of a field whose values it does not."""
    where, field, value = row
    allowed = pages.OVERRIDDEN.get(f"{where} {field}")
    return allowed is not None and (value in allowed if allowed else True)


def test_every_field_value_and_stage_of_the_answers_can_be_produced(emulator):
    service = Service(emulator)
    emulator.switch("settings", limits="lenient")
    lora = a_lora_is_trained(service)
    it_is_composed_copied_and_downloaded(service, lora)
    trainings_end_in_every_way(service)
    a_voice_is_cloned(service)
    an_edit_type_learns_from_pairs(service)
    every_type_is_made_and_base_models_are_looked_at(service)
    by_itself = set(service.seen)
    listed = (("model", pages.MODEL), ("model", pages.NEWER), ("job", pages.JOB), ("started", pages.STARTED))
    wanted = list(dict.fromkeys(row for where, fields in listed for row in rows_of(where, fields)))
    for row in wanted:
        if row not in by_itself and may_be_overridden(row):
            override(service, *row, lora)
    service.close()
    missing = [row for row in wanted if row not in service.seen]
    how = {row: "by itself" if row in by_itself else "-" if row in missing else "override" for row in wanted}
    rows = [
        (where, f"{field} = {value}" if value else field, how[where, field, value]) for where, field, value in wanted
    ]
    counted = Counter(how.values())
    tell(f"Fields and values of answers, {counted['by itself']} by itself, {counted['override']} by override", rows)
    assert missing == []


def test_a_model_has_38_fields_and_a_training_32_parameters():
    # The pages count so: 'id, capabilities, collectionIds, 35 more' and 'age, batchSize, classPrompt, 29 more'.
    assert len({field.partition(".")[0].partition("[")[0] for field in pages.MODEL}) == 38
    assert len(pages.PARAMETERS) == 32
    assert (len(pages.MODEL["type"]), len(pages.MODEL["capabilities"]), len(pages.JOB["jobType"])) == (37, 32, 39)
