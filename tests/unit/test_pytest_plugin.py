"""The plugin as users have it: sessions of pytest of their own, with tests of their own."""

from __future__ import annotations

import math
import os
import subprocess
import sys
import time
from importlib.metadata import entry_points

import pytest

from airflow_provider_scenario.client.errors import InvalidInputError, ServiceError
from airflow_provider_scenario.emulator.testing import SwitchError
from airflow_provider_scenario.hooks.ai_creation_workshop import AICreationWorkshopHook
from airflow_provider_scenario.hooks.scenario import ScenarioHook
from airflow_provider_scenario.pytest_plugin import LONGEST_PAUSE
from airflow_provider_scenario.triggers.training import ScenarioTrainingTrigger
from airflow_provider_scenario.watch.decision import TrainingWatch
from tests.unit.publishing.conftest import tree

pytest_plugins = ["pytester"]

PLUGIN = "airflow_provider_scenario.pytest_plugin"
TRAIN = """
import requests

def train(emulator, name="hero"):
    api = {"auth": ("demo", "demo"), "timeout": 60}
    model = requests.post(f"{emulator.url}/models", json={"name": name, "type": "flux.2-dev-lora"}, **api).json()
    address = f"{emulator.url}/models/{model['model']['id']}"
    picture = "data:image/gif;base64,R0lGODlhAQABAAAAACwAAAAAAQABAAACAkQBADs="
    requests.post(f"{address}/training-images", json={"data": picture, "name": "a.png"}, **api).raise_for_status()
    requests.put(f"{address}/train", json={"parameters": {}}, **api).raise_for_status()
"""


@pytest.fixture
def train(scenario_emulator):
    """Train a LoRA with plain HTTP."""
    helpers = {}
    exec(TRAIN, helpers)
    return lambda *name: helpers["train"](scenario_emulator, *name)


@pytest.fixture
def run(pytester, monkeypatch):
    """Run a session of pytest on a file of tests; returns its result."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path for path in sys.path if path))  # for xdist's processes
    pytester.makeini("[pytest]\naddopts = --strict-markers\nasyncio_default_fixture_loop_scope = function")
    pytester.makepyfile(helpers=TRAIN)

    def run(tests, *arguments):
        pytester.makepyfile(test_it=tests)
        return pytester.runpytest_inprocess("-p", PLUGIN, "-p", "no:cacheprovider", *arguments)

    return run


def test_an_installation_has_the_entry_point():
    (entry,) = entry_points(group="pytest11", name=PLUGIN)
    assert entry.value == PLUGIN


def test_pytest_loads_the_plugin_by_its_entry_point(tmp_path):
    command = [sys.executable, "-m", "pytest", "--markers", "-p", "no:cacheprovider"]
    shown = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert "@pytest.mark.scenario_emulator(**settings)" in shown


def test_a_session_without_the_fixture_imports_nothing_for_it():
    program = f"""
import pytest, sys
before = set(sys.modules)
import {PLUGIN}
print([name for name in sorted(set(sys.modules) - before) if name.partition('.')[0] not in sys.stdlib_module_names])
"""
    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert shown.strip() == str(["airflow_provider_scenario", PLUGIN])


def test_both_default_connections_lead_to_the_emulator(scenario_emulator):
    assert ScenarioHook().test_connection() == (
        True,
        "Connected to Scenario, project 'Emulator project' (proj_emulator)",
    )
    assert AICreationWorkshopHook().test_connection()[0]
    assert sum(scenario_emulator.ledger()["answers"].values()) == 2


def test_another_connection_can_lead_to_it_too(scenario_emulator, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_STUDIO", scenario_emulator.connection())
    monkeypatch.setenv("AIRFLOW_CONN_SHOP", scenario_emulator.workshop_connection())
    monkeypatch.setenv("AIRFLOW_CONN_WRONG", scenario_emulator.connection(password="another"))
    assert ScenarioHook("studio").test_connection()[0]
    assert AICreationWorkshopHook("shop").test_connection()[0]
    assert not ScenarioHook("wrong").test_connection()[0]


@pytest.mark.parametrize("host", [None, "https://scenario.example/v1", "http://10.0.0.1/v1"])
def test_a_test_cannot_reach_another_machine(scenario_emulator, monkeypatch, host):
    monkeypatch.setenv("AIRFLOW_CONN_STUDIO", scenario_emulator.connection(host=host))
    with pytest.raises(InvalidInputError, match=r"leads to another machine.*scenario_emulator.connection\(\)"):
        ScenarioHook("studio").client.list_models()


def test_no_proxy_of_the_environment_gets_a_request(run, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "example.org")
    monkeypatch.delenv("no_proxy", raising=False)
    result = run("""
