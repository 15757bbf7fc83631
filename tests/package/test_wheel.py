"""What is published: built as for a release, checked, and installed where this checkout cannot be imported."""

from __future__ import annotations

import email
import json
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator, Mapping
from email.message import Message
from pathlib import Path

import pytest
from uv import find_uv_bin

from airflow_provider_scenario import __version__, get_provider_info
from airflow_provider_scenario.demo.emulator_process import EmulatorProcess
from tests.harness.airflow import AirflowUnderTest
from tests.witness import Witness

pytestmark = pytest.mark.full

ROOT = Path(__file__).parents[2]
NAME = f"airflow_provider_scenario-{__version__}"
METADATA = f"{NAME}.dist-info"
LISTS = """
import json
from airflow.providers_manager import ProvidersManager

manager = ProvidersManager()
lists = {
    "hooks": {hook.connection_type: hook.hook_class_name for hook in manager.hooks.values() if hook},
    "triggers": [trigger.trigger_class_name for trigger in manager.trigger],
    "links": list(manager.extra_links_class_names),
    "configs": dict(manager.provider_configs),
    "schemes": list(manager.asset_uri_handlers),
}
print("lists:", json.dumps(lists))
"""
"""What ``airflow providers hooks``, ``triggers``, ``links`` and ``configs`` list, without four processes."""


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What ``make dist`` builds and checks: an sdist, and a wheel that is built from that sdist."""
    folder = tmp_path_factory.mktemp("dist")
    # The tools are installed, since this test runs; -o: do not install them again.
    run("make", "-o", ".venv/test", "dist", f"DIST={folder}", cwd=ROOT)
    assert sorted(path.name for path in folder.iterdir()) == [f"{NAME}-py3-none-any.whl", f"{NAME}.tar.gz"]
    return folder


@pytest.fixture(scope="module")
def wheel(dist: Path) -> Path:
    return dist / f"{NAME}-py3-none-any.whl"


@pytest.fixture(scope="module")
def metadata(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as archive:
        return email.message_from_bytes(archive.read(f"{METADATA}/METADATA"))


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Python of an environment with nothing but the wheel and what it requires."""
    environment = tmp_path_factory.mktemp("installed") / "environment"
    executable = str(environment / "bin" / "python")
    uv = find_uv_bin()
    run(uv, "venv", "--python", sys.executable, str(environment))
    constraints = str(ROOT / ".ci" / "constraints-3.3.txt")
    run(uv, "pip", "install", "--python", executable, "--constraint", constraints, str(wheel))
    return executable


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder to run in, where nothing leads Python back to this checkout."""
    folder = tmp_path_factory.mktemp("elsewhere")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("PYTHONPATH", raising=False)
        patch.chdir(folder)
        yield folder


@pytest.fixture(scope="module")
def emulator(python: str, elsewhere: Path) -> Iterator[EmulatorProcess]:
    with EmulatorProcess(elsewhere / "emulator.log", training_seconds=3, python=python) as emulator:
        yield emulator


@pytest.fixture(scope="module")
def airflow(python: str, elsewhere: Path, emulator: EmulatorProcess) -> Iterator[AirflowUnderTest]:
    shutil.copytree(ROOT / "example_dags" / "datasets", elsewhere / "dags" / "datasets")
    shutil.copy(ROOT / "example_dags" / "train_one_lora.py", elsewhere / "dags")
    connections = {"scenario_default": emulator.connection}
    home, dags = elsewhere / "home", elsewhere / "dags"
    with AirflowUnderTest(home, dags, connections=connections, python=python) as airflow:
        yield airflow


def test_the_wheel_holds_the_package_its_licences_and_nothing_else(wheel):
    with zipfile.ZipFile(wheel) as archive:
        files = set(archive.namelist())
    about = {"METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE", "licenses/NOTICE"}
    assert files == {*tracked("airflow_provider_scenario"), *(f"{METADATA}/{name}" for name in about)}
    pictures = {".gif", ".jpg", ".jpeg", ".png", ".webp"}
    assert [name for name in files if Path(name).suffix in pictures or Path(name).name.startswith("test_")] == []


def test_the_sdist_holds_all_that_is_tracked(dist):
    with tarfile.open(dist / f"{NAME}.tar.gz") as archive:
        files = {member.name.removeprefix(f"{NAME}/") for member in archive.getmembers()}
    assert files == {*tracked(), "PKG-INFO"}


def test_the_checkout_gives_the_same_wheel_as_the_sdist(wheel, tmp_path):
    run(sys.executable, "-m", "build", "--installer", "uv", "--wheel", "--outdir", str(tmp_path), str(ROOT))
    assert (tmp_path / wheel.name).read_bytes() == wheel.read_bytes()


def test_the_metadata_names_the_licence_and_leads_to_docs_source_and_changelog(metadata):
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata.get_all("License-File") == ["LICENSE", "NOTICE"]
    assert metadata["Requires-Python"] == ">=3.11"
    urls = dict(url.split(", ") for url in metadata.get_all("Project-URL"))
    assert {"Documentation", "Source", "Issues", "Changelog", "Security"} <= urls.keys()


def test_no_link_of_the_long_description_is_relative(metadata):
    """``tests/unit/test_package.py`` checks where the links lead."""
    assert metadata["Description-Content-Type"] == "text/markdown"
    text = metadata.get_payload()
    targets = re.findall(r'(?:\]\(|(?:src|href)=")([^)"\s]+)', text)
    assert len(targets) > 10
    assert [target for target in targets if not target.startswith("https://")] == []


def test_the_installed_package_does_not_come_from_this_checkout(python, elsewhere):
    code = "import json, sys, airflow_provider_scenario as package; print(json.dumps([package.__file__, sys.path]))"
    found, path = json.loads(run(python, "-c", code))
    assert Path(found).is_relative_to(Path(python).parents[1])
    assert [entry for entry in path if Path(entry).resolve().is_relative_to(ROOT)] == []


def test_an_example_dag_trains_a_lora(airflow, emulator):
    run_id = airflow.trigger("train_one_lora")
    assert airflow.wait_for_run("train_one_lora", run_id) == "success"
    witness = Witness(emulator.url)
    assert witness.counts() == {"models": 1, "images": 10, "trainings": 1, "canceled": 0}
    result = airflow.xcom("train_one_lora", run_id, "wait_for_training")
    assert result["status"] == witness.model(result["model_id"])["status"] == "trained"
    assert result["name"].startswith("ink-style ")
    assert "ink-style" in airflow.page("/scenario/run", dag_id="train_one_lora", run_id=run_id)
    assert "{" in airflow.page("/scenario/static/page.css")


def test_airflow_shows_the_provider_and_its_page(airflow):
    assert airflow.import_errors() == []
    providers = {each["package_name"]: each["version"] for each in airflow.call("GET", "/providers")["providers"]}
    assert providers["airflow-provider-scenario"] == __version__
    assert airflow.call("GET", "/plugins/importErrors")["import_errors"] == []
    plugins = {each["name"]: each for each in airflow.call("GET", "/plugins")["plugins"]}
    assert plugins["scenario"]["source"].startswith(f"airflow-provider-scenario=={__version__}: EntryPoint(")


def test_airflow_providers_get_shows_all_that_the_provider_declares(airflow):
    (shown,) = json.loads(airflow.cli("providers", "get", "airflow-provider-scenario", "--full", "--output", "json"))
    declared = get_provider_info()
    # Airflow takes the markup out of the description, and adds the address of the docs from the package's metadata.
    assert shown.keys() == {*declared, "documentation-url"}
    assert shown["documentation-url"].startswith("https://airflow-provider-scenario.readthedocs.io")
    types = [(each["connection-type"], each["hook-class-name"]) for each in declared["connection-types"]]
    assert [(each["connection-type"], each["hook-class-name"]) for each in shown["connection-types"]] == types
    others = declared.keys() - {"connection-types", "description"}
    assert {key: shown[key] for key in others} == {key: declared[key] for key in others}


def test_airflow_providers_hooks_triggers_links_and_configs_list_what_the_provider_declares(airflow, python):
    lists = json.loads(run(python, "-c", LISTS, env=airflow.env).partition("lists:")[2])
    declared = get_provider_info()
    hooks = {each["connection-type"]: each["hook-class-name"] for each in declared["connection-types"]}
    assert hooks.items() <= lists["hooks"].items()
    assert {module for each in declared["triggers"] for module in each["python-modules"]} <= set(lists["triggers"])
    assert set(declared["extra-links"]) <= set(lists["links"])
    assert lists["configs"]["airflow-provider-scenario"] == declared["config"]
    assert "scenario" in lists["schemes"]


def tracked(*folders: str) -> list[str]:
    """Files that git tracks. One that is built but not among them was forgotten, or does not belong here."""
    return run("git", "ls-files", *folders, cwd=ROOT).splitlines()


def run(*command: str, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> str:
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout
