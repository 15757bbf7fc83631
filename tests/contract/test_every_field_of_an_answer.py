"""Answers with every field that the vendor's client types: what one odd field does to the reading of the others."""

from __future__ import annotations

import copy
import types as python_types
from typing import TYPE_CHECKING, Any, Literal, Union, get_args, get_origin

import pytest
import scenario_sdk
from scenario_sdk.types import job_retrieve_response, model_retrieve_response
from scenario_sdk.types.models import train_trigger_response

from airflow_provider_scenario.client import schema
from airflow_provider_scenario.client.answers import Answer
from airflow_provider_scenario.client.errors import ServiceError
from airflow_provider_scenario.client.scenario.client import ScenarioClient
from tests.contract.wire import api_names
from tests.unit.client.conftest import READY

if TYPE_CHECKING:
    from collections.abc import Iterator

WRONG: tuple[Any, ...] = (None, True, -1, 1.5, 1e300, "", "?", [], [None], ["?"], {}, {"?": None}, [{"?": [None]}])
"""For a field of any kind, most of these are of another."""

Place = tuple[str | int, ...]


def whole(theirs: Any, depth: int = 0) -> Any:
    """A value with every field of a type of the vendor's client."""
    kinds = [kind for kind in get_args(theirs) if kind is not type(None)]
    if get_origin(theirs) in (Union, python_types.UnionType):
        return whole(kinds[0], depth)
    if get_origin(theirs) is Literal:
        return kinds[0]
    if get_origin(theirs) is list:
        return [whole(kinds[0], depth)] if depth < 8 else []
    if get_origin(theirs) is dict:
        return {"foo": "bar"}
    if isinstance(theirs, type) and issubclass(theirs, scenario_sdk.BaseModel):
        return {
            api_name: whole(theirs.model_fields[name].annotation, depth + 1)
            for api_name, name in api_names(theirs).items()
        }
    return {str: "text", float: 1, int: 1, bool: True}.get(theirs, "anything")


def places(value: Any, where: Place = ()) -> Iterator[Place]:
    """Where in an answer something is."""
    if where:
        yield where
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, item in pairs:
        yield from places(item, (*where, name))


def changed(answer: Any, where: Place, value: Any) -> Any:
    changed = copy.deepcopy(answer)
    inside = changed
    for name in where[:-1]:
        inside = inside[name]
    inside[where[-1]] = value
    return changed


class Canned:
    """A transport that has one answer."""

    def __init__(self, answer: dict[str, Any]) -> None:
        self._answer = answer

    def request(self, *_: Any, **__: Any) -> Answer:
        return Answer(200, self._answer)


def client(answer: dict[str, Any]) -> ScenarioClient:
    return ScenarioClient(Canned(answer))  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def _quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Warnings are counted, and others must get theirs."""
    monkeypatch.setattr(schema, "_warned", set())


STARTED = whole(train_trigger_response.TrainTriggerResponse)
MODEL = whole(model_retrieve_response.ModelRetrieveResponse)
JOB = whole(job_retrieve_response.JobRetrieveResponse)


def test_the_answers_hold_every_field():
    found = [len(set(places(answer))) for answer in (STARTED, MODEL, JOB)]
    assert all(count > 80 for count in found), found


def unreadable(answer: dict[str, Any], read: Any, *, but: set[Place]) -> list[tuple[Place, Any]]:
    """The places at which one wrong value makes the whole answer unreadable."""
    found = []
    for where in places(answer):
        if where in but or len(where) > 6:
            continue
        for value in WRONG:
            try:
                read(client(changed(answer, where, value)))
            except ServiceError:
                found.append((where, value))
    return found


def test_no_field_but_the_jobs_id_makes_a_paid_training_unreadable():
    but: set[Place] = {("job",), ("job", "jobId")}
    assert unreadable(STARTED, lambda client: client.train("m", model=READY), but=but) == []


def test_no_field_but_its_id_makes_a_model_that_is_waited_for_unreadable():
    but: set[Place] = {("model",), ("model", "id")}
    assert unreadable(MODEL, lambda client: client.get_model("m", only_status=True), but=but) == []


def test_no_field_but_its_id_makes_a_job_unreadable():
    assert unreadable(JOB, lambda client: client.get_job("j"), but={("job",), ("job", "jobId")}) == []


def test_an_answer_with_every_field_gives_what_a_task_needs():
    started = client(changed(STARTED, ("job", "status"), "queued")).train("m", model=READY)
    assert (started.job.job_id, started.job.status, started.creative_units_cost) == ("text", "queued", 1)
    assert started.cost_details["train-model"] == 1
