"""The workflows and the pre-commit hooks run what a developer and ``.ci/run`` run."""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
MAKEFILE = (ROOT / "Makefile").read_text()
MAKE_TARGETS = {
    target.replace("$(VENV)", ".venv") for target in re.findall(r"^([\w$()/-]+):(?!=)", MAKEFILE, re.MULTILINE)
}
NOX_SESSIONS = {path.stem.removeprefix("constraints-") for path in (ROOT / ".ci").glob("constraints-*.txt")}


def jobs(name: str) -> dict[str, Any]:
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / f"{name}.yml").read_text())
    return workflow["jobs"]


def commands(job: dict[str, Any]) -> list[str]:
    return [step["run"] for step in job["steps"] if "run" in step]


TEST_COMMANDS = [command for job in jobs("tests").values() for command in commands(job)]


@pytest.mark.parametrize("command", TEST_COMMANDS)
def test_a_test_job_runs_a_command_that_exists_here(command):
    match command.split():
        case ["make", target]:
            assert target in MAKE_TARGETS
        case [script]:
            assert script.startswith(".ci/")
            assert os.access(ROOT / script, os.X_OK)
        case _:
            assert command == '.venv/bin/nox --session "$AIRFLOW" -- unit'


def test_the_test_jobs_run_all_that_there_is():
    assert {"make lint", "make docs", "make test", "make coverage", ".ci/run"} <= set(TEST_COMMANDS)
    assert set(jobs("tests")["minors"]["strategy"]["matrix"]["airflow"]) == NOX_SESSIONS - {"3.3"}
    classifiers = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["classifiers"]
    pythons = re.findall(r"Programming Language :: Python :: (3\.\d+)", " ".join(classifiers))
    assert jobs("tests")["pythons"]["strategy"]["matrix"]["python"] == pythons


def test_a_release_is_built_by_make_and_published_by_a_job_that_runs_nothing_else():
    build, publish = jobs("release")["build"], jobs("release")["publish"]
    assert commands(build)[0] == "make dist"
    assert commands(publish) == []
    assert publish["permissions"] == {"id-token": "write"}


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_every_action_is_pinned_to_a_commit_and_names_its_version(path):
    text = path.read_text()
    uses = re.findall(r"uses: (.+)", text)
    pinned = re.findall(r"uses: ([\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+)$", text, re.MULTILINE)
    assert uses == pinned != []


def test_all_workflows_use_the_same_commit_of_an_action():
    pins = {tuple(use.split("@")) for path in WORKFLOWS for use in re.findall(r"uses: (\S+)", path.read_text())}
    assert len(pins) == len({name for name, _ in pins})


def test_pre_commit_runs_the_commands_of_make_lint():
    recipe = re.search(r"^lint:.*\n((?:\t.*\n)+)", MAKEFILE, re.MULTILINE)
    lint = [line.replace("$(TESTING) ", "").replace("$(BIN)", ".venv/bin") for line in recipe[1].splitlines()]
    (repo,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert [f"\t@{hook['entry']}" for hook in repo["hooks"]] == lint
