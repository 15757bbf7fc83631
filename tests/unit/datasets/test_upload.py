from __future__ import annotations

import logging
import threading
from collections import Counter
from dataclasses import dataclass, field, replace

import pytest

from airflow_provider_scenario.client.errors import InvalidInputError, PlanCeilingError, ScenarioError
from airflow_provider_scenario.client.scenario.client import ScenarioClient
from airflow_provider_scenario.client.scenario.media_files import MAX_FILE
from airflow_provider_scenario.datasets import Dataset, DatasetImage, attach, read_dataset
from airflow_provider_scenario.datasets import upload as uploading
from airflow_provider_scenario.storage import Location

from .conftest import MP3, PNG, WAV, big_png, write_files

LOG = logging.getLogger("tests.upload")


@pytest.fixture
def client(emulator):
    with ScenarioClient.connect(api_key="demo", api_secret="demo", base_url=emulator.url) as client:
        yield client


@pytest.fixture(scope="module")
def big() -> bytes:
    content = big_png(2 * 8 * 1024 * 1024 + 100_000)
    assert len(content) > MAX_FILE
    return content


def new_model(client, type_="flux.2-dev-lora"):
    return client.create_model(name="hero", type=type_)


def there(emulator, model):
    """Name → caption of what the model has."""
    return {image["name"]: image["description"] for image in emulator.model(model.id)["trainingImages"]}


@dataclass
class CountingStorage:
    """Files in memory, which remembers who reads whole ones and how many at once."""

    content: bytes = PNG
    whole: Counter[str] = field(default_factory=Counter)
    now: int = 0
    most: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def entries(self, path):
        raise NotImplementedError

    def size(self, path):
        return len(self.content)

    def read(self, path, start, end):
        if start == 0 and end > len(self.content):
            with self.lock:
                self.whole[path] += 1
        return self.content[start:end]

    def dataset(self, number: int) -> Dataset:
        images = [
            DatasetImage(name=f"{n}.png", path=Location(f"{n}.png", len(self.content), self)) for n in range(number)
        ]
        return Dataset(images=[image.checked() for image in images])


def test_a_dataset_is_given_with_captions_and_pairs_and_its_ids_come_in_its_order(emulator, client, tmp_path):
    files = {f"{n:02}.png": PNG for n in range(12)} | {f"{n:02}.txt": f"number {n}" for n in range(12)}
    files["metadata.jsonl"] = '{"source": "03.png", "target": "07.png", "instruction": "make it rain"}'
    model = new_model(client, "flux.2-dev-edit-lora")
    ids = attach(client, model, read_dataset(write_files(tmp_path, files)), log=LOG)
    state = emulator.model(model.id)
    by_id = {image["id"]: image for image in state["trainingImages"]}
    assert [by_id[id_]["name"] for id_ in ids] == [f"{n:02}.png" for n in range(12)]
    assert [by_id[id_]["description"] for id_ in ids] == [f"number {n}" for n in range(12)]
    assert state["trainingImagePairs"] == [{"sourceId": ids[3], "targetId": ids[7], "instruction": "make it rain"}]


def test_what_is_there_is_not_sent_again(emulator, client, tmp_path):
    dataset = read_dataset(write_files(tmp_path, {"a.png": PNG, "b.png": PNG, "a.txt": "a knight"}))
    model = new_model(client)
    ids = attach(client, model.id, dataset, log=LOG)
    before = emulator.requests()
    assert attach(client, model.id, dataset, log=LOG) == ids
    assert emulator.requests() == before + 1  # reading the model
    changed = replace(dataset, images=[replace(dataset.images[0], caption="a castle"), dataset.images[1]])
    assert attach(client, model.id, changed, log=LOG) == ids
    assert there(emulator, model)["a.png"] == "a castle"
    assert emulator.counts()["images"] == 2


def test_a_model_of_a_list_which_has_but_three_of_its_images_is_read_again(emulator, client, tmp_path):
    dataset = read_dataset(write_files(tmp_path, {f"{n}.png": PNG for n in range(6)}))
    attach(client, new_model(client), dataset, log=LOG)
    (listed,) = client.list_models()
    assert len(listed.training_images) < 6
    attach(client, listed, dataset, log=LOG)
    assert emulator.counts()["images"] == 6


def test_each_image_is_read_once(emulator, client):
    storage = CountingStorage()
    attach(client, new_model(client), storage.dataset(20), log=LOG)
    assert storage.whole == {f"{n}.png": 1 for n in range(20)}


@pytest.mark.parametrize("threads", [1, 3, 8])
def test_as_many_requests_as_threads_are_on_their_way_at_once(emulator, client, threads, monkeypatch):
    emulator.fault(kind="slow", seconds=0.1, times=None, method="POST", route="/models/*/training-images")
    now, most, lock = 0, 0, threading.Lock()
    add = ScenarioClient.add_training_image

    def counted(*args, **kwargs):
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        try:
            return add(*args, **kwargs)
        finally:
            with lock:
                now -= 1

    monkeypatch.setattr(ScenarioClient, "add_training_image", counted)
    attach(client, new_model(client), CountingStorage().dataset(16), threads=threads, log=LOG)
    assert most == threads


