"""Files that we write: on disk, and in a bucket over a real S3 protocol server."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest
import requests

from airflow_provider_scenario.client.errors import InvalidInputError
from airflow_provider_scenario.storage import PART_SIZE, Location, StorageError


@pytest.fixture(params=["on disk", "in a bucket"])
def folder(request, tmp_path):
    if request.param == "on disk":
        return Location.of(tmp_path)
    request.getfixturevalue("s3")
    return Location.of(f"s3://{request.getfixturevalue('bucket')}/loras")


def broken():
    yield b"half of "
    raise ConnectionError("the source has gone")


LONG = [b"x" * 1_000_000] * 20


@pytest.mark.parametrize("blocks", [[b"a", b"bc"], [b""], [], LONG], ids=["two", "an empty one", "none", "20 MB"])
def test_what_was_written_can_be_read(folder, blocks):
    file = folder.child("a/b.safetensors")
    file.write(iter(blocks))
    assert file.read() == b"".join(blocks)
    assert file.with_size().size == len(b"".join(blocks))


def test_a_file_takes_the_place_of_what_was_there(folder):
    file = folder.child("a.bin")
    for content in (b"a long old content", b"new"):
        file.write([content])
    assert folder.child("a.bin").read() == b"new"


def test_what_breaks_off_leaves_what_was_there_and_nothing_else(folder):
    file = folder.child("a.bin")
    file.write([b"old"])
    with pytest.raises(ConnectionError, match="the source has gone"):
        file.write(broken())
    assert file.read() == b"old"
    assert [found.name for found in folder.list_folder()[1]] == ["a.bin"]


def test_what_breaks_off_on_disk_leaves_no_part_behind(tmp_path):
    with pytest.raises(ConnectionError):
        Location.of(tmp_path / "a.bin").write(broken())
    assert list(tmp_path.iterdir()) == []


def test_what_breaks_off_in_a_bucket_leaves_no_parts_behind(s3, bucket):
    def long_and_broken():
        yield b"x" * (PART_SIZE + 1)
        yield from broken()

    with pytest.raises(ConnectionError):
        Location.of(f"s3://{bucket}/a.bin").write(long_and_broken())
    assert s3.list_multipart_uploads(bucket) == []


def test_a_bucket_that_is_not_there_is_told(s3):
    with pytest.raises(InvalidInputError, match=r"s3://no-such-bucket/a\.bin"):
        Location.of("s3://no-such-bucket/a.bin").write([b"content"])


def test_a_disk_that_refuses_is_told(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="cannot be written"):
        Location.of(tmp_path / "file" / "a.bin").write([b"content"])


def test_a_signed_address_is_good_without_credentials_and_says_until_when(s3, bucket):
    file = Location.of(f"s3://{bucket}/a ä.bin")
    file.write([b"content"])
    address = file.sign(7 * 24 * 3600)
    assert requests.get(address, timeout=60).content == b"content"
    query = dict(parse_qsl(urlsplit(address).query))
    seconds = query.get("X-Amz-Expires") or float(query["Expires"]) - time.time()
    assert float(seconds) == pytest.approx(7 * 24 * 3600, abs=10)


def test_a_file_on_disk_cannot_be_signed(tmp_path):
    with pytest.raises(InvalidInputError, match="no address that others could fetch"):
        Location.of(tmp_path / "a.bin").sign(60)


def test_a_storage_that_cannot_sign_says_so():
    with pytest.raises(StorageError, match=r"'memory://a\.bin' cannot be signed: NotImplementedError"):
        Location.of("memory://a.bin").sign(60)


def test_a_process_that_is_killed_while_it_writes_leaves_no_half_file_in_its_place(tmp_path):
    script = """
import os, sys
from airflow_provider_scenario.storage import Location
def blocks():
    yield b"half"
    os.kill(os.getpid(), 9)
Location.of(sys.argv[1]).write(blocks())
"""
    target = tmp_path / "a.bin"
    subprocess.run([sys.executable, "-c", script, str(target)], check=False)
    assert not Path(target).exists()
