"""Hostile datasets on a real Airflow; what the emulator has received is the witness."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.system.fixtures import SECRET

PICTURES = Path(__file__).parents[3] / "example_dags" / "datasets" / "isometric-props"
ATTACK = "p={{ conn.scenario_default.password }}"


def add_dataset(folder: Path, **files: str) -> Path:
    folder.mkdir(parents=True)
    for picture in sorted(PICTURES.glob("*.jpg"))[:2]:
        shutil.copy(picture, folder)
        shutil.copy(picture.with_suffix(".txt"), folder)
    for file, content in files.items():
        (folder / file.replace("__", ".")).write_text(content)
    return folder


def known_to_airflow(airflow, dag, run) -> str:
    """All that a viewer of the run can read: task instances, rendered fields, XComs, logs."""
    said = []
    for task in airflow.task_instances(dag, run):
        said.append(repr(task))
        if task["state"] in ("success", "failed"):  # what has never run has no log
            said.append(airflow.task_log(dag, run, task["task_id"], task["map_index"]))
    return "\n".join(said)


@pytest.mark.every_minor
def test_a_template_in_training_yaml_is_not_rendered_and_fails_its_task(airflow, emulator, tmp_path):
    add_dataset(tmp_path / "hero", training__yaml=f"short_description: '{ATTACK}'\nname: '{ATTACK}'\n")
    add_dataset(tmp_path / "well")
    run = airflow.trigger("batch", {"folder": str(tmp_path)})
    assert airflow.wait_for_run("batch", run) == "failed"
    assert [airflow.task_instance("batch", run, "train", index)["state"] for index in (0, 1)] == ["failed", "success"]
    assert [model["name"] for model in emulator.ledger()["models"]] == ["well"]
    assert SECRET not in repr(emulator.ledger()) + known_to_airflow(airflow, "batch", run)
    assert "hero': training.yaml: short_description has '{{'" in airflow.task_log("batch", run, "train", 0)


def test_a_template_as_the_name_of_a_folder_ends_the_list(airflow, emulator, tmp_path):
    add_dataset(tmp_path / ATTACK)
    run = airflow.trigger("batch", {"folder": str(tmp_path)})
    assert airflow.wait_for_run("batch", run) == "failed"
    assert emulator.counts()["models"] == 0
    assert "has '{{', which begins a template" in airflow.task_log("batch", run, "datasets")
    assert SECRET not in known_to_airflow(airflow, "batch", run)


@pytest.mark.every_minor
def test_what_another_task_has_returned_is_not_rendered(airflow, emulator, tmp_path):
    """A task of the author's own that reads a dataset by itself: what it returns is text, and no template."""
    folder = add_dataset(tmp_path / "hero")
    training = {"name": ATTACK, "images": str(folder), "short_description": ATTACK}
    run = airflow.trigger("batch_of_another_task", {"trainings": [training]})
    assert airflow.wait_for_run("batch_of_another_task", run) == "success"
    (model,) = emulator.ledger()["models"]
    stored = emulator.model(model["model_id"])
    # Below Airflow 3.3 the model of a task is found again by a mark behind its description.
    assert (stored["name"], stored["shortDescription"].partition(" [airflow ")[0]) == (ATTACK, ATTACK)
    assert SECRET not in repr(stored) + known_to_airflow(airflow, "batch_of_another_task", run)


@pytest.mark.parametrize("folder", ["/", "../..", "http://127.0.0.1:1/", "file:///etc"])
def test_who_triggers_the_example_lists_neither_the_worker_nor_an_address(airflow, emulator, folder):
    run = airflow.trigger("train_lora_batch", {"folder": folder, "ask_above": 0})
    assert airflow.wait_for_run("train_lora_batch", run) == "failed"
    assert f"{folder!r} does not lie in" in airflow.task_log("train_lora_batch", run, "datasets")
    assert emulator.counts()["models"] == 0


def test_a_link_to_a_file_of_the_worker_fails_its_task_and_is_not_sent(airflow, emulator, tmp_path):
    secret = tmp_path / "worker-secret.cfg"
    secret.write_text(SECRET)
    hero = add_dataset(tmp_path / "root" / "hero")
    caption = next(hero.glob("*.txt"))
    caption.unlink()
    caption.symlink_to(secret)
    add_dataset(tmp_path / "root" / "well")
    run = airflow.trigger("batch", {"folder": str(tmp_path / "root")})
    assert airflow.wait_for_run("batch", run) == "failed"
    assert [airflow.task_instance("batch", run, "train", index)["state"] for index in (0, 1)] == ["failed", "success"]
    assert f"{caption}' leads out of" in airflow.task_log("batch", run, "train", 0)
    assert SECRET not in repr(emulator.ledger()) + known_to_airflow(airflow, "batch", run)
