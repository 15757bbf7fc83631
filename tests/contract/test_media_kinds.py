"""Every kind of file that the provider takes is one that the service takes, under the service's name for it."""

from __future__ import annotations

import io
import struct
import typing
from typing import TYPE_CHECKING

import pytest
from PIL import Image
from scenario_sdk.types import asset_retrieve_response

from airflow_provider_scenario.client.scenario.client import ScenarioClient
from airflow_provider_scenario.datasets import read_dataset
from airflow_provider_scenario.datasets.media import IMAGES, RECORDINGS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from airflow_provider_scenario.datasets import DatasetImage
    from airflow_provider_scenario.emulator.server import RunningEmulator

VENDORS = {
    name
    for choices in typing.get_args(asset_retrieve_response.Asset.model_fields["original_mime_type"].annotation)
    for name in typing.get_args(choices)
}
UNLISTED = {"audio/aac", "image/heif"}
"""Not in that list. HEIF is among the formats that an asset can be read in; of AAC nothing is said."""


def picture(kind: str, **options: bool) -> bytes:
    content = io.BytesIO()
    Image.effect_noise((16, 16), 90).convert("RGB").save(content, kind, **options)
    return content.getvalue()


def box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content) + 8) + kind + content


def iso(*brands: bytes, handler: bytes) -> bytes:
    """A container as far as its brands and the kind of its one track."""
    handled = box(b"hdlr", bytes(8) + handler + bytes(13))
    return box(b"ftyp", brands[0] + bytes(4) + b"".join(brands)) + box(b"meta", bytes(4) + handled)


WAV = b"WAVEfmt " + struct.pack("<IHHIIHH", 16, 1, 1, 8000, 8000, 1, 8) + b"data" + struct.pack("<I", 4) + bytes(4)
KINDS = {
    "a.png": (picture("png"), "image/png"),
    "a.jpg": (picture("jpeg"), "image/jpeg"),
    "film.jpeg": (picture("jpeg") + iso(b"mp42", handler=b"vide") * 500, "image/jpeg"),
    "a.webp": (picture("webp"), "image/webp"),
    "a.gif": (picture("gif"), "image/gif"),
    "a.avif": (picture("avif"), "image/avif"),
    "mif1.avif": (iso(b"mif1", b"miaf", b"avif", handler=b"pict"), "image/avif"),
    "a.tiff": (picture("tiff"), "image/tiff"),
    "big.tif": (picture("tiff", big_tiff=True), "image/tiff"),
    "a.bmp": (picture("bmp"), "image/bmp"),
    "a.heic": (iso(b"heic", b"mif1", handler=b"pict"), "image/heic"),
    "mif1.heic": (iso(b"mif1", b"heic", handler=b"pict"), "image/heic"),
    "burst.heic": (iso(b"msf1", b"hevc", b"mif1", handler=b"pict"), "image/heic"),
    "a.heif": (iso(b"mif1", b"miaf", handler=b"pict"), "image/heif"),
    "a.mp3": (b"ID3\4" + bytes(6) + b"\xff\xfb\x90\x00" * 10, "audio/mpeg"),
    "no_tag.mp3": (b"\xff\xf3\x40\xc0" * 10, "audio/mpeg"),
    "padded.mp3": (bytes(300) + b"\xff\xfb\x90\x00" * 10, "audio/mpeg"),
    "a.wav": (b"RIFF" + struct.pack("<I", len(WAV)) + WAV, "audio/wav"),
    "long.wav": (b"RF64\xff\xff\xff\xff" + WAV, "audio/wav"),
    "a.m4a": (iso(b"M4A ", b"mp42", handler=b"soun"), "audio/m4a"),
    "mp42.m4a": (iso(b"mp42", b"isom", handler=b"soun"), "audio/m4a"),
    "dash.m4a": (iso(b"iso5", b"dash", handler=b"soun"), "audio/m4a"),
    "a.flac": (b"fLaC" + bytes(40), "audio/flac"),
    "a.ogg": (b"OggS" + bytes(40), "audio/ogg"),
    "a.oga": (b"OggS" + bytes(40), "audio/ogg"),
    "a.opus": (b"OggS" + bytes(40), "audio/ogg"),
    "a.aac": (b"\xff\xf1\x50\x80" * 10, "audio/aac"),
}


@pytest.fixture
def client(emulator: RunningEmulator) -> Iterator[ScenarioClient]:
    with ScenarioClient.connect(api_key="demo", api_secret="demo", base_url=emulator.url) as client:
        yield client


@pytest.fixture(params=KINDS)
def image(request: pytest.FixtureRequest, tmp_path: Path) -> DatasetImage:
    file = tmp_path / request.param
    file.write_bytes(KINDS[request.param][0])
    (image,) = read_dataset([file]).images
    return image


def new_model(client: ScenarioClient, image: DatasetImage) -> str:
    return client.create_model(name="hero", type="elevenlabs-voice" if image.is_recording else "flux.2-dev-lora").id


def test_every_suffix_that_the_provider_reads_is_sent() -> None:
    assert {f".{name.rpartition('.')[2]}" for name in KINDS} == IMAGES | RECORDINGS


def test_a_file_has_the_vendors_name_of_its_kind(image: DatasetImage) -> None:
    assert image.content_type == KINDS[image.name][1]
    assert image.content_type in VENDORS | UNLISTED


def test_every_kind_can_be_sent_in_one_request(client: ScenarioClient, image: DatasetImage) -> None:
    model_id = new_model(client, image)
    added = client.add_training_image(model_id, data=image.read(), name=image.name, content_type=image.content_type)
    kept = client.get_asset(added.id)
    assert (kept.mime_type, kept.kind) == (image.content_type, "audio" if image.is_recording else "image")


def test_every_kind_can_be_sent_in_parts(
    client: ScenarioClient, emulator: RunningEmulator, image: DatasetImage
) -> None:
    upload = client.create_upload(
        file_name=image.name,
        content_type=image.content_type or "",
        kind="audio" if image.is_recording else "image",
        file_size=image.size,
        parts=1,
    )
    client.put_part(upload, 1, image.read())
    client.complete_upload(upload.id)
    emulator.switch("advance", seconds=1)
    imported = client.get_upload(upload.id)
    assert imported.status == "imported", imported.error_message
    client.add_training_assets(new_model(client, image), [imported.entity_id or ""])
    assert client.get_asset(imported.entity_id or "").mime_type == image.content_type


def test_a_film_is_no_recording(client: ScenarioClient) -> None:
    voice = client.create_model(name="voice", type="elevenlabs-voice").id
    film = iso(b"isom", b"mp42", handler=b"vide")
    with pytest.raises(Exception, match="must be of kind audio"):
        client.add_training_image(voice, data=film, name="film.mp4", content_type="video/mp4")
