from __future__ import annotations

import pytest

from airflow_provider_scenario.hooks.scenario import ScenarioHook


def left_behind():
    return list(ScenarioHook().client.list_models())


def test_a_folder_of_datasets_and_a_dataset(run, emulator, datasets):
    arguments = ["--type", "flux.2-dev-lora", "--parameters", '{"nb_epochs": 1}', "-o", "json"]
    ran = run("estimate", str(datasets), str(datasets / "ink-style"), *arguments)
    assert ran.code == 0, ran.err
    names = [row["name"] for row in ran.json["trainings"]]
    assert names == ["hero-character", "ink-style", "isometric-props", "ink-style"]
    assert ran.json["creative_units"] == sum(row["creative_units"] for row in ran.json["trainings"])
    assert ran.json["trainings"][1] == {
        "name": "ink-style",
        "type": "flux.2-dev-lora",
        "images": 10,
        "creative_units": 60,
    }
    assert left_behind() == []
    assert emulator.counts()["trainings"] == 0


def test_the_table_has_the_sum(run, emulator, datasets):
    ran = run("estimate", str(datasets / "ink-style"), "--type", "flux.2-dev-lora")
    last = [cell.strip() for cell in ran.out.rstrip().splitlines()[-1].split("|")]
    assert last == ["sum", "", "10", "600"]
    assert ran.err == "Nothing was started or billed.\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--parameters", "{"], "--parameters is not JSON"),
        (["--parameters", "[1]"], "--parameters is [1]; give a JSON object"),
        (["--parameters", '{"nb_epoch": 3}'], "Did you mean 'nb_epochs'"),
        (["--parameters", "[" * 100_000], "--parameters is not JSON"),
    ],
)
def test_wrong_parameters_are_wrong_usage(run, emulator, datasets, arguments, said):
    ran = run("estimate", str(datasets), "--type", "flux.1-lora", *arguments)
    assert ran.code == 2
    assert said in ran.err
    assert emulator.requests() == 0


def test_wrong_datasets_are_named_in_one_message(run, emulator, tmp_path):
    (tmp_path / "empty").mkdir()
    ran = run("estimate", str(tmp_path), "--type", "flux.1-lora")
    assert (ran.code, ran.out) == (1, "")
    assert "trainings[1] ('empty'): " in ran.err
    assert "No price was quoted." in ran.err
    assert "Traceback" not in ran.err
    assert run("estimate", str(tmp_path / "none")).code == 1


def test_the_temporary_model_is_deleted_when_the_user_interrupts(run, emulator, datasets, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("airflow_provider_scenario.client.scenario.client.ScenarioClient.quote_training", interrupt)
    ran = run("estimate", str(datasets / "ink-style"), "--type", "flux.1-lora")
    assert ran.code == 130
    assert emulator.counts()["models"] == 1
    assert left_behind() == []
