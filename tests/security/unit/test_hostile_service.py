"""Whatever a service puts into a field: a sane object, or a typed error, at once; and no wrong end of a training."""

from __future__ import annotations

import json
import time
import typing
from datetime import datetime, timedelta, timezone

import pytest
from pydantic import BaseModel
from pydantic.alias_generators import to_snake

from airflow_provider_scenario.airflow_compat.exceptions import AirflowException, AirflowFailException
from airflow_provider_scenario.client import schema
from airflow_provider_scenario.client.answers import Answer
from airflow_provider_scenario.client.decoding import decode
from airflow_provider_scenario.client.errors import ScenarioError
from airflow_provider_scenario.client.refusals import Call, retry_after
from airflow_provider_scenario.client.scenario import schemas
from airflow_provider_scenario.client.scenario.refusals import refusal
from airflow_provider_scenario.client.scenario.schemas import Job, Model
from airflow_provider_scenario.client.schema import Schema
from airflow_provider_scenario.client.workshop import client as workshop
from airflow_provider_scenario.client.workshop.dialect import Envelope
from airflow_provider_scenario.watch.decision import Snapshot, TrainingWatch
from airflow_provider_scenario.watch.result import TrainingResult

LONG = 100_000


class Raw(str):
    """JSON as it is written."""


def nested(opening: str, inside: str, closing: str, depth: int) -> Raw:
    return Raw(opening * depth + inside + closing * depth)