import os
from airflow_provider_scenario.hooks.scenario import ScenarioHook

def test_connection(scenario_emulator):
    assert ScenarioHook().test_connection()[0]
    assert scenario_emulator.billed == 0
    assert os.environ["no_proxy"] == "example.org,127.0.0.1"
""")
    result.assert_outcomes(passed=1)


def test_a_process_that_a_test_starts_reaches_the_emulator(scenario_emulator):
    program = """
import json, os, urllib.request
host = json.loads(os.environ["AIRFLOW_CONN_SCENARIO_DEFAULT"])["host"]
direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
headers = {"content-type": "application/json"}
switch = host.replace("/v1", "/emulator/settings")
direct.open(urllib.request.Request(switch, b'{"training_seconds": 7}', headers), timeout=60)
"""
    subprocess.run([sys.executable, "-c", program], check=True)
    assert scenario_emulator.read("settings")["training_seconds"] == 7


def test_the_environment_is_restored(run, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_SCENARIO_DEFAULT", "scenario://mine")
    result = run("""
import os
import pytest
from airflow_provider_scenario import pacing
from airflow_provider_scenario.client import budget, settings

def what_the_fixture_changes():
    environment = {**os.environ, "PYTEST_CURRENT_TEST": ""}
    return environment, settings.only_this_machine, pacing.longest_pause, budget._own_folder

BEFORE = what_the_fixture_changes()

@pytest.fixture(autouse=True)
def patches_first(monkeypatch):
    pass

def test_uses_it(scenario_emulator):
    assert BEFORE[0]["AIRFLOW_CONN_SCENARIO_DEFAULT"] == "scenario://mine"
    assert all(now != before for now, before in zip(what_the_fixture_changes(), BEFORE))

def test_after_it():
    assert what_the_fixture_changes() == BEFORE

