from __future__ import annotations

import io
import logging

import pytest
from PIL import Image

from airflow_provider_scenario.datasets import Dataset, DatasetImage, log_review, read_dataset
from airflow_provider_scenario.datasets.images import list_images
from airflow_provider_scenario.datasets.media import check_media
from airflow_provider_scenario.datasets.review import EMPTY_CAPTION, NO_CAPTION, SAME, TOO_SMALL, dataset_summary
from airflow_provider_scenario.storage import Location, StorageError

from .conftest import JPEG, MP3, PNG, WAV, picture

log = logging.getLogger(__name__)


@pytest.mark.parametrize(
    ("files", "line"),
    [
        ({"a.png": PNG, "a.txt": "a"}, "1 image, 1 caption."),
        ({"a.png": PNG}, "1 image, no captions ('a.png' has none: Scenario writes it)."),
        (
            {f"{letter}.png": PNG for letter in "abcde"} | {"a.txt": "a"},
            "5 images, 1 caption ('b.png', 'c.png', 'd.png' and 1 more have none: Scenario writes them).",
        ),
        ({"a.png": PNG, "a.txt": "a", "training.yaml": "", "metadata.jsonl": ""}, "1 image, 1 caption."),
        ({"a.png": PNG, "a.txt": "a", "b.psd": "x", ".hidden": "x"}, "1 image, 1 caption; ignored: 'b.psd'."),
        (
            {"a.png": PNG, "a.txt": "a"} | {f"{number}.md": "x" for number in range(9)},
            "1 image, 1 caption; ignored: '0.md', '1.md', '2.md' and 6 more.",
        ),
        (
            {"a.png": PNG, "b.jpg": JPEG, "metadata.jsonl": '{"source": "a.png", "target": "b.jpg"}'},
            "2 images, no captions ('a.png', 'b.jpg' have none: Scenario writes them), 1 pair.",
        ),
        ({"a.wav": WAV, "b.mp3": MP3}, "2 recordings."),
    ],
)
def test_one_line_says_what_is_in_a_dataset(write, files, line):
    assert dataset_summary("knight", read_dataset(write("knight", files))) == f"'knight': {line}"


def test_a_folder_in_the_dataset_is_ignored_and_said(write):
    write("knight/originals", {"01.png": PNG})
    dataset = read_dataset(write("knight", {"a.png": PNG, "a.txt": "a"}))
    assert dataset_summary("knight", dataset) == "'knight': 1 image, 1 caption; ignored: 'originals/'."


def test_of_an_asset_only_scenario_knows_whether_it_has_a_caption():
    assets = list_images([{"asset_id": "one", "caption": "a"}, {"asset_id": "two"}])
    assert dataset_summary("knight", Dataset(images=assets)) == "'knight': 2 images, 1 caption."
    assert log_review("knight", Dataset(images=assets), log) == frozenset()


class TestWarnings:
    def warnings(self, caplog, dataset):
        with caplog.at_level("INFO"):
            log_review("knight", dataset, log)
        return [record.message for record in caplog.records if record.levelname == "WARNING"]

    def test_what_is_large_enough_and_there_once_is_fine(self, write, caplog):
        dataset = read_dataset(write("knight", {"a.png": picture("png", 1024), "b.png": picture("png", 1024)}))
        assert self.warnings(caplog, dataset) == []

    def test_pictures_that_are_too_small_are_named_with_their_size(self, write, caplog):
        content = io.BytesIO()
        Image.new("RGB", (2000, 1023)).save(content, "png")
        dataset = read_dataset(write("knight", {"a.png": content.getvalue(), "b.png": picture("png", 1024)}))
        assert self.warnings(caplog, dataset) == [
            "Dataset: 1 image smaller than the recommended 1024 pixels on a side: 'a.png' (2000x1023)."
        ]

    def test_what_is_there_twice_is_named(self, write, caplog):
        big, other = picture("png", 1024), picture("jpeg", 1024)
        files = {"a.png": big, "b.jpg": other, "c.png": big, "d.png": big, "e.jpg": other}
        assert self.warnings(caplog, read_dataset(write("knight", files))) == [
            "Dataset: 5 images that are the same: 'a.png' = 'c.png' = 'd.png', 'b.jpg' = 'e.jpg'."
        ]

    def test_only_files_of_equal_size_are_read(self, tmp_path, monkeypatch):
        one = picture("png", 64)
        for name, content in {"a.png": one, "b.png": one, "c.png": one + b"longer"}.items():
            (tmp_path / name).write_bytes(content)
        dataset = read_dataset(tmp_path)
        read = []
        whole = DatasetImage.content_hash
        monkeypatch.setattr(DatasetImage, "content_hash", lambda image: read.append(image.name) or whole(image))
        log_review("knight", dataset, log)
        assert sorted(read) == ["a.png", "b.png"]

    def test_a_storage_that_fails_keeps_nobody_from_training(self, tmp_path, monkeypatch):
        for name in ("a.png", "b.png"):
            (tmp_path / name).write_bytes(PNG)
        dataset = read_dataset(tmp_path)

        def fails(*_):
            raise StorageError("it is away")

        monkeypatch.setattr(Location, "read", fails)
        log_review("knight", dataset, log)

    def test_what_the_service_need_not_say_again(self, tmp_path):
        (tmp_path / "a.png").write_bytes(PNG)
        assert log_review("knight", read_dataset(tmp_path), log) == {TOO_SMALL, NO_CAPTION, EMPTY_CAPTION, SAME}
        (tmp_path / "b.tiff").write_bytes(picture("tiff"))  # whose size is not read
        assert log_review("knight", read_dataset(tmp_path), log) == {NO_CAPTION, EMPTY_CAPTION, SAME}


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("png", {}),
        ("jpeg", {}),
        ("jpeg", {"progressive": True}),
        ("jpeg", {"exif": b"Exif\0\0" + bytes(60_000)}),
        ("webp", {}),
        ("webp", {"lossless": True}),
        ("webp", {"exif": b"Exif\0\0"}),
        ("gif", {}),
        ("bmp", {}),
        ("avif", {}),
    ],
)
def test_width_and_height_are_read_from_the_header(kind, options):
    content = io.BytesIO()
    image = Image.effect_noise((300, 200), 90)
    try:
        image.convert("RGB").save(content, kind, **options)
    except (KeyError, OSError):
        pytest.skip(f"this Pillow writes no {kind}")
    data = content.getvalue()
    assert check_media("a", len(data), lambda start, end: data[start:end]).dimensions == (300, 200)


@pytest.mark.parametrize("content", [picture("tiff"), MP3])
def test_where_the_header_does_not_say_nothing_is_known(content):
    assert check_media("a", len(content), lambda start, end: content[start:end]).dimensions is None