HOSTILE = {
    "infinity": Raw("1e999"),
    "minus infinity": Raw("-1e999"),
    "Infinity": Raw("Infinity"),
    "NaN": Raw("NaN"),
    "text NaN": "NaN",
    "text inf": "-inf",
    "huge": Raw("1e308"),
    "minus huge": Raw("-1e308"),
    "tiny": Raw("5e-324"),
    "400 digits": Raw("1" + "0" * 400),
    "5000 digits": Raw("1" + "0" * 5000),
    "text of 400 digits": "1" + "0" * 400,
    "negative": Raw("-1"),
    "fraction": Raw("0.5"),
    "true": Raw("true"),
    "false": Raw("false"),
    "null": Raw("null"),
    "lone surrogate": Raw('"a\\ud800b"'),
    "surrogates in the wrong order": Raw('"\\udc00\\ud800"'),
    "NUL": Raw('"a\\u0000b"'),
    "control characters": "\x1b[31m\r\n\u202e\u0085",
    "empty": "",
    "dots": "..",
    "path": "../../../dags",
    "address": "https://user:pass-word@cdn.test/a?Signature=signed-part",
    "markup": "<script>alert(1)</script>{{ conn.x }}",
    "100 kB": "x" * LONG,
    "100 kB of '<'": "<" * LONG,
    "100 kB of '\\'": "\\" * (LONG // 2),
    "100 kB of emoji": "\U0001f600" * (LONG // 12),
    "year 1": "0001-01-01T00:00:00+14:00",
    "year 1 without a zone": "0001-01-01T00:00:00",
    "year 9999": "9999-12-31T23:59:59.999-12:00",
    "year 9999 without a zone": "9999-12-31T23:59:59.999",
    "year 10000": "+10000-01-01T00:00:00Z",
    "odd zone": "2026-01-01T00:00:00+23:59",
    "far future": Raw("253402300799999"),
    "before the first date": Raw("-62135596800000"),
    "no date": "yesterday",
    "list": Raw("[]"),
    "list of null": Raw("[null]"),
    "list of lists": Raw("[[[]]]"),
    "list of odd texts": Raw('["a\\ud800", "\\u0000", ""]'),
    "long list": Raw("[" + ",".join(["1"] * 10_000) + "]"),
    "object": Raw("{}"),
    "odd object": Raw('{"\\ud800": 1e999, "a": {"b": NaN}, "status": "trained"}'),
    "nested lists": nested("[", "", "]", 150),
    "nested objects": nested('{"a":', "1", "}", 150),
    "nested too deep": nested("[", "", "]", 5000),
    "nested parts": nested('{"status":1,"parts":[', "", "]}", 90),
}


def written(value: object) -> str:
    return str(value) if isinstance(value, Raw) else json.dumps(value)


def schemas_of(module) -> list[type[Schema]]:
    return [
        kind
        for kind in vars(module).values()
        if isinstance(kind, type)
        and issubclass(kind, Schema)
        and kind.model_fields
        and kind.__module__ == module.__name__
    ]


FIELDS = [
    (kind, info.alias or name)
    for module in (schemas, workshop)
    for kind in schemas_of(module)
    for name, info in kind.model_fields.items()
]


def least(kind: type[BaseModel]) -> dict[str, object]:
    """The required fields, with values that can be read."""
    sample: dict[object, object] = {}
    for name, info in kind.model_fields.items():
        if info.is_required():
            annotation = info.annotation
            if isinstance(annotation, type) and issubclass(annotation, BaseModel):
                sample[info.alias or name] = least(annotation)
            else:
                sample[info.alias or name] = 1 if annotation in (int, float) else "x"
    return typing.cast("dict[str, object]", sample)


def parsed(kind: type[Schema], content: str) -> Schema:
    body = decode(content.encode())
    answer = Answer(200, body if isinstance(body, dict) else {}, "GET /x")
    return kind.read(body, action="ask", answer=answer)


def check_sane(value: object) -> None:
    if isinstance(value, BaseModel):
        for name in type(value).model_fields:
            check_sane(getattr(value, name))
        return
    match value:
        case datetime():
            for hours in (-12, 14):
                value.astimezone(timezone(timedelta(hours=hours)))
            assert value.tzinfo
        case str():
            value.encode()
            assert "\0" not in value
            assert len(value) <= schema.LONGEST_TEXT
        case int() | float():
            assert abs(value) <= 1e15 or isinstance(value, int)
        case dict():
            json.dumps(value, allow_nan=False).encode()
            for name, item in value.items():
                check_sane(name)
                if not isinstance(item, dict | list | float | int | str):
                    check_sane(item)
        case list() | tuple():
            for item in value:
                check_sane(item)


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_values_of_every_field_are_cleaned_or_a_typed_error(hostile):
    for kind, field in FIELDS:
        check_field(kind, field, written(HOSTILE[hostile]))


@pytest.mark.parametrize("char", ["x", "<", "\\"])
def test_ten_megabytes_in_a_field_take_no_longer_than_parsing_them(char):
    known = [(kind, field, kind.model_fields.get(to_snake(field))) for kind, field in FIELDS]
    one_of_each_kind = {f"{info.annotation} {info.metadata}"[:60]: (kind, field) for kind, field, info in known if info}
    text = json.dumps(char * (10_000_000 // len(json.dumps(char)[1:-1])))
    for kind, field in one_of_each_kind.values():
        check_field(kind, field, text)


def check_field(kind, field, value):
    """Measured: below 0.2 s for 10 MB, below 1 ms otherwise."""
    sample = {name: value for name, value in least(kind).items() if name != field}
    inside = ", ".join(f"{json.dumps(name)}: {json.dumps(value)}" for name, value in sample.items())
    content = f"{{{inside}{', ' if inside else ''}{json.dumps(field)}: {value}}}"
    began = time.thread_time()
    try:
        read = parsed(kind, content)
    except ScenarioError as error:
        told = str(error)
    else:
        check_sane(read)
        told = ""
    assert len(told.encode()) < 1000
    assert time.thread_time() - began < 2, (kind, field)


def test_all_fields_were_found():
    assert len(FIELDS) > 100
    assert (workshop.ListingStatus, "status") in FIELDS


@pytest.mark.parametrize("hostile", HOSTILE)
@pytest.mark.parametrize("status", ["training", "trained", "failed", "something new"])
def test_progress_values_do_not_change_the_outcome_of_a_training(hostile, status):
    value = written(HOSTILE[hostile])
    fields = ("stage", "progress", "position", "remainingTimeMs", "startedAt", "retryableError", "retryCount")
    progress = "{" + ", ".join(f'"{name}": {value}' for name in fields) + "}"
    content = (
        f'{{"id": "model_1", "status": {json.dumps(status)}, "name": {value}, "jobId": {value}, "type": {value}, '
        f'"trainingProgress": {progress}, "trainingStats": {{"trainDuration": {value}}}, "epochs": {value}}}'
    )
    if hostile == "nested too deep":
        return
    watch = TrainingWatch(label="it", deadline=1e12, poke_interval=30)
    model = parsed(Model, content)
    for now in (0.0, 30.0):
        outcome = watch.after(Snapshot.of_model(model), now)
        assert outcome == {"trained": "trained", "failed": "failed"}.get(status)
        assert 0 < watch.pause <= 300
        assert len(watch.log_line or "") < 2000
        (watch.log_line or "").encode()
    assert "signed-part" not in str(watch.log_line)


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_job_fields_break_neither_event_nor_error_of_an_outcome(hostile):
    value = written(HOSTILE[hostile])
    if hostile == "nested too deep":
        return
    content = (
        f'{{"jobId": "job_1", "status": "failure", "progress": {value}, "billing": {{"cuCost": {value}}}, '
        f'"metadata": {{"error": {value}, "hint": {value}, "assetIds": {value}}}, "updatedAt": {value}}}'
    )
    job = parsed(Job, content)
    model = parsed(Model, '{"id": "model_1", "status": "failed", "name": ' + value + ', "epochs": ' + value + "}")
    for outcome in ("trained", "failed", "canceled", "timed-out", "refused"):
        end = TrainingResult.of(outcome, model, job, model_id="model_1")
        event = json.loads(json.dumps(end.to_event(), allow_nan=False))
        if outcome == "trained":
            json.dumps(TrainingResult.from_event(event).value_or_raise(), allow_nan=False).encode()
            continue
        with pytest.raises((AirflowException, AirflowFailException), match=r"^Training .*model_1") as told:
            TrainingResult.from_event(event).value_or_raise()
        assert len(str(told.value)) < 1500
        str(told.value).encode()
        assert "signed-part" not in str(told.value)


@pytest.mark.parametrize("hostile", HOSTILE)
@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 429, 500])
def test_a_refusal_with_any_value_is_a_typed_error(hostile, status):
    value = written(HOSTILE[hostile])
    names = ("name", "reason", "trace_id")
    details = "{" + ", ".join(f'"{name}": {value}' for name in ("actionName", "actionLimit", "remainingSeconds")) + "}"
    content = "{" + ", ".join(f'"{name}": {value}' for name in names) + f', "details": {details}}}'
    body = decode(content.encode()[:65_536])
    error = refusal(Call("ask", "GET /x", repeatable=True), status, {"retry-after": content[:200]}, body, now=0)
    assert isinstance(error, ScenarioError)
    assert len(str(error)) < 2500
    str(error).encode()
    assert "signed-part" not in str(error)
    assert 0 <= (retry_after({}, body, now=0) or 0) <= 24 * 3600
    Envelope.of(body)


@pytest.mark.parametrize(
    "header",
    [
        "1e999",
        "-5",
        "9" * 5000,
        "Fri, 31 Dec 9999 23:59:59 GMT",
        "\ud800",
        "nan",
        "Mon, 01 Jan 0001 00:00:00 +1400",
    ],
)
def test_every_requested_wait_is_bounded(header):
    wait = retry_after({"retry-after": header, "retry-after-ms": header}, {}, now=0)
    assert wait is None or 0 <= wait <= 24 * 3600