def test_changes_it_again(scenario_emulator, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_SCENARIO_DEFAULT", scenario_emulator.connection(password="wrong"))
    monkeypatch.setattr(pacing, "longest_pause", 1.0)

def test_after_that():
    assert what_the_fixture_changes() == BEFORE
""")
    result.assert_outcomes(passed=4)


def test_each_test_has_a_ledger_settings_and_files_of_its_own(run):
    result = run("""
import pytest
from helpers import train

@pytest.mark.parametrize("number", range(2))
def test_one_training(scenario_emulator, number):
    assert scenario_emulator.read("settings")["training_seconds"] == 0
    assert list(scenario_emulator.files_folder.iterdir()) == []
    train(scenario_emulator)
    (training,) = scenario_emulator.trainings
    assert (training.model_name, training.status) == ("hero", "trained")
    assert scenario_emulator.billed == training.creative_units > 0
    assert [model.model_id for model in scenario_emulator.models] == [training.model_id]
    assert [image.name for image in scenario_emulator.training_images] == ["a.png"]
    scenario_emulator.set(training_seconds=60)
    scenario_emulator.fail_trainings()
    scenario_emulator.fault("status", status=503)
    (scenario_emulator.files_folder / "folder").mkdir()
    (scenario_emulator.files_folder / "folder" / "a.safetensors").write_bytes(b"")
    (scenario_emulator.files_folder / "b.safetensors").write_bytes(b"")
""")
    result.assert_outcomes(passed=2)


def test_each_process_of_xdist_has_an_emulator_of_its_own(run, pytester):
    result = run(
        """
import pytest
from helpers import train

@pytest.mark.parametrize("number", range(6))
def test_one_training(scenario_emulator, number, pytestconfig, worker_id):
    train(scenario_emulator, f"hero {number}")
    assert [training.model_name for training in scenario_emulator.trainings] == [f"hero {number}"]
    (pytestconfig.rootpath / f"{worker_id}@{scenario_emulator.address.rpartition(':')[2]}").touch()
""",
        "-n",
        "2",
    )
    result.assert_outcomes(passed=6)
    processes = [path.name.split("@") for path in pytester.path.glob("gw*@*")]
    assert {worker for worker, _ in processes} == {"gw0", "gw1"}
    assert len({port for _, port in processes}) == len(processes) == 2


def test_a_marker_sets_settings_and_the_closest_wins(run):
    result = run("""
import pytest

pytestmark = pytest.mark.scenario_emulator(training_seconds=60, train_model=500)

@pytest.mark.scenario_emulator(training_seconds=5)
def test_both(scenario_emulator):
    settings = scenario_emulator.read("settings")
    assert (settings["training_seconds"], settings["train_model"]) == (5, 500)

def test_the_modules(scenario_emulator):
    assert scenario_emulator.read("settings")["training_seconds"] == 60
""")
    result.assert_outcomes(passed=2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("training_second=5", "*SwitchError: The emulator refuses POST /emulator/settings: 422*training_second*"),
        ("60", "*takes only keywords, such as training_seconds=60.*"),
    ],
)
def test_a_wrong_marker_is_an_error_of_the_test(run, arguments, message):
    result = run(f"""
import pytest

@pytest.mark.scenario_emulator({arguments})
def test_it(scenario_emulator):
    pass
""")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([message])


def test_the_clock_ends_a_training(scenario_emulator, train):
    scenario_emulator.set(training_seconds=3600)
    train()
    assert [training.status for training in scenario_emulator.trainings] == ["training"]
    scenario_emulator.advance(3600)
    assert [training.status for training in scenario_emulator.trainings] == ["trained"]


def test_a_training_that_fails_is_billed(scenario_emulator, train):
    scenario_emulator.fail_trainings("out of memory", model="her*", times=1)
    train("hero"), train("hero"), train("ink")
    assert [training.status for training in scenario_emulator.trainings] == ["failed", "trained", "trained"]
    assert scenario_emulator.billed == 3 * scenario_emulator.trainings[0].creative_units


def test_a_fault_hits_the_requests_of_its_route(scenario_emulator):
    scenario_emulator.fault("status", "/projects/*", status=401, times=None)
    hook = ScenarioHook()
    assert not hook.test_connection()[0]
    scenario_emulator.clear_faults()
    assert hook.test_connection()[0]


def test_synced_models_are_objects(scenario_emulator):
    scenario_emulator.set(fetch_files=False)
    AICreationWorkshopHook().client.sync_model(tree())
    (model,) = scenario_emulator.synced_models
    (file,) = model.files
    assert (model.model_id, model.versions, file.name) == ("hero-1", ["hero-1-1"], "hero-1.safetensors")
    assert file.is_listed


@pytest.mark.usefixtures("scenario_emulator")
def test_pauses_are_short_whatever_the_poke_interval():
    watch = TrainingWatch(label="hero", deadline=math.inf, poke_interval=30)
    assert watch.pause == LONGEST_PAUSE
    assert watch.after(ServiceError("No answer.", maybe_done=False), now=0) is None
    assert watch.pause == LONGEST_PAUSE


@pytest.mark.usefixtures("scenario_emulator")
async def test_the_first_poll_of_a_trigger_comes_soon():
    class Shared:
        async def poll(self, *_, after, **__):
            self.after = after

    shared = Shared()
    trigger = ScenarioTrainingTrigger(model_id="model_1", poke_interval=30)
    assert (await trigger._wait_for_end(shared, started_at=time.time())).outcome == "timed-out"
    assert 0 < shared.after <= LONGEST_PAUSE


def test_a_refused_switch_says_why(scenario_emulator):
    with pytest.raises(SwitchError, match=r"The emulator refuses POST /emulator/settings: 422 .*training_second"):
        scenario_emulator.set(training_second=5)
