from __future__ import annotations

import pytest

from airflow_provider_scenario.client.errors import InvalidInputError
from airflow_provider_scenario.datasets import list_datasets, read_dataset

from .conftest import PNG


def test_each_folder_is_one_dict_of_keywords_by_name(write):
    write("root/b", {"a.png": PNG, "training.yaml": "name: Bee\ntype: zimage-lora\nnb_epochs: 3"})
    write("root/a", {"a.png": PNG})
    root = write("root", {"notes.md": "x"})
    listed = list_datasets(root, type="flux.2-dev-lora", parameters={"rank": 8})
    assert listed == [
        {"name": "a", "images": f"{root}/a", "type": "flux.2-dev-lora", "parameters": {"rank": 8}},
        {"name": "Bee", "images": f"{root}/b", "type": "zimage-lora", "parameters": {"rank": 8}},
    ]
    assert [len(read_dataset(dataset["images"]).images) for dataset in listed] == [1, 1]


def test_a_bad_dataset_is_listed_and_fails_its_own_task(write):
    write("root/a", {"a.png": b"", "training.yaml": "nme: x"})
    root = write("root/b", {"a.png": PNG}).removesuffix("/b")
    assert [dataset["name"] for dataset in list_datasets(root)] == ["a", "b"]


def test_what_programs_leave_behind_is_no_dataset(write):
    write("root/__MACOSX", {"a.png": PNG})
    write("root/.cache", {"a.png": PNG})
    root = write("root/_a", {"a.png": PNG}).removesuffix("/_a")
    assert [dataset["name"] for dataset in list_datasets(root)] == ["_a"]


def test_an_empty_root_has_none(tmp_path):
    assert list_datasets(tmp_path) == []


def test_a_root_that_is_not_there_is_an_error_unless_that_is_fine(tmp_path, bucket):
    for root in (tmp_path / "nowhere", f"s3://{bucket}/nowhere"):
        with pytest.raises(InvalidInputError, match="nowhere', which is no folder here"):
            list_datasets(root)
        assert list_datasets(root, missing_ok=True) == []
