from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
import requests
from airflow.sdk import ObjectStoragePath

from airflow_provider_scenario.client.errors import InvalidInputError, ServiceError
from airflow_provider_scenario.publishing.hosting import HostedFile, Hosting, address_to_send, in_storage, unsigned

CONTENT = [b"the ", b"weights"]
SHA = hashlib.sha256(b"the weights").hexdigest()
CDN = "https://cdn.example.com/loras"


class Source:
    def __init__(self, blocks=CONTENT):
        self.blocks, self.asked = blocks, 0

    def __call__(self):
        self.asked += 1
        return iter(self.blocks)


def test_a_file_is_put_there_with_its_hash_and_size(tmp_path):
    hosted = Hosting(tmp_path, CDN).host("ä/c.bin", Source())
    assert hosted == HostedFile(f"{CDN}/%C3%A4/c.bin", SHA, 11)
    assert (tmp_path / "ä" / "c.bin").read_bytes() == b"the weights"


def test_what_is_there_is_not_fetched_again(tmp_path):
    source = Source()
    first = Hosting(tmp_path, CDN).host("c.bin", source)
    assert Hosting(f"file://{tmp_path}", f"{CDN}/").host("c.bin", source) == first
    assert source.asked == 1


@pytest.mark.parametrize("spoil", ["the file is gone", "the file is cut", "the note is gone", "the note is garbage"])
def test_what_is_not_all_there_is_fetched_again(tmp_path, spoil):
    source, file, note = Source(), tmp_path / "c.bin", tmp_path / "c.bin.json"
    first = Hosting(tmp_path, CDN).host("c.bin", source)
    match spoil:
        case "the file is gone":
            file.unlink()
        case "the file is cut":
            file.write_bytes(b"the")
        case "the note is gone":
            note.unlink()
        case "the note is garbage":
            note.write_text(json.dumps(["what?"]))
    assert Hosting(tmp_path, CDN).host("c.bin", source) == first
    assert (source.asked, file.read_bytes()) == (2, b"the weights")


def test_what_breaks_off_counts_as_not_there(tmp_path):
    def broken():
        yield b"the "
        raise ServiceError("it broke off", maybe_done=False)

    with pytest.raises(ServiceError, match="it broke off"):
        Hosting(tmp_path, CDN).host("c.bin", broken)
    assert list(tmp_path.iterdir()) == []


def test_in_a_bucket_its_address_is_that_of_the_storage_and_signed_when_it_is_sent(s3, bucket):
    for storage in (f"s3://{bucket}/loras", ObjectStoragePath(f"s3://{bucket}/loras")):
        source = Source()
        hosted = Hosting(storage).host("c.bin", source)
        assert hosted == HostedFile(f"s3://{bucket}/loras/c.bin", SHA, 11)
    assert source.asked == 0  # by the second spelling it was there already
    address = address_to_send(hosted.address, 60)
    assert "Signature=" in address
    assert requests.get(address, timeout=60).content == b"the weights"
    assert unsigned(address) == address.partition("?")[0]


def test_a_bucket_behind_a_web_server_has_its_address(s3, bucket):
    assert Hosting(f"s3://{bucket}/loras", CDN).host("c.bin", Source()).address == f"{CDN}/c.bin"


@pytest.mark.parametrize("storage", ["/data/loras", "file:///data/loras", Path("/data/loras")])
def test_a_disk_without_a_public_address_is_refused(storage):
    with pytest.raises(InvalidInputError, match="storage is '/data/loras', a folder on this machine: give public_url"):
        Hosting(storage)


@pytest.mark.parametrize(
    "url",
    [
        "cdn.example.com",
        "ftp://cdn.example.com",
        "https://cdn.example.com/?a=b",
        "https://me:pw@cdn.example.com",
        "http://[",
    ],
)
def test_a_public_address_that_cannot_be_one_is_refused(url):
    with pytest.raises(InvalidInputError, match="give the http") as told:
        Hosting("s3://bucket/loras", url)
    assert "pw" not in str(told.value)


@pytest.mark.parametrize(
    ("address", "lies_in_a_storage"),
    [
        ("s3://conn@bucket/a", True),
        ("gs://bucket/a", True),
        ("https://a/b", False),
        ("http://a", False),
        ("a/b", False),
    ],
)
def test_what_a_browser_could_open_is_sent_as_it_is(address, lies_in_a_storage):
    assert in_storage(address) is lies_in_a_storage
    if not lies_in_a_storage:
        assert address_to_send(address, 60) == address


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("https://me:pw@a.example/b?X-Amz-Signature=s#t", "https://a.example/b"),
        ("https://a.example/b@c#s", "https://a.example/b@c"),
        ("https://a.example?s=/b", "https://a.example"),
        ("s3://conn@bucket/a b", "s3://conn@bucket/a b"),
        ("https://[is no address?s", "https://[is no address"),
        ("neither", "neither"),
    ],
)
def test_an_address_is_shown_without_what_lets_others_in(address, shown):
    assert unsigned(address) == shown
