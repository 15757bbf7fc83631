"""No refused input reaches a call that makes or bills something, and none ends in an error that explains nothing."""

from __future__ import annotations

import contextlib
import json
import logging
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.airflow_versions import TaskDeferred
from tests.contract.refusals import ODD, Target, a_world, bases, outcome, shown, targets

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.contract.refusals import World

TARGETS = targets()

TEXT = st.text(st.characters(exclude_characters="/"), max_size=20) | st.text("０１２_.e-+ \ud800\udfff", max_size=8)
NUMBER = st.integers() | st.integers(-(10**400), 10**400) | st.floats()
KEY = TEXT | st.integers() | st.none() | st.booleans() | st.binary(max_size=3)
VALUE = st.recursive(
    st.none() | st.booleans() | NUMBER | TEXT | st.binary(max_size=9) | st.sampled_from(ODD),
    lambda inside: st.lists(inside, max_size=3) | st.tuples(inside) | st.dictionaries(KEY, inside, max_size=3),
    max_leaves=6,
)


@pytest.fixture(scope="module")
def one_world() -> Iterator[World]:
    logging.disable(logging.CRITICAL)
    try:
        with a_world() as world:
            yield world
    finally:
        logging.disable(logging.NOTSET)


@pytest.fixture
def world(one_world: World, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> World:
    """The default connection leads to it; a path that is made up leads nowhere."""
    connection = {
        "conn_type": "scenario",
        "login": "demo",
        "password": "demo",
        "host": one_world.emulator.url,
        "extra": {"requests_per_minute": 1_000_000},
    }
    monkeypatch.setenv("AIRFLOW_CONN_SCENARIO_DEFAULT", json.dumps(connection))
    folder = tmp_path_factory.mktemp("empty")
    monkeypatch.chdir(folder)
    monkeypatch.setattr("airflow_provider_scenario.client.budget._own_folder", lambda: folder)
    return one_world


@pytest.mark.parametrize("base", bases(), ids=str)
def test_what_is_right_succeeds(world, base: Target):
    world.restore()
    with contextlib.suppress(TaskDeferred):
        base.call(world, None)


@pytest.mark.parametrize("target", TARGETS, ids=str)
def test_odd_values_are_refused_with_an_error_of_ours_before_anything_is_made(world, target: Target):
    found = {shown(value): outcome(world, target, value) for value in ODD}
    assert {value: wrong for value, wrong in found.items() if wrong} == {}


@pytest.mark.parametrize("target", TARGETS, ids=str)
def test_so_is_whatever_else_is_given(world, target: Target):
    @settings(
        max_examples=6,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],  # to shrink takes longer than all the rest
        suppress_health_check=list(HealthCheck),
    )
    @given(VALUE)
    def check(value: object) -> None:
        assert outcome(world, target, value) is None

    check()
