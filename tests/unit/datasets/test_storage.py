"""Buckets, over a real S3 protocol server."""

from __future__ import annotations

import json
import socket
import subprocess
import sys

import pytest
from airflow.sdk import ObjectStoragePath
from airflow.sdk.io import attach as attach_storage

from airflow_provider_scenario.client.errors import InvalidInputError
from airflow_provider_scenario.datasets import list_datasets, list_images, read_dataset
from airflow_provider_scenario.storage import Location, StorageError

from .conftest import JPEG, PNG


@pytest.fixture
def hero(s3, bucket):
    s3.pipe_file(f"{bucket}/hero/a b#1.png", PNG)
    s3.pipe_file(f"{bucket}/hero/ü.jpg", JPEG)
    s3.pipe_file(f"{bucket}/hero/ü.txt", b"a castle")
    s3.pipe_file(f"{bucket}/hero/", b"")  # what web consoles leave behind for a folder
    return f"s3://{bucket}/hero"


def names(source):
    return [(image.name, image.caption) for image in read_dataset(source).images]


def test_a_bucket_is_read_by_its_url_or_as_an_object_storage_path(hero, s3):
    expected = [("a b#1.png", None), ("ü.jpg", "a castle")]
    assert names(hero) == names(f"{hero}/") == names(ObjectStoragePath(hero)) == expected
    attach_storage("s3", "minio", fs=s3)
    at_minio = hero.replace("s3://", "s3://minio@")
    assert names(at_minio) == names(ObjectStoragePath(hero, conn_id="minio")) == expected
    assert read_dataset(ObjectStoragePath(hero, conn_id="minio")).source == at_minio
    listed = list_datasets(ObjectStoragePath(hero.removesuffix("/hero"), conn_id="minio"))
    assert json.loads(json.dumps(listed)) == [{"name": "hero", "images": at_minio}]


def test_options_of_an_object_storage_path_are_heeded(hero, monkeypatch, s3):
    endpoint = s3.s3._endpoint.host if hasattr(s3, "s3") else None
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    path = ObjectStoragePath(hero, endpoint_url=endpoint, skip_instance_cache=True)
    assert len(names(path)) == 2


def test_a_list_may_hold_urls_and_object_storage_paths(hero):
    assert names([f"{hero}/ü.jpg", ObjectStoragePath(f"{hero}/a b#1.png")]) == [
        ("ü.jpg", "a castle"),
        ("a b#1.png", None),
    ]


def test_a_file_url_is_a_file(tmp_path):
    (tmp_path / "a.png").write_bytes(PNG)
    assert names(f"file://{tmp_path}") == names(ObjectStoragePath(f"file://{tmp_path}")) == [("a.png", None)]


def test_what_came_into_a_bucket_since_it_was_last_read_is_seen(hero, s3, bucket):
    assert len(names(hero)) == 2
    # By another process, as far as this one's caches know.
    s3.call_s3("put_object", Bucket=bucket, Key="hero/new.png", Body=PNG)
    assert len(names(hero)) == 3


@pytest.mark.parametrize("source", ["s3://no-such-bucket/hero", ["s3://no-such-bucket/a.png"]])
def test_a_bucket_that_is_not_there_is_told(s3, source):
    with pytest.raises(InvalidInputError, match="s3://no-such-bucket"):
        read_dataset(source)


def test_a_storage_that_cannot_be_reached_is_told_in_one_line_and_may_be_tried_again(s3):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{taken.getsockname()[1]}"
        options = {
            "key": "key-of-nobody",
            "secret": "secret-of-nobody",
            "endpoint_url": endpoint,
            "config_kwargs": {"retries": {"max_attempts": 0}, "connect_timeout": 1},
        }
        with pytest.raises(StorageError, match="cannot be read: ") as told:
            read_dataset(ObjectStoragePath("s3://bucket/hero", **options))
    assert "s3://bucket/hero" in str(told.value)
    assert endpoint in str(told.value)
    assert "\n" not in str(told.value)
    assert "nobody" not in str(told.value)
    assert not told.value.permanent


def test_a_storage_nobody_knows_is_told():
    with pytest.raises(
        InvalidInputError, match=r"'nope://bucket/hero' cannot be read: .*Give a local path, or s3://"
    ) as told:
        read_dataset("nope://bucket/hero")
    assert told.value.permanent


@pytest.mark.parametrize(
    ("url", "package"),
    [
        ("s3://bucket/hero", "apache-airflow-providers-amazon[s3fs]"),
        ("s3a://minio@bucket/hero", "apache-airflow-providers-amazon[s3fs]"),
        ("gs://bucket/hero", "apache-airflow-providers-google"),
        ("abfs://box/hero", "apache-airflow-providers-microsoft-azure"),
    ],
)
def test_a_missing_package_is_named_and_no_retry_is_of_use(monkeypatch, url, package):
    def without_package(url, options):
        raise ImportError(f"Airflow FS {url} protocol requires a library, but it is not installed")

    monkeypatch.setattr("airflow_provider_scenario.storage.remote.object_path", without_package)
    protocol = url.partition("://")[0]
    with pytest.raises(StorageError) as told:
        read_dataset(url)
    cure = f"a package is missing. For {protocol}:// install: pip install '{package}'."
    assert (str(told.value), told.value.permanent) == (f"{url!r} cannot be read: {cure}", True)


def test_a_connection_to_a_storage_whose_provider_is_not_installed_is_told_the_same():
    with pytest.raises(StorageError, match="pip install 'apache-airflow-providers-google'") as told:
        read_dataset("gs://mine@bucket/hero")
    assert told.value.permanent


def test_a_location_touches_nothing_until_it_is_read():
    assert [image.name for image in list_images(["s3://nowhere@bucket/a/b.png", "/nowhere/c.png"])] == [
        "b.png",
        "c.png",
    ]


@pytest.mark.parametrize(
    ("text", "name", "stem", "suffix"),
    [
        ("s3://conn@bucket/a/b.c.PNG", "b.c.PNG", "b.c", ".png"),
        ("/a/b.png", "b.png", "b", ".png"),
        ("b", "b", "b", ""),
        ("s3://bucket/a/", "a", "a", ""),
    ],
)
def test_names_are_those_of_the_last_part(text, name, stem, suffix):
    location = Location.of(text)
    assert (location.name, location.stem, location.suffix) == (name, stem, suffix)


def test_importing_datasets_loads_nothing_heavy():
    heavy = {"yaml", "fsspec", "upath", "requests", "pydantic", "airflow", "s3fs"}
    script = "import sys; import airflow_provider_scenario.datasets; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert heavy & {name.partition(".")[0] for name in loaded} == set()