@pytest.mark.parametrize("threads", [0, -1, 33, 1.5, "8", True, None])
def test_a_number_of_threads_that_makes_no_sense_is_told(client, threads):
    with pytest.raises(InvalidInputError, match="threads is"):
        attach(client, new_model(client), Dataset(images=[]), threads=threads, log=LOG)


class TestErrors:
    def test_the_first_one_stops_the_others_and_a_retry_sends_the_rest(self, emulator, client, caplog):
        model, dataset = new_model(client), CountingStorage().dataset(40)
        # Each file takes two seconds, so that the error is heard of before more are sent, however busy the machine is.
        emulator.fault(kind="slow", seconds=2.0, times=None, route="/assets/*")
        emulator.fault(kind="status", status=400, method="POST", route="/models/*/training-images", skip=5, times=1)
        with pytest.raises(ScenarioError, match="Injected by the emulator"):
            attach(client, model, dataset, log=LOG)
        sent = emulator.counts()["images"]
        assert 5 <= sent < 20
        assert f"Uploaded {sent} of 40 files" in caplog.text
        assert "a retry uploads the rest" in caplog.text
        emulator.clear_faults()
        attach(client, model.id, dataset, log=LOG)
        assert emulator.counts()["images"] == 40
        assert set(there(emulator, model)) == {image.name for image in dataset.images}

    def test_an_image_whose_answer_was_lost_is_not_there_twice(self, emulator, client):
        model, dataset = new_model(client), CountingStorage().dataset(20)
        emulator.fault(kind="close", method="POST", route="/models/*/training-images", when="after", skip=9, times=1)
        with pytest.raises(ScenarioError, match="training image"):
            attach(client, model, dataset, log=LOG)
        attach(client, model.id, dataset, log=LOG)
        assert emulator.counts()["images"] == 20

    def test_the_ceiling_of_the_plan_is_told_with_its_numbers(self, emulator, client):
        emulator.set(add_training_image=4)
        with pytest.raises(PlanCeilingError) as told:
            attach(client, new_model(client), CountingStorage().dataset(6), log=LOG)
        assert (told.value.action, told.value.limit) == ("add-training-image", 4)

    def test_a_pair_of_no_image_is_told_before_anything_is_sent(self, emulator, client):
        pairs = [{"source": "0.png", "target": "9.png", "instruction": "x"}]
        dataset = replace(CountingStorage().dataset(2), pairs=pairs)
        with pytest.raises(InvalidInputError, match=r"pairs\[1\] has target '9\.png'"):
            attach(client, new_model(client), dataset, log=LOG)
        assert emulator.counts()["images"] == 0

    def test_of_more_than_fifty_the_service_decides(self, emulator, client, caplog):
        model, storage = new_model(client), CountingStorage()
        attach(client, model, storage.dataset(40), log=LOG)
        assert "at most 50" not in caplog.text
        more = Dataset(images=[replace(image, name=f"x{image.name}") for image in storage.dataset(11).images])
        with pytest.raises(PlanCeilingError):
            attach(client, model.id, more, log=LOG)
        assert f"Adding 11 to the 40 training images of {model.id}: a dataset may have at most 50" in caplog.text
        emulator.set(add_training_image=100)
        attach(client, model.id, more, log=LOG)
        assert emulator.counts()["images"] == 51

    def test_more_than_fifty_recordings_need_no_warning(self, emulator, client, caplog, tmp_path):
        emulator.set(add_training_image=100)
        recordings = read_dataset(write_files(tmp_path, {f"{n}.wav": WAV for n in range(51)}))
        attach(client, new_model(client, "elevenlabs-voice"), recordings, log=LOG)
        assert emulator.counts()["images"] == 51
        assert "at most" not in caplog.text

    def test_twenty_six_pairs_pass_with_a_warning(self, emulator, client, caplog):
        emulator.set(add_training_image=100)
        pairs = [{"source": f"{n}.png", "target": f"{n + 26}.png"} for n in range(26)]
        model = new_model(client, "flux.2-dev-edit-lora")
        attach(client, model, replace(CountingStorage().dataset(52), pairs=pairs), log=LOG)
        assert len(emulator.model(model.id)["trainingImagePairs"]) == 26
        assert "a dataset may have at most 50" in caplog.text

    def test_a_file_that_was_spoilt_since_it_was_checked_is_told(self, emulator, client):
        storage = CountingStorage()
        dataset = storage.dataset(1)
        storage.content = PNG[:-3]
        with pytest.raises(InvalidInputError, match="cut off"):
            attach(client, new_model(client), dataset, log=LOG)
        assert emulator.counts()["images"] == 0


