"""
README and docs agree with the code: model types, arguments, examples of files, switches, counts of tests.

``python -m tests.unit.test_documentation`` writes ``docs/model_types.md`` and the other generated tables: those between
``<!-- begin … -->`` and ``<!-- end … -->``.
"""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from airflow_provider_scenario import metrics
from airflow_provider_scenario.client.scenario.model_types import FAMILIES, TRAINERS, Trainer, parameters_of
from airflow_provider_scenario.client.values import snake_case
from airflow_provider_scenario.datasets import Dataset, DatasetImage, metadata, settings
from airflow_provider_scenario.datasets.media import IMAGES, RECORDINGS
from airflow_provider_scenario.datasets.review import dataset_summary
from airflow_provider_scenario.operators import cost, model, model_sync, training
from airflow_provider_scenario.sensors import model_sync as listing
from airflow_provider_scenario.sensors import training as waiting
from airflow_provider_scenario.storage import Location
from airflow_provider_scenario.storage.location import MAX_ENTRIES
from tests.system import test_kill_matrix, test_kill_matrix_repeats, test_leak_matrix, test_leak_matrix_loops
from tests.unit.emulator import manual
from tests.unit.generated_tables import table_in, with_tables

if TYPE_CHECKING:
    from airflow_provider_scenario.client.scenario.parameters import Parameter

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
DOCS = ROOT / "docs"
PAGE = DOCS / "model_types.md"

MODEL_TYPES = "short table of model types"
DATASETS = {"images": "images", "pairs": "pairs of images", "audio": "recordings", "concepts": "trained LoRAs"}
CLASSES = {
    name: each
    for module in (cost, model, model_sync, training, listing, waiting)
    for name, each in vars(module).items()
    if inspect.isclass(each) and name.startswith(("Scenario", "AICreationWorkshop"))
}


def groups() -> dict[tuple[str, str], list[str]]:
    """Model types with the same trainer and kind of dataset, and so with the same parameters."""
    found: dict[tuple[str, str], list[str]] = {}
    for model_type, trainer in TRAINERS.items():
        found.setdefault((trainer.name, "images" if trainer.retired else trainer.dataset), []).append(model_type)
    return found


def parameters_of_all(types: list[str]) -> list[Parameter]:
    return list({parameter.name: parameter for each in types for parameter in parameters_of(each)}.values())


def accepted_values(parameter: Parameter, trainer: Trainer, types: list[str]) -> str:
    low, high = parameter.by_trainer.get(trainer.name) or (parameter.minimum, parameter.maximum)
    text = parameter.kind
    if low is not None:
        text += f" {'above' if parameter.above and low == 0 else 'from'} {low:.16g}"
    if high is not None and math.isfinite(high):
        text += f" to {high:.16g}"
    if parameter.choices:
        text += f": {', '.join(f'`{choice}`' for choice in parameter.choices)}"
    if parameter.max_length:
        text += f" of at most {parameter.max_length} characters"
    if parameter.usual and trainer.name not in parameter.by_trainer:
        text += f"; outside {parameter.usual[0]:g} to {parameter.usual[1]:g} a warning"
    if parameter.name == "conceptPrompt" and (trainer.concept_prompt_max or trainer.concept_prompt_usual):
        text += f"; above {trainer.concept_prompt_usual} characters a warning"
        strict = [f"`{each}`" for each in types if TRAINERS[each].concept_prompt_max]
        text += f", and an error for {', '.join(strict)}" if strict else ""
    if parameter.secret:
        text += ", from a template"
    if trainer.retired and parameter.stable_diffusion != "sd-":
        text += f"; `{parameter.stable_diffusion}…` types only"
    return text


def page() -> Iterator[str]:
    yield "# Model types and their training parameters"
    yield ""
    yield "Generated from the code (`client/scenario/model_types.py` and `parameters.py`) by"
    yield "`python -m tests.unit.test_documentation`; a test compares them."
    yield ""
    yield "Both spellings are accepted, `nb_epochs` and `nbEpochs`. An unknown type or parameter is sent with a"
    yield "warning; a parameter that looks misspelt is an error that names the likely one. Scenario has defaults for"
    yield "parameters that you leave out. Bounds are inclusive. A warning means that Scenario's own documents disagree;"
    yield "Scenario decides."
    for (name, dataset), types in groups().items():
        yield ""
        edits = ", trained on pairs" if dataset == "pairs" else ""
        heading = f"{FAMILIES[name]}{edits}"
        yield f"## {heading[0].upper()}{heading[1:]}"
        yield ""
        yield f"Types: {', '.join(f'`{each}`' for each in types)}."
        yield ""
        also = "; the compositions: trained LoRAs" if TRAINERS[types[0]].retired else ""
        yield f"Dataset: {DATASETS[dataset]}{also}."
        yield ""
        yield "| parameter | values |"
        yield "| --- | --- |"
        for parameter in parameters_of_all(types):
            yield f"| `{snake_case(parameter.name)}` | {accepted_values(parameter, TRAINERS[types[0]], types)} |"


def short_table() -> str:
    """A row for each family that is not retired, without ``wandb_key``, which the page explains above the table."""
    return "".join(f"{row}\n" for row in _short_rows())


def _short_rows() -> Iterator[str]:
    yield "| model types | learn from | parameters |"
    yield "| --- | --- | --- |"
    for (_, dataset), types in groups().items():
        if TRAINERS[types[0]].retired:
            continue
        names = [snake_case(parameter.name) for parameter in parameters_of_all(types) if not parameter.secret]
        parameters = ", ".join(f"`{name}`" for name in names) or "none"
        yield f"| {', '.join(f'`{each}`' for each in types)} | {DATASETS[dataset]} | {parameters} |"


