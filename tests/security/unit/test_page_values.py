"""One odd value, in Airflow's database or from Scenario, does not keep the page from anybody, nor the other rows."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from typing import Any, get_args
from urllib.parse import urlencode

import pytest

from airflow_provider_scenario.client.scenario import schemas
from airflow_provider_scenario.plugin import lookup, values
from airflow_provider_scenario.plugin.pages import Pages
from airflow_provider_scenario.plugin.snapshots import Details, page_snapshot
from airflow_provider_scenario.plugin.status import Batch, TrainingStatus
from airflow_provider_scenario.plugin.trainings import Training

RUN = "run?dag_id=a_dag&run_id=a_run"
WHERE = {"dag_id": "a_dag", "run_id": "a_run", "task_id": "train", "map_index": 0}
BOUND = 5.0  # seconds of CPU; 0.1 were measured

NUMBERS = [float("inf"), float("-inf"), float("nan"), 1e308, -1e308, 10**400, -(10**400), 2**63, True, 0, -1]
TEXTS = ["\ud800", "a\udfffb", "a\0b", "\u202eevil\u2066", "x" * 10_000_000, "\U0001f600" * 300_000, "<b>'\"&", ""]
DATES = [
    datetime(1, 1, 1, tzinfo=UTC),
    datetime.fromisoformat("0001-01-01T00:00:00+14:00"),
    datetime.fromisoformat("9999-12-31T23:59:59-14:00"),
    datetime(9999, 12, 31, 23, 59, 59),
]


def deep(depth: int) -> Any:
    value: Any = "x"
    for _ in range(depth):
        value = [value]
    return value


def numbered(values: Any) -> dict[str, Any]:
    """Named by their place: some have no repr, others one of 10 MB."""
    return {"argvalues": values, "ids": [str(number) for number in range(len(values))]}


class TestXComsAndFields:
    """Values from a user who may write XComs of one DAG, and from the author of a DAG."""

    XCOMS = (
        *({"creative_units_cost": value} for value in NUMBERS),
        *({"creative_units_cost": 120.5, "creative_units_total": value} for value in (*NUMBERS, "1e999", deep(900))),
        *({"job_id": value} for value in TEXTS if "😀" not in value),
        *({"creative_units_cost": text} for text in ("NaN", "1e999", "[" * 50_000, "9" * 5_000)),
        *({"scenario_model": value} for value in (deep(500), {"model_id": "\ud800", "seal": "\ud800"}, 7)),
        {"creative_units_cost": deep(900)},
        {"return_value": {"status": "trained", "model_id": "m", "name": "\ud800", "type": "x" * 10_000_000}},
        {"return_value": {"status": "trained", "model_id": deep(400), "name": 7, "job_id": deep(400)}},
        {"model_id": "x" * 1_000_000},
        {"model_id": "\ud800"},
        {"model_id": deep(500)},
    )
    FIELDS = (
        *({"name": value, "type": value} for value in (*TEXTS, *NUMBERS)),
        {"parameters": deep(900)},
        {"parameters": {"a": deep(500), "\ud800": "\ud800", "n": 10**400, "x": "x" * 1_000_000}},
        {"parameters": {"rate": float("nan")}, "name": "name of a NaN"},
        {"parameters": {"rate": float("inf")}},
        {"model_id": "\ud800", "job_id": "\ud800", "scenario_conn_id": "x"},
    )

    def check(self, admin, database, odd):
        known = {"model_id": "model_x", "sealed": False}
        for number, each in enumerate(odd):
            database.task(map_index=number, **{**known, **each})
        database.task(task_id="other", fields={"name": "the other"}, creative_units_cost=120, **known)
        others = [{**WHERE, "map_index": number} for number in range(len(odd))]
        for page in ("trainings", RUN, *(f"training?{urlencode(where)}" for where in others)):
            began = time.process_time()
            answer = admin.get(page)
            assert answer.status_code == 200, page
            assert time.process_time() - began < BOUND
            assert len(answer.content) < 500_000
            if not page.startswith("training?"):
                assert answer.text.count("<tr id") == len(odd) + 1
                assert "the other" in answer.text
                assert ">120<" in answer.text

    def test_odd_xcoms(self, admin, database):
        self.check(admin, database, self.XCOMS)

    def test_odd_rendered_fields(self, admin, database):
        self.check(admin, database, [{"fields": fields} for fields in self.FIELDS])

    def test_fields_that_the_database_cannot_look_into_are_read_all_the_same(self, admin, database):
        database.task(fields={"name": "name beside", "type": "\ud800", "parameters": {"rate": float("nan")}})
        assert "name beside" in admin.get(RUN).text

    def test_a_task_that_cannot_be_read_at_all_is_a_row_that_says_so(self, admin, database, monkeypatch, caplog):
        def read(row):
            raise ValueError("odd")

        database.task(map_index=0)
        monkeypatch.setattr("airflow_provider_scenario.plugin.trainings._read", read)
        assert "cannot be shown" in admin.get(RUN).text
        assert "not readable" in admin.get(f"training?{urlencode(WHERE)}").text
        admin.get(RUN)
        assert len([line for line in caplog.messages if "cannot show" in line]) == 1


def kind_of(annotation: Any) -> Any:
    """What a field holds: a number, a text, a date; None for the rest."""
    inside = {each for each in (annotation, *get_args(annotation)) if isinstance(each, type)}
    for part in get_args(annotation):
        inside |= {each for each in get_args(part) if isinstance(each, type)}
    if inside & {float, int}:
        return NUMBERS
    return TEXTS if str in inside else DATES if datetime in inside else None


def objects() -> dict[str, Any]:
    """One of each that the page shows, with something in all that is shown."""
    make = lambda cls, **given: cls.model_construct(**given)  # noqa: E731
    image = make(schemas.TrainingImage, id="asset_1", name="an image", description="a caption")
    asset = make(schemas.EpochAsset, asset_id="asset_2")
    epoch = make(schemas.Epoch, epoch="000001", assets=[asset])
    progress = make(schemas.TrainingProgress, stage="running-train", progress=0.5, remaining_time_ms=1000.0)
    model = make(
        schemas.Model,
        id="model_x",
        name="hero",
        status="training",
        type="flux.1-lora",
        parameters={"samplePrompts": ["a boat"], "rate": 1},
        training_images=[image],
        training_progress=progress,
        epochs=[epoch],
    )
    change = make(schemas.JobStatusChange, status="queued", date=datetime.now(UTC))
    billing, metadata = make(schemas.Billing, cu_cost=1.0), make(schemas.JobMetadata, error="odd", hint="a hint")
    job = make(
        schemas.Job, job_id="job_x", status="failure", metadata=metadata, billing=billing, status_history=[change]
    )
    warning = make(schemas.AssetWarning, asset_id="asset_1", message=["Missing caption"])
    couple = make(schemas.AssetCoupleWarning, couple=["asset_1", "asset_2"], message=["Captions are identical"])
    score = make(schemas.DatasetScore, assets_warnings=[warning], asset_couples_warnings=[couple])
    every = (model, progress, image, epoch, asset, job, metadata, billing, change, score, warning, couple)
    return {type(each).__name__: each for each in every}


FIELDS = [
    (name, field, kind)
    for name, each in objects().items()
    for field, described in type(each).model_fields.items()
    if (kind := kind_of(described.annotation)) and field != "id"
]
PAGES = Pages()


def pages_with(found: dict[str, Any]) -> str:
    """The page of a training and the page of its run, beside another training."""
    training = Training(**WHERE, model_id="model_x", job_id="job_x", state="deferred")
    snapshot = page_snapshot(found["Model"], 1.0)
    odd = TrainingStatus(training, snapshot, 2.0)
    details = Details(at=1.0, model=found["Model"], job=found["Job"], score=found["DatasetScore"])
    common = {"troubles": [], "calls_scenario": True}
    of_run = {"run_id": "a_run", "previous": None, "following": None}
    more = {**common, "iterations": [], "more_to_come": False, "may_edit": True, "token": "x"}
    other = TrainingStatus(Training(**{**WHERE, "map_index": 1}, name="the other", cost=120.0), None, 2.0)
    batch = Batch([odd, other])
    began = time.thread_time()
    one = PAGES.training(odd, details, **more)
    run = PAGES.render("run.html", batch=batch, shown=batch, **of_run, **common)
    assert time.thread_time() - began < BOUND
    assert (one.status_code, run.status_code) == (200, 200)
    assert len(one.body) + len(run.body) < 1_000_000
    said = run.body.decode()
    assert "the other" in said
    assert ">120<" in said
    return one.body.decode() + said


@pytest.mark.parametrize(("name", "field", "kind"), FIELDS, ids=[f"{name}.{field}" for name, field, _ in FIELDS])
def test_an_odd_value_of_a_field_that_scenario_sends(name, field, kind):
    for value in kind:
        found = objects()
        was = getattr(found[name], field, None)
        many = value if not isinstance(was, list) else [value] * 3
        setattr(found[name], field, {"a": value} if isinstance(was, dict) else many)
        pages_with(found)


@pytest.mark.parametrize("value", **numbered([*NUMBERS, *TEXTS, *DATES, deep(100_000), deep(900), {"a": deep(900)}]))
def test_an_odd_parameter(value):
    found = objects()
    found["Model"].parameters = {"rate": value, "samplePrompts": ["a boat", value]}
    assert "a boat" in pages_with(found)


@pytest.mark.parametrize("count", [100_000])
def test_many_of_everything_is_cut_and_says_so(count):
    found = objects()
    found["Model"].training_images *= count
    found["Model"].epochs[0].assets *= count
    found["Job"].status_history *= count
    found["DatasetScore"].assets_warnings *= count
    found["Model"].parameters = {f"p{number}": number for number in range(count)}
    assert f"And {count - 500} more." in pages_with(found)


def test_what_cannot_be_shown_is_left_out_of_the_page_of_the_training():
    found = objects()
    found["Model"].epochs = 7
    assert "is not readable" in pages_with(found)


def test_one_odd_model_keeps_no_other_away(emulator, admin, database, train, monkeypatch):
    odd, other = train(name="odd"), train(name="the other")

    def fails(model, at):
        if model.id == odd["model_id"]:
            raise OverflowError("odd")
        return page_snapshot(model, at)

    monkeypatch.setattr(lookup, "page_snapshot", fails)
    database.task(map_index=0, **odd)
    database.task(map_index=1, **other)
    assert "the other" in admin.get(RUN).text
    assert "No answer from Scenario" not in admin.get(RUN).text


@pytest.mark.parametrize("when", DATES)
def test_an_odd_date_of_a_task(when):
    training = Training(**WHERE, started_at=when, ended_at=when, state="success")
    batch, of_run = Batch([TrainingStatus(training, None, 1.0)]), {"run_id": "r", "previous": None, "following": None}
    page = PAGES.render("run.html", batch=batch, shown=batch, troubles=[], calls_scenario=True, **of_run)
    assert page.status_code == 200
    assert "cannot be shown" not in page.body.decode()


def test_honest_values_are_shown_as_they_are():
    assert values.number(7) == 7.0
    assert values.number(0.25) == 0.25
    assert values.text("Größe \u202e 😀") == "Größe \u202e 😀"
    assert values.as_json({"a": [1, None, "ä"]}) == json.dumps({"a": [1, None, "ä"]}, ensure_ascii=False)
    assert values.moment(datetime(2026, 1, 2, tzinfo=UTC)) == datetime(2026, 1, 2, tzinfo=UTC)
    assert "<bdi>hero</bdi>" in pages_with(objects())
