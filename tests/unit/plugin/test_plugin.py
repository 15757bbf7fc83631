from __future__ import annotations

import subprocess
import sys
import zipfile
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from airflow.api_fastapi.core_api.datamodels.plugins import PluginResponse
from airflow.plugins_manager import get_plugin_info

from airflow_provider_scenario.operators.model import (
    ScenarioAddTrainingImagesOperator,
    ScenarioCreateModelOperator,
    ScenarioUpdateModelOperator,
)
from airflow_provider_scenario.operators.model_sync import (
    AICreationWorkshopPublishModelOperator,
    AICreationWorkshopSyncModelOperator,
)
from airflow_provider_scenario.operators.training import (
    ScenarioCancelTrainingOperator,
    ScenarioTrainLoraOperator,
    ScenarioTrainModelOperator,
)
from airflow_provider_scenario.plugin.airflow_plugin import ScenarioPlugin
from airflow_provider_scenario.sensors.training import ScenarioTrainingSensor

ROOT = Path(__file__).parents[3]
OPERATORS = [
    ScenarioAddTrainingImagesOperator,
    ScenarioCreateModelOperator,
    ScenarioUpdateModelOperator,
    AICreationWorkshopPublishModelOperator,
    AICreationWorkshopSyncModelOperator,
    ScenarioCancelTrainingOperator,
    ScenarioTrainLoraOperator,
    ScenarioTrainModelOperator,
    ScenarioTrainingSensor,
]


def test_airflow_finds_the_plugin_by_its_entry_point():
    (entry,) = (entry for entry in entry_points(group="airflow.plugins") if entry.name == "scenario")
    assert entry.load() is ScenarioPlugin


def test_airflow_takes_all_three_views():
    (info,) = (info for info in get_plugin_info() if info["name"] == "scenario")
    views = PluginResponse.model_validate(info).external_views
    assert [view.destination for view in views] == ["nav", "dag_run", "task_instance"]
    assert len({view.url_route for view in views}) == 3


def tab_of_a_task(views):
    (tab,) = (view for view in views if view["destination"] == "task_instance")
    return tab


@pytest.mark.parametrize("operator", OPERATORS)
def test_the_tab_of_a_task_is_on_tasks_of_our_operators(operator):
    ((path, values),) = tab_of_a_task(ScenarioPlugin.external_views)["applies_to"].items()
    assert path == "task.template_fields"
    assert set(values) & set(operator.template_fields)


@pytest.mark.since("3.4")
def test_airflow_understands_where_the_tab_is(caplog):
    from airflow import plugins_manager

    plugins_manager._get_ui_plugins.cache_clear()
    views, _ = plugins_manager._get_ui_plugins()
    tab = tab_of_a_task([view for view in views if view.get("url_route") == "scenario-training"])
    assert tab["applies_to"] == tab_of_a_task(ScenarioPlugin.external_views)["applies_to"]
    assert "applies_to" not in caplog.text


def test_every_airflow_process_imports_it_so_it_brings_nothing_heavy():
    code = (
        "import airflow.plugins_manager, sys; before = set(sys.modules);"
        "import airflow_provider_scenario.plugin.airflow_plugin;"
        "print(*sorted(set(sys.modules) - before))"
    )
    brought = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    own = "airflow_provider_scenario"
    assert set(brought.splitlines()[-1].split()) <= {own, f"{own}.plugin", f"{own}.plugin.airflow_plugin"}


@pytest.mark.full  # builds in an environment of its own, which pip downloads
def test_the_wheel_holds_templates_style_and_script(tmp_path):
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(tmp_path), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    inside = set(zipfile.ZipFile(wheel).namelist())
    plugin = ROOT / "airflow_provider_scenario" / "plugin"
    files = [file for folder in ("templates", "static") for file in (plugin / folder).iterdir()]
    assert {str(file.relative_to(ROOT)) for file in files} <= inside
