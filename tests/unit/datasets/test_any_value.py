"""Whatever is given: it is taken, or an error of ours says in few words what is wrong with it."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import PurePosixPath

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider_scenario.client.errors import InvalidInputError
from airflow_provider_scenario.client.scenario.client import ScenarioClient
from airflow_provider_scenario.datasets import (
    DatasetImage,
    check_pairs,
    list_datasets,
    list_images,
    read_dataset,
    resolve_pairs,
)
from airflow_provider_scenario.datasets.metadata import Metadata, parse_metadata
from airflow_provider_scenario.datasets.settings import FILE_NAMES, Settings, parse_settings

MESSAGE = 2000
"""Characters."""

CHARACTERS = st.characters(exclude_categories=()) | st.sampled_from(["\ud800", "\0", "\n", "'", "\U0010ffff"])
TEXT = st.text(CHARACTERS, max_size=20) | st.sampled_from(["x" * 100_000, "\ud800" * 50_000, "\U000e0001" * 50_000])
PLAIN = st.none() | st.booleans() | st.integers() | st.floats() | st.binary(max_size=9) | TEXT
VALUES = st.recursive(
    PLAIN | st.builds(object) | TEXT.map(PurePosixPath),
    lambda inside: (
        st.lists(inside, max_size=3)
        | st.tuples(inside)
        | st.dictionaries(PLAIN, inside, max_size=3)
        | st.sampled_from([{1, "x"}, range(3), list("ab")])
    ),
    max_leaves=6,
)


def items(*keys: str):
    """Dictionaries with some of the keys that are meant, and now and then another one."""
    return st.dictionaries(st.sampled_from(keys) | PLAIN, st.sampled_from(["a.png", "b.png"]) | VALUES, max_size=4)


EXAMPLES = settings(
    max_examples=300, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)


class Taken(Exception):
    """It would have been sent."""


def said(function, *args, **kwargs) -> object:
    """What it returned; None where an error of ours was raised, in a message that is short and can be written down."""
    try:
        return function(*args, **kwargs)
    except InvalidInputError as told:
        message = str(told)
    assert len(message) < MESSAGE
    message.encode()
    return None


@EXAMPLES
@given(images=VALUES | st.lists(items("path", "asset_id", "name", "caption") | VALUES, max_size=3))
def test_any_list_of_images(images):
    for image in said(list_images, images) or []:
        assert isinstance(image, DatasetImage)
        json.dumps([image.name, image.caption, image.asset_id], ensure_ascii=False).encode()
        assert image.name


@EXAMPLES
@given(pairs=VALUES | st.lists(items("source", "target", "instruction") | VALUES, max_size=3))
def test_any_pairs(pairs):
    if said(check_pairs, pairs) is not None:
        for pair in said(resolve_pairs, pairs, {"a.png": "asset_a", "b.png": "asset_b"}) or []:
            json.dumps(pair, ensure_ascii=False).encode()


@pytest.mark.parametrize("path", ["x" * 10**7, "memory://" + "x" * 10**7, "/\0", "/\ud800", "a/" * 10**6])
def test_any_path(path):
    for source in (path, [path], [{"path": path, "name": "x"}]):
        assert said(read_dataset, source) is None
    assert said(list_datasets, path) is None


def test_a_long_id_is_cut_in_the_message():
    client = ScenarioClient.connect(api_key="demo", api_secret="demo", session=Session())
    with pytest.raises(InvalidInputError, match="has 10000000 characters and begins with") as told:
        client.get_asset("x" * 10**7)
    assert len(str(told.value)) < 300


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(TEXT, inside, max_size=3),
    max_leaves=6,
)
KEYS = ["file_name", "text", "source", "target", "source_file_name", "target_file_name", "instruction"]
LINE = st.dictionaries(st.sampled_from(KEYS) | TEXT, st.sampled_from(["a.png", "b.png"]) | JSON, max_size=4)


@EXAMPLES
@given(text=TEXT | st.lists((LINE | JSON).map(json.dumps) | TEXT, max_size=4).map("\n".join))
def test_any_metadata(text):
    assert isinstance(said(parse_metadata, text, ["a.png", "b.png"]), Metadata | None)


@pytest.mark.parametrize("depth", [100, 900, 960, 980, 990, 1000, 2000, 100_000])
def test_metadata_of_any_depth(depth):
    for line in ("[" * depth + "]" * depth, '{"file_name": "a.png", "text": ' + "[" * depth + "]" * depth + "}"):
        assert said(parse_metadata, line, ["a.png"]) is None


SETTING = ["name", "type", "preset", "short_description", "nb_epochs", "samplePrompts", "rank", "learning_rate"]


@settings(EXAMPLES, max_examples=100)
@given(
    file_name=st.sampled_from(FILE_NAMES),
    text=TEXT | st.dictionaries(st.sampled_from(SETTING) | TEXT, JSON, max_size=3).map(json.dumps),
)
def test_any_settings(file_name, text):
    assert isinstance(said(parse_settings, file_name, text), Settings | None)


IDS = st.sampled_from(["model_1", "asset_1"]) | VALUES
CALLS = st.one_of(
    st.tuples(
        st.just("add_training_image"),
        st.tuples(IDS),
        st.fixed_dictionaries(
            {"data": st.sampled_from([b"\xff\xd8\xff", b""]) | VALUES, "name": TEXT | VALUES},
            optional={"content_type": st.just("image/png") | VALUES, "preset": st.just("style") | VALUES},
        ),
    ),
    st.tuples(
        st.just("add_training_assets"),
        st.tuples(IDS, st.lists(IDS, max_size=3) | VALUES),
        st.fixed_dictionaries({}, optional={"preset": VALUES}),
    ),
    st.tuples(
        st.just("replace_training_image"),
        st.tuples(IDS, IDS),
        st.fixed_dictionaries({}, optional={"data": VALUES, "name": VALUES, "asset_id": IDS, "preset": VALUES}),
    ),
    st.tuples(
        st.just("set_training_pairs"),
        st.tuples(IDS, VALUES | st.lists(items("source_id", "targetId", "instruction", "x") | VALUES, max_size=3)),
        st.just({}),
    ),
    st.tuples(st.just("caption_asset"), st.tuples(IDS, VALUES), st.just({})),
    st.tuples(
        st.sampled_from(["get_asset", "get_dataset_score"]),
        st.tuples(IDS),
        st.just({}),
    ),
    st.tuples(st.just("delete_training_image"), st.tuples(IDS, IDS), st.just({})),
)


class Session:
    """A way to the service that ends where a request would be sent."""

    def request(self, *_, **__):
        raise Taken

    def close(self):
        pass


@settings(EXAMPLES, max_examples=800)
@given(call=CALLS)
def test_any_call_of_the_client(call):
    name, args, kwargs = call
    client = ScenarioClient.connect(api_key="demo", api_secret="demo", session=Session())
    with suppress(Taken):
        said(getattr(client, name), *args, **kwargs)
