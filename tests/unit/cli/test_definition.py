from __future__ import annotations

import ast
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
from airflow.providers_manager import ProvidersManager

import airflow_provider_scenario
from airflow_provider_scenario.airflow_compat.cli import ActionCommand, GroupCommand
from airflow_provider_scenario.cli import definition

COMMANDS = ["doctor", "emulator", "estimate", "models list", "models show", "trainings list", "trainings cancel"]


def actions(commands, before=""):
    for command in commands:
        if isinstance(command, GroupCommand):
            yield from actions(command.subcommands, f"{before}{command.name} ")
        else:
            yield f"{before}{command.name}", command


def test_the_commands_are_those_of_the_docs():
    assert [name for name, _ in actions(definition.COMMANDS)] == COMMANDS


def test_each_command_leads_to_its_function():
    """``lazy_load_command`` names only the function, so read its path in the source."""
    tree = ast.parse(Path(definition.__file__).read_text())
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    paths = [call.args[0].value for call in calls if getattr(call.func, "id", "") == "lazy_load_command"]
    assert len(paths) == len(COMMANDS)
    for path in paths:
        module, _, name = path.rpartition(".")
        assert callable(getattr(import_module(module), name))


def test_the_provider_info_names_the_function_that_returns_the_commands():
    (path,) = airflow_provider_scenario.get_provider_info()["cli"]
    module, _, name = path.rpartition(".")
    (group,) = getattr(import_module(module), name)()
    assert (group.name, group.subcommands) == ("scenario", definition.COMMANDS)
    assert all(isinstance(command, ActionCommand) for _, command in actions(group.subcommands))


def test_airflow_accepts_the_provider_info():
    """On 3.1, which does not know ``cli``, the rest must still be read."""
    assert "airflow-provider-scenario" in ProvidersManager().providers


@pytest.mark.since("3.2")
def test_airflow_has_the_commands():
    assert definition.get_scenario_cli_commands in ProvidersManager().cli_command_functions


def test_the_definition_imports_nothing_heavy():
    code = (
        "import sys, airflow.cli.cli_config\n"
        "before = set(sys.modules)\n"
        "import airflow_provider_scenario.cli.definition\n"
        "print(*sorted(set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert set(done.stdout.split()) - {"airflow_provider_scenario"} == {
        "airflow_provider_scenario.airflow_compat",
        "airflow_provider_scenario.airflow_compat.cli",
        "airflow_provider_scenario.cli",
        "airflow_provider_scenario.cli.definition",
        "airflow_provider_scenario.emulator",
        "airflow_provider_scenario.emulator.options",
    }
