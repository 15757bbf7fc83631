from __future__ import annotations

import contextlib
import copy
import json
import threading
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_scenario.client.errors import InvalidInputError
from airflow_provider_scenario.client.workshop.schemas import ModelTree, read_tree
from airflow_provider_scenario.publishing.trees import (
    SignedTree,
    as_dict,
    check_tree,
    file_addresses,
    has_readable_secret,
    model_id_of,
    signed_tree,
)

from .conftest import tree, with_file

FIELDS = ("modelId", "name", "versions", "files", "covers", "cover", "coverFile", "downloadUrl", "hash")
COVER = {"cover": "s3://bucket/a.jpg", "coverFile": {"width": 8, "height": 8}}


def in_bucket(bucket):
    one = with_file(downloadUrl=f"s3://{bucket}/hero.safetensors")
    one["versions"][0]["covers"] = [{**COVER, "cover": f"s3://{bucket}/a.jpg"}]
    return one


def test_addresses_of_a_storage_are_signed_and_the_tree_itself_stays(s3, bucket):
    author = in_bucket(bucket)
    before = copy.deepcopy(author)
    body = signed_tree(author, 60).to_body()
    assert author == before
    version = body["versions"][0]
    for address in (version["files"][0].pop("downloadUrl"), version["covers"][0].pop("cover")):
        assert address.startswith("http://127.0.0.1")
        assert "Signature=" in address
    del author["versions"][0]["files"][0]["downloadUrl"], author["versions"][0]["covers"][0]["cover"]
    assert body == author


def test_a_tree_without_such_addresses_is_sent_as_it_is():
    assert signed_tree(tree(), 60).to_body() == tree()
    assert signed_tree(read_tree(tree()), 60).to_body() == tree()


def test_checking_a_tree_touches_no_storage():
    check_tree(with_file(downloadUrl="s3://nowhere@bucket/hero.safetensors"))


def test_whatever_is_wrong_is_told_by_its_path_before_anything_is_signed():
    wrong = with_file(downloadUrl="s3://nowhere@bucket/a.safetensors", sizeKb=0, hash=None)
    with pytest.raises(InvalidInputError, match=r"versions\[0\]\.files\[0\]\.hash.*versions\[0\]\.files\[0\]\.sizeKb"):
        signed_tree(wrong, 60)


@pytest.mark.parametrize(
    "value",
    [None, "text", 7, [], {}, {"versions": 7}, {"versions": [7]}, {"versions": [{"files": 7, "covers": ["a"]}]}],
)
def test_what_is_no_tree_is_told(value):
    with pytest.raises(InvalidInputError, match="tree"):
        check_tree(value)


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text() | st.sampled_from(["http://[", "s3://[/?"]),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(FIELDS) | st.text(), inner),
)


@given(JSON)
def test_nothing_but_a_tree_passes_and_nothing_else_is_raised(value):
    with contextlib.suppress(InvalidInputError):
        assert isinstance(check_tree(value), ModelTree)
    file_addresses(value)
    has_readable_secret(value)


def test_the_authors_tree_stays_as_it_is_also_where_it_cannot_be_copied():
    lock = threading.Lock()
    with pytest.raises(InvalidInputError, match="cannot be written as JSON"):
        check_tree(tree(new=lock))
    deep = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(InvalidInputError, match="cannot be written as JSON"):
        check_tree(tree(new=deep))


def test_a_tree_in_another_kind_of_mapping_is_signed_too():
    given = with_file(downloadUrl="s3://nowhere@bucket/a.safetensors")
    assert check_tree(MappingProxyType(given)).to_body()["modelId"] == "hero-1"


def test_a_very_long_id_makes_no_very_long_line():
    assert len(model_id_of(tree(modelId="x" * 10_000_000))) < 500
    assert model_id_of({"extra_fields": {"modelId": "hero"}}) == "hero"


def test_a_file_on_this_machine_is_no_address_for_others():
    with pytest.raises(InvalidInputError, match=r"versions\[0\]\.files\[0\]\.downloadUrl is 'file:///data/hero\.safe"):
        check_tree(with_file(downloadUrl="file:///data/hero.safetensors"))


def test_signatures_are_renewed_only_when_half_spent(s3, bucket):
    now = [0.0]
    signed = SignedTree(in_bucket(bucket), 100, clock=lambda: now[0])
    first = signed.body()
    now[0] = 50.0
    assert signed.body() is first
    now[0] = 50.1
    assert signed.body() is not first


def test_addresses_are_shown_without_signatures():
    signed = with_file(downloadUrl="https://a.example/hero.safetensors?Signature=s")
    assert file_addresses(signed) == ["https://a.example/hero.safetensors"]
    assert file_addresses(with_file(downloadUrl="s3://conn@bucket/a")) == ["s3://conn@bucket/a"]


@pytest.mark.parametrize(
    ("address", "leaking"),
    [
        ("https://a.example/hero.safetensors?Signature=s", True),
        ("https://me:pw@a.example/hero.safetensors", True),
        ("https://a.example/hero.safetensors", False),
        ("s3://conn@bucket/hero.safetensors", False),
    ],
)
def test_an_address_that_lets_in_whoever_sees_it_is_noticed(address, leaking):
    assert has_readable_secret(with_file(downloadUrl=address)) is leaking


def test_a_tree_made_with_the_schema_crosses_processes_as_a_dict():
    assert json.loads(json.dumps(as_dict(read_tree(tree())))) == tree()
