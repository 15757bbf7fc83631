from __future__ import annotations

import socket

import pytest
from airflow.sdk import ObjectStoragePath

from airflow_provider_scenario.airflow_compat.exceptions import AirflowFailException
from airflow_provider_scenario.client.errors import InvalidInputError
from airflow_provider_scenario.datasets import list_datasets, read_dataset
from airflow_provider_scenario.storage import StorageError

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


@pytest.mark.parametrize("missing_ok", [False, True])
def test_a_folder_that_is_a_dataset_itself_is_refused_and_the_one_to_give_is_named(write, missing_ok):
    knight = write("characters/knight", {"01.png": PNG, "02.png": PNG, "01.txt": "a knight"})
    with pytest.raises(InvalidInputError, match=r"knight' is a dataset itself: '01.png' lies in it") as told:
        list_datasets(knight, missing_ok=missing_ok)
    assert f"Give the folder above, '{knight.removesuffix('/knight')}'," in str(told.value)


def test_a_dataset_with_a_folder_of_something_else_in_it_is_a_dataset_itself(write):
    write("knight/notes", {"notes.md": "x"})
    with pytest.raises(InvalidInputError, match="is a dataset itself"):
        list_datasets(write("knight", {"01.png": PNG}))


def test_a_picture_beside_the_datasets_is_told_and_keeps_none_of_them_back(write, caplog):
    write("characters/knight", {"01.png": PNG})
    characters = write("characters", {"overview.png": PNG})
    assert [dataset["name"] for dataset in list_datasets(characters)] == ["knight"]
    assert f"Not trained, because they lie in {characters!r} and not in a dataset: 'overview.png'." in caplog.messages


@pytest.mark.parametrize("files", [{}, {"notes.md": "x"}])
def test_a_folder_without_datasets_is_an_error_unless_that_is_fine(tmp_path, files):
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    with pytest.raises(
        InvalidInputError, match=r"found no datasets in .*: there are no folders in it\. Give a folder with"
    ):
        list_datasets(tmp_path)
    assert list_datasets(tmp_path, missing_ok=True) == []


def test_a_root_that_is_not_there_is_an_error_unless_that_is_fine(tmp_path, bucket):
    for root in (tmp_path / "nowhere", f"s3://{bucket}/nowhere"):
        with pytest.raises(InvalidInputError, match=r"list_datasets: The folder '.*nowhere' does not exist\."):
            list_datasets(root)
        assert list_datasets(root, missing_ok=True) == []


class TestWhatARetryCannotMend:
    """The exception says so itself: ``list_datasets`` is called within a user's own task."""

    @pytest.mark.parametrize("root", ["/nowhere", "xyz://bucket/characters", "abfs://box/characters", 7])
    def test_airflow_does_not_retry_it(self, root):
        with pytest.raises(InvalidInputError) as told:
            list_datasets(root)
        assert isinstance(told.value, AirflowFailException)

    def test_a_missing_package_is_not_an_empty_folder(self):
        with pytest.raises(InvalidInputError, match="pip install 'apache-airflow-providers-google'"):
            list_datasets("gs://bucket/characters", missing_ok=True)

    def test_a_storage_that_cannot_be_reached_is_retried(self, s3):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            config = {"retries": {"max_attempts": 0}, "connect_timeout": 1}
            endpoint = f"http://127.0.0.1:{taken.getsockname()[1]}"
            path = ObjectStoragePath("s3://bucket/hero", endpoint_url=endpoint, config_kwargs=config)
            with pytest.raises(StorageError) as told:
                list_datasets(path)
        assert not isinstance(told.value, AirflowFailException)