@pytest.mark.parametrize("types", [types for types in groups().values() if not TRAINERS[types[0]].retired], ids=str)
def test_the_types_of_one_row_have_the_same_parameters(types):
    assert all(parameters_of(each) == parameters_of(types[0]) for each in types)


def test_the_page_of_model_types_is_generated_from_the_code():
    assert PAGE.read_text() == "\n".join(page()) + "\n"


def test_the_page_of_datasets_has_the_generated_table_of_model_types():
    assert table_in((DOCS / "datasets.md").read_text(), MODEL_TYPES) == short_table()


def examples(language: str) -> list[str]:
    """The code blocks of this language on the page of datasets."""
    return re.findall(rf"^```{language}\n(.*?)^```", (DOCS / "datasets.md").read_text(), re.DOTALL | re.MULTILINE)


def test_the_examples_of_metadata_can_be_read():
    captions, pairs = (
        metadata.parse_metadata(text, re.findall(r'"(?:file_name|source|target)": "(\S+)"', text))
        for text in examples("json")
    )
    assert list(captions.captions) == ["front.webp", "side.webp"]
    assert [pair.get("instruction") for pair in pairs.pairs or []] == ["make it night", None]


def test_the_example_of_training_parameters_can_be_read():
    (text,) = examples("yaml")
    read = settings.parse_settings("training.yaml", text)
    assert (read.name, set(read.parameters)) == (
        "Knight of the north",
        {"nbEpochs", "learningRate", "samplePrompts"},
    )


def test_the_page_of_datasets_has_the_files_and_limits_of_the_code():
    page = (DOCS / "datasets.md").read_text(encoding="utf-8")
    images, recordings = re.findall(r"^\| ((?:`\.\w+` ?)+) \| an? (?:image|recording)", page, re.MULTILINE)
    assert (set(re.findall(r"\.\w+", images)), set(re.findall(r"\.\w+", recordings))) == (IMAGES, RECORDINGS)
    assert f"| `training.yaml` | {settings.MAX_BYTES // 1024} KiB |" in page
    assert f"| `metadata.jsonl` | {metadata.MAX_BYTES // 1024**2} MiB |" in page
    assert f"| a caption | {metadata.MAX_CAPTION // 1024} KiB |" in page
    assert f"| files and folders in a dataset | {MAX_ENTRIES:,} |" in page


def test_the_example_of_a_log_line_is_one():
    images = [
        DatasetImage(name=f"0{number}.jpg", caption="c", path=Location.of(f"0{number}.jpg")) for number in range(1, 7)
    ]
    images[2] = replace(images[2], caption=None)
    assert dataset_summary("knight", Dataset(images=images, ignored=["b.psd"])) in (DOCS / "datasets.md").read_text()


def test_the_readme_lists_all_operators_and_sensors():
    rows = re.findall(r"^\| `([\w.]+)\.(\w+)` \|", README.read_text(encoding="utf-8"), re.MULTILINE)
    public = {name: each for name, each in CLASSES.items() if name.endswith(("Operator", "Sensor"))}
    del public["ScenarioOperator"]  # their base
    modules = {name: each.__module__.removeprefix("airflow_provider_scenario.") for name, each in public.items()}
    assert {name: module for module, name in rows} == modules


def test_the_page_of_tested_versions_counts_the_ways_to_kill_and_to_end_a_task():
    page = (DOCS / "tested_versions.md").read_text(encoding="utf-8")
    killed, in_loop = len(test_kill_matrix.MATRIX), len(test_kill_matrix_repeats.IN_ONE_ITERATION)
    after_clear = sum(map(len, test_kill_matrix_repeats.WHEN_CLEARED.values()))
    assert f"| {killed} ways, {after_clear} after a clear | {in_loop} in a loop |" in page
    ended, cleared, iterations = (
        sum(len(row.columns.split(", ")) for row in rows)
        for rows in (test_leak_matrix.MATRIX, test_leak_matrix.CLEARINGS, test_leak_matrix_loops.ITERATIONS)
    )
    assert f"| {ended} ways, {cleared} of clearing, all restarts | {iterations} in a loop |" in page
    assert f"{killed} ways of `kill -9` are tested" in README.read_text(encoding="utf-8")


def test_the_numbers_of_the_readme_are_those_of_the_benchmarks():
    measured = (ROOT / "benchmarks" / "README.md").read_text(encoding="utf-8")
    assert "| requests a minute | 21 |" in measured
    assert "| CPU of the runner, of a core | 2.7 % |" in measured
    assert "1,000 waiting trainings take 21 requests\na minute and 3 % of a core" in README.read_text(encoding="utf-8")


def test_the_page_of_metrics_lists_those_of_the_code():
    page = (DOCS / "how_it_scales.md").read_text(encoding="utf-8")
    names = re.findall(r"``(scenario\.\S+?)``", metrics.__doc__ or "")
    assert names
    assert [name for name in names if f"| `{name}` |" not in page] == []


if __name__ == "__main__":
    PAGE.write_text("\n".join(page()) + "\n")
    for name, tables in {"datasets.md": {MODEL_TYPES: short_table()}, "emulator.md": manual.tables()}.items():
        (DOCS / name).write_text(with_tables((DOCS / name).read_text(), tables))
