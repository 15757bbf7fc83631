from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
import yaml

from airflow_provider_scenario.cli.output import print_fields, print_rows

HOSTILE = "\x1b]0;owned\x07\x1b[31mred\x9b2J‮gpj.exe[bold]\n[/]é"
SHOWN = "]0;owned [31mred 2J gpj.exe[bold] [/]é"
ROWS = [{"name": HOSTILE, "cost": 600.0, "none": None, "at": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)}]


def test_a_table_shows_no_escape_sequence_and_no_markup(capsys):
    print_rows(ROWS, "table", empty="")
    heading, line, row = capsys.readouterr().out.rstrip().splitlines()
    assert [cell.strip() for cell in heading.split("|")] == ["name", "cost", "none", "at"]
    assert set(line) == {"=", "+"}
    assert [cell.strip() for cell in row.split("|")] == [SHOWN, "600", "", "2026-01-02T03:04:05+00:00"]


def test_plain_text_shows_no_escape_sequence(capsys):
    print_rows(ROWS, "plain", empty="")
    heading, row = capsys.readouterr().out.splitlines()
    assert heading.split() == ["name", "cost", "none", "at"]
    assert SHOWN in row
    assert all(char.isprintable() for char in row)


@pytest.mark.parametrize(("output", "load"), [("json", json.loads), ("yaml", yaml.safe_load)])
def test_data_is_the_whole_value_and_only_printable_ascii(capsys, output, load):
    print_rows(ROWS, output, empty="")
    out = capsys.readouterr().out
    expected = {"name": HOSTILE, "cost": 600, "none": None, "at": "2026-01-02T03:04:05+00:00"}
    assert load(out) == [expected]
    assert all(" " <= char <= "~" or char == "\n" for char in out)


@pytest.mark.parametrize(
    ("output", "out"), [("table", "Nothing.\n"), ("plain", "Nothing.\n"), ("json", "[]\n"), ("yaml", "[]\n")]
)
def test_no_rows(capsys, output, out):
    print_rows([], output, empty="Nothing.")
    assert capsys.readouterr().out == out


def test_an_object_has_a_row_for_each_field(capsys):
    print_fields({"id": "m", "epochs": ["1", "2"]}, "plain")
    assert capsys.readouterr().out.splitlines() == ["field   value", "id      m", 'epochs  ["1", "2"]']
    print_fields({"id": "m", "epochs": ["1", "2"]}, "json")
    assert json.loads(capsys.readouterr().out) == {"id": "m", "epochs": ["1", "2"]}


def test_a_table_for_a_narrow_terminal_loses_nothing(capsys, monkeypatch):
    monkeypatch.setattr("airflow_provider_scenario.cli.output.WIDTH", 20)
    print_rows([{"a": "x" * 50, "b": "y"}], "table", empty="")
    assert capsys.readouterr().out.count("x") == 50
