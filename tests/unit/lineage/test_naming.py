from __future__ import annotations

from pathlib import Path

import pytest
from airflow.sdk import ObjectStoragePath

from airflow_provider_scenario.lineage.naming import clean, folder_of, name_of_path, names_of_images, namespace_of

SCENARIO = "scenario://api.cloud.scenario.com"


@pytest.mark.parametrize(
    ("source", "namespace", "name"),
    [
        ("/data/knight", "file", "/data/knight"),
        ("/data/knight/", "file", "/data/knight"),
        (Path("/data/knight"), "file", "/data/knight"),
        ("file:///data/knight", "file", "/data/knight"),
        ("knight", "file", str(Path.cwd() / "knight")),
        ("s3://studio/loras/knight", "s3://studio", "loras/knight"),
        ("s3://studio/loras/knight/", "s3://studio", "loras/knight"),
        ("s3://aws_default@studio/loras", "s3://studio", "loras"),
        ("s3://studio", "s3://studio", "/"),
        ("s3a://studio/loras", "s3://studio", "loras"),
        ("gs://studio/loras", "gs://studio", "loras"),
        ("gcs://google@studio/loras", "gs://studio", "loras"),
        ("abfs://azure@container/loras", "abfss://container", "loras"),
        (
            "abfss://container@account.dfs.core.windows.net/loras",
            "abfss://container@account.dfs.core.windows.net",
            "loras",
        ),
        ("hdfs://namenode:8020/loras", "hdfs://namenode:8020", "loras"),
        ("https://user:password@cdn.example.com/loras/a.zip?signature=abc", "https://cdn.example.com", "/loras/a.zip"),
    ],
)
def test_a_path_is_named_by_the_specification(source, namespace, name):
    assert name_of_path(source) == (namespace, name)


def test_an_object_storage_path_is_named_as_its_text():
    assert name_of_path(ObjectStoragePath("file:///data/knight")) == ("file", "/data/knight")


@pytest.mark.parametrize(
    ("file", "namespace", "name"),
    [
        ("/data/knight/1.png", "file", "/data/knight"),
        ("s3://aws_default@studio/loras/1.png", "s3://studio", "loras"),
        ("s3://studio/1.png", "s3://studio", "/"),
        ("https://cdn.example.com/1.png?signature=abc", "https://cdn.example.com", "/"),
    ],
)
def test_the_folder_of_a_file(file, namespace, name):
    assert folder_of(file) == (namespace, name)


def test_a_list_of_images_is_named_by_its_folders_and_assets():
    images = ["/data/a/1.png", Path("/data/a/2.png"), {"path": "s3://studio/b/3.png", "caption": "a boat"}]
    folders = [("file", "/data/a"), ("s3://studio", "b")]
    asset = {"asset_id": "asset_1", "caption": "a boat"}
    assert names_of_images([*images, asset], SCENARIO) == [*folders, (SCENARIO, "asset_1")]
    assert names_of_images([*images, asset], None) == folders


@pytest.mark.parametrize("images", [None, 5, {"path": "/data/a/1.png"}, iter(["/data/a/1.png"]), [None, {}]])
def test_what_is_not_images_has_no_name(images):
    assert names_of_images(images, SCENARIO) == []


@pytest.mark.parametrize(
    ("url", "namespace"),
    [
        ("https://api.cloud.scenario.com/v1", "scenario://api.cloud.scenario.com"),
        ("http://127.0.0.1:8321/v1", "scenario://127.0.0.1:8321"),
        ("https://user:password@proxy.example.com/v1", "scenario://proxy.example.com"),
    ],
)
def test_a_service_is_named_by_its_host(url, namespace):
    assert namespace_of("scenario", url) == namespace


def test_a_facet_holds_no_signature_and_no_login():
    given = {
        "samplePrompts": ["like https://user:pw@host.example.com/a.png?X-Amz-Signature=abc#x, but blue", "why?"],
        "nested": {"at": ("s3://bucket/key?versionId=1",), "none": None, "yes": True, "rate": 1e-4},
        "long": "x" * 100_000,
        "odd": Path("/data"),
    }
    cleaned = clean(given)
    assert cleaned["samplePrompts"] == ["like https://host.example.com/a.png but blue", "why?"]
    assert cleaned["nested"] == {"at": ["s3://bucket/key"], "none": None, "yes": True, "rate": 1e-4}
    assert len(cleaned["long"]) <= 2_000
    assert cleaned["odd"] == "/data"
