"""``docs/emulator.md``: its tables are those of the code, and its examples work."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import httpx
import pytest

from airflow_provider_scenario.emulator.options import options
from tests.unit.generated_tables import table_in

from .direct import WAV, Direct
from .manual import tables

MANUAL = (Path(__file__).parents[3] / "docs" / "emulator.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^(POST|DELETE) (/emulator/\S+)(?: (\{.*\}))?$", MANUAL, re.MULTILINE)


@pytest.mark.parametrize("name", tables())
def test_a_table_is_that_of_the_code(name):
    """``python -m tests.unit.test_documentation`` writes them."""
    assert table_in(MANUAL, name) == tables()[name]


def test_every_field_has_a_meaning():
    rows = [line.strip("| ").split(" | ") for table in tables().values() for line in table.splitlines()]
    assert [row for row in rows if not row[-1].strip()] == []


@pytest.mark.parametrize(("method", "path", "body"), EXAMPLES, ids=[" ".join(each) for each in EXAMPLES])
def test_an_example_works(method, path, body):
    service = Direct()
    model_id = service.model(name="narrator", type="elevenlabs-voice")
    service.add_image(model_id, WAV, "audio/wav")
    service.train(model_id, cloneType="professional")
    assert service.call(method, path, json.loads(body) if body else None).status == 200


def test_there_is_an_example_of_every_switch_that_changes_something():
    changing = set(re.findall(r"`(?:POST|DELETE) (/emulator/\w+)`", tables()["switches"]))
    assert {path for _, path, _ in EXAMPLES} == changing


def test_the_options_are_those_of_the_command():
    rows = re.findall(r"^\| `(--[a-z-]+)` \| (\S+|) ?\|", table_in(MANUAL, "options"), re.MULTILINE)
    defaults = {flag: str(option["default"] or "") for flag, option in options().items()}
    assert {flag: default.strip("`") for flag, default in rows} == {
        flag: default.removesuffix(".0") for flag, default in defaults.items()
    }


def test_the_curl_commands_work_as_written(emulator):
    for command in re.findall(r"^curl .*$", MANUAL, re.MULTILINE):
        written = command.replace("http://127.0.0.1:8321", emulator.address)
        answer = subprocess.run(
            ["bash", "-c", f"{written} --silent --fail"], capture_output=True, check=True, timeout=60
        )
        assert json.loads(answer.stdout)
    assert httpx.get(f"{emulator.address}/emulator/settings").json()["training_seconds"] == 60