class TestBigFiles:
    def test_a_big_file_goes_in_parts_as_it_is_and_keeps_its_name(self, emulator, client, tmp_path, big):
        files = {"größer.png": big, "größer.txt": "a big one", "small.png": PNG}
        dataset = read_dataset(write_files(tmp_path, files))
        model = new_model(client)
        ids = attach(client, model, dataset, log=LOG)
        assert there(emulator, model)["größer.png"] == "a big one"
        ledger = emulator.ledger()["requests"]
        assert ledger["PUT /cdn/uploads/{uploadId}/{part}"] == 3
        assert ledger["POST /v1/uploads"] == 1
        asset = emulator.get(f"assets/{ids[0]}")["asset"]
        assert (asset["properties"]["size"], asset["mimeType"]) == (len(big), "image/png")
        assert attach(client, model.id, dataset, log=LOG) == ids
        assert emulator.ledger()["requests"]["POST /v1/uploads"] == 1

    def test_a_big_recording_goes_the_same_way(self, emulator, client, tmp_path):
        recording = WAV[:4] + (5_000_000 - 8).to_bytes(4, "little") + WAV[8:] + bytes(5_000_000 - len(WAV))
        dataset = read_dataset(write_files(tmp_path, {"a.wav": recording, "b.mp3": MP3}))
        model = new_model(client, "elevenlabs-voice")
        attach(client, model, dataset, log=LOG)
        assert set(there(emulator, model)) == {"a.wav", "b.mp3"}

    def test_an_answer_that_is_lost_on_the_way_costs_nothing(self, emulator, client, tmp_path, big):
        for fault in (
            {"method": "POST", "route": "/uploads"},
            {"method": "PUT", "route": "/cdn/uploads/*/2"},
            {"method": "POST", "route": "/uploads/*/action"},
        ):
            emulator.fault(kind="close", when="after", times=1, **fault)
        model = new_model(client)
        attach(client, model, read_dataset(write_files(tmp_path, {"a.png": big})), log=LOG)
        assert list(there(emulator, model)) == ["a.png"]

    def test_a_completion_that_never_arrived_is_told_at_once(self, emulator, client):
        emulator.fault(kind="close", when="before", method="POST", route="/uploads/*/action", times=1)
        storage = CountingStorage(content=PNG[:-12] + bytes(MAX_FILE) + PNG[-12:])
        model = new_model(client)
        with pytest.raises(ScenarioError, match="complete upload"):
            attach(client, model, storage.dataset(1), log=LOG)
        attach(client, model, storage.dataset(1), log=LOG)
        assert emulator.counts()["images"] == 1

    def test_a_file_that_the_service_refuses_is_told_by_its_name(self, emulator, client):
        # Its magic is that of a picture; the size is not what was announced.
        storage = CountingStorage(content=PNG[:-12] + bytes(MAX_FILE) + PNG[-12:])
        dataset = storage.dataset(1)
        storage.content = storage.content[:-1]
        with pytest.raises(ScenarioError, match=r"refused the file '0\.png': File size mismatch"):
            attach(client, new_model(client), dataset, log=LOG)
        assert emulator.counts()["images"] == 0

    def test_a_file_that_is_never_imported_is_given_up(self, emulator, client, monkeypatch):
        monkeypatch.setattr(uploading, "IMPORT_TIMEOUT", 0.0)
        storage = CountingStorage(content=PNG[:-12] + bytes(MAX_FILE) + PNG[-12:])
        with pytest.raises(ScenarioError, match=r"Scenario has not imported it after 0 s"):
            attach(client, new_model(client), storage.dataset(1), log=LOG)


def test_a_bucket_goes_into_a_model(emulator, client, s3, bucket, big):
    s3.pipe_file(f"{bucket}/hero/a.png", PNG)
    s3.pipe_file(f"{bucket}/hero/a.txt", b"a knight")
    s3.pipe_file(f"{bucket}/hero/b.png", big)
    model = new_model(client)
    ids = attach(client, model, read_dataset(f"s3://{bucket}/hero"), log=LOG)
    assert there(emulator, model)["a.png"] == "a knight"
    assert emulator.get(f"assets/{ids[1]}")["asset"]["properties"]["size"] == len(big)


def test_the_log_has_a_line_now_and_then_not_one_a_file(monkeypatch, caplog):
    clock = iter(range(100))
    monkeypatch.setattr(uploading.time, "monotonic", lambda: next(clock) * 0.5)
    images = [DatasetImage(name=f"{n}.png") for n in range(50)]

    class Named:
        name, id = "hero", "model_1"

    with caplog.at_level(logging.INFO):
        progress = uploading._Progress(Named, images, LOG)
        for image in images:
            progress.add(image)
    told = [record.message for record in caplog.records]
    assert len(told) == 10
    assert told[0] == "Uploaded 5 of 50 files (0.0 MB) to model 'hero' (model_1), 0.0 MB."
